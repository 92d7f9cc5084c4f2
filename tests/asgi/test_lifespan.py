"""Start-up before the first request, shutdown after the last; applications that know neither."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from typing import Any

import pytest

from miniasgi.asgi import lifespan
from miniasgi.asgi.lifespan import Lifespan
from miniasgi.errors import ApplicationError, StartupError
from miniasgi.types import App, Receive, Scope, Send
from tests.asgi.conftest import Records

STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 10)

    asyncio.run(bounded())


class Supports:
    """An application with a lifespan, which writes down what it was told."""

    def __init__(self, started: Any = STARTED, stopped: Any = STOPPED) -> None:
        self.started, self.stopped = started, stopped
        self.told: list[str] = []
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.told.append((await receive())["type"])
        scope["state"]["pool"] = "open"
        await send(self.started)
        self.told.append((await receive())["type"])
        await send(self.stopped)
        self.told.append("returned")


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("only http")


async def raises_when_told(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise KeyError("http_version")


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def exits(scope: Scope, receive: Receive, send: Send) -> None:
    raise SystemExit(5)


async def cancels_itself(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_an_application_with_a_lifespan_is_told_of_start_and_end(mode: str, logged: Records) -> None:
    async def test() -> None:
        app = Supports()
        lifespan = Lifespan(app, mode)
        await lifespan.start_up()
        assert app.told == ["lifespan.startup"]
        assert lifespan.state == {"pool": "open"}
        await lifespan.shut_down(5)
        assert app.told == ["lifespan.startup", "lifespan.shutdown", "returned"]
        assert logged.messages == []

    run(test())


def test_the_scope_is_what_the_specification_says() -> None:
    async def test() -> None:
        scopes: list[Scope] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scopes.append(dict(scope))

        draining = asyncio.Event()
        await Lifespan(app, "auto", draining).start_up()
        assert scopes == [
            {
                "type": "lifespan",
                "asgi": {"version": "3.0", "spec_version": "2.0"},
                "state": {},
                "extensions": {"miniasgi.draining": {"event": draining}},
            }
        ]

    run(test())


def test_an_application_learns_of_the_stop_before_its_shutdown() -> None:
    async def test() -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send(STARTED)
            await scope["extensions"]["miniasgi.draining"]["event"].wait()
            seen.append("draining")
            told.set()
            seen.append((await receive())["type"])
            await send(STOPPED)

        draining, told = asyncio.Event(), asyncio.Event()
        lifespan = Lifespan(app, "on", draining)
        await lifespan.start_up()
        assert seen == []
        draining.set()
        await told.wait()
        await lifespan.shut_down(5)
        assert seen == ["draining", "lifespan.shutdown"]

    run(test())


def test_a_start_that_takes_long_is_told_once(monkeypatch: pytest.MonkeyPatch, logged: Records) -> None:
    async def test() -> None:
        told = asyncio.Event()

        class Teller(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                told.set()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await told.wait()
            await send(STARTED)
            await receive()

        teller = Teller()
        logging.getLogger("miniasgi.server").addHandler(teller)
        try:
            await Lifespan(app, "auto").start_up()
        finally:
            logging.getLogger("miniasgi.server").removeHandler(teller)

    monkeypatch.setattr(lifespan, "_NOTICE_SECONDS", 0.0)
    run(test())
    assert logged.messages == [
        "the application has been starting for 0 s: nothing is served before its lifespan.startup.complete"
    ]


def test_a_start_that_takes_no_time_is_not_told(monkeypatch: pytest.MonkeyPatch, logged: Records) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []
        later = loop.call_later
        monkeypatch.setattr(loop, "call_later", lambda *call: timers.append(later(*call)) or timers[-1])  # type: ignore[func-returns-value]
        await Lifespan(Supports(), "auto").start_up()
        assert [timer.cancelled() for timer in timers if timer.when() - loop.time() > 5] == [True]

    run(test())
    assert logged.messages == []


def test_without_a_server_nothing_drains() -> None:
    async def test() -> None:
        app = Supports()
        lifespan = Lifespan(app, "on")
        await lifespan.start_up()
        await lifespan.shut_down(5)
        assert not app.scope["extensions"]["miniasgi.draining"]["event"].is_set()

    run(test())


def test_off_tells_nothing() -> None:
    async def test() -> None:
        app = Supports()
        lifespan = Lifespan(app, "off")
        await lifespan.start_up()
        await lifespan.shut_down(5)
        assert (app.told, lifespan.state) == ([], {})

    run(test())


@pytest.mark.parametrize("app", [raises, raises_when_told, returns, cancels_itself])
def test_auto_tolerates_an_application_without_a_lifespan(app: App, logged: Records) -> None:
    async def test() -> None:
        lifespan = Lifespan(app, "auto")
        await lifespan.start_up()
        await lifespan.shut_down(5)
        assert [record for record in logged.records if record.levelname != "DEBUG"] == []

    run(test())


async def interrupts(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("mode", ["on", "auto"])
@pytest.mark.parametrize(
    ("app", "found", "last"),
    [(exits, "SystemExit(5)", "SystemExit: 5"), (interrupts, "KeyboardInterrupt()", "KeyboardInterrupt")],
)
def test_an_application_that_exits_is_not_served(mode: str, app: App, found: str, last: str, logged: Records) -> None:
    async def test() -> None:
        with pytest.raises(StartupError, match=f"^application start-up failed: {re.escape(found)}$") as raised:
            await Lifespan(app, mode).start_up()
        assert raised.value.details.split("\n")[-1] == last
        assert not logged.errors

    run(test())


@pytest.mark.parametrize(
    ("app", "found", "last"),
    [
        (raises, "AssertionError('only http')", "AssertionError: only http"),
        (raises_when_told, "KeyError('http_version')", "KeyError: 'http_version'"),
        (returns, "it returned from its lifespan before 'lifespan.startup.complete'", ""),
        (cancels_itself, "it returned from its lifespan before 'lifespan.startup.complete'", ""),
    ],
)
def test_on_wants_a_lifespan(app: App, found: str, last: str, logged: Records) -> None:
    async def test() -> None:
        with pytest.raises(StartupError) as raised:
            await Lifespan(app, "on").start_up()
        assert str(raised.value) == f"application start-up failed: {found}"
        assert raised.value.exit_status == 3
        # The traceback, where there is one: for who reports the failure, and not for the log of each worker.
        shown = raised.value.details.split("\n") if last else []
        assert [*shown[:1], *shown[-1:]] == (["Traceback (most recent call last):", last] if last else [])
        assert raised.value.details.count("  File ") == raised.value.details.count(f'  File "{__file__}"')
        assert not logged.errors

    run(test())


@pytest.mark.parametrize("mode", ["on", "auto"])
@pytest.mark.parametrize(
    ("message", "found"),
    [
        ({"message": "no database"}, ": no database"),
        ({"message": ""}, ": it gave no reason"),
        ({"message": None}, ": it gave no reason"),
        ({}, ": it gave no reason"),
        ({"message": 7}, ": 7"),
        ({"message": "Traceback:\n  in app\nOSError: no database\n"}, ": OSError: no database"),
    ],
)
def test_a_failed_start_up_has_the_applications_message(mode: str, message: dict[str, Any], found: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", **message})

    async def test() -> None:
        lifespan = Lifespan(app, mode)
        with pytest.raises(StartupError) as raised:
            await lifespan.start_up()
        assert str(raised.value) == f"application start-up failed{found}"
        await lifespan.shut_down(5)

    run(test())


@pytest.mark.slow
def test_an_application_that_lingers_after_its_failed_start_up_is_cancelled() -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "lifespan.startup.failed"})
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.set()

        with pytest.raises(StartupError):
            await Lifespan(app, "auto").start_up()
        await ended.wait()

    run(test())


def test_a_start_up_that_is_cancelled_cancels_the_application() -> None:
    async def test() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            begun.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.set()

        starting = asyncio.ensure_future(Lifespan(app, "on").start_up())
        await begun.wait()
        starting.cancel()
        await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await starting

    run(test())


@pytest.mark.parametrize("message", [{"message": "pool is stuck"}, {"message": None}, {}])
def test_a_failed_shutdown_is_logged_with_its_message(message: dict[str, Any], logged: Records) -> None:
    async def test() -> None:
        lifespan = Lifespan(Supports(stopped={"type": "lifespan.shutdown.failed", **message}), "on")
        await lifespan.start_up()
        await lifespan.shut_down(5)
        assert logged.errors == [f"application shutdown failed: {message.get('message') or ''}"]

    run(test())


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_a_slow_shutdown_is_bounded(seconds: float, logged: Records) -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(STARTED)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.set()

        lifespan = Lifespan(app, "on")
        await lifespan.start_up()
        await lifespan.shut_down(seconds)
        assert ended.is_set()
        assert logged.errors == [f"the application's lifespan shutdown took longer than {seconds:g} s and is cancelled"]

    run(test())


@pytest.mark.slow
def test_clean_up_after_the_last_message_is_bounded_too(logged: Records) -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(STARTED)
            await receive()
            await receive()
            await send(STOPPED)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.set()

        lifespan = Lifespan(app, "on")
        await lifespan.start_up()
        await lifespan.shut_down(5)
        assert ended.is_set()

    run(test())


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_an_exception_after_start_up_is_logged_and_does_not_hold_up_the_shutdown(mode: str, logged: Records) -> None:
    async def test() -> None:
        fail = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(STARTED)
            await fail.wait()
            raise RuntimeError("lost the database")

        lifespan = Lifespan(app, mode)
        await lifespan.start_up()
        fail.set()
        await lifespan.shut_down(5)
        assert logged.errors == ["the application's lifespan failed / RuntimeError('lost the database')"]
        await lifespan.shut_down(5)

    run(test())


@pytest.mark.parametrize(
    "message", [None, "lifespan.startup.complete", {}, {"type": None}, {"type": "http.response.start"}, STOPPED]
)
def test_a_malformed_answer_is_an_application_error(message: Any) -> None:
    async def test() -> None:
        raised: list[BaseException] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await send(message)
            except BaseException as error:
                raised.append(error)
            await send(STARTED)

        await Lifespan(app, "on").start_up()
        assert [type(error) for error in raised] == [ApplicationError]

    run(test())


def test_each_answer_is_given_once() -> None:
    async def test() -> None:
        refused: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for message in (STARTED, STARTED, {"type": "lifespan.startup.failed"}, STOPPED, STOPPED):
                try:
                    await send(message)
                except ApplicationError:
                    refused.append(message["type"])

        lifespan = Lifespan(app, "on")
        await lifespan.start_up()
        await lifespan.shut_down(5)
        assert refused == ["lifespan.startup.complete", "lifespan.startup.failed", "lifespan.shutdown.complete"]

    run(test())


@pytest.mark.parametrize("mode", ["on", "auto"])
@pytest.mark.parametrize("message", [STARTED, {"type": "lifespan.startup.failed", "message": "no"}, None])
def test_what_an_application_says_when_its_start_up_has_been_cancelled_is_too_late(
    mode: str, message: dict[str, Any] | None, logged: Records
) -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if message is None:
                    raise RuntimeError("late") from None
                await send(message)
            finally:
                ended.set()

        starting = asyncio.ensure_future(Lifespan(app, mode).start_up())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await ended.wait()
        await asyncio.sleep(0)

    run(test())
    assert [each for each in logged.records if each.levelname != "DEBUG"] == []
