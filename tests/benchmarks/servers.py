"""The servers to compare: their names, what they need, their command lines.

All run one worker, keep idle connections open for 75 s, trust nothing that is forwarded, and write
the access log, where it is on, to standard output.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec

from .workloads import Workload

FLOOR = "floor"
UVICORN = "uvicorn-httptools-uvloop"


@dataclass(frozen=True)
class ServerSpec:
    """A server as it is measured."""

    name: str
    requires: tuple[str, ...]  # importable modules
    command: Callable[[Workload, int], list[str]]  # of a workload and a port

    def missing(self) -> list[str]:
        """What it requires and this Python does not have."""
        return [name for name in self.requires if not _is_importable(name)]


def _is_importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _floor() -> ServerSpec:
    def command(workload: Workload, port: int) -> list[str]:
        # Workloads that differ from hello only in their connections have no name there.
        name = workload.name if not workload.name.startswith("hello") else "hello"
        return _module("tests.benchmarks.floor", "--port", str(port), "--workload", name)

    return ServerSpec(FLOOR, (), command)


def _miniasgi(http: str, loop: str) -> ServerSpec:
    def command(workload: Workload, port: int) -> list[str]:
        access_log = "--access-log" if workload.access_log else "--no-access-log"
        options = ["--port", str(port), "--http", http, "--loop", loop, access_log]
        return _module("miniasgi", workload.app, *options)

    optional = tuple(name for name in (http, loop) if name not in ("handwritten", "asyncio"))
    return ServerSpec(f"miniasgi-{http}-{loop}", ("miniasgi.__main__", *optional), command)


def _uvicorn(http: str, loop: str) -> ServerSpec:
    def command(workload: Workload, port: int) -> list[str]:
        access_log = "--access-log" if workload.access_log else "--no-access-log"
        options = ["--port", str(port), "--http", http, "--loop", loop, access_log]
        return _module("uvicorn", workload.app, *options, "--timeout-keep-alive", "75", "--no-proxy-headers")

    optional = tuple(name for name in (http, loop) if name != "asyncio")
    return ServerSpec(f"uvicorn-{http}-{loop}", ("uvicorn", *optional), command)


def _granian(workload: Workload, port: int) -> list[str]:
    options = ["--interface", "asgi", "--workers", "1", "--loop", "uvloop", "--port", str(port)]
    options += ["--backlog", "4096", "--backpressure", "8192"]
    options += ["--access-log"] if workload.access_log else ["--no-log"]
    return _module("granian", *options, workload.app)


def _hypercorn(workload: Workload, port: int) -> list[str]:
    options = ["--worker-class", "uvloop", "--workers", "1", "--bind", f"127.0.0.1:{port}", "--keep-alive", "75"]
    options += ["--access-logfile", "-"] if workload.access_log else []
    return _module("hypercorn", *options, workload.app)


def _gunicorn(workload: Workload, port: int) -> list[str]:
    options = ["--worker-class", "asgi", "--asgi-loop", "uvloop", "--workers", "1", "--bind", f"127.0.0.1:{port}"]
    options += ["--worker-connections", "10000", "--keep-alive", "75", "--no-control-socket"]
    options += ["--access-logfile", "-"] if workload.access_log else []
    return _module("gunicorn", *options, workload.app)


SERVERS: tuple[ServerSpec, ...] = (
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
    ServerSpec("granian", ("granian", "uvloop"), _granian),
    ServerSpec("gunicorn-asgi", ("gunicorn.workers.gasgi", "uvloop"), _gunicorn),
    ServerSpec("hypercorn", ("hypercorn", "uvloop"), _hypercorn),
)


def choose(patterns: str) -> list[ServerSpec]:
    """The servers whose names match one of the comma-separated globs, and the floor, in the table's order.

    Raises:
        ValueError: a pattern matches no server.
    """
    globs = [glob.strip() for glob in patterns.split(",") if glob.strip()]
    for glob in globs:
        if not any(fnmatchcase(spec.name, glob) for spec in SERVERS):
            raise ValueError(f"no server is named {glob!r}: there are {', '.join(spec.name for spec in SERVERS)}")
    return [spec for spec in SERVERS if spec.name == FLOOR or any(fnmatchcase(spec.name, glob) for glob in globs)]
