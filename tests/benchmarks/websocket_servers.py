"""The servers of WebSockets to compare: one process on uvloop each, otherwise as they come.

Those of uvicorn differ in who reads the frames.
"""

from .server import ServerSpec, Start, granian_command, module, uvicorn_command
from .websocket_workloads import DEFLATE_NAME
from .workload import Family

MINIASGI_WEBSOCKET = "miniasgi-websocket"
UVICORN_SANSIO = "uvicorn-websockets-sansio"
UVICORN_WEBSOCKETS = (UVICORN_SANSIO, "uvicorn-websockets", "uvicorn-wsproto")
GRANIAN_WEBSOCKET = "granian-websocket"


def _miniasgi(start: Start) -> list[str]:
    return module("miniasgi", start.workload.app, "--port", str(start.port), "--loop", "uvloop", "--no-access-log")


def _uvicorn(name: str, package: str) -> ServerSpec:
    def command(start: Start) -> list[str]:
        websocket = name.removeprefix("uvicorn-")
        return uvicorn_command(start.workload.app, start, "httptools", "uvloop", "--ws", websocket)

    return ServerSpec(name, ("uvicorn", "httptools", "uvloop", package), command, Family.WEBSOCKET)


WEBSOCKET_SERVERS: tuple[ServerSpec, ...] = (
    ServerSpec(MINIASGI_WEBSOCKET, ("miniasgi.__main__", "uvloop", "websockets"), _miniasgi, Family.WEBSOCKET),
    _uvicorn(UVICORN_SANSIO, "websockets"),
    _uvicorn("uvicorn-websockets", "websockets.legacy"),
    _uvicorn("uvicorn-wsproto", "wsproto"),
    ServerSpec(
        GRANIAN_WEBSOCKET,
        ("granian", "uvloop"),
        granian_command,
        Family.WEBSOCKET,
        cannot={DEFLATE_NAME: "it does not compress"},
    ),
)
