"""The supervisor's loop: signals, calls, workers and time, one after the other."""

from __future__ import annotations

import logging
import signal
import socket
import threading

import pytest

from miniasgi.errors import StartupError
from miniasgi.workers.supervision.main_loop import SIGNALS, MainLoop
from miniasgi.workers.supervision.member import State
from miniasgi.workers.system.exits import UNKNOWN

from .loop_stage import ChannelWorker, MakeStage, fail, send

# Signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_stops_gracefully_and_signals_are_given_back(stages: MakeStage, name: str) -> None:
    before = {each: signal.getsignal(getattr(signal, each)) for each in SIGNALS}
    stage = stages(2)
    loop = stage.run(send(name))
    assert [worker.commands[-1] for worker in stage.workers] == ["stop", "stop"]
    assert (loop.ended_by, stage.greetings) == (0, ["asyncio"])
    assert all(worker.closed for worker in stage.workers)
    assert {each: signal.getsignal(getattr(signal, each)) for each in SIGNALS} == before
    assert signal.set_wakeup_fd(-1) == -1


def test_the_second_signal_stops_at_once(stages: MakeStage) -> None:
    stage = stages()
    loop = stage.run(lambda: stage.workers[0].obeys.remove("stop"), send("SIGINT"), send("SIGTERM"))
    assert stage.workers[0].commands == ["listen 1", "stop", "stop force"]
    assert loop.ended_by == signal.SIGTERM


def test_sigquit_stops_at_once(stages: MakeStage) -> None:
    stage = stages()
    assert stage.run(send("SIGQUIT")).ended_by == signal.SIGQUIT
    assert stage.workers[0].commands == ["listen 1", "stop force"]


def test_other_signals(stages: MakeStage) -> None:
    stage = stages()
    stage.run(send("SIGTTIN"), send("SIGHUP"), send("SIGUSR1"), send("SIGTTOU"), send("SIGTERM"))
    assert all(stage.woken)
    assert [worker.commands for worker in stage.workers] == [
        ["listen 1", "reopen", "stop patient"],
        ["listen 2", "reopen", "stop patient"],
        ["listen 1", "reopen", "listen 2", "stop"],
        ["listen 2", "reopen", "stop patient"],
    ]


def test_the_signal_by_which_gunicorn_replaces_itself_does_nothing_and_says_so(
    stages: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    stage = stages()
    stage.run(send("SIGUSR2"), send("SIGTERM"))
    assert stage.workers[0].commands == ["listen 1", "stop"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["SIGUSR2 does nothing here: SIGHUP loads the application anew"]


def test_a_loop_without_signals_runs_in_any_thread_and_beats(stages: MakeStage) -> None:
    stage = stages()
    beats: list[float] = []
    loop = MainLoop(stage.supervisor, signals=(), beat=lambda: beats.append(stage.clock.now))
    stage.script.extend((3.5, stage.supervisor.stop))
    before = stage.clock.now
    thread = threading.Thread(target=stage.run_loop, args=(loop,))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert [round(each - before, 6) for each in beats] == [0, 1, 2, 3]


# Calls


def test_what_is_to_be_called_soon_is_called_by_the_loop_whichever_thread_asks(stages: MakeStage) -> None:
    stage = stages()
    loop = MainLoop(stage.supervisor)
    called: list[threading.Thread] = []

    def ask() -> None:
        thread = threading.Thread(target=loop.soon, args=(lambda: called.append(threading.current_thread()),))
        thread.start()
        thread.join()

    ask()  # before it runs
    stage.script.extend((ask, ask, lambda: loop.soon(stage.supervisor.stop)))
    stage.run_loop(loop)
    assert called == [threading.current_thread()] * 3
    assert all(stage.woken)
    ask()  # nobody is there any more
    assert len(called) == 3


def test_more_calls_than_the_pair_of_sockets_holds_are_all_made(stages: MakeStage) -> None:
    stage = stages()
    loop = MainLoop(stage.supervisor)
    called: list[int] = []
    loop._waker.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for number in range(3000):
        loop.soon(lambda number=number: called.append(number))  # type: ignore[misc]
    stage.script.append(stage.supervisor.stop)
    stage.run_loop(loop)
    assert called == list(range(3000))


# Workers


def test_what_a_worker_said_is_read_before_its_end_is_judged(stages: MakeStage) -> None:
    stage = stages(2, starts=(fail, fail))
    stage.run()
    failure = stage.supervisor.failure
    assert isinstance(failure, StartupError)
    assert (str(failure), failure.details, failure.exit_status) == ("no module named app", "a traceback", 2)


def test_what_a_worker_says_just_before_it_is_found_to_have_ended_is_read(
    stages: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_when_asked(worker: ChannelWorker) -> int | None:
        monkeypatch.undo()
        fail(worker)
        return worker.status

    stage = stages(starts=(lambda worker: None,))
    stage.run(lambda: monkeypatch.setattr(ChannelWorker, "exit_status", end_when_asked))
    assert str(stage.supervisor.failure) == "no module named app"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(1, "exited with status 1"), (-signal.SIGTERM, "was killed by SIGTERM"), (UNKNOWN, "has gone, nobody knows how")],
)
def test_a_worker_whose_channel_closes_before_it_ends_is_replaced_when_it_has_ended(
    stages: MakeStage, caplog: pytest.LogCaptureFixture, status: int, expected: str
) -> None:
    caplog.set_level(logging.ERROR)
    stage = stages()

    def end() -> None:
        stage.workers[0].status = status
        send("SIGCHLD")()

    def check() -> None:
        assert [member.state for member in stage.supervisor.members] == [State.SERVING]

    stage.run(lambda: stage.workers[0].theirs.close(), 2.0, check, end, send("SIGTERM"))
    assert caplog.messages == [
        f"worker 1 (fake 1) {expected} after 2 s, with no requests running; it is replaced",
    ]
    assert len(stage.workers) == 2


# Time


def test_the_loop_waits_while_nothing_happens(stages: MakeStage) -> None:
    stage = stages(timeout_worker_healthcheck=100)
    stage.run(99.0, send("SIGTERM"))
    assert all(each is None or each > 0 for each in stage.waits[:-1])


def test_it_does_not_wait_longer_than_a_selector_can(stages: MakeStage) -> None:
    stage = stages(timeout_graceful_shutdown=10_000_000)
    stage.run(lambda: stage.workers[0].obeys.clear(), send("SIGTERM"), 7000.0, lambda: stage.workers[0].end())
    assert max(each for each in stage.waits if each is not None) == 3600


def test_silence_while_the_machine_stood_still_is_excused_even_if_one_worker_is_heard_at_once(
    stages: MakeStage,
) -> None:
    stage = stages(2, timeout_worker_healthcheck=30)

    def stand_still() -> None:
        stage.clock.now += 3600
        stage.workers[0].beat()

    stage.run(stand_still, lambda: stage.workers[1].beat(), send("SIGTERM"))
    assert [worker.commands[-1] for worker in stage.workers] == ["stop", "stop"]
    assert all("report" not in worker.commands for worker in stage.workers)


def test_silence_while_the_supervisor_was_busy_is_excused(stages: MakeStage) -> None:
    stage = stages(timeout_worker_healthcheck=30)
    loop = MainLoop(stage.supervisor)

    def be_busy() -> None:
        loop.soon(lambda: setattr(stage.clock, "now", stage.clock.now + 60))

    stage.script.extend((be_busy, lambda: stage.workers[0].beat(), send("SIGTERM")))
    stage.run_loop(loop)
    assert "report" not in stage.workers[0].commands


def test_silence_while_the_loop_listened_is_not_excused(stages: MakeStage) -> None:
    stage = stages(timeout_worker_healthcheck=30)
    stage.run(30.5, send("SIGQUIT"))
    assert stage.workers[0].commands == ["listen 1", "report", "stop force"]
