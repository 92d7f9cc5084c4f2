"""What is asked of the servers: which application, which requests, which content must come back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec

from . import apps
from .browser import browser_requests

PIPELINED_REQUESTS = 16


class FloorRule(Enum):
    """How the floor knows, without parsing, that a request has arrived."""

    READ = "each read is one request"
    BLANK_LINE = "each blank line ends one request"
    OCTETS = "every request on a connection is as long as the first"


@dataclass(frozen=True)
class Workload:
    """One thing to measure."""

    name: str
    title: str
    app: str  # module:attribute
    # What a client writes, cycled through; each write holds `requests_per_write` requests.
    writes: Callable[[], list[bytes]]
    content: bytes  # of the right answer to each request
    content_type: str = "text/plain"
    requests_per_write: int = 1
    is_chunked: bool = False
    access_log: bool = False
    floor_rule: FloorRule = FloorRule.READ
    connections: int = 64
    requires: str | None = None  # a package without which the application cannot run

    def is_missing(self) -> bool:
        """Whether the package that the application needs is not installed."""
        return self.requires is not None and find_spec(self.requires) is None


def _hello() -> list[bytes]:
    return [_request("GET", "/")]


def _pipelined() -> list[bytes]:
    return [_request("GET", "/") * PIPELINED_REQUESTS]


def _json_of(octets: int) -> bytes:
    """A JSON document of exactly that many octets."""
    items = [{"id": number, "name": f"item {number}", "price": number * 1.25} for number in range(octets // 64)]
    document = json.dumps({"items": items, "padding": ""}).encode()
    return document[:-2] + b"x" * (octets - len(document)) + document[-2:]


def _request(method: str, target: str, content: bytes | None = None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: bench.example"]
    if content is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (content or b"")


def _echo(name: str, size: str, octets: int) -> Workload:
    content = _json_of(octets)
    return Workload(
        name,
        f"JSON echo, {size}",
        "tests.benchmarks.apps:echo",
        lambda: [_request("POST", "/echo", content)],
        content,
        content_type="application/json",
        floor_rule=FloorRule.OCTETS,
    )


HELLO = Workload("hello", "hello, few fields", "tests.benchmarks.apps:hello", _hello, apps.HELLO)

WORKLOADS: tuple[Workload, ...] = (
    HELLO,
    Workload("access-log", "hello, access log on", "tests.benchmarks.apps:hello", _hello, apps.HELLO, access_log=True),
    Workload("browser", "hello, 12 varied fields", "tests.benchmarks.apps:hello", browser_requests, apps.HELLO),
    _echo("echo-1k", "1 KiB", 1024),
    _echo("echo-64k", "64 KiB", 64 * 1024),
    Workload(
        "chunks",
        "100 chunks of 1 KiB streamed",
        "tests.benchmarks.apps:chunks",
        _hello,
        apps.CHUNK * apps.CHUNK_COUNT,
        content_type="application/octet-stream",
        is_chunked=True,
    ),
    Workload(
        "pipelined",
        f"{PIPELINED_REQUESTS} requests pipelined",
        "tests.benchmarks.apps:hello",
        _pipelined,
        apps.HELLO,
        requests_per_write=PIPELINED_REQUESTS,
        floor_rule=FloorRule.BLANK_LINE,
    ),
    Workload(
        "starlette",
        "Starlette JSON",
        "tests.benchmarks.starlette_app:app",
        lambda: [_request("GET", "/users/1815")],
        b'{"id":1815,"name":"Ada","tags":["analyst","metaphysician"]}',
        content_type="application/json",
        requires="starlette",
    ),
)
