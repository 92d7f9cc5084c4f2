"""What an application receives over a WebSocket, and how a session ends: closed, lost, or because it fails."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from miniasgi.asgi.websocket import WebSocketExchange
from miniasgi.errors import ClientDisconnected
from miniasgi.types import App, Message, Receive, Scope, Send
from tests.asgi.conftest import Records
from tests.asgi.test_websocket import ACCEPT, BODY, CLOSE, MORE, PLAIN, START, TEXT, Starter, make, run, settle

ACCEPTED = ("accept", None, [])
FAILURE = ("respond", 500, PLAIN, b"Internal Server Error\n")


async def opened() -> tuple[Starter, WebSocketExchange]:
    """A session that is open, and whose application has been told of its client."""
    starter, exchange = make()
    assert await exchange.receive() == {"type": "websocket.connect"}
    await exchange.send(ACCEPT)
    starter.calls.clear()
    return starter, exchange


def disconnect(code: int, reason: str = "") -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


# Receiving


def test_messages_come_in_order_and_make_room_when_they_are_taken() -> None:
    async def test() -> None:
        starter, exchange = await opened()
        for data in ("hello", b"octets", ""):
            exchange.add_message(data)
        assert (exchange.received, exchange.waiting, exchange.waiting_octets) == (3, 3, 11)
        assert await exchange.receive() == {"type": "websocket.receive", "text": "hello"}
        assert (exchange.waiting, exchange.waiting_octets, starter.names) == (2, 6, ["want"])
        assert await exchange.receive() == {"type": "websocket.receive", "bytes": b"octets"}
        assert await exchange.receive() == {"type": "websocket.receive", "text": ""}
        assert (exchange.received, exchange.waiting, exchange.waiting_octets) == (3, 0, 0)
        assert starter.names == ["want"] * 3

    run(test())


def test_a_receiver_waits_for_a_message_and_for_the_end() -> None:
    async def test() -> None:
        _, exchange = await opened()
        receiving = asyncio.ensure_future(exchange.receive())
        await settle()
        assert not receiving.done()
        exchange.add_message("hello")
        assert await receiving == {"type": "websocket.receive", "text": "hello"}
        two = [asyncio.ensure_future(exchange.receive()) for _ in range(2)]
        await settle()
        exchange.end_session(1001, "bye")
        assert [await each for each in two] == [disconnect(1001, "bye")] * 2

    run(test())


def test_one_message_for_two_receivers_is_given_to_one() -> None:
    async def test() -> None:
        _, exchange = await opened()
        two = [asyncio.ensure_future(exchange.receive()) for _ in range(2)]
        await settle()
        exchange.add_message("hello")
        await settle()
        assert [each.done() for each in two] == [True, False]
        exchange.add_message("again")
        assert (await two[1])["text"] == "again"

    run(test())


def test_a_receiver_that_gives_up_takes_no_message_with_it() -> None:
    async def test() -> None:
        _, exchange = await opened()
        one, other = (asyncio.ensure_future(exchange.receive()) for _ in range(2))
        await settle()
        one.cancel()
        await settle()
        assert len(exchange._arrivals) == 1  # else they would pile up for who asks again and again
        exchange.add_message("hello")
        assert (await other)["text"] == "hello"
        assert one.cancelled()

    run(test())


def test_what_has_come_is_given_before_the_end_and_the_end_again_and_again() -> None:
    async def test() -> None:
        starter, exchange = await opened()
        exchange.add_message("last")
        exchange.end_session(1001, "bye")
        exchange.end_session(1006, "")
        assert (await exchange.receive())["text"] == "last"
        assert starter.calls == []  # nobody is there to whom the room would matter
        for _ in range(2):
            assert await exchange.receive() == disconnect(1001, "bye")

    run(test())


@pytest.mark.parametrize("code", [1000, 1005, 1006, 4999])
def test_an_application_is_told_how_its_session_has_ended(code: int) -> None:
    async def test() -> None:
        _, exchange = await opened()
        exchange.end_session(code, "why")
        assert await exchange.receive() == disconnect(code, "why")

    run(test())


def test_an_application_that_has_closed_is_told_what_it_said() -> None:
    async def test() -> None:
        starter, exchange = await opened()
        await exchange.send({**CLOSE, "code": 3000, "reason": "enough"})
        exchange.end_session(1000, "the client's answer")
        assert await exchange.receive() == disconnect(3000, "enough")
        exchange.close(1012)
        assert starter.calls == [("close", 3000, "enough")]

    run(test())


def test_a_client_that_goes_before_it_is_accepted_was_lost() -> None:
    async def test() -> None:
        starter, exchange = make()
        exchange.hang_up()
        assert await exchange.receive() == {"type": "websocket.connect"}
        assert await exchange.receive() == disconnect(1006)
        exchange.close(1012)
        assert starter.calls == []

    run(test())


def test_who_hangs_up_on_an_open_session_ends_it() -> None:
    async def test() -> None:
        _, exchange = await opened()
        exchange.hang_up()
        with pytest.raises(ClientDisconnected):
            await exchange.send(TEXT)
        assert await exchange.receive() == disconnect(1006)

    run(test())


def test_after_a_denial_there_is_nothing_to_wait_for() -> None:
    async def test() -> None:
        _, exchange = make()
        assert await exchange.receive() == {"type": "websocket.connect"}
        receiving = asyncio.ensure_future(exchange.receive())
        await settle()
        await exchange.send(CLOSE)
        assert await receiving == disconnect(1006)

    run(test())


def test_a_close_that_is_not_the_applications_ends_an_open_session_once() -> None:
    async def test() -> None:
        starter, exchange = await opened()
        exchange.close(1012)
        exchange.close(1000)
        assert starter.calls == [("close", 1012, "")]
        assert await exchange.receive() == disconnect(1012)
        with pytest.raises(ClientDisconnected):
            await exchange.send(TEXT)

    run(test())


# The application's end


def sends(*messages: Any, then: BaseException | None = None) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if then is not None:
            raise then

    return app


async def finished(app: App) -> tuple[Starter, WebSocketExchange]:
    starter, exchange = make()
    await exchange.run(app, {})
    assert exchange.done
    return starter, exchange


@pytest.mark.parametrize(
    ("messages", "calls"),
    [
        ((), [FAILURE]),
        ((START,), [FAILURE]),
        ((START, MORE), [("start_response", 401, [(b"a", b"b")]), ("write_body", b"piece", True), ("abort",)]),
        ((START, BODY), [("respond", 401, [(b"a", b"b")], b"end")]),
        ((CLOSE,), [("respond", 403, PLAIN, b"Forbidden\n")]),
        ((ACCEPT,), [ACCEPTED, ("close", 1011, "")]),
        ((ACCEPT, TEXT), [ACCEPTED, ("message", "hello"), ("close", 1011, "")]),
        ((ACCEPT, CLOSE), [ACCEPTED, ("close", 1000, "")]),
    ],
    ids=lambda value: " ".join(str(each.get("type")) for each in value) if isinstance(value, tuple) else "",
)
def test_an_application_that_fails_is_logged_once_and_its_client_told(
    logged: Records, messages: tuple[Message, ...], calls: list[Any]
) -> None:
    async def test() -> None:
        starter, _ = await finished(sends(*messages, then=ValueError("oops")))
        assert [call for call in starter.calls if call[0] != "finished"] == calls

    run(test())
    (error,) = logged.errors
    assert error.endswith("ValueError('oops')")
    assert (" in an open WebSocket / " in error) is (ACCEPT in messages and CLOSE not in messages)
    assert (" after its WebSocket was closed / " in error) is (ACCEPT in messages and CLOSE in messages)
    assert "'http.response.body'" not in error


@pytest.mark.parametrize("gone", [False, True])
def test_an_application_that_is_cancelled_by_others_than_the_server_is_logged(logged: Records, gone: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await asyncio.get_running_loop().create_future()

    async def test() -> None:
        starter, exchange = make()
        running = asyncio.ensure_future(exchange.run(app, {}))
        await settle()
        if gone:
            exchange.hang_up()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert starter.calls == [ACCEPTED] if gone else [ACCEPTED, ("close", 1011, "")]

    run(test())
    assert [" cancelled in an open WebSocket / " in error for error in logged.errors] == [True] * (not gone)


@pytest.mark.parametrize("messages", [(), (START,), (START, MORE)], ids=["nothing", "a start", "half of it"])
def test_an_application_that_returns_without_an_answer_is_logged(
    logged: Records, messages: tuple[Message, ...]
) -> None:
    async def test() -> None:
        starter, _ = await finished(sends(*messages))
        assert starter.calls[-2:-1] == [FAILURE] if len(messages) < 2 else starter.names[-1] == "abort"

    run(test())
    (error,) = logged.errors
    how = " before its response was complete" if len(messages) == 2 else " without an answer to the handshake"
    assert error.startswith(f'"GET / HTTP/1.1": the application returned{how}, expected ')


def test_an_application_may_give_up_on_a_client_that_has_gone_before_its_handshake_is_answered(logged: Records) -> None:
    async def test() -> None:
        starter, exchange = make()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["type"] != "websocket.disconnect":
                exchange.disconnect()

        await exchange.run(app, {})
        assert starter.names == ["abort"]

    run(test())
    assert logged.records == []


def test_the_log_says_what_a_handshake_is_answered_with(logged: Records) -> None:
    run(finished(sends()))
    (error,) = logged.errors
    assert "'websocket.accept'" in error
    assert "'http.response.start'" not in error


@pytest.mark.parametrize(
    ("messages", "calls"),
    [
        ((ACCEPT,), [ACCEPTED, ("close", 1000, "")]),
        ((ACCEPT, TEXT), [ACCEPTED, ("message", "hello"), ("close", 1000, "")]),
        ((ACCEPT, {**CLOSE, "code": 3000}), [ACCEPTED, ("close", 3000, "")]),
        ((ACCEPT, CLOSE, CLOSE), [ACCEPTED, ("close", 1000, "")]),
        ((START, BODY), [("respond", 401, [(b"a", b"b")], b"end"), ("finished",)]),
    ],
    ids=["accepted", "spoken", "closed", "closed twice", "denied"],
)
def test_an_application_that_returns_has_said_all(logged: Records, messages: Any, calls: list[Any]) -> None:
    async def test() -> None:
        starter, _ = await finished(sends(*messages))
        assert starter.calls == calls

    run(test())
    assert logged.errors == []


async def goes_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends whatever happens."""
    await send(ACCEPT)
    assert (await receive())["type"] == "websocket.connect"
    assert (await receive())["type"] == "websocket.disconnect"
    await send(TEXT)


async def fails_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Makes something of its own of what it is told."""
    try:
        await goes_on(scope, receive, send)
    except OSError:
        raise RuntimeError("gone") from None


@pytest.mark.parametrize(("app", "lines"), [(goes_on, 0), (fails_late, 1)])
def test_an_application_that_fails_because_its_client_has_gone_is_no_error(
    logged: Records, app: App, lines: int
) -> None:
    async def test() -> None:
        starter, exchange = make()
        running = asyncio.ensure_future(exchange.run(app, {}))
        await settle()
        exchange.end_session(1006, "")
        await running
        assert starter.calls == [ACCEPTED]

    run(test())
    assert logged.errors == []
    assert [record.levelno for record in logged.records] == [logging.INFO] * lines


async def cancelled(app: App) -> Starter:
    starter, exchange = make()
    running = asyncio.ensure_future(exchange.run(app, {}))
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return starter


def test_a_session_whose_application_is_cancelled_is_closed() -> None:
    async def test() -> None:
        assert (await cancelled(goes_on)).calls == [ACCEPTED, ("close", 1011, "")]

    run(test())


def test_a_handshake_whose_application_is_cancelled_is_answered(logged: Records) -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        assert (await cancelled(waits)).calls == [FAILURE, ("finished",)]

    run(test())
    assert len(logged.errors) == 1
