"""The servers of files to compare: one process each, no access log, otherwise as they come.

nginx is the one to be measured by, so it gets what makes it fast: sendfile, and a cache of opened files.
"""

from .server import ServerSpec, Start, find_program, granian_command, module, uvicorn_command
from .workload import Family

NGINX = "nginx"
STARLETTE = "starlette-uvicorn"
MINIASGI_STATIC = "miniasgi-static"

# One process that stays in the foreground and keeps its user, who may read the files.
_NGINX_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx-{port}.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=20000 inactive=60s;
  open_file_cache_valid 60s;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  etag on;
  client_body_temp_path {folder}/nginx-{port}-body;
  proxy_temp_path {folder}/nginx-{port}-proxy;
  fastcgi_temp_path {folder}/nginx-{port}-fastcgi;
  uwsgi_temp_path {folder}/nginx-{port}-uwsgi;
  scgi_temp_path {folder}/nginx-{port}-scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {site};
  }}
}}
"""


def _nginx(start: Start) -> list[str]:
    configuration = start.folder / f"nginx-{start.port}.conf"
    configuration.write_text(_NGINX_CONFIGURATION.format(folder=start.folder, port=start.port, site=start.site))
    return [find_program("nginx") or "nginx", "-p", str(start.folder), "-c", str(configuration), "-e", "stderr"]


def _granian(start: Start) -> list[str]:
    return granian_command(start, "--static-path-route", "/static", "--static-path-mount", str(start.site))


def _miniasgi(name: str, *options: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        static = ["--static", str(start.site), "--no-access-log", "--port", str(start.port)]
        return module("miniasgi", *static, *options)

    return ServerSpec(name, ("miniasgi.static",), command, Family.STATIC)


def _on_uvicorn(name: str, package: str, factory: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        app = f"tests.benchmarks.static_apps:{factory}"
        return uvicorn_command(app, start, "httptools", "uvloop", "--factory")

    return ServerSpec(name, ("uvicorn", "httptools", "uvloop", package), command, Family.STATIC)


STATIC_SERVERS: tuple[ServerSpec, ...] = (
    ServerSpec(NGINX, (), _nginx, Family.STATIC, program="nginx"),
    _miniasgi(MINIASGI_STATIC),
    _miniasgi("miniasgi-static-asyncio", "--loop", "asyncio"),
    _on_uvicorn("miniasgi-staticfiles-on-uvicorn", "miniasgi.static", "miniasgi"),
    _on_uvicorn(STARLETTE, "starlette", "starlette"),
    _on_uvicorn("servestatic-uvicorn", "servestatic", "servestatic"),
    ServerSpec(
        "granian-static",
        ("granian", "uvloop"),
        _granian,
        Family.STATIC,
        prefix="/static",
        cannot={"static-304": "it gives no ETag", "static-range": "it ignores Range"},
    ),
)
