"""Clients that do harm: each gets its due, everybody else is served, and memory and descriptors come back."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from miniasgi import Config, Server
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import MIB, Listening, body, echo, start
from tests.support import Client, ServerProcess, ask, descriptors, read_all, run_on, until

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"

pytestmark = pytest.mark.skipif(not hasattr(resource, "RLIMIT_NOFILE"), reason="needs limits and /proc")


# Clients that vanish


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    while True:
        await body(send, b"x" * 1000, more=True)
        await asyncio.sleep(0)


async def endless_without_a_pause(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    for _ in range(1_000_000):
        await body(send, b"x" * 1000, more=True)
    raise AssertionError("nobody has said that the client has gone")


class Held:
    """An application whose requests wait until they may all proceed."""

    def __init__(self) -> None:
        self.proceed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.proceed.wait()
        await echo(scope, receive, send)


STAGES: dict[str, tuple[Callable[[], Any], bytes]] = {
    "before it speaks": (lambda: echo, b""),
    "in its head": (lambda: echo, GET[:20]),
    "in its content": (lambda: echo, POST % (b"", 10) + b"half"),
    "in its chunked content": (
        lambda: echo,
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ),
    "while the application works": (Held, GET),
    "while the application listens": (Listening, GET),
    "while the response streams": (lambda: endless, GET),
    "while the response streams without a pause": (lambda: endless_without_a_pause, GET),
    "after its response": (lambda: echo, GET),
    "with requests pipelined": (Held, GET * 10),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_may_vanish_at_any_stage(
    loop_name: str, stage: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_app, octets = STAGES[stage]

    async def main() -> None:
        app = make_app()
        config = Config(port=0, lifespan="off", access_log=False, timeout_graceful_shutdown=0)
        async with Server(app, config) as server:
            service = server._service
            before = descriptors()
            clients = [await Client.open(server.port) for _ in range(5)]
            for client in clients:
                client.send(octets)
            await until(lambda: len(service.connections) == 5)
            if stage.startswith(("while the app", "with")):
                await until(lambda: len(service.running) == 5)
            elif stage == "after its response":
                for client in clients:
                    await client.response()
            elif stage == "while the response streams":
                for client in clients:
                    await client.reader.readexactly(5000)
            elif stage == "while the response streams without a pause":
                # In the middle of reading: who has stopped to read makes the application wait, and it is told then.
                await asyncio.gather(*(client.reader.readexactly(5_000_000) for client in clients))
            for client in clients:
                client.close() if how == "close" else client.reset()
            if isinstance(app, Held) and how == "close":
                # An end of input may be only half an end: it is the answer that tells.
                app.proceed.set()
            elif isinstance(app, Held):
                await until(lambda: not service.connections)
                for exchange in service.running:
                    assert exchange.task is not None
                    exchange.task.cancel()
            await until(lambda: not service.connections and not service.running and descriptors() <= before)
            assert service.opened == 0

    run_on(loop_name, main())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_client_may_close_its_side_and_vanish_later(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        app = Held()
        config = Config(port=0, lifespan="off", access_log=False, timeout_graceful_shutdown=0)
        async with Server(app, config) as server:
            connections = server._service.connections
            client = await Client.open(server.port)
            client.send(GET + b"GET / HTTP/1.1\r\n")  # what is left unread makes the connection close in two steps
            await until(lambda: server.running == 1)
            client.writer.write_eof()
            await until(lambda: all(each._ended_by_client for each in connections))  # type: ignore[attr-defined]
            client.reset()  # of which the loop says nothing any more
        assert not connections

    run_on(loop_name, main())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_may_vanish_when_it_has_asked_for_more_than_is_read(loop_name: str, how: str) -> None:
    async def main() -> None:
        app = Listening()
        config = Config(port=0, lifespan="off", access_log=False, timeout_graceful_shutdown=0)
        async with Server(app, config) as server:
            client = await Client.open(server.port)
            client.send(GET * 5000)
            await until(lambda: app.received)
            (connection,) = server._service.connections
            await until(lambda: connection._reading_paused)  # type: ignore[attr-defined]
            client.close() if how == "close" else client.reset()

            def told() -> bool:
                if connection.read_deadline < connection.write_deadline:  # as the sweep does, but not a second later
                    connection.check_deadlines(connection.read_deadline)
                return app.received[-1]["type"] == "http.disconnect"

            await until(told)
            await until(lambda: not server.connections)

    run_on(loop_name, main())


# Clients that are slow


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def impatient(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server, on each loop, that waits for nobody longer than half a second, and a sweep."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    names = ("timeout-request-header", "timeout-request-body", "timeout-keep-alive", "timeout-write")
    options = [word for name in names for word in (f"--{name}", "0.5")]
    with ServerProcess(
        "tests.server.apps:bad_days", "--port", "0", "--no-access-log", "--loop", request.param, *options
    ) as server:
        raise_descriptor_limit(4096)
        ask(server.port)
        yield server


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def patient(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server, on each loop, that has all the time it has by itself."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with ServerProcess(
        "tests.server.apps:bad_days",
        *("--port", "0", "--no-access-log", "--loop", request.param, "--timeout-graceful-shutdown", "0"),
    ) as server:
        ask(server.port)
        yield server


def raise_descriptor_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} descriptors")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def await_descriptors(server: ServerProcess, most: int) -> None:
    """Wait until the server has no more open than *most*."""
    end = time.monotonic() + 8
    while server.descriptors() > most:
        assert time.monotonic() < end, f"{server.descriptors()} descriptors are open, not {most}"
        time.sleep(0.02)


def is_answered(server: ServerProcess) -> bool:
    begun = time.monotonic()
    return ask(server.port).endswith(b"hello") and time.monotonic() - begun < 1


@pytest.mark.slow
def test_a_thousand_connections_that_never_speak_are_closed_while_others_are_served(impatient: ServerProcess) -> None:
    before = impatient.descriptors()
    silent = [impatient.connect() for _ in range(1000)]
    assert is_answered(impatient)
    for client in silent:
        assert read_all(client) == b""
        client.close()
    await_descriptors(impatient, before)
    assert is_answered(impatient)


def dribble(client: socket.socket, octet: bytes) -> bytes:
    """Send *octet* every 50 ms until the server says something or closes; what it says."""
    end = time.monotonic() + 8
    while not select.select([client], [], [], 0.05)[0]:
        assert time.monotonic() < end
        client.sendall(octet)
    return read_all(client)


@pytest.mark.slow
def test_a_head_an_octet_at_a_time_is_refused(impatient: ServerProcess) -> None:
    with impatient.connect() as client:
        client.sendall(GET[:-2] + b"X: ")
        assert dribble(client, b"x").startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.slow
def test_content_that_stalls_is_refused(impatient: ServerProcess) -> None:
    with impatient.connect() as client:
        client.sendall(POST % (b"", 10) + b"half")
        assert read_all(client).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.slow
def test_an_idle_connection_is_closed(impatient: ServerProcess) -> None:
    with impatient.connect() as client:
        client.sendall(GET)
        assert read_all(client).endswith(b"hello")


@pytest.mark.slow
def test_a_client_that_reads_nothing_is_cut(impatient: ServerProcess) -> None:
    before = impatient.descriptors()
    with impatient.connect(receive_buffer=8192) as client:
        client.sendall(b"GET /download HTTP/1.1\r\nHost: h\r\n\r\n")
        impatient.wait_for("the client takes nothing")
        await_descriptors(impatient, before)
        assert len(read_all(client)) < 64 * MIB


# Clients that send too much


def send_until_stuck(client: socket.socket, octets: bytes, most: int) -> int:
    """Send *octets* again and again until nothing has been taken for half a second; how many were."""
    client.setblocking(False)
    sent = 0
    view = memoryview(octets)
    while sent < most:
        if not select.select([], [client], [], 0.5)[1]:
            break
        try:
            sent += client.send(view[sent % len(octets) :])
        except BlockingIOError:
            continue
        except OSError:
            break
    client.setblocking(True)
    client.settimeout(10)
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("target", [b"/", b"/64k"])
def test_a_flood_of_pipelined_requests_is_answered_no_faster_than_it_is_read(
    patient: ServerProcess, target: bytes
) -> None:
    before = patient.memory()
    with patient.connect(receive_buffer=8192) as client:
        flood = b"GET %b HTTP/1.1\r\nHost: h\r\nX-Padding: %b\r\n\r\n" % (target, b"x" * 1000) * 100
        sent = send_until_stuck(client, flood, 64 * MIB)
        assert sent < 64 * MIB
        assert patient.memory() - before < 8 * MIB
        assert is_answered(patient)
        if target == b"/":
            # What was taken is answered, each request once.
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).count(b"\r\n\r\nhello") == sent * 100 // len(flood)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [b"5;" + b"x" * 65536, b"1;x=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\nz\r\n" * 100])
def test_chunk_extensions_without_end_are_refused(patient: ServerProcess, chunk: bytes) -> None:
    with patient.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        send_until_stuck(client, chunk, MIB // 4)
        assert read_all(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.slow
def test_a_million_chunks_of_one_octet_cost_no_more_than_they_must(patient: ServerProcess) -> None:
    begun = time.monotonic()
    with patient.connect() as client:
        client.sendall(b"POST /discard HTTP/1.1\r\nHost: h\r\nConnection: close\r\n")
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500_000 + b"0\r\n\r\n")
        assert read_all(client).endswith(b"500000")
    assert time.monotonic() - begun < 8


@pytest.mark.slow
@pytest.mark.parametrize("target", [b"never-read", b"read-slowly"])
def test_an_upload_waits_for_the_application(patient: ServerProcess, target: bytes) -> None:
    before = patient.memory()
    with patient.connect() as client:
        client.sendall(POST % (target, 256 * MIB))
        sent = send_until_stuck(client, bytes(MIB), 256 * MIB)
        assert patient.memory() - before < 32 * MIB
        assert sent < 128 * MIB
        assert is_answered(patient)


@pytest.mark.slow
def test_an_upload_that_is_read_takes_no_memory_either(patient: ServerProcess) -> None:
    before = patient.memory()
    with patient.connect() as client:
        client.sendall(POST % (b"discard", 256 * MIB))
        assert send_until_stuck(client, bytes(MIB), 256 * MIB) == 256 * MIB
        assert patient.memory() - before < 32 * MIB
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"%d" % (256 * MIB))


@pytest.mark.slow
def test_a_download_waits_for_the_client(patient: ServerProcess) -> None:
    before = patient.memory()
    with patient.connect(receive_buffer=8192) as client:
        client.sendall(b"GET /download HTTP/1.1\r\nHost: h\r\n\r\n")
        peak = 0
        for _ in range(20):
            assert is_answered(patient)
            peak = max(peak, patient.memory())
        assert peak - before < 32 * MIB
        assert client.recv(12) == b"HTTP/1.1 200"


# More clients than descriptors


def open_without_waiting(port: int) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    assert client.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
    return client


@pytest.mark.slow
def test_more_connections_than_descriptors_wait_their_turn(loop_name: str) -> None:
    raise_descriptor_limit(4096)
    with ServerProcess(
        "tests.server.apps:bad_days",
        *("--port", "0", "--no-access-log", "--loop", loop_name, "--timeout-graceful-shutdown", "0"),
        descriptors=512,
    ) as server:
        assert is_answered(server)
        before = server.descriptors()
        for _ in range(2):
            flood = [open_without_waiting(server.port) for _ in range(2000)]
            if not any("no more are accepted" in line for line in server.errors):
                server.wait_for("no more are accepted")
            # Whoever got in is served meanwhile.
            flood[0].setblocking(True)
            flood[0].settimeout(5)
            flood[0].sendall(GET)
            assert flood[0].recv(1000).endswith(b"hello")
            assert server.descriptors() <= 512
            used = server.cpu_seconds()
            time.sleep(0.5)
            assert server.cpu_seconds() - used < 0.2, "the accept loop spins"
            for client in flood:
                client.close()
            assert ask(server.port).endswith(b"hello")
            await_descriptors(server, before)
        told = [line for line in server.errors if "http://" not in line]
        assert len(told) == 1, told
        assert is_answered(server)
