"""Small applications that the tests of the server serve."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from miniasgi.types import App, Message, Receive, Scope, Send

MIB = 1024 * 1024


async def start(send: Send, status: int = 200, *fields: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": fields})


async def body(send: Send, data: bytes = b"", more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def read(receive: Receive) -> bytes:
    """All of the content; what has come of it where the client goes."""
    content = b""
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            return content


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, and reads nothing."""
    assert scope["type"] == "http"
    await start(send)
    await body(send, b"hello")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the content that it is sent."""
    assert scope["type"] == "http"
    content = await read(receive)
    await start(send)
    await body(send, content)


def replies(*messages: Message) -> App:
    """An application that sends *messages*."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def answers(status: int, fields: Any = (), content: bytes = b"") -> App:
    """An application that sends this response whole."""
    return replies(
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": content},
    )


class Gate:
    """An application whose requests wait until they are let through; each answers with its path."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Event] = {}
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        path = scope["path"]
        self.events.append(f"begin {path}")
        self.waiting[path] = asyncio.Event()
        try:
            await self.waiting[path].wait()
            await start(send)
            await body(send, path.encode())
        finally:
            self.events.append(f"end {path}")

    def open(self, path: str = "/") -> None:
        self.waiting[path].set()


class Listening:
    """An application that writes down what it receives until it is told of the disconnect, then tries to answer."""

    def __init__(self, streams: bool = False) -> None:
        self.streams = streams
        self.received: list[Message] = []
        self.error: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        if self.streams:
            await start(send)
            await body(send, b"first", more=True)
        try:
            while not self.received or self.received[-1]["type"] != "http.disconnect":
                self.received.append(await receive())
            if not self.streams:
                await start(send)
            await body(send, b"last")
        except BaseException as error:
            self.error = error
            raise


async def bad_days(scope: Scope, receive: Receive, send: Send) -> None:
    """For a server process: what each path does is in its name."""
    if scope["type"] == "lifespan":
        return
    path = scope["path"]
    if path in ("/never-read", "/block"):
        print("begin", path, file=sys.stderr, flush=True)
    if path == "/never-read":
        await asyncio.Event().wait()
    elif path == "/read-slowly":
        # A piece now and then; 256 MiB would take it minutes.
        while (await receive())["type"] == "http.request":  # noqa: ASYNC110  it is no condition that is polled
            await asyncio.sleep(0.8)
    elif path == "/download":
        await start(send, 200, (b"content-length", b"%d" % (256 * MIB)))
        piece = bytes(MIB)
        for _ in range(256):
            await body(send, piece, more=True)
        await body(send)
    elif path == "/endless":
        await start(send)
        while True:
            await body(send, b"again\n", more=True)
            await asyncio.sleep(0.01)
    elif path == "/64k":
        await start(send)
        await body(send, bytes(65536))
    elif path == "/discard":
        count = 0
        more = True
        while more:
            message = await receive()
            count += len(message.get("body", b""))
            more = message.get("more_body", False)
        await start(send)
        await body(send, b"%d" % count)
    elif path == "/endless":
        await start(send)
        while True:
            await body(send, b"again\n", more=True)
            await asyncio.sleep(0.01)
    elif path == "/block":
        time.sleep(60)  # noqa: ASYNC251  an application that does what none should
    else:
        await read(receive)
        await start(send)
        await body(send, b"hello")
