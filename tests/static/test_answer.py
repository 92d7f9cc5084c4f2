"""Answers as ASGI messages: whole ones, files that the server sends, files that are read; and work for threads."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from miniasgi.static import answer as module
from miniasgi.static.answer import Answer, OpenFile, Outcome, Work, plain, run_work, then
from miniasgi.types import Message, Receive, Send
from tests.support import descriptors, until

CONTENT = bytes(range(256)) * 800  # 204,800 octets: four pieces
PIECE = 64 * 1024
FIELDS = [(b"content-type", b"text/plain"), (b"content-length", b"204800")]
START = {"type": "http.response.start", "status": 200, "headers": FIELDS}
ZERO_COPY: dict[str, Any] = {"http.response.zerocopysend": {}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def opened(path: Path) -> OpenFile:
    descriptor = os.open(path, os.O_RDONLY)
    return OpenFile(descriptor, os.fstat(descriptor))


def run(test: Coroutine[Any, Any, Any]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 10)

    asyncio.run(bounded())


async def turns() -> None:
    """Let everybody else do what there is to do."""
    for _ in range(5):
        await asyncio.sleep(0)


async def stays() -> Message:
    """receive() of a client that waits for its answer."""
    return await asyncio.get_running_loop().create_future()


class Server:
    """What send() is a method of, under the server itself."""

    takes_files = True

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, message: Message) -> None:
        await self._send(message)


def sent(
    answer: Answer,
    method: str = "GET",
    extensions: dict[str, Any] | None = None,
    receive: Receive = stays,
    after_each: Callable[[], Awaitable[None]] | None = None,
    *,
    wrapped: bool = False,
) -> list[Message]:
    """The messages that are sent; afterwards the file is closed. *wrapped* by something that is not the server."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)
        if after_each is not None:
            await after_each()

    scope: dict[str, Any] = {"type": "http", "method": method}
    if extensions is not None:
        scope["extensions"] = extensions
    run(answer(scope, receive, send if wrapped else Server(send).send))
    assert answer.file is None or answer.file.fileno() == -1
    return messages


def body(content: bytes, more: bool = False) -> Message:
    message: Message = {"type": "http.response.body", "body": content}
    return {**message, "more_body": True} if more else message


# Whole


def test_content_is_one_message() -> None:
    assert sent(Answer(200, FIELDS, b"content")) == [START, body(b"content")]
    assert sent(Answer(200, FIELDS, b"content"), "HEAD") == [START, body(b"")]


def test_the_fields_of_an_answer_that_is_sent_again_are_nobodys_to_change() -> None:
    answer = Answer(200, FIELDS, b"content")
    first = sent(answer)[0]
    first["headers"].append((b"a", b"b"))
    assert sent(answer)[0] == START


def test_an_answer_of_a_few_words() -> None:
    answer = plain(416, [(b"content-range", b"bytes */9")])
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"22"),
        (b"content-range", b"bytes */9"),
    ]
    assert (answer.status, answer.fields, answer.content) == (416, fields, b"Range Not Satisfiable\n")


@pytest.mark.parametrize("extensions", [None, ZERO_COPY])
def test_a_file_is_not_sent_to_head(path: Path, extensions: dict[str, Any] | None) -> None:
    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, len(CONTENT))])
    assert sent(answer, "HEAD", extensions) == [START, body(b"")]


def test_a_file_is_closed_when_the_client_has_gone_before_its_answer_starts(path: Path) -> None:
    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, 1)])

    async def send(message: Message) -> None:
        raise OSError

    with pytest.raises(OSError):
        run(answer({"type": "http", "method": "GET"}, stays, send))
    assert answer.file is not None
    assert answer.file.fileno() == -1


def test_a_file_that_nobody_sends_is_closed_with_its_answer(path: Path) -> None:
    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, 1)])
    assert answer.file is not None
    number = answer.file.fileno()
    assert os.fstat(number).st_size == len(CONTENT)
    del answer
    with pytest.raises(OSError):
        os.fstat(number)


def test_a_file_may_be_closed_twice(path: Path) -> None:
    file = opened(path)
    number = file.fileno()
    file.close()
    again = opened(path)
    assert again.fileno() == number
    file.close()
    assert os.fstat(number).st_size == len(CONTENT)
    again.close()


# By the server


def zero_copy(file: OpenFile, start: int, count: int, more: bool) -> Message:
    kind = "http.response.zerocopysend"
    return {"type": kind, "file": file, "offset": start, "count": count, "more_body": more}


def test_the_server_sends_the_file_where_it_can(path: Path) -> None:
    file = opened(path)
    messages = sent(Answer(200, FIELDS, file=file, parts=[(b"", 5, 1000)]), extensions=ZERO_COPY)
    assert messages == [START, zero_copy(file, 5, 995, False)]


def test_a_file_is_not_handed_to_what_stands_before_the_server(path: Path) -> None:
    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 5, 10)])
    messages = sent(answer, extensions=ZERO_COPY, wrapped=True)
    assert messages == [START, body(CONTENT[5:10], more=True), body(b"")]


def test_the_server_sends_parts_between_octets(path: Path) -> None:
    file = opened(path)
    answer = Answer(206, FIELDS, b"end", file, [(b"one", 0, 10), (b"two", 100, 101)])
    assert sent(answer, extensions=ZERO_COPY) == [
        {**START, "status": 206},
        body(b"one", more=True),
        zero_copy(file, 0, 10, True),
        body(b"two", more=True),
        zero_copy(file, 100, 1, True),
        body(b"end"),
    ]


def test_the_file_is_open_until_the_server_has_sent_it(path: Path) -> None:
    file = opened(path)
    seen = []

    async def look() -> None:
        await asyncio.sleep(0)
        seen.append(os.pread(file.fileno(), 1, 0))

    sent(Answer(200, FIELDS, file=file, parts=[(b"", 0, 1)]), extensions=ZERO_COPY, after_each=look)
    assert seen == [b"\0", b"\0"]


# By reading


def test_a_file_is_read_in_pieces(path: Path) -> None:
    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, len(CONTENT))])
    pieces = [body(CONTENT[start : start + PIECE], more=True) for start in range(0, len(CONTENT), PIECE)]
    assert sent(answer) == [START, *pieces, body(b"")]


def test_parts_are_read_between_octets(path: Path) -> None:
    answer = Answer(206, FIELDS, b"end", opened(path), [(b"one", 1, 3), (b"two", 255, 257)])
    assert sent(answer, extensions={"http.response.pathsend": {}}) == [
        {**START, "status": 206},
        body(b"one", more=True),
        body(b"\1\2", more=True),
        body(b"two", more=True),
        body(b"\xff\0", more=True),
        body(b"end"),
    ]


def test_reading_ends_when_the_client_has_gone(path: Path) -> None:
    told: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}]
    gone = asyncio.Event()
    count = 0

    async def receive() -> Message:
        if len(told) == 1:
            await gone.wait()
        return told.pop()

    async def leave() -> None:
        nonlocal count
        count += 1
        if count == 2:  # after the first piece; servers swallow what is sent to nobody
            gone.set()
        await turns()

    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, len(CONTENT))])
    messages = sent(answer, receive=receive, after_each=leave)
    assert messages == [START, body(CONTENT[:PIECE], more=True)]


def test_reading_ends_though_nobody_makes_it_wait_when_the_client_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(bytes(64 * PIECE))
    messages: list[Message] = []

    async def main() -> None:
        gone = asyncio.Event()

        async def receive() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            # As a server does whose transport takes everything, and learns in the loop's next turn that nobody has it.
            messages.append(message)
            asyncio.get_running_loop().call_soon(gone.set)

        answer = Answer(200, [], file=opened(path), parts=[(b"", 0, 64 * PIECE)])
        await answer({"type": "http", "method": "GET"}, receive, send)

    run(main())
    assert 1 < len(messages) < 20


def test_whoever_cannot_receive_gets_the_file_that_far_and_no_complaint(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def receive() -> Message:
        raise RuntimeError("no more")

    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, len(CONTENT))])
    assert sent(answer, receive=receive)[0] == START
    assert caplog.records == []


@pytest.mark.parametrize("left", [0, 100, PIECE])
def test_a_file_that_is_shorter_than_announced_is_an_error(path: Path, left: int) -> None:
    answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, len(CONTENT))])
    os.truncate(path, left)
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    with pytest.raises(OSError, match=f"^a file ends {len(CONTENT) - left} octets before what was announced$"):
        run(answer({"type": "http", "method": "GET"}, stays, send))
    assert messages == [START, *([body(CONTENT[:left], more=True)] if left else [])]
    assert answer.file is not None
    assert answer.file.fileno() == -1


def cold(descriptor: int, offset: int, count: int) -> bytes:
    raise BlockingIOError


def test_what_a_disk_has_to_give_is_read_in_a_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def read(descriptor: int, offset: int, count: int) -> bytes:
        threads.append(threading.current_thread())
        return os.pread(descriptor, count, offset)

    monkeypatch.setattr(module, "read_cached", cold)
    monkeypatch.setattr(module, "read_any", read)
    before = descriptors()
    answer = Answer(206, FIELDS, b"end", opened(path), [(b"", 0, PIECE + 1)])
    pieces = [body(CONTENT[:PIECE], more=True), body(CONTENT[PIECE : PIECE + 1], more=True)]
    assert sent(answer) == [{**START, "status": 206}, *pieces, body(b"end")]
    assert descriptors() <= before
    assert len(threads) == 2
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("started", [True, False])
def test_whoever_is_cancelled_while_a_thread_reads_leaves_no_descriptor(
    path: Path, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    reading, may_go_on = threading.Event(), threading.Event()
    contents = []

    def read(descriptor: int, offset: int, count: int) -> bytes:
        reading.set()
        assert may_go_on.wait(10)
        contents.append(os.pread(descriptor, count, offset))
        return contents[0]

    monkeypatch.setattr(module, "read_cached", cold)
    monkeypatch.setattr(module, "read_any", read)

    async def main() -> None:
        before = descriptors()
        pool = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(pool)
        if not started:
            pool.submit(may_go_on.wait, 10)
        answer = Answer(200, FIELDS, file=opened(path), parts=[(b"", 0, 10)])

        async def send(message: Message) -> None:
            pass

        task = asyncio.create_task(answer({"type": "http", "method": "GET"}, stays, send))
        await turns()
        if started:
            await until(reading.is_set)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        del task  # with it, the traceback that knows the job's descriptor
        assert answer.file is not None
        assert answer.file.fileno() == -1
        # The number is given away at once: the job has to read from a descriptor of its own.
        other = os.open(os.devnull, os.O_RDONLY)
        may_go_on.set()
        pool.shutdown()
        os.close(other)
        assert contents == ([CONTENT[:10]] if started else [])
        assert descriptors() <= before

    run(main())


# Work


def test_what_comes_to_nothing_goes_on_with_what_is_otherwise() -> None:
    one, two = Answer(200, []), Answer(404, [])
    asked = []

    def otherwise() -> Outcome:
        asked.append(1)
        return two

    assert then(one, otherwise) is one
    assert asked == []
    assert then(None, otherwise) is two
    assert then(None, lambda: None) is None


def test_work_that_comes_to_nothing_goes_on_in_its_pool() -> None:
    one, two = Answer(200, []), Answer(404, [])
    pool = ThreadPoolExecutor(1)
    empty, full = then(Work(lambda: None, pool), lambda: two), then(Work(lambda: one), lambda: two)
    assert isinstance(empty, Work)
    assert isinstance(full, Work)
    assert (empty.run(), empty.pool, full.run(), full.pool) == (two, pool, one, None)
    more = then(Work(lambda: Work(lambda: None)), lambda: two)
    assert isinstance(more, Work)
    again = more.run()
    assert isinstance(again, Work)
    assert again.run() is two
    pool.shutdown()


def test_work_is_done_in_its_pool_until_there_is_an_answer() -> None:
    one = Answer(200, [])
    threads = []

    def work(outcome: Outcome) -> Outcome:
        threads.append(threading.current_thread().name.partition("_")[0])
        return outcome

    async def main() -> None:
        with ThreadPoolExecutor(1, "ours") as pool:
            assert await run_work(Work(lambda: work(Work(lambda: work(one))), pool)) is one
            assert await run_work(one) is one
            assert await run_work(None) is None
            assert await run_work(Work(lambda: None)) is None

    run(main())
    assert threads == ["ours", "asyncio"]
