"""receive() gives the content and then the disconnect, in order, to whoever waits, and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from miniasgi.asgi.body import RequestSide
from miniasgi.types import Message

DISCONNECT = {"type": "http.disconnect"}


class Source:
    """A connection that counts how often content was asked for."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.wanted = 0

    def want_content(self) -> None:
        self.wanted += 1


def request_side() -> tuple[RequestSide, Source]:
    side, source = RequestSide(), Source()
    side.source = source
    return side, source


def content(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """The test, run in a loop of its own and for no longer than it may take."""

    def run() -> None:
        async def bounded() -> None:
            await asyncio.wait_for(test(), 10)

        asyncio.run(bounded())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@in_loop
async def test_a_request_without_content_gives_one_empty_message() -> None:
    side, source = request_side()
    side.content_complete = True
    assert await side.receive() == content(b"", more=False)
    assert source.wanted == 0


@in_loop
async def test_pieces_that_wait_are_given_together() -> None:
    side, source = request_side()
    side.add_content(b"one ")
    side.add_content(b"two ")
    side.add_content(b"three")
    assert side.waiting_octets == 13
    assert await side.receive() == content(b"one two three", more=True)
    assert side.waiting_octets == 0
    assert source.wanted == 1


@in_loop
async def test_the_last_piece_says_that_it_is_the_last() -> None:
    side, source = request_side()
    side.add_content(b"all")
    side.end_content()
    assert await side.receive() == content(b"all", more=False)
    assert source.wanted == 0


@in_loop
async def test_an_end_that_comes_later_is_an_empty_last_message() -> None:
    side, _ = request_side()
    side.add_content(b"all")
    assert await side.receive() == content(b"all", more=True)
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    assert not waiting.done()
    side.end_content()
    assert await waiting == content(b"", more=False)


@in_loop
async def test_receive_asks_for_content_and_waits_without_polling() -> None:
    side, source = request_side()
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    assert (source.wanted, waiting.done()) == (1, False)
    await settle()
    assert source.wanted == 1  # it has not looked again
    side.add_content(b"x")
    assert await waiting == content(b"x", more=True)


@in_loop
async def test_a_piece_alone_is_not_copied() -> None:
    side, _ = request_side()
    piece = bytes(1000)
    side.add_content(piece)
    assert (await side.receive())["body"] is piece


@in_loop
async def test_a_disconnect_is_heard_while_waiting_for_content() -> None:
    side, _ = request_side()
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    side.disconnect()
    assert await waiting == DISCONNECT
    assert await side.receive() == DISCONNECT  # and again, as often as it is asked


@in_loop
async def test_a_disconnect_is_heard_after_all_content() -> None:
    side, source = request_side()
    side.content_complete = True
    await side.receive()
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    assert not waiting.done()
    assert source.wanted == 1  # what the client does is noticed only while the connection reads
    side.disconnect()
    assert await waiting == DISCONNECT


@in_loop
async def test_a_disconnect_while_nobody_reads_is_kept_and_comes_after_what_had_arrived() -> None:
    side, _ = request_side()
    side.add_content(b"half")
    side.disconnect()
    assert await side.receive() == content(b"half", more=True)
    assert await side.receive() == DISCONNECT


@in_loop
async def test_whole_content_is_given_after_a_disconnect_too() -> None:
    side, _ = request_side()
    side.add_content(b"whole")
    side.end_content()
    side.disconnect()
    assert await side.receive() == content(b"whole", more=False)
    assert await side.receive() == DISCONNECT


@in_loop
async def test_two_waiting_tasks_both_hear_a_disconnect() -> None:
    side, _ = request_side()
    side.content_complete = True
    await side.receive()
    waiting = [asyncio.ensure_future(side.receive()) for _ in range(3)]
    await settle()
    side.disconnect()
    assert await asyncio.gather(*waiting) == [DISCONNECT] * 3


@in_loop
async def test_of_two_waiting_tasks_one_gets_a_piece_and_the_other_the_next() -> None:
    side, _ = request_side()
    first, second = (asyncio.ensure_future(side.receive()) for _ in range(2))
    await settle()
    side.add_content(b"one")
    await settle()
    assert (first.done(), second.done()) == (True, False)
    side.add_content(b"two")
    side.end_content()
    assert [await first, await second] == [content(b"one", more=True), content(b"two", more=False)]


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_cancelled_receive_leaves_the_other_one_waiting(cancelled: int) -> None:
    async def run() -> None:
        side, _ = request_side()
        tasks = [asyncio.ensure_future(side.receive()) for _ in range(2)]
        await settle()
        tasks[cancelled].cancel()
        await settle()
        assert tasks[cancelled].cancelled()
        assert not tasks[1 - cancelled].done()
        side.add_content(b"x")
        assert await tasks[1 - cancelled] == content(b"x", more=True)

    asyncio.run(run())


@in_loop
async def test_a_cancelled_receive_loses_nothing() -> None:
    side, _ = request_side()
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    waiting.cancel()
    await settle()
    side.add_content(b"kept")
    assert await side.receive() == content(b"kept", more=True)


@in_loop
async def test_a_receive_that_is_cancelled_just_as_content_arrives_loses_nothing() -> None:
    side, _ = request_side()
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    side.add_content(b"kept")
    waiting.cancel()
    await settle()
    assert waiting.cancelled()
    assert await side.receive() == content(b"kept", more=True)


@in_loop
async def test_asking_again_and_again_with_a_timeout_leaves_nothing_behind() -> None:
    side, _ = request_side()
    for _ in range(100):
        waiting = asyncio.ensure_future(side.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await settle()
    assert side._arrivals == ()
    waiting = asyncio.ensure_future(side.receive())
    await settle()
    side.disconnect()
    assert await waiting == DISCONNECT


@in_loop
async def test_content_is_wanted_again_after_each_piece_until_it_is_complete() -> None:
    side, source = request_side()
    for number in range(1, 4):
        side.add_content(b"x")
        await side.receive()
        assert source.wanted == number
    side.end_content()
    await side.receive()
    assert source.wanted == 3
