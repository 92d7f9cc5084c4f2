"""The servers to compare: their names, what they need, their command lines.

All run one worker where not several are measured, keep idle connections open for 75 s, trust nothing
that is forwarded where that is not what is measured, and write the access log, where it is on, to standard output.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from .operations_servers import MINIASGI_PLAIN, OPERATIONS_SERVERS, UVICORN_OPERATIONS
from .server import ServerSpec, Start, granian_command, gunicorn_command, hypercorn_command, module, uvicorn_command
from .static_servers import NGINX, STARLETTE, STATIC_SERVERS
from .tls_servers import NGINX_TLS, TLS_SERVERS, UVICORN_TLS
from .websocket_servers import GRANIAN_WEBSOCKET, UVICORN_SANSIO, WEBSOCKET_SERVERS
from .workers_servers import GRANIAN_WORKERS, ONE_WORKER, UVICORN_WORKERS, WORKERS_SERVERS
from .workload import AccessLines, Family

FLOOR = "floor"
UVICORN = "uvicorn-httptools-uvloop"

# With which servers the others of their family are compared, by the name of the ratio. The first is always measured.
REFERENCES: Mapping[Family, Mapping[str, str]] = {
    Family.APPLICATION: {"floor": FLOOR, "uvicorn": UVICORN},
    Family.STATIC: {"nginx": NGINX, "starlette": STARLETTE},
    Family.WORKERS: {"one worker": ONE_WORKER, "uvicorn": UVICORN_WORKERS, "granian": GRANIAN_WORKERS},
    Family.WEBSOCKET: {"uvicorn": UVICORN_SANSIO, "granian": GRANIAN_WEBSOCKET},
    Family.TLS: {"uvicorn": UVICORN_TLS, "nginx": NGINX_TLS},
    Family.OPERATIONS: {"plain": MINIASGI_PLAIN, "uvicorn": UVICORN_OPERATIONS},
}


def always_measured(family: Family) -> str:
    """The server by which those of a family are measured."""
    return next(iter(REFERENCES[family].values()))


def _floor() -> ServerSpec:
    def command(start: Start) -> list[str]:
        # Workloads that differ from hello only in their connections have no name there.
        name = start.workload.name if not start.workload.name.startswith("hello") else "hello"
        return module("tests.benchmarks.floor", "--port", str(start.port), "--workload", name)

    return ServerSpec(FLOOR, (), command, access_lines=AccessLines.NONE)


def _miniasgi(http: str, loop: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        access_log = "--access-log" if start.workload.access_log else "--no-access-log"
        options = ["--port", str(start.port), "--http", http, "--loop", loop, access_log]
        return module("miniasgi", start.workload.app, *options)

    optional = tuple(name for name in (http, loop) if name not in ("handwritten", "asyncio"))
    return ServerSpec(f"miniasgi-{http}-{loop}", ("miniasgi.__main__", *optional), command)


def _uvicorn(http: str, loop: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        return uvicorn_command(start.workload.app, start, http, loop)

    optional = tuple(name for name in (http, loop) if name != "asyncio")
    return ServerSpec(f"uvicorn-{http}-{loop}", ("uvicorn", *optional), command)


APPLICATION_SERVERS: tuple[ServerSpec, ...] = (
    _floor(),
    _miniasgi("handwritten", "uvloop"),
    _miniasgi("httptools", "uvloop"),
    _miniasgi("h11", "uvloop"),
    _miniasgi("handwritten", "asyncio"),
    _miniasgi("httptools", "asyncio"),
    _miniasgi("h11", "asyncio"),
    _uvicorn("httptools", "uvloop"),
    _uvicorn("h11", "uvloop"),
    _uvicorn("httptools", "asyncio"),
    ServerSpec("granian", ("granian", "uvloop"), granian_command),
    ServerSpec("gunicorn-asgi", ("gunicorn.workers.gasgi", "uvloop"), gunicorn_command),
    ServerSpec("hypercorn", ("hypercorn", "uvloop"), hypercorn_command),
)
SERVERS: tuple[ServerSpec, ...] = (
    *(*APPLICATION_SERVERS, *STATIC_SERVERS, *WORKERS_SERVERS),
    *(*WEBSOCKET_SERVERS, *TLS_SERVERS, *OPERATIONS_SERVERS),
)


def choose(patterns: str) -> list[ServerSpec]:
    """The servers whose names match one of the comma-separated globs, in the table's order.

    With them comes what those of their family are measured by: REFERENCES says which.

    Raises:
        ValueError: a pattern matches no server.
    """
    globs = [glob.strip() for glob in patterns.split(",") if glob.strip()]
    for glob in globs:
        if not any(fnmatchcase(spec.name, glob) for spec in SERVERS):
            raise ValueError(f"no server is named {glob!r}: there are {', '.join(spec.name for spec in SERVERS)}")
    matching = {spec.name: spec.family for spec in SERVERS if any(fnmatchcase(spec.name, glob) for glob in globs)}
    wanted = matching.keys() | {always_measured(family) for family in matching.values()}
    return [spec for spec in SERVERS if spec.name in wanted]
