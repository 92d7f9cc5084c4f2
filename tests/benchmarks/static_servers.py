"""The servers of files to compare: one process each, no access log, otherwise as they come.

nginx is the one to be measured by, so it gets what makes it fast: sendfile, and a cache of opened files.
"""

from .nginx import nginx_command
from .server import ServerSpec, Start, granian_command, module, uvicorn_command
from .workload import Family

NGINX = "nginx"
STARLETTE = "starlette-uvicorn"
MINIASGI_STATIC = "miniasgi-static"

_NGINX_SERVER = """\
    sendfile on;
    tcp_nopush on;
    open_file_cache max=20000 inactive=60s;
    open_file_cache_valid 60s;
    etag on;
    root {site};
"""


def _nginx(start: Start) -> list[str]:
    return nginx_command(start, _NGINX_SERVER.format(site=start.site))


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
