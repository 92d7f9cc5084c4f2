"""What the supervisor's loop has a service manager told: reloads, the end, and that it turns."""

from __future__ import annotations

from miniasgi.workers.system.notify import Notifier

from .fakes import FakeClock
from .loop_stage import ChannelWorker, MakeStage, be_ready, fail, send


class Told(Notifier):
    """Notes what a service manager would be told, and when."""

    def __init__(self, clock: FakeClock, watchdog_seconds: float = 0.0) -> None:
        super().__init__("somewhere", watchdog_seconds)
        self.said: list[tuple[str, float]] = []
        self._clock = clock
        self._start = clock.now

    def _say(self, *lines: str) -> None:
        self.said.append((lines[0], round(self._clock.now - self._start, 6)))


def test_a_service_manager_is_told_of_a_reload_until_all_have_taken_over_and_of_the_end(stages: MakeStage) -> None:
    def never(worker: ChannelWorker) -> None:
        pass

    stage = stages(starts=(be_ready, never))
    told = Told(stage.clock)
    told.ready("here")
    stage.run(send("SIGHUP"), 2.0, lambda: be_ready(stage.workers[1]), 3.0, send("SIGTERM"), notifier=told)
    assert told.said == [("READY=1", 0), ("RELOADING=1", 0), ("READY=1", 2), ("STOPPING=1", 5)]


def test_a_reload_that_is_given_up_has_an_end_as_well(stages: MakeStage) -> None:
    stage = stages(starts=(be_ready, lambda worker: None))
    told = Told(stage.clock)
    told.ready("here")
    stage.run(send("SIGHUP"), 2.0, lambda: fail(stage.workers[1]), 3.0, send("SIGINT"), notifier=told)
    assert [each for each, _ in told.said] == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


def test_signs_of_life_are_given_when_they_are_due(stages: MakeStage) -> None:
    stage = stages()
    told = Told(stage.clock, watchdog_seconds=3)
    stage.run(4.6, send("SIGTERM"), notifier=told)
    assert told.said == [*(("WATCHDOG=1", at) for at in (0, 1.5, 3, 4.5)), ("STOPPING=1", 4.6)]
