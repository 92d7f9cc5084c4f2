"""Files as responses: from file to socket without a copy on both loops, and by reading where that is impossible."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from select import select
from typing import Any

import pytest

from miniasgi import Config, Server
from miniasgi.errors import ApplicationError, ClientDisconnected
from miniasgi.server.connections import sendfile
from miniasgi.server.connections.connection import HttpConnection
from miniasgi.server.connections.sendfile import unacknowledged
from miniasgi.testing import FakeTransport
from miniasgi.types import App, Receive, Scope, Send
from tests.server.apps import body, replies, start
from tests.server.conftest import MakeWire
from tests.support import MIB, Client, descriptors, fetch, run_on, until

CONTENT = random.Random(1).randbytes(300_000)
HEAD_10 = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def serving(app: App, **options: Any) -> Server:
    quiet = {"port": 0, "lifespan": "off", "access_log": False, "date_header": False, "server_header": False}
    return Server(app, Config(**{**quiet, **options}))


def get(loop_name: str, app: App, request: bytes = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") -> bytes:
    """All that a client of *app* is sent; the server must have let go of every descriptor then."""

    async def main() -> bytes:
        async with serving(app) as server:
            before = descriptors()
            client = await Client.open(server.port)
            client.send(request)
            octets = await client.rest()
            client.close()
            await until(lambda: descriptors() <= before)
            assert not server._service.running
            return octets

    return run_on(loop_name, main())


START = {"type": "http.response.start", "status": 200, "headers": []}


def test_a_path_is_sent_with_its_length(loop_name: str, file: Path) -> None:
    octets = get(loop_name, replies(START, {"type": "http.response.pathsend", "path": str(file)}))
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\nconnection: close\r\n\r\n" + CONTENT


def test_an_empty_file_is_a_whole_response(loop_name: str, file: Path) -> None:
    file.write_bytes(b"")
    octets = get(loop_name, replies(START, {"type": "http.response.pathsend", "path": str(file)}))
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def test_a_path_is_not_sent_to_head(loop_name: str, file: Path) -> None:
    app = replies(START, {"type": "http.response.pathsend", "path": str(file)})
    request = b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert get(loop_name, app, request) == (b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\nconnection: close\r\n\r\n")


def test_a_path_is_not_sent_with_a_status_that_has_no_content(loop_name: str, file: Path) -> None:
    app = replies({**START, "status": 304}, {"type": "http.response.pathsend", "path": str(file)})
    expected = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 300000\r\nconnection: close\r\n\r\n"
    assert get(loop_name, app) == expected


def test_the_connection_is_usable_after_a_path(loop_name: str, file: Path) -> None:
    app = replies(START, {"type": "http.response.pathsend", "path": str(file)})
    request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    octets = get(loop_name, app, request * 2 + request.replace(b"1.1", b"1.0"))
    response = b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + CONTENT
    assert octets == response * 2 + response.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)


@pytest.mark.parametrize("missing", ["/no/such/file", "/", "/dev/zero"])
def test_a_path_that_is_no_file_is_the_applications_error(
    loop_name: str, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    octets = get(loop_name, replies(START, {"type": "http.response.pathsend", "path": missing}))
    assert octets.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert missing in caplog.text


def parts(path: Path, *messages: dict[str, Any], fields: Any = ()) -> App:
    """An application that sends *messages*, with an open file of its own for those that have none."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, 200, *fields)
        with path.open("rb") as opened:
            for message in messages:
                if "type" in message:
                    await send(message)
                else:
                    await send({"type": "http.response.zerocopysend", "file": opened, **message})

    return app


def test_a_part_of_an_open_file_is_sent(loop_name: str, file: Path) -> None:
    app = parts(file, {"offset": 1000, "count": 200_000}, fields=[(b"content-length", b"200000")])
    octets = get(loop_name, app)
    assert octets == (b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\nconnection: close\r\n\r\n" + CONTENT[1000:201_000])


def test_without_an_offset_and_a_count_all_from_where_the_file_stands_is_sent(loop_name: str, file: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        with file.open("rb", buffering=0) as opened:
            opened.seek(299_990)
            await send({"type": "http.response.zerocopysend", "file": opened})

    assert get(loop_name, app, b"GET / HTTP/1.0\r\n\r\n") == HEAD_10 + CONTENT[-10:]


def test_several_parts_and_other_content_keep_their_order_in_chunks(loop_name: str, file: Path) -> None:
    app = parts(
        file,
        {"type": "http.response.body", "body": b"<", "more_body": True},
        {"offset": 10, "count": 5, "more_body": True},
        {"type": "http.response.body", "body": b"|" * 100_000, "more_body": True},
        {"offset": 0, "count": 300_000, "more_body": True},
        {"offset": 0, "count": 0, "more_body": True},
        {"offset": 299_999, "more_body": True},
        {"type": "http.response.body", "body": b">"},
    )
    pieces = [b"<", CONTENT[10:15], b"|" * 100_000, CONTENT, CONTENT[-1:], b">"]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    assert get(loop_name, app) == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n" + chunks + b"0\r\n\r\n"
    )
    assert get(loop_name, app, b"GET / HTTP/1.0\r\n\r\n") == HEAD_10 + b"".join(pieces)


def test_a_part_that_is_more_than_was_declared_is_cut(loop_name: str, file: Path) -> None:
    app = parts(file, {"offset": 0, "count": 11}, fields=[(b"content-length", b"10")])
    octets = get(loop_name, app)
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("framing", ["sized", "chunked", "until close"])
def test_a_file_that_ends_early_cuts_the_response(
    loop_name: str, file: Path, framing: str, caplog: pytest.LogCaptureFixture
) -> None:
    fields = [(b"content-length", b"400000")] if framing == "sized" else []
    app = parts(file, {"offset": 0, "count": 400_000}, fields=fields)
    version = b"1.0" if framing == "until close" else b"1.1"
    octets = get(loop_name, app, b"GET / HTTP/%b\r\nHost: h\r\nConnection: close\r\n\r\n" % version)
    if framing != "until close":  # there it is a reset, which may overtake what was sent
        assert octets.partition(b"\r\n\r\n")[2].removeprefix(b"61a80\r\n") == CONTENT
    record = next(record for record in caplog.records if "the response was cut" in record.message)
    assert record.message.endswith(": the file ends 100000 octets before what was announced")
    assert (record.levelname, record.exc_info) == ("WARNING", None)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_vanishes_in_mid_file_is_noticed(
    loop_name: str, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.truncate(64 * MIB)
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        try:
            await send({"type": "http.response.pathsend", "path": str(path)})
        except BaseException as error:
            errors.append(error)
            raise

    async def main() -> None:
        async with serving(app) as server:
            before = descriptors()
            client = await Client.open(server.port)
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await client.reader.readexactly(100_000)
            if how == "close":
                client.close()
            else:
                client.reset()
            await until(lambda: errors)
            assert isinstance(errors[0], OSError)
            await until(lambda: not server._service.connections and descriptors() <= before)

    run_on(loop_name, main())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def stalled(loop_name: str, tmp_path: Path, then: Callable[[HttpConnection, socket.socket], Awaitable[None]]) -> None:
    """Call *then* when a client that reads nothing has been sent what the kernel takes of a large file.

    Afterwards the application must be told that its client has gone, and every descriptor be closed.
    """
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.truncate(64 * MIB)
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        try:
            await send({"type": "http.response.pathsend", "path": str(path)})
        except BaseException as error:
            errors.append(error)
            raise

    async def main() -> None:
        async with serving(app) as server:
            before = descriptors()
            loop = asyncio.get_running_loop()
            client = socket.socket()
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: server._service.connections)
            (connection,) = server._service.connections
            assert isinstance(connection, HttpConnection)
            await until(lambda: connection.write_deadline != inf)
            descriptor = connection.transport.get_extra_info("socket").fileno()
            # Nothing more can be sent, and nothing has been taken from one look to the next.
            await until(lambda: not select([], [descriptor], [], 0)[1] and not connection.check_write_progress())
            await then(connection, client)
            client.close()
            await until(lambda: errors)
            assert isinstance(errors[0], ClientDisconnected)
            await until(lambda: not server._service.connections and descriptors() <= before)

    run_on(loop_name, main())


def test_a_client_that_takes_nothing_of_a_file_is_cut(loop_name: str, tmp_path: Path) -> None:
    async def then(connection: HttpConnection, client: socket.socket) -> None:
        connection.check_deadlines(connection.write_deadline - 0.1)
        assert not connection.transport.is_closing()
        connection.check_deadlines(connection.write_deadline)
        assert connection.transport.is_closing()

    stalled(loop_name, tmp_path, then)


def test_a_client_that_takes_too_little_to_be_sent_more_is_not_cut(loop_name: str, tmp_path: Path) -> None:
    async def then(connection: HttpConnection, client: socket.socket) -> None:
        waiting, deadline = unacknowledged(connection.transport), connection.write_deadline
        taken = 0
        while unacknowledged(connection.transport) >= waiting:
            # Not by the loop, in which the server would send more.
            assert select([client], [], [], 10)[0]
            taken += len(client.recv(4096))
        assert taken < MIB
        connection.check_deadlines(deadline)
        assert not connection.transport.is_closing()
        assert connection.write_deadline >= deadline

    stalled(loop_name, tmp_path, then)


def test_two_files_at_a_time_are_the_applications_error(make_wire: MakeWire) -> None:
    connection = make_wire(replies(START)).connection
    waiter = connection.await_socket()
    with pytest.raises(ApplicationError):
        connection.await_socket()
    connection.release_writers()
    assert waiter.done()


@pytest.mark.slow
def test_a_large_file_reaches_a_slow_reader_whole_while_others_are_served(loop_name: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    pattern = CONTENT[:65536]
    path.write_bytes(pattern * 512)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        if scope["path"] == "/":
            await send({"type": "http.response.pathsend", "path": str(path)})
        else:
            await body(send, b"hello")

    async def main() -> None:
        async with serving(app) as server:
            client = socket.socket()
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            received = bytearray()
            while piece := await loop.sock_recv(client, 65536):
                received += piece
                if len(received) % 64 == 0:
                    assert (await fetch(server.port, "/other")).endswith(b"hello")
            client.close()
            head, _, content = bytes(received).partition(b"\r\n\r\n")
            assert head.endswith(b"content-length: 33554432\r\nconnection: close")
            assert content == pattern * 512

    run_on(loop_name, main())


# Where sendfile cannot be used


class Target:
    """A connection as far as send_file sees one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, extra: dict[str, Any]) -> None:
        self.loop = loop
        self.fake = FakeTransport(extra)
        self.transport: asyncio.Transport = self.fake
        self.write_paused = False
        self.drains = 0

    async def drain(self) -> None:
        self.drains += 1

    def await_socket(self) -> asyncio.Future[None]:
        raise AssertionError("only sendfile and a disk are waited for so")

    def socket_took(self) -> None:
        raise AssertionError("only sendfile knows what a socket took")

    def socket_ready(self) -> None:
        raise AssertionError("nothing was waited for")


async def send_by_reading(path: Path, offset: int, count: int, **changes: Any) -> Target:
    target = Target(asyncio.get_running_loop(), {"ssl_object": object(), "socket": object()})
    vars(target).update(changes)
    if changes.get("gone"):
        target.transport.close()
    with path.open("rb") as opened:
        await sendfile.send_file(target, b"head,", opened.fileno(), offset, count)
    return target


def test_a_transport_that_encrypts_gets_its_file_in_pieces(file: Path) -> None:
    target = run_on("asyncio", send_by_reading(file, 100, 299_900, write_paused=True))
    assert target.fake.written == b"head," + CONTENT[100:]
    assert target.drains == 10
    # What has been encrypted, and waits for a client that takes nothing, is bounded by what is read at a time.
    assert target.fake.get_write_buffer_limits()[1] == 32 * 1024


def test_a_client_of_a_transport_that_encrypts_lets_others_have_their_turn(file: Path) -> None:
    turns = 0

    async def main() -> None:
        def take_turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(take_turn)

        loop = asyncio.get_running_loop()
        loop.call_soon(take_turn)
        target = await send_by_reading(file, 0, 10 * len(CONTENT))
        assert target.fake.written == b"head," + CONTENT * 10
        assert target.drains == 0

    file.write_bytes(CONTENT * 10)
    run_on("asyncio", main())
    assert turns >= 10 * len(CONTENT) // (512 * 1024)


def test_without_sendfile_a_file_is_read(file: Path, monkeypatch: pytest.MonkeyPatch, loop_name: str) -> None:
    monkeypatch.delattr(os, "sendfile")
    octets = get(loop_name, replies(START, {"type": "http.response.pathsend", "path": str(file)}))
    assert octets.endswith(b"\r\n\r\n" + CONTENT)


def test_a_file_that_is_read_may_end_early_too(file: Path) -> None:
    with pytest.raises(ApplicationError, match=r"^the file ends 1 octets before what was announced$"):
        run_on("asyncio", send_by_reading(file, 0, 300_001))


def test_a_file_is_not_read_for_a_client_that_has_gone(file: Path) -> None:
    with pytest.raises(ClientDisconnected):
        run_on("asyncio", send_by_reading(file, 0, 300_000, gone=True))
