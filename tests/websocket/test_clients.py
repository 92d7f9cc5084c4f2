"""Clients as people use them, against applications as they write them; and what a thousand sessions leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from miniasgi import Server
from miniasgi.types import App, Receive, Scope, Send
from tests.support import until
from tests.websocket.apps import MIB, Noted, accept, echo, run_served, send_bytes
from tests.websocket.frames import Peer

websockets = pytest.importorskip("websockets", reason="the package websockets is not installed")

from websockets.asyncio.client import connect  # noqa: E402  # after the check that it is there
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402

COMPRESSION = pytest.mark.parametrize("compression", [None, "deflate"], ids=["plain", "deflate"])


def url(server: Server, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


def opened(server: Server, path: str = "/", **options: Any) -> Any:
    """A connection of the library's client, for a with statement."""
    return connect(url(server, path), proxy=None, max_size=None, **options)


# The websockets library


@COMPRESSION
def test_many_messages_come_back_in_their_order(loop_name: str, compression: str | None) -> None:
    async def test(server: Server) -> None:
        async with opened(server, compression=compression) as client:
            messages = [f"number {number}" if number % 3 else bytes([number % 256]) * 50 for number in range(2000)]

            async def send() -> None:
                for message in messages:
                    await client.send(message)

            sending = asyncio.create_task(send())
            for message in messages:
                assert await client.recv() == message
            await sending
        assert (client.close_code, client.close_reason) == (1000, "")

    run_served(loop_name, echo, test)


@COMPRESSION
@pytest.mark.parametrize("pieces", [1, 40])
def test_big_messages_come_back_whole(loop_name: str, compression: str | None, pieces: int) -> None:
    die = random.Random(pieces)
    content = die.randbytes(MIB) + b"and again " * (MIB // 5)
    text = "grüße " * (MIB // 4)

    async def test(server: Server) -> None:
        async with opened(server, compression=compression) as client:
            for message in (content, text):
                step = len(message) // pieces + 1
                parts = [message[at : at + step] for at in range(0, len(message), step)]
                await client.send(parts[0] if pieces == 1 else parts)
                assert await client.recv() == message

    run_served(loop_name, echo, test)


def test_a_message_beyond_the_limit_ends_its_own_session_only(loop_name: str) -> None:
    async def test(server: Server) -> None:
        async with opened(server) as other, opened(server, compression=None) as client:
            await client.send(bytes(1000))
            assert len(await client.recv()) == 1000
            with pytest.raises(ConnectionClosed) as caught:
                await client.send(bytes(1001))
                await client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
            await other.send("still here")
            assert await other.recv() == "still here"

    run_served(loop_name, echo, test, ws_max_size=1000)


@pytest.mark.parametrize("code", [1000, 1001, 4321])
def test_a_close_from_either_side_is_a_whole_handshake(loop_name: str, code: int) -> None:
    async def closes(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        if scope["path"] == "/server":
            await send({"type": "websocket.close", "code": code, "reason": "enough"})
        # A close of one's own is followed by a disconnect, too.
        assert (await receive())["type"] == "websocket.disconnect"

    app = Noted(closes)

    async def test(server: Server) -> None:
        async with opened(server, "/client") as client:
            await client.close(code, "enough")
            assert (client.close_code, client.close_reason) == (code, "enough")
        async with opened(server, "/server") as client:
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.sent is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, "enough")
            assert caught.value.rcvd_then_sent is True
        await until(lambda: app.ended == 2)

    run_served(loop_name, app, test)
    assert app.errors == []
    assert app.disconnects[0] == (code, "enough")
    assert app.disconnects[1][0] == code


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_send_to_a_client_that_has_gone_is_an_oserror(
    loop_name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        while (await receive())["type"] == "websocket.receive":
            pass
        for _ in range(2):
            try:
                await send_bytes(send, b"is anybody there?")
            except Exception as error:
                errors.append(error)
        assert (await receive())["type"] == "websocket.disconnect"  # as often as it is asked for
        raise errors[-1]  # that nobody caught it is nothing to log

    noted = Noted(app)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        if how == "close":
            await peer.leave()
        else:
            peer.reset()
        await until(lambda: noted.ended)

    run_served(loop_name, noted, test)
    assert [isinstance(error, OSError) for error in errors] == [True, True]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_headers_and_subprotocol_reach_the_client(loop_name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send, subprotocol=scope["subprotocols"][-1], headers=[(b"x-room", b"blue")])
        while (await receive())["type"] == "websocket.receive":
            pass

    async def test(server: Server) -> None:
        async with opened(server, subprotocols=["one", "two"]) as client:
            assert client.subprotocol == "two"
            assert client.response.headers["x-room"] == "blue"

    run_served(loop_name, app, test)


# aiohttp


@COMPRESSION
def test_aiohttps_client(loop_name: str, compression: str | None) -> None:
    aiohttp = pytest.importorskip("aiohttp", reason="the package aiohttp is not installed")

    async def test(server: Server) -> None:
        async with aiohttp.ClientSession() as session:
            bits = 12 if compression else 0
            async with session.ws_connect(url(server), compress=bits, max_msg_size=0) as client:
                assert client.compress == bits
                for message in ("", "hello", "ü" * 100_000):
                    await client.send_str(message)
                    assert await client.receive_str() == message
                await client.send_bytes(bytes(2 * MIB))
                assert await client.receive_bytes() == bytes(2 * MIB)
                await client.ping(b"there?")
                await client.close(code=4000, message=b"bye")
                assert client.close_code == 4000

    run_served(loop_name, echo, test)


# Starlette


def rooms(told: list[Any]) -> App:
    """An application with endpoints of both kinds, a chat, and a door that is closed."""
    pytest.importorskip("starlette", reason="the package starlette is not installed")
    from starlette.applications import Starlette
    from starlette.endpoints import WebSocketEndpoint
    from starlette.responses import JSONResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    present: set[Any] = set()

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        present.add(socket)
        try:
            while True:
                said = await socket.receive_json()
                for each in list(present):
                    await each.send_json({"room": socket.path_params["room"], **said})
        except WebSocketDisconnect as gone:
            told.append((gone.code, gone.reason))
        finally:
            present.discard(socket)

    async def door(socket: WebSocket) -> None:
        await socket.send_denial_response(JSONResponse({"why": "closed"}, 451, {"x-until": "9"}))

    class Upper(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_text(data.upper())

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            told.append(close_code)

    async def page(request: Any) -> JSONResponse:
        return JSONResponse(str(request.url.path))

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        told.append("up")
        yield
        told.append("down")

    routes = [WebSocketRoute("/chat/{room}", chat), WebSocketRoute("/door", door), WebSocketRoute("/upper", Upper)]
    made: App = Starlette(routes=[*routes, Route("/page", page)], lifespan=lifespan)
    return made


def test_starlettes_endpoints(loop_name: str) -> None:
    told: list[Any] = []

    async def test(server: Server) -> None:
        async with opened(server, "/chat/blue") as one, opened(server, "/chat/blue") as two:
            await one.send('{"text": "hello"}')
            said = '{"room":"blue","text":"hello"}'
            assert [await one.recv(), await two.recv()] == [said, said]
            await two.close(4001, "tired")
            await until(lambda: (4001, "tired") in told)
        async with opened(server, "/upper") as client:
            await client.send("straße")
            assert await client.recv() == "STRASSE"
        await until(lambda: 1000 in told)

    run_served(loop_name, rooms(told), test, lifespan="on")
    assert (told[0], told[-1]) == ("up", "down")


def test_starlettes_refusals(loop_name: str) -> None:
    async def test(server: Server) -> None:
        with pytest.raises(InvalidStatus) as denied:
            await opened(server, "/door")
        response = denied.value.response
        assert (response.status_code, response.body) == (451, b'{"why":"closed"}')
        assert response.headers["x-until"] == "9"
        for path in ("/nowhere", "/page"):
            with pytest.raises(InvalidStatus) as denied:
                await opened(server, path)
            assert denied.value.response.status_code == 403

    run_served(loop_name, rooms([]), test, lifespan="on")
