"""A supervisor's loop on a stage: its workers are no more than the other end of a channel, and time only it passes.

Where the loop would wait, the stage does the next thing of its script, or moves the clock to when the loop would wake.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from miniasgi.config import Config
from miniasgi.workers.kinds.channel import Channel, Said
from miniasgi.workers.supervision.main_loop import MainLoop
from miniasgi.workers.supervision.supervisor import Supervisor

from .fakes import FakeClock, FakeHandle, FakeSockets

__all__ = ["ChannelWorker", "LoopStage", "MakeStage", "be_ready", "fail", "send"]

# Something to do, or seconds to let pass.
Act: TypeAlias = Callable[[], object] | float
# 200: turns of a loop in any of these scripts; one that never waits has more.
MOST_TURNS = 200


class ChannelWorker(FakeHandle):
    """A worker that does what it is told at once, as far as *obeys* goes, over a real pair of sockets."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.channel, self.theirs = Channel.pair()
        self.status: int | None = None
        self.obeys = {"stop", "stop patient", "stop force"}

    def say(self, kind: str, **values: Any) -> None:
        self.theirs.send(kind, **values)

    def beat(self) -> None:
        self.say("beat", vitals={"requests": 0, "running": 0, "connections": 0})

    def end(self, status: int = 0) -> None:
        self.status = status
        self.theirs.close()

    def tell(self, kind: str, sockets: Any = (), **values: Any) -> None:
        super().tell(kind, sockets, **values)
        if self.commands[-1] in self.obeys:
            self.end()

    def receive(self) -> list[Said]:
        return self.channel.receive(wait=False)

    def exit_status(self) -> int | None:
        return self.status

    def fileno(self) -> int:
        return self.channel.fileno()

    def close(self) -> None:
        super().close()
        self.channel.close()


class LoopStage:
    """A supervisor whose workers start as *starts* says, one after the other; else they are ready at once."""

    def __init__(self, wanted: int = 1, *, starts: tuple[Callable[[ChannelWorker], None], ...] = (), **options: Any):
        self.clock = FakeClock()
        self.workers: list[ChannelWorker] = []
        self.script: deque[Act] = deque()
        self.waits: list[float | None] = []
        self.woken: list[bool] = []  # whether the loop would have been, by what was done while it waited
        self.greetings: list[str] = []
        self._starts = deque(starts)
        self.supervisor = Supervisor(
            Config.from_options(**options),
            FakeSockets(),
            wanted=wanted,
            spawn=self._spawn,
            clock=self.clock,
            ready=self.greetings.append,
        )

    def _spawn(self, number: int) -> ChannelWorker:
        worker = ChannelWorker(len(self.workers) + 1)
        self.workers.append(worker)
        (self._starts.popleft() if self._starts else be_ready)(worker)
        return worker

    def run(self, *script: Act, **options: Any) -> MainLoop:
        """Run the loop, and do what *script* says, a thing whenever the loop would wait."""
        self.script.extend(script)
        loop = MainLoop(self.supervisor, **options)
        self.run_loop(loop)
        return loop

    def run_loop(self, loop: MainLoop) -> None:
        try:
            loop.run()
        finally:
            for worker in self.workers:
                worker.channel.close()
                worker.theirs.close()
        assert not self.script, "the loop has ended before its script"

    def wait(self, timeout: float | None) -> None:
        """What happens while the loop waits."""
        self.waits.append(timeout)
        assert len(self.waits) <= MOST_TURNS, "the loop does not come to rest"
        act = self.script.popleft() if self.script else None
        if callable(act):
            act()
            return
        passing = timeout
        if act is not None:
            passing = act if timeout is None else min(act, timeout)
            if passing < act:
                self.script.appendleft(act - passing)
        assert passing is not None, "the loop would wait for ever"
        self.clock.now += passing


def be_ready(worker: ChannelWorker) -> None:
    worker.say("ready", loop="asyncio")


def fail(worker: ChannelWorker) -> None:
    worker.say("failed", message="no module named app", details="a traceback", status=2)
    worker.end(2)


def send(name: str) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), signal.Signals[name])


MakeStage: TypeAlias = Callable[..., LoopStage]
