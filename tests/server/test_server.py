"""Server as a program embeds it: starting, sharing a loop, stopping, lifespans, access lines; on both loops."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from miniasgi import Config, Server
from miniasgi.errors import StartupError
from miniasgi.observe.logs import BatchHandler
from miniasgi.server.binding import bind
from miniasgi.types import App, Receive, Scope, Send
from tests.server.apps import Gate, Listening, answers, body, hello, start
from tests.support import Client, descriptors, fetch, run_on, until

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def serving(app: App, **options: Any) -> Server:
    defaults = {
        "port": 0,
        "lifespan": "off",
        "access_log": False,
        "timeout_graceful_shutdown": 5,
        "date_header": False,
        "server_header": False,
    }
    return Server(app, Config(**{**defaults, **options}))


# Serving


def test_a_server_listens_inside_its_with_statement_and_not_after(loop_name: str) -> None:
    async def main() -> None:
        async with serving(hello):
            pass  # libuv keeps a descriptor in reserve from the first time on
        before = descriptors()
        async with serving(hello) as server:
            assert server.port > 0
            assert server.urls == [f"http://127.0.0.1:{server.port}"]
            assert server.addresses == [("127.0.0.1", server.port)]
            answer = await fetch(server.port)
            assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
            port = server.port
        with pytest.raises(ConnectionRefusedError):
            await Client.open(port)
        await until(lambda: descriptors() <= before)

    run_on(loop_name, main())


def test_two_servers_share_a_loop(loop_name: str) -> None:
    async def main() -> None:
        async with serving(answers(200, (), b"one")) as one:
            async with serving(answers(200, (), b"two"), headers=["x: y"]) as two:
                assert (await fetch(one.port)).endswith(b"\r\n\r\none")
                assert (await fetch(two.port)).endswith(b"\r\n\r\ntwo")
                assert b"x: y" in await fetch(two.port)
                assert b"x: y" not in await fetch(one.port)
            assert (await fetch(one.port)).endswith(b"\r\n\r\none")

    run_on(loop_name, main())


def test_serve_returns_after_stop(loop_name: str) -> None:
    async def main() -> None:
        server = serving(hello)
        serve = asyncio.create_task(server.serve())
        await until(lambda: server.addresses)
        assert (await fetch(server.port)).endswith(b"hello")
        server.stop()
        await asyncio.wait_for(serve, 2)

    run_on(loop_name, main())


def test_an_application_can_be_named(loop_name: str) -> None:
    async def main() -> None:
        async with serving("tests.server.apps:hello", app_dir=".") as server:  # type: ignore[arg-type]  # str | App
            assert (await fetch(server.port)).endswith(b"hello")

    run_on(loop_name, main())


def test_a_scope_has_the_addresses_of_both_sides(loop_name: str) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await hello(scope, receive, send)

    async def main() -> None:
        async with serving(app, root_path="/api") as server:
            client = await Client.open(server.port)
            client.send(b"GET /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-Y: z\r\n\r\n")
            await client.response()
            (scope,) = scopes
            assert {**scope, "extensions": None} == {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.5"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": "/a b",
                "raw_path": b"/a%20b",
                "query_string": b"c=d",
                "root_path": "/api",
                "headers": [(b"host", b"h"), (b"x-y", b"z")],
                "client": client.writer.get_extra_info("sockname"),
                "server": ("127.0.0.1", server.port),
                "state": {},
                "extensions": None,
            }
            client.close()

    run_on(loop_name, main())


def test_each_request_has_a_context_of_its_own(loop_name: str) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    found: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(variable.get())
        variable.set(scope["path"])
        await asyncio.sleep(0)
        found.append(variable.get())
        await hello(scope, receive, send)

    async def main() -> None:
        async with serving(app) as server:
            client = await Client.open(server.port)
            client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
            await client.response()
            await client.response()
            client.close()
        assert found == ["unset", "/a", "unset", "/b"]
        assert variable.get() == "unset"

    run_on(loop_name, main())


def test_an_application_runs_in_a_task_from_its_first_step(loop_name: str) -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        await hello(scope, receive, send)

    async def main() -> None:
        async with serving(app) as server:
            assert (await fetch(server.port)).endswith(b"hello")
        assert tasks[0] is not None
        assert tasks[0] is tasks[1]
        assert tasks[0] is not asyncio.current_task()

    run_on(loop_name, main())


def test_requests_beyond_the_limit_are_answered_503(loop_name: str) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, limit_concurrency=2) as server:
            clients = [await Client.open(server.port) for _ in range(2)]
            for number, client in enumerate(clients):
                client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
            await until(lambda: len(gate.waiting) == 2)
            assert (await fetch(server.port)).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            gate.open("/0")
            assert (await clients[0].response())[1] == b"/0"
            again = asyncio.create_task(fetch(server.port, "/again"))
            await until(lambda: "/again" in gate.waiting)
            gate.open("/again")
            gate.open("/1")
            assert (await again).endswith(b"/again")
            for client in clients:
                client.close()

    run_on(loop_name, main())


# Starting


def test_a_port_in_use_is_named_with_the_reason(loop_name: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(StartupError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
                await serving(hello, port=port).serve()

    run_on(loop_name, main())


def test_an_address_of_somebody_else_is_named_with_the_reason(loop_name: str) -> None:
    async def main() -> None:
        with pytest.raises(StartupError, match=r"^cannot listen on 192\.0\.2\.1:0: Cannot assign requested address$"):
            await serving(hello, host="192.0.2.1").serve()

    run_on(loop_name, main())


class Living:
    """An application with a lifespan, which writes down what it is told."""

    def __init__(self, failure: str | None = None, stuck: bool = False) -> None:
        self.failure = failure
        self.stuck = stuck
        self.told: list[str] = []
        self.states: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.states.append(scope["state"])
            scope["state"]["mine"] = len(self.states)
            await hello(scope, receive, send)
            return
        self.told.append((await receive())["type"])
        if self.failure is not None:
            await send({"type": "lifespan.startup.failed", "message": self.failure})
            return
        scope["state"]["shared"] = self.told
        await send({"type": "lifespan.startup.complete"})
        self.told.append((await receive())["type"])
        if self.stuck:
            await asyncio.Event().wait()
        await send({"type": "lifespan.shutdown.complete"})


def test_each_request_gets_a_copy_of_the_lifespans_state(loop_name: str) -> None:
    async def main() -> None:
        app = Living()
        async with serving(app, lifespan="auto") as server:
            await fetch(server.port)
            await fetch(server.port)
            assert app.told == ["lifespan.startup"]
        assert app.told == ["lifespan.startup", "lifespan.shutdown"]
        assert [state["mine"] for state in app.states] == [1, 2]
        assert all(state["shared"] is app.told for state in app.states)

    run_on(loop_name, main())


def test_a_start_up_that_fails_is_an_error_with_the_applications_words(loop_name: str) -> None:
    async def main() -> None:
        before = descriptors()
        server = serving(Living(failure="no database"), lifespan="auto")
        with pytest.raises(StartupError, match=r"^application start-up failed: no database$"):
            await server.serve()
        await until(lambda: descriptors() <= before)

    run_on(loop_name, main())


def test_an_application_without_a_lifespan_is_served_unless_it_must_have_one(loop_name: str) -> None:
    async def main() -> None:
        async with serving(hello, lifespan="auto") as server:
            assert (await fetch(server.port)).endswith(b"hello")
        with pytest.raises(StartupError, match=r"^application start-up failed: AssertionError"):
            await serving(hello, lifespan="on").serve()

    run_on(loop_name, main())


def test_a_lifespan_that_does_not_end_is_left(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(Living(stuck=True), lifespan="on", timeout_graceful_shutdown=0.05):
            pass
        assert "took longer than 0.05 s" in caplog.text

    run_on(loop_name, main())


# Sockets of others


def bound() -> socket.socket:
    """A socket that is bound to a port of its own."""
    return bind("127.0.0.1", 0)[0]


def given(*sockets: socket.socket, app: App = hello) -> Server:
    config = Config(lifespan="off", access_log=False, date_header=False, server_header=False)
    return Server(app, config, sockets=sockets)


def port_of(one: socket.socket) -> int:
    return int(one.getsockname()[1])


def test_sockets_that_are_given_are_listened_to_instead_of_the_address(loop_name: str) -> None:
    async def main() -> None:
        first, second = bound(), bound()
        ports = [port_of(first), port_of(second)]
        async with given(first, second) as server:
            assert [port for _, port in server.addresses] == ports
            for port in ports:
                assert (await fetch(port)).endswith(b"hello")
        assert (first.fileno(), second.fileno()) == (-1, -1)

    run_on(loop_name, main())


def test_a_start_that_fails_closes_the_sockets_that_were_given(loop_name: str) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("no")

    async def main() -> None:
        one = bound()
        with pytest.raises(StartupError):
            await Server(broken, Config(lifespan="on"), sockets=[one]).serve()
        assert one.fileno() == -1

    run_on(loop_name, main())


def test_a_server_may_begin_without_a_socket_and_get_some_later(loop_name: str) -> None:
    async def main() -> None:
        async with given() as server:
            assert (server.addresses, server.urls) == ([], [])
            one, other = bound(), bound()
            port = port_of(one)
            (listener,) = server.listen([one])
            assert (await fetch(port)).endswith(b"hello")
            server.listen([other])
            assert server.addresses == [listener.address, ("127.0.0.1", port_of(other))]
        assert (one.fileno(), other.fileno()) == (-1, -1)

    run_on(loop_name, main())


def test_what_is_forgotten_is_closed_while_its_connections_go_on(loop_name: str) -> None:
    async def main() -> None:
        async with given(bound()) as server:
            one = bound()
            port = port_of(one)
            listeners = server.listen([one])
            client = await Client.open(port)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            server.forget(listeners)
            server.forget(listeners)  # twice is once
            assert one.fileno() == -1
            with pytest.raises(ConnectionRefusedError):
                await Client.open(port)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            client.close()
            assert (await fetch(server.port)).endswith(b"hello")

    run_on(loop_name, main())


def test_what_is_not_its_own_is_not_forgotten(loop_name: str) -> None:
    async def main() -> None:
        async with given() as one, given() as other:
            listeners = one.listen([bound()])
            other.forget(listeners)
            assert (await fetch(one.port)).endswith(b"hello")

    run_on(loop_name, main())


def test_a_server_that_stops_takes_no_more_sockets(loop_name: str) -> None:
    async def main() -> None:
        gate = Gate()
        first = bound()
        server = given(first, app=gate)
        serve = asyncio.create_task(server.serve())
        await until(lambda: server.addresses)
        client = await Client.open(server.port)
        client.send(GET)
        await until(lambda: gate.waiting)
        server.stop()
        await until(lambda: first.fileno() == -1)
        late = bound()
        assert server.listen([late]) == []
        assert late.fileno() == -1
        gate.open()
        assert (await client.rest()).endswith(b"\r\n\r\n/")
        client.close()
        await serve

    run_on(loop_name, main())


def test_sockets_that_come_while_nothing_is_accepted_wait_as_well(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniasgi.server.server.descriptors_to_spare", lambda: 1)
    monkeypatch.setattr("miniasgi.server.server.TICK_SECONDS", 0.05)

    async def main() -> None:
        async with given(bound()) as server:
            first = await Client.open(server.port)
            first.send(GET)
            assert (await first.response())[1] == b"hello"
            one = bound()
            port = port_of(one)
            server.listen([one])
            with pytest.raises(ConnectionRefusedError):  # it is not even listened to
                await Client.open(port)
            first.close()
            await until(lambda: one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            assert (await fetch(port)).endswith(b"hello")

    run_on(loop_name, main())


# Stopping


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


# Access lines


class Records(logging.Handler):
    """A handler of somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class Batches(BatchHandler):
    """The server's own handler, writing to a list."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def access_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("miniasgi.access")
    before = logger.handlers[:], logger.propagate, logger.level
    logger.handlers, logger.propagate = [], False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


LINE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d 127\.0\.0\.1:\d+ "GET /(\d+) HTTP/1\.1" 200 5 \d+\.\dms')


@pytest.mark.parametrize("kind", [Records, Batches])
def test_no_access_line_is_lost_when_the_server_stops(
    loop_name: str, access_logger: logging.Logger, kind: type[Records] | type[Batches]
) -> None:
    handler = kind()
    access_logger.handlers = [handler]  # none of pytest's, which are somebody else's

    async def main() -> None:
        async with serving(hello, access_log=True) as server:
            client = await Client.open(server.port)
            for number in range(600):
                client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
            for _ in range(600):
                await client.response()
            client.close()

    run_on(loop_name, main())
    lines = "\n".join(handler.messages).split("\n")
    found = [LINE.fullmatch(line) for line in lines]
    assert [match and int(match[1]) for match in found] == list(range(600))
    assert len(handler.messages) == 600 if kind is Records else len(handler.messages) < 10


def test_access_lines_tell_what_was_not_answered_and_what_was_refused(
    loop_name: str, access_logger: logging.Logger
) -> None:
    handler = Batches()
    access_logger.handlers = [handler]  # none of pytest's, which are somebody else's

    async def main() -> None:
        gate = Gate()
        async with serving(gate, access_log=True) as server:
            client = await Client.open(server.port)
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            await client.rest()
            client.close()
            other = await Client.open(server.port)
            other.send(b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: gate.waiting)
            other.reset()
            await until(lambda: len(server._service.connections) == 0)
            gate.open("/gone")

    run_on(loop_name, main())
    (text,) = handler.messages
    refused, gone = text.split("\n")
    assert re.search(r' "-" 400 0 0\.0ms$', refused)
    assert re.search(r' "GET /gone HTTP/1\.1" 0 0 \d+\.\dms$', gone)


def test_there_are_no_access_lines_when_nobody_wants_them(loop_name: str, access_logger: logging.Logger) -> None:
    handler = Records()
    access_logger.handlers = [handler]  # none of pytest's, which are somebody else's

    async def main() -> None:
        async with serving(hello, access_log=False) as server:
            await fetch(server.port)
        access_logger.setLevel(logging.WARNING)
        async with serving(hello, access_log=True) as server:
            await fetch(server.port)

    run_on(loop_name, main())
    assert handler.messages == []


def test_the_date_does_not_depend_on_the_locale() -> None:
    from miniasgi.server.service import http_date

    # RFC 9110 §5.6.7's own example, and both ends of a year.
    assert http_date(784111777) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(1767225599.9) == b"Wed, 31 Dec 2025 23:59:59 GMT"
    assert http_date(1767225600) == b"Thu, 01 Jan 2026 00:00:00 GMT"
