"""How a server stops: whom it waits for, what it ends, and what clients see of it; on both loops."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from miniasgi import Server
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import Gate, Listening, body, hello, start
from tests.server.embedded import GET, serving
from tests.support import Client, run_on, until


def test_idle_connections_are_closed_at_once_when_the_server_stops(loop_name: str) -> None:
    async def main() -> None:
        async with serving(hello) as server:
            clients = [await Client.open(server.port) for _ in range(5)]
            for client in clients[1:]:
                client.send(GET)
                await client.response()
            begun = time.monotonic()
        assert time.monotonic() - begun < 1
        for client in clients:
            assert await client.rest() == b""
            client.close()

    run_on(loop_name, main())


def test_a_running_request_is_finished_and_announces_the_close(loop_name: str) -> None:
    async def main() -> None:
        gate = Gate()
        server = serving(gate)
        serve = asyncio.create_task(server.serve())
        await until(lambda: server.addresses)
        client = await Client.open(server.port)
        client.send(GET)
        await until(lambda: gate.waiting)
        port = server.port
        server.stop()
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            await Client.open(port)
        assert not serve.done()
        gate.open()
        assert await client.rest() == b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n/"
        await asyncio.wait_for(serve, 2)
        client.close()

    run_on(loop_name, main())


async def stop_within(server: Server, client: Client, seconds: float) -> bytes:
    """Leave the server; what the client has got when it has stopped."""
    got = asyncio.create_task(client.rest())
    begun = time.monotonic()
    await server.__aexit__(None, None, None)
    assert time.monotonic() - begun < seconds
    octets = await got
    client.close()
    return octets


def test_an_endless_stream_is_told_of_the_disconnect_when_patience_ends(loop_name: str) -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await receive()
        await body(send, b"tick", more=True)
        ended.append((await receive())["type"])

    async def main() -> None:
        server = await serving(app, timeout_graceful_shutdown=0.1).__aenter__()
        client = await Client.open(server.port)
        client.send(GET)
        await client.reader.readuntil(b"tick\r\n")
        assert await stop_within(server, client, 1) == b""
        assert ended == ["http.disconnect"]

    run_on(loop_name, main())


def test_a_stream_that_only_sends_ends_with_an_oserror(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        try:
            while True:
                await body(send, b"tick", more=True)
                await asyncio.sleep(0.01)
        except OSError as error:
            errors.append(error)
            raise

    async def main() -> None:
        server = await serving(app, timeout_graceful_shutdown=0.1).__aenter__()
        client = await Client.open(server.port)
        client.send(GET)
        await client.reader.readuntil(b"tick\r\n")
        octets = await stop_within(server, client, 1)
        assert not octets.endswith(b"0\r\n\r\n")
        assert len(errors) == 1
        assert [record for record in caplog.records if record.levelno > logging.WARNING] == []

    run_on(loop_name, main())


@pytest.mark.slow
def test_an_application_that_does_not_listen_is_cancelled(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    cancelled: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(scope["path"])
            if scope["path"] == "/stubborn":
                await asyncio.sleep(1.5)
            raise

    async def main() -> None:
        server = await serving(app, timeout_graceful_shutdown=0).__aenter__()
        client, other = await Client.open(server.port), await Client.open(server.port)
        client.send(GET)
        other.send(b"GET /stubborn HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(server._service.running) == 2)
        assert await stop_within(server, client, 4) == b""
        assert sorted(cancelled) == ["/", "/stubborn"]
        assert '"GET /stubborn HTTP/1.1": does not end even when cancelled' in caplog.text
        other.close()
        await until(lambda: not server._service.running)

    run_on(loop_name, main())


@pytest.mark.slow
def test_nothing_is_accepted_again_while_running_requests_finish(
    loop_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        gate = Gate()
        server = await serving(gate).__aenter__()
        client = await Client.open(server.port)
        client.send(GET)
        await until(lambda: gate.waiting)
        leave = asyncio.create_task(server.__aexit__(None, None, None))
        await asyncio.sleep(1.2)  # a sweep
        gate.open()
        assert (await client.rest()).endswith(b"/")
        await leave
        client.close()

    run_on(loop_name, main())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_forced_stop_gives_running_requests_no_time(loop_name: str) -> None:
    async def main() -> None:
        listening = Listening()
        server = serving(listening)
        serve = asyncio.create_task(server.serve())
        await until(lambda: server.addresses)
        client = await Client.open(server.port)
        client.send(GET)
        await until(lambda: listening.received)
        server.stop()
        await asyncio.sleep(0.01)
        assert not serve.done()
        server.stop(force=True)
        await asyncio.wait_for(serve, 1)
        assert listening.received[-1] == {"type": "http.disconnect"}
        assert await client.rest() == b""
        client.close()

    run_on(loop_name, main())
