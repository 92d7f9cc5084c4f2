"""How many requests run at once, and who waits for a turn: --limit-concurrency, --limit-queue, --timeout-queue.

Knows the loop, and that there are connections. Does not know what a request is, nor how it is refused.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Protocol

__all__ = ["Gate", "Waiting"]

# 16: that are let in before other connections have their turn; most may end at once, and free their place again.
_TURN = 16


class Waiting(Protocol):
    """Who waits at a gate."""

    def let_in(self) -> None:
        """Start what waits; Gate.enter() or Gate.leave() says how it goes on."""

    def turn_away(self, reason: str) -> None:
        """Learn that the wait has been in vain, and why."""


class Gate:
    """Places for so many requests that run, and a queue of bounded length and time before them.

    Attributes:
        running: requests that have a place.
        most: how many there may be.
    """

    def __init__(self, loop: AbstractEventLoop, most: int, queue: int, seconds: float) -> None:
        self._loop = loop
        self.running = 0
        self.most = most
        self._queue = queue
        self._seconds = seconds
        # Who waits, the first first, and until when.
        self._waiting: dict[Waiting, float] = {}
        # The same for those whose turn comes only when nobody else waits.
        self._behind: dict[Waiting, float] = {}
        self._letting_in = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting) + len(self._behind)

    @property
    def is_open(self) -> bool:
        """Whether a request may run at once: there is a place, and nobody who has waited longer."""
        return self.running < self.most and not self._waiting

    def enter(self) -> None:
        """Take a place."""
        self.running += 1

    def leave(self) -> None:
        """Give a place back."""
        self.running -= 1
        self._let_in_soon()

    def wait(self, who: Waiting, now: float) -> bool:
        """Queue up; False if too many do."""
        if self.waiting >= self._queue:
            if not self._behind:
                return False
            self._turn_away(next(iter(self._behind)), "has ended its side, and others wait who have not")
        self._waiting[who] = now + self._seconds
        return True

    def step_back(self, who: Waiting) -> None:
        """Let all others pass who wait, and give the place in the queue up when it is full."""
        deadline = self._waiting.pop(who, None)
        if deadline is not None:
            self._behind[who] = deadline

    def give_up(self, who: Waiting) -> bool:
        """Wait no longer; whether it did."""
        return self._waiting.pop(who, None) is not None or self._behind.pop(who, None) is not None

    def check_deadlines(self, now: float) -> None:
        """Turn away who has waited too long; called about once a second."""
        late = []
        for who, deadline in self._waiting.items():  # the first has waited longest
            if now < deadline:
                break
            late.append(who)
        late += [who for who, deadline in self._behind.items() if now >= deadline]
        for who in late:
            self._turn_away(who, f"waited for {self._seconds:g} s")

    def _turn_away(self, who: Waiting, reason: str) -> None:
        self.give_up(who)
        who.turn_away(reason)

    def _let_in_soon(self) -> None:
        # Not at once: this is called from within the task of the application that has just ended.
        if self.waiting and not self._letting_in:
            self._letting_in = True
            self._loop.call_soon(self._let_in)

    def _let_in(self) -> None:
        self._letting_in = False
        for _ in range(_TURN):
            if not self.waiting or self.running >= self.most:
                return
            who = next(iter(self._waiting or self._behind))
            self.give_up(who)
            who.let_in()
        if self.running < self.most:
            self._let_in_soon()
