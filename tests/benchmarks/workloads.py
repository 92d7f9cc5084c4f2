"""What is asked of the servers: which application, which requests, which content must come back."""

import functools
import json
from collections.abc import Sequence

from . import apps
from .browser import browser_requests
from .exchange import Exchange, request
from .operations_workloads import OPERATIONS_WORKLOADS
from .static_workloads import STATIC_WORKLOADS
from .tls_workloads import TLS_WORKLOADS
from .websocket_workloads import WEBSOCKET_WORKLOADS
from .workers_workloads import WORKERS_HELLO
from .workload import FloorRule, Workload

PIPELINED_REQUESTS = 16


def _hello(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/"), apps.HELLO)]


@functools.cache
def _browser(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(write, apps.HELLO) for write in browser_requests()]


def _chunks(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/"), apps.CHUNK * apps.CHUNK_COUNT)]


def _pipelined(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/") * PIPELINED_REQUESTS, apps.HELLO, requests=PIPELINED_REQUESTS)]


def _user(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/users/1815"), b'{"id":1815,"name":"Ada","tags":["analyst","metaphysician"]}')]


def _json_of(octets: int) -> bytes:
    """A JSON document of exactly that many octets."""
    items = [{"id": number, "name": f"item {number}", "price": number * 1.25} for number in range(octets // 64)]
    document = json.dumps({"items": items, "padding": ""}).encode()
    return document[:-2] + b"x" * (octets - len(document)) + document[-2:]


def _echo(name: str, size: str, octets: int) -> Workload:
    content = _json_of(octets)
    return Workload(
        name,
        f"JSON echo, {size}",
        lambda _prefix: [Exchange(request("POST", "/echo", content=content), content)],
        app="tests.benchmarks.apps:echo",
        content_type="application/json",
        floor_rule=FloorRule.OCTETS,
    )


HELLO = Workload("hello", "hello, few fields", _hello)

APPLICATION_WORKLOADS: tuple[Workload, ...] = (
    HELLO,
    Workload("access-log", "hello, access log on", _hello, access_log=True),
    Workload("browser", "hello, 12 varied fields", _browser),
    _echo("echo-1k", "1 KiB", 1024),
    _echo("echo-64k", "64 KiB", 64 * 1024),
    Workload(
        "chunks",
        "100 chunks of 1 KiB streamed",
        _chunks,
        app="tests.benchmarks.apps:chunks",
        content_type="application/octet-stream",
        is_chunked=True,
    ),
    Workload("pipelined", f"{PIPELINED_REQUESTS} requests pipelined", _pipelined, floor_rule=FloorRule.BLANK_LINE),
    Workload(
        "starlette",
        "Starlette JSON",
        _user,
        app="tests.benchmarks.starlette_app:app",
        content_type="application/json",
        requires="starlette",
    ),
)
WORKLOADS: tuple[Workload, ...] = (
    *(*APPLICATION_WORKLOADS, *STATIC_WORKLOADS, WORKERS_HELLO),
    *(*WEBSOCKET_WORKLOADS, *TLS_WORKLOADS, *OPERATIONS_WORKLOADS),
)
