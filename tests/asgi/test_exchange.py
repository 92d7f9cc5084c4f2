"""What an application may send, and when; what becomes of it when it fails; files, trailers and hints."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from miniasgi.asgi.exchange import Exchange
from miniasgi.errors import ApplicationError, ClientDisconnected
from miniasgi.http1.head import RequestHead
from miniasgi.types import App, Message, Receive, Scope, Send
from tests.asgi.conftest import Records
from tests.asgi.writer import RecordingWriter, head

FIELDS = [(b"content-type", b"text/plain")]
START: Message = {"type": "http.response.start", "status": 200, "headers": FIELDS}
START_TRAILERS: Message = {**START, "trailers": True}
BODY: Message = {"type": "http.response.body", "body": b"end"}
MORE: Message = {"type": "http.response.body", "body": b"piece", "more_body": True}
HINT: Message = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
TRAILERS: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}
NAVIGATION = (b"sec-fetch-mode", b"navigate")
FAILURE = ("respond", 500, [(b"content-type", b"text/plain; charset=utf-8")], b"Internal Server Error\n")


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 10)

    asyncio.run(bounded())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def run_app(app: App, request: RequestHead | None = None) -> tuple[RecordingWriter, Exchange]:
    writer = RecordingWriter()
    exchange = Exchange(writer, request or head())
    await exchange.run(app, {})
    return writer, exchange


def sends(*messages: Any) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


@pytest.fixture
def file() -> Any:
    with tempfile.NamedTemporaryFile() as opened:
        opened.write(b"0123456789")
        opened.flush()
        opened.seek(0)
        yield opened


# Order: each state, each kind of message

STATES: dict[str, tuple[Message, ...]] = {
    "UNSTARTED": (),
    "HELD": (START,),
    "HELD, with trailers": (START_TRAILERS,),
    "STREAMING": (START, MORE),
    "STREAMING, with trailers": (START_TRAILERS, MORE),
    "TRAILERS": (START_TRAILERS, BODY),
    "COMPLETE": (START, BODY),
    "COMPLETE, with trailers": (START_TRAILERS, BODY, TRAILERS),
}

KINDS: dict[str, Message] = {
    "start": START,
    "body": BODY,
    "more body": MORE,
    "hint": HINT,
    "path": {"type": "http.response.pathsend", "path": "set by the test"},
    "file": {"type": "http.response.zerocopysend", "file": "set by the test"},
    "more file": {"type": "http.response.zerocopysend", "file": "set by the test", "more_body": True},
    "trailers": TRAILERS,
    "more trailers": {**TRAILERS, "more_trailers": True},
    "debug": {"type": "http.response.debug", "info": {}},
    "push": {"type": "http.response.push", "path": "/a.css", "headers": []},
    "request": {"type": "http.request", "body": b""},
    "disconnect": {"type": "http.disconnect"},
    "accept": {"type": "websocket.accept"},
    "lifespan": {"type": "lifespan.startup.complete"},
    "nothing": {"type": ""},
    "None": {"type": None},
}

# What each message that may come makes the connection do. All others are refused.
ALLOWED: dict[tuple[str, str], list[str]] = {
    ("UNSTARTED", "start"): [],
    ("UNSTARTED", "hint"): ["informational"],
    ("HELD", "body"): ["respond", "finished"],
    ("HELD", "more body"): ["start_response", "write_body"],
    ("HELD", "hint"): ["informational"],
    ("HELD", "path"): ["start_response", "write_file", "write_body", "finished"],
    ("HELD", "file"): ["start_response", "write_file", "write_body", "finished"],
    ("HELD", "more file"): ["start_response", "write_file"],
    ("HELD, with trailers", "body"): ["start_response", "write_body"],
    ("HELD, with trailers", "more body"): ["start_response", "write_body"],
    ("HELD, with trailers", "hint"): ["informational"],
    ("HELD, with trailers", "path"): ["start_response", "write_file"],
    ("HELD, with trailers", "file"): ["start_response", "write_file"],
    ("HELD, with trailers", "more file"): ["start_response", "write_file"],
    ("STREAMING", "body"): ["write_body", "finished"],
    ("STREAMING", "more body"): ["write_body"],
    ("STREAMING", "hint"): [],
    ("STREAMING", "file"): ["write_file", "write_body", "finished"],
    ("STREAMING", "more file"): ["write_file"],
    ("STREAMING, with trailers", "body"): ["write_body"],
    ("STREAMING, with trailers", "more body"): ["write_body"],
    ("STREAMING, with trailers", "hint"): [],
    ("STREAMING, with trailers", "file"): ["write_file"],
    ("STREAMING, with trailers", "more file"): ["write_file"],
    ("TRAILERS", "trailers"): ["write_trailers", "finished"],
    ("TRAILERS", "more trailers"): [],
}

EXPECTED = {
    "UNSTARTED": "'http.response.start'",
    "HELD": "'http.response.body'",
    "STREAMING": "'http.response.body'",
    "TRAILERS": "'http.response.trailers'",
    "COMPLETE": "nothing more: the response is complete",
}


async def reach(state: str) -> tuple[RecordingWriter, Exchange]:
    writer = RecordingWriter()
    exchange = Exchange(writer, head(b"GET / HTTP/1.1", NAVIGATION))
    for message in STATES[state]:
        await exchange.send(message)
    writer.calls.clear()
    return writer, exchange


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES)
def test_a_message_is_taken_or_refused_with_what_was_found_and_expected(state: str, kind: str, file: Any) -> None:
    message = dict(KINDS[kind])
    message.update({"path": file.name} if "path" in message else {"file": file} if "file" in message else {})

    async def test() -> None:
        writer, exchange = await reach(state)
        if (state, kind) in ALLOWED:
            await exchange.send(message)
            assert writer.names == ALLOWED[state, kind]
            return
        with pytest.raises(ApplicationError) as raised:
            await exchange.send(message)
        assert str(raised.value) == f"{message['type']!r} sent, expected {EXPECTED[state.partition(',')[0]]}"
        assert writer.calls == []

    run(test())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES)
def test_after_a_disconnect_each_message_is_answered_with_an_os_error(state: str, kind: str) -> None:
    async def test() -> None:
        writer, exchange = await reach(state)
        exchange.hang_up()
        with pytest.raises(OSError, match="the client has gone") as raised:
            await exchange.send(KINDS[kind])
        assert type(raised.value) is ClientDisconnected
        assert writer.calls == []

    run(test())


@pytest.mark.parametrize("state", [state for state in STATES if not state.startswith("COMPLETE")])
def test_an_application_that_returns_too_early_is_answered_for(state: str, logged: Records) -> None:
    async def test() -> None:
        writer, exchange = await run_app(sends(*STATES[state]))
        started = "start_response" in writer.names
        assert exchange.done
        if started:
            assert writer.names[-1] == "abort"
            when = "before its response was complete"
        else:
            assert writer.calls == [FAILURE, ("finished",)]
            when = "without a response"
        assert logged.errors == [
            f'"GET / HTTP/1.1": the application returned {when}, expected {EXPECTED[state.partition(",")[0]]}'
        ]

    run(test())


@pytest.mark.parametrize("state", STATES)
def test_an_application_that_raises_is_logged_and_its_request_answered(state: str, logged: Records) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(*STATES[state])(scope, receive, send)
        raise ValueError("broken")

    async def test() -> None:
        writer, _ = await run_app(app)
        complete = state.startswith("COMPLETE")
        if complete:
            assert writer.names[-1] == "finished"
        elif "start_response" in writer.names:
            assert writer.names[-1] == "abort"
        else:
            assert writer.calls == [FAILURE, ("finished",)]
        assert len(logged.errors) == 1
        assert logged.errors[0].startswith('"GET / HTTP/1.1": the application failed ')
        assert logged.errors[0].endswith(" / ValueError('broken')")
        assert ("after its response" in logged.errors[0]) == complete

    run(test())


def test_a_message_after_the_response_was_cut_is_answered_with_an_os_error() -> None:
    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.run(sends(START, MORE), {})
        assert writer.names[-1] == "abort"
        with pytest.raises(OSError):
            await exchange.send(BODY)

    run(test())


# What a response consists of


def test_the_usual_response_is_one_call() -> None:
    async def test() -> None:
        writer, exchange = await run_app(sends(START, BODY))
        assert writer.calls == [("respond", 200, FIELDS, b"end"), ("finished",)]
        assert exchange.response_started

    run(test())


def test_body_and_headers_may_be_left_out() -> None:
    async def test() -> None:
        messages = {"type": "http.response.start", "status": 204}, {"type": "http.response.body"}
        writer, _ = await run_app(sends(*messages))
        assert writer.calls == [("respond", 204, [], b""), ("finished",)]

    run(test())


def test_the_head_is_held_until_the_first_body() -> None:
    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.send(START)
        assert (writer.calls, exchange.response_started) == ([], False)
        await exchange.send({"type": "http.response.body", "more_body": True})
        assert writer.calls == [("start_response", 200, FIELDS), ("write_body", b"", True)]
        assert exchange.response_started

    run(test())


def test_headers_may_be_any_iterable() -> None:
    async def test() -> None:
        writer, _ = await run_app(sends({**START, "headers": (field for field in FIELDS)}, BODY))
        assert writer.calls[0] == ("respond", 200, FIELDS, b"end")

    run(test())


def test_a_body_that_may_change_is_copied() -> None:
    async def test() -> None:
        body = bytearray(b"as sent")
        writer = RecordingWriter()
        written: list[object] = []
        writer.write_body = lambda exchange, data, more: written.append(data)  # type: ignore[method-assign]
        exchange = Exchange(writer, head())
        await exchange.send(START)
        await exchange.send({"type": "http.response.body", "body": body, "more_body": True})
        await exchange.send({"type": "http.response.body", "body": memoryview(body), "more_body": True})
        body[:] = b"changed"
        assert written == [b"as sent", b"as sent"]

    run(test())


def test_the_length_of_a_body_is_in_octets_whatever_its_items_are() -> None:
    async def test() -> None:
        body = memoryview(b"0123456789ab").cast("I")
        writer, _ = await run_app(sends(START, {**BODY, "body": body}))
        assert writer.calls[0] == ("respond", 200, FIELDS, b"0123456789ab")

    run(test())


def test_receive_gives_a_disconnect_after_the_response() -> None:
    async def test() -> None:
        got: list[Message] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            waiting = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            await send(START)
            await send(BODY)
            got.extend([await waiting, await receive()])

        await run_app(app)
        assert got == [{"type": "http.disconnect"}] * 2

    run(test())


LARGE = bytes(range(256)) * 2500  # 640,000 octets: two and a half slices


def test_a_large_body_is_written_in_slices_and_no_faster_than_the_client_takes_them() -> None:
    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.send(START)
        writer.write_paused = True
        sending = asyncio.ensure_future(exchange.send({**BODY, "body": LARGE}))
        await settle()
        assert writer.names == ["start_response", "write_body", "drain"]
        writer.drains[-1].set_result(None)
        await settle()
        assert writer.names[3:] == ["write_body", "drain"]
        writer.drains[-1].set_result(None)
        await sending
        assert writer.names[5:] == ["write_body", "finished"]
        pieces = [call[1:] for call in writer.calls if call[0] == "write_body"]
        assert [more for _, more in pieces] == [True, True, False]
        assert b"".join(data for data, _ in pieces) == LARGE
        assert all(len(data) <= 262144 for data, _ in pieces)

    run(test())


@pytest.mark.parametrize("declared", [False, True])
def test_a_large_body_that_is_whole_has_its_length_declared_once(declared: bool) -> None:
    async def test() -> None:
        length = [(b"Content-Length", b"640000")]
        fields = FIELDS + length if declared else FIELDS
        writer, _ = await run_app(sends({**START, "headers": fields}, {**BODY, "body": LARGE}))
        names = [name.lower() for name, _ in writer.calls[0][2]]
        assert names.count(b"content-length") == 1
        assert writer.calls[0][2][-1][1] == b"640000"

    run(test())


def test_a_sender_waits_after_each_piece_for_a_client_that_is_slow() -> None:
    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.send(START)
        writer.write_paused = True
        sending = asyncio.ensure_future(exchange.send(MORE))
        await settle()
        assert not sending.done()
        writer.drains[-1].set_result(None)
        await sending

    run(test())


def test_the_last_piece_waits_for_nobody() -> None:
    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.send(START)
        await exchange.send(MORE)
        writer.write_paused = True
        await exchange.send(BODY)
        assert writer.names[-1] == "finished"

    run(test())


def test_a_sender_that_waits_for_a_client_hears_that_it_has_gone() -> None:
    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.send(START)
        writer.write_paused = True
        for body in (MORE, {**MORE, "body": LARGE}):
            exchange.gone = False
            sending = asyncio.ensure_future(exchange.send(body))
            await settle()
            exchange.hang_up()
            writer.drains[-1].set_result(None)
            with pytest.raises(OSError):
                await sending

    run(test())


# Early hints and trailers


@pytest.mark.parametrize(
    ("line", "fields", "sent"),
    [
        (b"GET / HTTP/1.1", (NAVIGATION,), True),
        (b"GET / HTTP/1.1", (), False),
        (b"GET / HTTP/1.1", ((b"sec-fetch-mode", b"cors"),), False),
        (b"GET / HTTP/1.0", (NAVIGATION,), False),
    ],
)
def test_early_hints_go_to_clients_that_take_them(
    line: bytes, fields: tuple[tuple[bytes, bytes], ...], sent: bool
) -> None:
    async def test() -> None:
        links = [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]
        writer, _ = await run_app(sends({**HINT, "links": iter(links)}, START, HINT, BODY), head(line, *fields))
        hints = [
            ("informational", 103, [(b"link", link) for link in links]),
            ("informational", 103, [(b"link", b"</a.css>; rel=preload")]),
        ]
        assert writer.calls[:-2] == (hints if sent else [])
        assert writer.names[-2:] == ["respond", "finished"]

    run(test())


def test_trailers_in_several_messages_are_sent_together() -> None:
    async def test() -> None:
        more: Message = {"type": "http.response.trailers", "headers": [[b"x-a", b"1"]], "more_trailers": True}
        writer, _ = await run_app(sends(START_TRAILERS, BODY, more, TRAILERS))
        assert writer.calls[1:] == [
            ("write_body", b"end", True),
            ("write_trailers", [[b"x-a", b"1"], (b"x-sum", b"1")]),
            ("finished",),
        ]

    run(test())


def test_trailers_may_be_empty() -> None:
    async def test() -> None:
        writer, _ = await run_app(sends(START_TRAILERS, BODY, {"type": "http.response.trailers"}))
        assert writer.calls[-2:] == [("write_trailers", []), ("finished",)]

    run(test())


# Files


async def send_file(*messages: Message) -> list[bytes]:
    """What has been read of the file by a response of *messages*."""
    writer, _ = await run_app(sends(START, *messages))
    assert writer.names[-2:] == ["write_body", "finished"]
    return [call[1] for call in writer.calls if call[0] == "write_file"]


def zerocopy(file: object, **more: object) -> Message:
    return {"type": "http.response.zerocopysend", "file": file, **more}


def test_a_path_is_sent_with_its_length(file: Any) -> None:
    async def test() -> None:
        writer, _ = await run_app(sends(START, {"type": "http.response.pathsend", "path": file.name}))
        assert writer.calls == [
            ("start_response", 200, [*FIELDS, (b"content-length", b"10")]),
            ("write_file", b"0123456789"),
            ("write_body", b"", False),
            ("finished",),
        ]

    run(test())


def test_the_length_that_an_application_declares_for_a_path_is_left(file: Any) -> None:
    async def test() -> None:
        start = {**START, "headers": (field for field in [(b"Content-Length", b"10")])}
        writer, _ = await run_app(sends(start, {"type": "http.response.pathsend", "path": file.name}))
        assert writer.calls[0] == ("start_response", 200, [(b"Content-Length", b"10")])

    run(test())


def test_a_relative_path_is_taken_as_frameworks_hand_them_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.html").write_bytes(b"page")
    monkeypatch.chdir(tmp_path)

    async def test() -> None:
        assert await send_file({"type": "http.response.pathsend", "path": "page.html"}) == [b"page"]

    run(test())


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("missing", "No such file or directory"),
        ("", "regular file"),  # the directory itself
        ("fifo", "regular file"),
        (None, "expected a file"),
        (1.5, "expected a file"),
        ("nul\0", "expected a file"),
    ],
)
def test_a_path_that_is_no_file_is_the_applications_fault(
    what: Any, found: str, tmp_path: Path, logged: Records
) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def test() -> None:
        path = str(tmp_path / what) if isinstance(what, str) else what
        writer, _ = await run_app(sends(START, {"type": "http.response.pathsend", "path": path}))
        assert writer.calls == [FAILURE, ("finished",)]
        assert len(logged.errors) == 1
        assert "ApplicationError" in logged.errors[0]
        assert found in logged.errors[0]

    run(test())


def test_a_path_leaves_no_descriptor_open(file: Any, tmp_path: Path) -> None:
    async def test() -> None:
        before = len(os.listdir("/dev/fd"))
        await run_app(sends(START, {"type": "http.response.pathsend", "path": file.name}))
        await run_app(sends(START, {"type": "http.response.pathsend", "path": str(tmp_path)}))
        assert len(os.listdir("/dev/fd")) == before

    run(test())


def test_a_part_of_a_file_is_sent(file: Any) -> None:
    async def test() -> None:
        assert await send_file(zerocopy(file, offset=2, count=3)) == [b"234"]
        assert await send_file(zerocopy(file, offset=7)) == [b"789"]
        assert await send_file(zerocopy(file, offset=20)) == [b""]
        assert await send_file(zerocopy(file, offset=0, count=0)) == [b""]
        assert file.tell() == 0

    run(test())


def test_a_descriptor_is_as_good_as_a_file_object(file: Any) -> None:
    async def test() -> None:
        assert await send_file(zerocopy(file.fileno(), offset=2, count=3)) == [b"234"]
        assert await send_file(zerocopy(file.fileno())) == [b"0123456789"]

    run(test())


@pytest.mark.parametrize("kind", ["object", "descriptor"])
def test_without_an_offset_a_file_is_sent_from_its_position_which_moves_on(kind: str, file: Any) -> None:
    async def test() -> None:
        opened = file if kind == "object" else file.fileno()
        parts = zerocopy(opened, count=2, more_body=True), zerocopy(opened, count=3, more_body=True), zerocopy(opened)
        assert await send_file(*parts) == [b"01", b"234", b"56789"]

    run(test())


def test_the_position_of_a_file_object_counts_and_not_how_far_it_has_read_ahead(file: Any) -> None:
    with open(file.name, "rb") as opened:
        assert opened.read(4) == b"0123"

        async def test() -> None:
            assert await send_file(zerocopy(opened, count=2)) == [b"45"]

        run(test())
        assert opened.read() == b"6789"


def test_bodies_and_files_may_be_mixed(file: Any) -> None:
    async def test() -> None:
        writer, _ = await run_app(sends(START, MORE, zerocopy(file, offset=0, more_body=True), MORE, BODY))
        assert [call[:2] for call in writer.calls[1:]] == [
            ("write_body", b"piece"),
            ("write_file", b"0123456789"),
            ("write_body", b"piece"),
            ("write_body", b"end"),
            ("finished",),
        ]

    run(test())


class Closed:
    def fileno(self) -> int:
        raise ValueError("I/O operation on closed file")


class Unseekable:
    def __init__(self, file: Any) -> None:
        self.fileno = file.fileno


@pytest.mark.parametrize(
    "make",
    [
        lambda file: {"type": "http.response.zerocopysend"},
        lambda file: zerocopy(None),
        lambda file: zerocopy(file.name),
        lambda file: zerocopy(__import__("io").BytesIO(b"x")),
        lambda file: zerocopy(Closed()),
        lambda file: zerocopy(Unseekable(file)),
        lambda file: zerocopy(1 << 20),
        lambda file: zerocopy(-1),
        lambda file: zerocopy(file, offset=-1),
        lambda file: zerocopy(file, offset="0"),
        lambda file: zerocopy(file, count=-1),
        lambda file: zerocopy(file, count=1.5),
    ],
)
def test_what_is_no_part_of_a_file_is_the_applications_fault(
    make: Callable[[Any], Message], file: Any, logged: Records
) -> None:
    async def test() -> None:
        writer, _ = await run_app(sends(START, make(file)))
        assert writer.calls == [FAILURE, ("finished",)]
        assert len(logged.errors) == 1
        assert "ApplicationError" in logged.errors[0]

    run(test())


def test_a_client_that_goes_during_a_file_is_told_as_always(file: Any) -> None:
    async def test() -> None:
        for message in (zerocopy(file), {"type": "http.response.pathsend", "path": file.name}):
            writer = RecordingWriter()
            exchange = Exchange(writer, head())

            async def write_file(sender: Exchange, *_: int) -> None:
                sender.hang_up()

            writer.write_file = write_file  # type: ignore[method-assign, assignment]
            await exchange.send(START)
            with pytest.raises(OSError):
                await exchange.send(message)
            assert writer.names == ["start_response"]

    run(test())


# Ends


async def waits_for_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def sends_after_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    await waits_for_disconnect(scope, receive, send)
    await send(START)


async def passes_on_an_os_error(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await sends_after_disconnect(scope, receive, send)
    except OSError as error:
        raise ConnectionAbortedError("gone") from error


async def turns_it_into_an_error_of_its_own(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await sends_after_disconnect(scope, receive, send)
    except OSError:
        raise RuntimeError("no connection") from None


async def sends_from_a_group(scope: Scope, receive: Receive, send: Send) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(sends_after_disconnect(scope, receive, send))


@pytest.mark.parametrize(
    "app",
    [
        waits_for_disconnect,
        sends_after_disconnect,
        passes_on_an_os_error,
        turns_it_into_an_error_of_its_own,
        sends_from_a_group,
    ],
)
@pytest.mark.parametrize("state", ["UNSTARTED", "HELD", "STREAMING", "TRAILERS"])
def test_a_disconnect_is_no_error(state: str, app: App, logged: Records) -> None:
    async def test() -> None:
        async def begins(scope: Scope, receive: Receive, send: Send) -> None:
            await sends(*STATES[state])(scope, receive, send)
            await app(scope, receive, send)

        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        exchange.content_complete = True
        running = asyncio.ensure_future(exchange.run(begins, {}))
        await settle()
        calls = list(writer.calls)
        exchange.hang_up()
        await running
        assert (exchange.done, writer.calls) == (True, calls)
        assert [record for record in logged.records if record.levelname not in ("DEBUG", "INFO")] == []

    run(test())


async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
    await waits_for_disconnect(scope, receive, send)
    raise asyncio.CancelledError


async def fails_when_told(scope: Scope, receive: Receive, send: Send) -> None:
    await waits_for_disconnect(scope, receive, send)
    raise ValueError("nobody is there")


@pytest.mark.parametrize("state", ["UNSTARTED", "HELD", "STREAMING", "TRAILERS"])
@pytest.mark.parametrize("app", [waits_for_disconnect, gives_up, fails_when_told])
def test_an_application_may_give_up_on_a_client_that_has_closed_its_side(state: str, app: App, logged: Records) -> None:
    async def test() -> None:
        async def begins(scope: Scope, receive: Receive, send: Send) -> None:
            await sends(*STATES[state])(scope, receive, send)
            await app(scope, receive, send)

        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        exchange.content_complete = True
        running = asyncio.ensure_future(exchange.run(begins, {}))
        await settle()
        writer.calls.clear()
        exchange.disconnect()
        await asyncio.wait([running])
        answered = app is fails_when_told and state in ("UNSTARTED", "HELD")
        assert writer.calls == ([FAILURE, ("finished",)] if answered else [("abort",)])
        levels = [record.levelname for record in logged.records]
        assert levels == (["INFO"] if app is fails_when_told else [])

    run(test())


def test_a_failure_after_the_response_is_logged_also_if_the_disconnect_that_follows_it_is_known(
    logged: Records,
) -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await sends(START, BODY)(scope, receive, send)
            await fails_when_told(scope, receive, send)

        await run_app(app)
        assert logged.errors == [
            "\"GET / HTTP/1.1\": the application failed after its response / ValueError('nobody is there')"
        ]

    run(test())


@pytest.mark.parametrize("state", ["UNSTARTED", "HELD", "STREAMING", "TRAILERS"])
def test_an_application_that_leaves_without_having_been_told_is_no_better_for_a_client_that_has_closed_its_side(
    state: str, logged: Records
) -> None:
    async def test() -> None:
        async def leaves(scope: Scope, receive: Receive, send: Send) -> None:
            await sends(*STATES[state])(scope, receive, send)
            exchange.disconnect()

        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        await exchange.run(leaves, {})
        assert writer.names[-1] == ("finished" if state in ("UNSTARTED", "HELD") else "abort")
        assert len(logged.errors) == 1

    run(test())


@pytest.mark.parametrize("state", ["UNSTARTED", "HELD", "STREAMING", "COMPLETE"])
@pytest.mark.parametrize("exit", [SystemExit(3), KeyboardInterrupt()], ids=["SystemExit", "KeyboardInterrupt"])
def test_an_application_may_end_the_process_and_its_request_is_answered_first(state: str, exit: BaseException) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(*STATES[state])(scope, receive, send)
        raise exit

    async def test() -> None:
        writer = RecordingWriter()
        exchange = Exchange(writer, head())
        loop = asyncio.get_running_loop()
        soon: list[tuple[Any, ...]] = []
        writer.loop = cast(Any, type("Loop", (), {"call_soon": lambda self, *call: soon.append(call)})())
        await exchange.run(app, {})
        assert exchange.done
        writer.loop = loop
        ((callback, *arguments),) = soon
        with pytest.raises(type(exit)):
            callback(*arguments)  # by hand: a loop would end with it
        last = {"UNSTARTED": "finished", "HELD": "finished", "STREAMING": "abort", "COMPLETE": "finished"}
        assert writer.names[-1] == last[state]

    run(test())


def test_a_client_that_goes_while_a_file_is_sent_is_no_error_though_its_connection_has_not_been_told(
    file: Any, logged: Records
) -> None:
    async def test() -> None:
        async def write_file(exchange: Exchange, file: int, offset: int, count: int) -> None:
            raise ClientDisconnected("the client has gone")

        for message in (KINDS["path"] | {"path": file.name}, KINDS["file"] | {"file": file}):
            writer = RecordingWriter()
            writer.write_file = write_file  # type: ignore[method-assign]
            exchange = Exchange(writer, head())
            await exchange.run(sends(START, message), {})
            assert (exchange.gone, writer.names, logged.errors) == (True, ["start_response"], [])

    run(test())


def test_a_coroutine_that_is_closed_answers_nothing() -> None:
    async def test() -> None:
        async def waits(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.sleep(3600)

        writer = RecordingWriter()
        running = Exchange(writer, head()).run(waits, {})
        running.send(None)
        running.close()
        assert writer.calls == []

    run(test())


async def cancelled(state: str, *, gone: bool) -> RecordingWriter:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(*STATES[state])(scope, receive, send)
        await asyncio.get_running_loop().create_future()

    writer = RecordingWriter()
    exchange = Exchange(writer, head())
    task = exchange.task = asyncio.ensure_future(exchange.run(app, {}))
    await settle()
    writer.calls.clear()
    if gone:
        exchange.hang_up()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.done
    return writer


@pytest.mark.parametrize("state", ["UNSTARTED", "HELD", "STREAMING"])
def test_a_cancelled_application_is_answered_for_and_logged(state: str, logged: Records) -> None:
    async def test() -> None:
        writer = await cancelled(state, gone=False)
        assert writer.names == (["abort", "ended"] if state == "STREAMING" else ["respond", "finished", "ended"])
        assert len(logged.errors) == 1
        assert "the application was cancelled" in logged.errors[0]

    run(test())


@pytest.mark.parametrize(("state", "gone"), [("UNSTARTED", True), ("STREAMING", True), ("COMPLETE", False)])
def test_cancelling_what_has_no_client_left_is_quiet(state: str, gone: bool, logged: Records) -> None:
    async def test() -> None:
        assert (await cancelled(state, gone=gone)).names == ["ended"]
        assert logged.messages == []

    run(test())


def test_what_is_not_asgi_3_is_answered_for(logged: Records) -> None:
    def two_callables(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
        raise AssertionError("called with one argument")

    async def test() -> None:
        writer, _ = await run_app(two_callables)  # type: ignore[arg-type]  # what the test is about
        assert writer.calls == [FAILURE, ("finished",)]
        assert "TypeError" in logged.errors[0]

    run(test())
