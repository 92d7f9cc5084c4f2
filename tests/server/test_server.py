"""Server as a program embeds it: starting, sharing a loop, lifespans; on both loops."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from typing import Any

import pytest

from miniasgi.errors import StartupError
from miniasgi.server.service import http_date
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import Gate, answers, hello
from tests.server.embedded import serving
from tests.support import Client, descriptors, fetch, run_on, until

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
                "path": "/api/a b",
                "raw_path": b"/api/a%20b",
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
        async with serving(gate, limit_concurrency=2, limit_queue=0) as server:
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


# Dates


def test_the_date_does_not_depend_on_the_locale() -> None:
    # RFC 9110 §5.6.7's own example, and both ends of a year.
    assert http_date(784111777) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(1767225599.9) == b"Wed, 31 Dec 2025 23:59:59 GMT"
    assert http_date(1767225600) == b"Thu, 01 Jan 2026 00:00:00 GMT"
