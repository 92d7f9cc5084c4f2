"""Small WebSocket applications that the tests serve, and what serves them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from miniasgi import Server
from miniasgi.types import App, Message, Receive, Scope, Send
from tests.server.embedded import serving
from tests.support import run_on

__all__ = ["MIB", "Noted", "accept", "by_path", "echo", "listen", "replies", "run_served", "send_bytes"]

MIB = 1024 * 1024

Test = Callable[[Server], Awaitable[None]]


def run_served(loop_name: str, app: App, test: Test, **options: Any) -> None:
    """Serve *app* on the loop called *loop_name*, and run *test* there with the server."""

    async def main() -> None:
        async with serving(app, **options) as server:
            await test(server)

    run_on(loop_name, main())


async def accept(receive: Receive, send: Send, **answer: Any) -> None:
    """Take the client in; *answer* is what the message has besides its type."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **answer})


async def send_bytes(send: Send, data: bytes) -> None:
    await send({"type": "websocket.send", "bytes": data})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back each message as it has come, until it is told that the client has gone."""
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        with contextlib.suppress(OSError):
            await send({**message, "type": "websocket.send"})


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes messages and says nothing, until the client goes."""
    await accept(receive, send)
    while (await receive())["type"] == "websocket.receive":
        pass


def replies(*messages: Message) -> App:
    """An application that sends *messages*, and waits for nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


class Noted:
    """An application, watched.

    Attributes:
        received: what it has been told, but that clients connect.
        scopes: what it has been called with.
        errors: what it has raised.
        ended: how many of its calls have ended.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.received: list[Message] = []
        self.scopes: list[Scope] = []
        self.errors: list[BaseException] = []
        self.ended = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)

        async def note() -> Message:
            message = await receive()
            if message["type"] != "websocket.connect":
                self.received.append(message)
            return message

        try:
            await self._app(scope, note, send)
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.ended += 1

    @property
    def texts(self) -> list[Any]:
        """The messages that it has received, text or bytes."""
        found = [message for message in self.received if message["type"] == "websocket.receive"]
        return [message["bytes"] if message.get("text") is None else message["text"] for message in found]

    @property
    def disconnects(self) -> list[tuple[int, str | None]]:
        """The code and the reason of each end that it has been told of."""
        found = [message for message in self.received if message["type"] == "websocket.disconnect"]
        return [(message["code"], message.get("reason")) for message in found]


async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
    """For a server process: what each path does is in its name."""
    if scope["type"] != "websocket":
        return
    if scope["path"] == "/never-receive":
        await accept(receive, send)
        await asyncio.Event().wait()
    elif scope["path"] == "/send-without-end":
        await accept(receive, send)
        while True:
            await send_bytes(send, bytes(65536))
    elif scope["path"] == "/listen":
        await listen(scope, receive, send)
    else:
        await echo(scope, receive, send)
