"""The gate: who gets in, in which order, and who has waited too long; with a loop that only takes notes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from miniasgi.server.gate import Gate


class Visitor:
    """Who waits at a gate, and goes in or away; *stays* tells whether it needs the place for longer."""

    def __init__(self, gate: Gate, name: str, log: list[str], *, stays: bool = True) -> None:
        self.gate, self.name, self.log, self.stays = gate, name, log, stays

    def let_in(self) -> None:
        self.log.append(f"{self.name} in")
        if self.stays:
            self.gate.enter()

    def turn_away(self, reason: str) -> None:
        self.log.append(f"{self.name} away: {reason}")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop go round once."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_a_gate_is_open_until_all_places_are_taken(loop: asyncio.AbstractEventLoop) -> None:
    gate = Gate(loop, 2, 10, 30.0)
    assert gate.is_open
    gate.enter()
    assert gate.is_open
    gate.enter()
    assert not gate.is_open
    gate.leave()
    assert (gate.is_open, gate.running) == (True, 1)


def test_who_waits_is_let_in_in_order_and_not_before_the_loop_has_its_turn(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 1, 10, 30.0), list[str]()
    gate.enter()
    for name in "abc":
        assert gate.wait(Visitor(gate, name, log), 0.0)
    gate.leave()
    assert log == []
    assert not gate.is_open  # whoever comes now must not overtake those who wait
    turn(loop)
    assert (log, gate.running, gate.waiting) == (["a in"], 1, 2)
    gate.leave()
    turn(loop)
    assert (log, gate.waiting) == (["a in", "b in"], 1)


def test_several_places_that_are_given_back_at_once_are_all_taken(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 3, 10, 30.0), list[str]()
    for _ in range(3):
        gate.enter()
    for name in "abcd":
        gate.wait(Visitor(gate, name, log), 0.0)
    for _ in range(3):
        gate.leave()
    turn(loop)
    assert (log, gate.running) == (["a in", "b in", "c in"], 3)


def test_those_who_need_no_place_do_not_keep_the_next_out(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 1, 100, 30.0), list[str]()
    gate.enter()
    for number in range(40):
        gate.wait(Visitor(gate, str(number), log, stays=False), 0.0)
    gate.leave()
    turn(loop)
    assert len(log) == 16  # other connections have their turn in between
    turn(loop)
    turn(loop)
    assert log == [f"{number} in" for number in range(40)]
    assert (gate.is_open, gate.running) == (True, 0)


def test_no_more_wait_than_the_queue_holds(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 1, 2, 30.0), list[str]()
    gate.enter()
    assert gate.wait(Visitor(gate, "a", log), 0.0)
    second = Visitor(gate, "b", log)
    assert gate.wait(second, 0.0)
    third = Visitor(gate, "c", log)
    assert not gate.wait(third, 0.0)
    assert not gate.give_up(third)
    assert gate.give_up(second)
    assert not gate.give_up(second)
    assert gate.wait(third, 0.0)
    gate.leave()
    turn(loop)
    gate.leave()
    turn(loop)
    assert log == ["a in", "c in"]


def test_who_has_waited_too_long_is_turned_away(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 1, 10, 5.0), list[str]()
    gate.enter()
    gate.wait(Visitor(gate, "a", log), 100.0)
    gate.wait(Visitor(gate, "b", log), 103.0)
    gate.check_deadlines(104.9)
    assert log == []
    gate.check_deadlines(105.0)
    assert (log, gate.waiting) == (["a away: waited for 5 s"], 1)
    gate.leave()
    turn(loop)
    assert log == ["a away: waited for 5 s", "b in"]


def test_who_steps_back_lets_all_others_pass(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 1, 10, 5.0), list[str]()
    gate.enter()
    first, second, third = (Visitor(gate, name, log) for name in "abc")
    for visitor in (first, second, third):
        gate.wait(visitor, 0.0)
    gate.step_back(first)
    gate.step_back(first)  # twice is once
    assert gate.waiting == 3
    for _ in range(3):
        gate.leave()
        turn(loop)
    assert log == ["b in", "c in", "a in"]
    gate.leave()
    gate.step_back(first)  # it waits no more
    assert (gate.waiting, gate.is_open) == (0, True)


def test_a_full_queue_is_held_by_nobody_who_has_stepped_back(loop: asyncio.AbstractEventLoop) -> None:
    gate, log = Gate(loop, 1, 2, 5.0), list[str]()
    gate.enter()
    visitors = [Visitor(gate, name, log) for name in "abcd"]
    for visitor in visitors[:2]:
        assert gate.wait(visitor, 0.0)
        gate.step_back(visitor)
    assert gate.wait(visitors[2], 1.0)
    assert log == ["a away: has ended its side, and others wait who have not"]
    gate.check_deadlines(5.0)
    assert log[1:] == ["b away: waited for 5 s"]
    gate.step_back(visitors[2])
    assert gate.give_up(visitors[2])
    assert not gate.give_up(visitors[2])
    assert gate.waiting == 0
