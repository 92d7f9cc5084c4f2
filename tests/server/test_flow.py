"""Senders wait while a transport is full; a client that takes nothing is told from one that takes little."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine
from math import inf
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.http1.parsers import load
from miniasgi.server.connections.flow import Flow
from miniasgi.server.service import TICK_SECONDS, Service
from miniasgi.testing import FakeTransport
from tests.server.apps import hello
from tests.support import Clock


class Full(FakeTransport):
    """A transport with octets that its client has not taken."""

    def __init__(self, octets: int) -> None:
        super().__init__()
        self.buffer_size = octets


def make(octets: int = 1000) -> tuple[Flow, Full, Clock]:
    """A flow whose clients have 30 seconds to take something."""
    clock = Clock()
    loop = asyncio.get_running_loop()
    flow = Flow(Service(hello, Config(timeout_write=30.0), loop, load("handwritten"), clock=clock))
    flow.transport = transport = Full(octets)
    return flow, transport, clock


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 10)

    asyncio.run(bounded())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_end_of_what_is_sent_is_told_to_who_is_there() -> None:
    async def test() -> None:
        flow, transport, _ = make()
        assert flow.write_end()
        assert (transport.eof_written, transport.aborted) == (True, False)

    run(test())


def test_who_has_gone_is_found_out_by_telling_the_end() -> None:
    def write_eof() -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async def test() -> None:
        flow, transport, _ = make()
        transport.write_eof = write_eof  # type: ignore[method-assign]
        assert not flow.write_end()
        assert transport.aborted

    run(test())


def test_nobody_waits_where_there_is_room() -> None:
    async def test() -> None:
        flow, _, _ = make()
        assert (flow.write_paused, flow.write_deadline) == (False, inf)
        draining = flow.drain()
        with pytest.raises(StopIteration):  # it has ended without having waited for anything
            draining.send(None)

    run(test())


def test_all_who_wait_go_on_when_there_is_room_again() -> None:
    async def test() -> None:
        flow, _, _ = make()
        flow.pause_writing()
        assert flow.write_paused
        waiting = [asyncio.ensure_future(flow.drain()) for _ in range(3)]
        await settle()
        assert not any(each.done() for each in waiting)
        flow.resume_writing()
        assert not flow.write_paused
        await asyncio.gather(*waiting)

    run(test())


def test_who_gives_up_takes_nobody_else_along() -> None:
    async def test() -> None:
        flow, _, _ = make()
        flow.pause_writing()
        one, other = (asyncio.ensure_future(flow.drain()) for _ in range(2))
        await settle()
        one.cancel()
        await settle()
        assert one.cancelled()
        assert not other.done()
        flow.resume_writing()
        await other

    run(test())


def test_who_finds_the_transport_full_again_waits_again() -> None:
    async def test() -> None:
        flow, _, _ = make()
        flow.pause_writing()
        waiting = asyncio.ensure_future(flow.drain())
        await settle()
        flow.resume_writing()
        flow.pause_writing()
        await settle()
        assert not waiting.done()
        flow.resume_writing()
        await waiting

    run(test())


def test_room_may_come_where_nobody_has_waited_for_it() -> None:
    async def test() -> None:
        flow, _, _ = make()
        flow.resume_writing()
        flow.pause_writing()
        flow.resume_writing()
        assert not flow.write_paused

    run(test())


def test_a_client_has_its_time_from_when_the_transport_is_full_until_there_is_room() -> None:
    async def test() -> None:
        flow, _, clock = make()
        flow.pause_writing()
        assert flow.write_deadline == clock() + TICK_SECONDS + 30
        flow.resume_writing()
        assert flow.write_deadline == inf

    run(test())


def test_a_client_that_takes_some_has_its_time_anew_and_one_that_takes_nothing_has_had_it() -> None:
    async def test() -> None:
        flow, transport, clock = make(octets=1000)
        flow.pause_writing()
        steps = [(999, True), (999, False), (1200, False), (1199, True), (0, True), (0, False)]
        for left, progress in steps:
            clock.seconds += 31
            flow.service.tick()
            transport.buffer_size = left
            assert flow.unsent() == left
            assert flow.check_write_progress() is progress
            assert flow.write_deadline == clock() + TICK_SECONDS + 30

    run(test())


def test_what_is_reckoned_with_is_what_was_there_when_the_time_began() -> None:
    async def test() -> None:
        flow, transport, _ = make(octets=1000)
        flow.pause_writing()
        transport.buffer_size = 500
        flow.expect_reading()
        transport.buffer_size = 600
        assert not flow.check_write_progress()

    run(test())
