"""A thousand sessions that end in any way at any moment: they leave no task, no descriptor, no object and no word."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from collections import Counter
from contextlib import suppress

import pytest

from miniasgi import Server
from miniasgi.asgi.websocket import WebSocketExchange
from miniasgi.errors import ClientDisconnected
from miniasgi.types import Receive, Scope, Send
from tests.server.embedded import serving
from tests.support import descriptors, run_on, until
from tests.websocket.apps import accept, send_bytes
from tests.websocket.frames import BINARY, CLOSE, DEFLATE, TEXT, Peer, close, deflated, frame, upgrade

pytest.importorskip("websockets", reason="the package websockets is not installed")

from websockets.extensions.permessage_deflate import PerMessageDeflate

SESSIONS = 1000
AT_ONCE = 50


class Moody:
    """Answers so many messages as a client's path says, then ends as its path says.

    Attributes:
        begun, ended: how many of its calls.
        errors: what kinds of exceptions it has raised; not these themselves, which would keep what is to go.
    """

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.errors: set[type[BaseException]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        try:
            await self._run(scope["path"], receive, send)
        except BaseException as error:
            self.errors.add(type(error))
            raise
        finally:
            self.ended += 1

    async def _run(self, path: str, receive: Receive, send: Send) -> None:
        _, how, count = path.split("/")
        if how == "denies":
            await send({"type": "websocket.close"})
            return
        await accept(receive, send)
        for _ in range(int(count)):
            if (await receive())["type"] == "websocket.disconnect":
                return
            await send_bytes(send, b"y" * 200)
        if how == "closes":
            await send({"type": "websocket.close", "code": 4000})
        while how == "waits":
            if (await receive())["type"] == "websocket.disconnect":
                return
        while how == "streams":
            await send_bytes(send, b"z" * 20_000)
            await asyncio.sleep(0)


async def session(server: Server, die: random.Random) -> str:
    """One client's session, and what it was like."""
    theirs = die.choice(("returns", "closes", "waits", "streams", "denies"))
    mine = die.choice(("closes", "closes twice", "resets", "half-closes", "goes", "breaks the protocol", "stays"))
    if mine == "stays" and theirs in ("waits", "streams"):
        mine = "closes"  # somebody has to
    peer = await Peer.open(server.port)
    fields = (DEFLATE,) if die.random() < 0.5 else ()
    peer.send(upgrade(f"/{theirs}/{die.randrange(4)}", *fields))
    impatient = die.random() < 0.2
    if not impatient:
        await peer.reader.readuntil(b"\r\n\r\n")
    for _ in range(die.randrange(6)):
        peer.send(frame(die.choice((TEXT, BINARY)), b"x" * die.choice((0, 10, 5000))))
        if die.random() < 0.5:
            await asyncio.sleep(0)
    if mine.startswith("closes"):
        peer.send(close() * (2 if mine == "closes twice" else 1))
    elif mine == "breaks the protocol":
        peer.send(frame(TEXT, b"x", reserved=7))
    elif mine == "half-closes":
        peer.writer.write_eof()
    elif mine == "stays":
        peer.send(frame(TEXT) * 4)
        if theirs != "denies" and not impatient:
            while (await peer.frame()).opcode != CLOSE:
                pass
        peer.send(close())
    if mine == "resets":
        peer.reset()
    elif mine != "goes":
        await peer.rest()
    peer.close()
    return f"{theirs}, {mine}"


def left_over() -> Counter[str]:
    """How many objects of WebSockets there are, by what they are."""
    gc.collect()
    names = [f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()]
    return Counter(
        name
        for name in names
        if (name.startswith("miniasgi.") and name.endswith(("Codec", "Connection", "Exchange")))
        or name.startswith(("websockets.protocol.", "websockets.extensions.permessage_deflate.PerMessage"))
    )


def test_what_a_session_has_held_is_not_left_to_the_search_for_circles(loop_name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        while (await receive())["type"] == "websocket.receive":
            pass

    def held() -> int:
        return sum(isinstance(each, (WebSocketExchange, PerMessageDeflate)) for each in gc.get_objects())

    async def main() -> None:
        async with serving(app) as server:
            before = held()
            gc.disable()
            try:
                for ending in (close(), frame(TEXT, b"part", final=False), frame(TEXT, b"\xff"), frame(3)):
                    peer = await Peer.join(server.port, "/", DEFLATE)
                    peer.send(frame(TEXT, deflated(b"hello"), reserved=4) + ending)
                    peer.writer.write_eof()
                    await peer.rest()
                    peer.close()
                await until(lambda: not server._service.connections and not server._service.running)
                await until(lambda: held() == before)
            finally:
                gc.enable()

    gc.collect()
    run_on(loop_name, main())


@pytest.mark.slow
def test_sessions_that_end_in_any_way_leave_nothing_behind(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Moody()
    kinds: Counter[str] = Counter()

    async def main() -> None:
        async with serving(app) as server:
            service = server._service
            files, tasks, objects = descriptors(), len(asyncio.all_tasks()), left_over()
            for start in range(0, SESSIONS, AT_ONCE):
                dice = [random.Random(start + number) for number in range(AT_ONCE)]
                kinds.update(await asyncio.gather(*(session(server, die) for die in dice)))
            await until(lambda: not service.connections and not service.running)
            assert service.opened == 0
            await until(lambda: descriptors() <= files and len(asyncio.all_tasks()) <= tasks)
            with suppress(AssertionError):
                await until(lambda: left_over() <= objects)
            assert left_over() - objects == Counter()

    run_on(loop_name, main())
    assert sum(kinds.values()) == SESSIONS
    assert len(kinds) > 30
    assert app.begun == app.ended > SESSIONS * 0.9
    assert app.errors <= {ClientDisconnected}
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
