"""What is said to servers over WebSockets. Over HTTP they are only asked whether they are there."""

import dataclasses
from collections.abc import Sequence

from . import apps
from .exchange import Exchange, request
from .websocket_messages import Messages
from .workload import Family, Workload

ECHO_64_NAME = "websocket-echo-64"
ECHO_4K_NAME = "websocket-echo-4k"
DEFLATE_NAME = "websocket-echo-4k-deflate"
BROADCAST_NAME = "websocket-broadcast"
MEMORY_NAME = "websocket-memory"


def _hello(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/"), apps.HELLO)]


_ECHO_64 = Workload(
    ECHO_64_NAME,
    "WebSocket echo, text of 64 octets",
    _hello,
    Family.WEBSOCKET,
    app="tests.benchmarks.websocket_apps:app",
    connections=32,
    unit="message",
    messages=Messages(64),
)

WEBSOCKET_WORKLOADS: tuple[Workload, ...] = (
    _ECHO_64,
    dataclasses.replace(
        _ECHO_64, name=ECHO_4K_NAME, title="WebSocket echo, 4 KiB binary", messages=Messages(4096, is_text=False)
    ),
    dataclasses.replace(
        _ECHO_64,
        name=DEFLATE_NAME,
        title="WebSocket echo, 4 KiB text, permessage-deflate",
        messages=Messages(4096, is_compressed=True),
    ),
    dataclasses.replace(
        _ECHO_64,
        name=BROADCAST_NAME,
        title="WebSocket broadcast of a text of 64 octets, for each client",
        connections=500,
        messages=Messages(64, is_broadcast=True),
    ),
)
MEMORY_MESSAGES = Messages(64)
MEMORY = dataclasses.replace(_ECHO_64, name=MEMORY_NAME, title="idle WebSocket sessions", messages=MEMORY_MESSAGES)
