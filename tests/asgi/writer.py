"""A connection that writes down what an exchange asks of it, and requests to go with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Any

from miniasgi.asgi.exchange import Exchange
from miniasgi.http1.head import FieldSection, RequestHead, RequestLine


def head(line: bytes = b"GET / HTTP/1.1", *fields: tuple[bytes, bytes]) -> RequestHead:
    """The head of a request with *fields* behind its Host."""
    return RequestHead(RequestLine(*line.split(b" ")), FieldSection([(b"host", b"h"), *fields]))


class RecordingWriter:
    """A ResponseWriter whose *calls* are what it was asked to do, in order."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.write_paused = False
        self.calls: list[tuple[Any, ...]] = []
        self.drains: list[asyncio.Future[None]] = []

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.calls]

    def want_content(self) -> None:
        self.calls.append(("want_content",))

    async def drain(self) -> None:
        self.calls.append(("drain",))
        waiter = self.loop.create_future()
        self.drains.append(waiter)
        await waiter

    def respond(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        self.calls.append(("respond", status, list(fields), bytes(body)))
        exchange.status = status
        exchange.complete()
        self.finished(exchange)

    def start_response(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.calls.append(("start_response", status, list(fields)))

    def write_body(self, exchange: Exchange, data: bytes, more: bool) -> None:
        self.calls.append(("write_body", bytes(data), more))

    async def write_file(self, exchange: Exchange, file: int, offset: int, count: int) -> None:
        self.calls.append(("write_file", os.pread(file, count, offset)))

    def write_trailers(self, exchange: Exchange, fields: list[tuple[bytes, bytes]]) -> None:
        self.calls.append(("write_trailers", fields))

    def informational(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.calls.append(("informational", status, list(fields)))

    def finished(self, exchange: Exchange) -> None:
        self.calls.append(("finished",))

    def abort(self, exchange: Exchange) -> None:
        self.calls.append(("abort",))
        exchange.hang_up()

    def ended(self, exchange: Exchange) -> None:
        self.calls.append(("ended",))
