"""The servers that speak TLS to compare: one process each, the same certificate, no access log, otherwise as they come.

All of them use OpenSSL but granian, which uses rustls.
"""

from . import apps
from .nginx import nginx_command
from .server import ServerSpec, Start, granian_command, hypercorn_command, module, uvicorn_command
from .workload import Family

MINIASGI_TLS = "miniasgi-tls"
UVICORN_TLS = "uvicorn-tls"
NGINX_TLS = "nginx-tls"

# A constant, for nginx runs no application: what TLS costs a server that spends nothing on the rest.
_NGINX_SERVER = """\
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    default_type text/plain;
    location / {{ return 200 "{content}"; }}
"""


def _miniasgi(name: str, loop: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        options = ["--port", str(start.port), "--loop", loop, "--no-access-log", *_files(start)]
        return module("miniasgi", start.workload.app, *options)

    optional = () if loop == "asyncio" else (loop,)
    return ServerSpec(name, ("miniasgi.__main__", *optional), command, Family.TLS)


def _uvicorn(name: str, loop: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        return uvicorn_command(start.workload.app, start, "httptools", loop, *_files(start))

    optional = () if loop == "asyncio" else (loop,)
    return ServerSpec(name, ("uvicorn", "httptools", *optional), command, Family.TLS)


def _files(start: Start) -> list[str]:
    return ["--ssl-certfile", start.certificate, "--ssl-keyfile", start.key]


def _granian(start: Start) -> list[str]:
    return granian_command(start, "--ssl-certificate", start.certificate, "--ssl-keyfile", start.key)


def _hypercorn(start: Start) -> list[str]:
    return hypercorn_command(start, "--certfile", start.certificate, "--keyfile", start.key)


def _nginx(start: Start) -> list[str]:
    content = apps.HELLO.decode()
    server = _NGINX_SERVER.format(certificate=start.certificate, key=start.key, content=content)
    return nginx_command(start, server, listen="ssl")


TLS_SERVERS: tuple[ServerSpec, ...] = (
    _miniasgi(MINIASGI_TLS, "uvloop"),
    _miniasgi("miniasgi-tls-asyncio", "asyncio"),
    _uvicorn(UVICORN_TLS, "uvloop"),
    _uvicorn("uvicorn-tls-asyncio", "asyncio"),
    ServerSpec("granian-tls", ("granian", "uvloop"), _granian, Family.TLS),
    ServerSpec("hypercorn-tls", ("hypercorn", "uvloop"), _hypercorn, Family.TLS),
    ServerSpec(NGINX_TLS, (), _nginx, Family.TLS, program="nginx"),
)
