"""A zygote from inside, in the main thread of the tests; where it would fork, a test says what happens."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.workers.kinds import zygote_main as module
from miniasgi.workers.kinds.channel import Channel, Closed, Said
from miniasgi.workers.kinds.process import SIGNALS_HELD_BACK
from miniasgi.workers.kinds.zygote_main import run_zygote
from miniasgi.workers.serving.spec import WorkerSpec
from tests.kept import signals_kept
from tests.server.apps import hello

from .fakes import hear, loggers_kept

SPEC = WorkerSpec("tests.server.apps:hello", Config(preload=True, app_dir="."))
# What fork() gives: in the child; and of a process that does not exist (Linux: pid_max is at most 2**22).
CHILD = 0
NOBODY = 1 << 30


class Outside:
    """The supervisor's side, and the ends of workers' channels that the supervisor has kept."""

    def __init__(self) -> None:
        self.channel, self.theirs = Channel.pair()
        self.workers: list[Channel] = []
        # With which statuses the process would have ended at once.
        self.exits: list[int] = []
        self.ended = threading.Event()

    def exit(self, status: int) -> None:
        self.exits.append(status)
        self.ended.set()

    def ask_for(self, number: int, token: int) -> Channel:
        """Have a worker forked; the supervisor's end of its channel."""
        ours, theirs = Channel.pair()
        self.channel.send("fork", [theirs.socket], number=number, token=token)
        theirs.socket.close()
        self.workers.append(ours)
        return ours

    def stop(self) -> None:
        self.channel.send("stop", force=False, patient=False)

    def run(self, spec: WorkerSpec = SPEC) -> tuple[WorkerSpec, Channel] | None:
        """Run the zygote until it ends, or in the place of a child that it has forked."""
        return run_zygote(spec, self.theirs)

    def heard(self) -> list[Said]:
        """What the zygote has said since the last time."""
        return self.channel.receive(wait=False)


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """Signals and loggers of the process of the tests are as they were afterwards."""
    monkeypatch.setattr(module, "set_title", lambda text: None)
    outside = Outside()
    monkeypatch.setattr(os, "_exit", outside.exit)
    with loggers_kept(), signals_kept():
        try:
            yield outside
        finally:
            signal.set_wakeup_fd(-1)
            for channel in (outside.channel, outside.theirs, *outside.workers):
                channel.close()


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], int]]:
    """What happens at each fork in the place of one, and what it returns, one after the other."""
    found: list[Callable[[], int]] = []
    monkeypatch.setattr(os, "fork", lambda: found.pop(0)())
    return found


def exits(status: int) -> Callable[[], int]:
    """A process that ends with that status."""
    return lambda: os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {status}"], os.environ)


# Loading


def test_it_says_that_it_has_loaded_and_ends_when_it_is_told_to(
    outside: Outside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(module, "set_title", titles.append)
    frozen = gc.get_freeze_count()
    outside.stop()
    assert outside.run() is None
    assert [said["kind"] for said in outside.heard()] == ["loaded"]
    assert titles == ["miniasgi: zygote tests.server.apps:hello"]
    assert gc.get_freeze_count() > frozen
    assert (outside.exits, caplog.records) == ([], [])


def test_an_application_that_cannot_be_loaded_is_said(outside: Outside) -> None:
    assert outside.run(WorkerSpec("no.such:app", Config(preload=True))) is None
    (said,) = outside.heard()
    assert (said["kind"], said["status"]) == ("failed", 3)
    assert "no.such" in said["message"]


def test_the_end_of_a_long_traceback_is_said(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: Any, **options: Any) -> None:
        raise StartupError("deep", "a" * 100_000 + "the last line")

    monkeypatch.setattr(module.importer, "load", load)
    assert outside.run() is None
    (said,) = outside.heard()
    assert len(said["details"]) == 100_000
    assert said["details"].endswith("athe last line")


def test_folders_alone_need_no_loading(outside: Outside) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_HELD_BACK)  # as a process is started
    outside.stop()
    assert outside.run(WorkerSpec(None, Config.from_options(static=["."], log_level="debug"))) is None
    assert [said["kind"] for said in outside.heard()] == ["loaded"]
    assert logging.getLogger("miniasgi.server").level == logging.DEBUG
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & SIGNALS_HELD_BACK


def test_threads_of_the_application_which_are_not_forked_are_named(
    outside: Outside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes = threading.Event()
    threads = [threading.Thread(target=goes.wait, args=(20,), name=name) for name in ("zz poller", "aa metrics")]

    def load(*arguments: Any, **options: Any) -> Any:
        for thread in threads:
            thread.start()
        return hello

    monkeypatch.setattr(module.importer, "load", load)
    outside.stop()
    try:
        outside.run()
    finally:
        goes.set()
        for thread in threads:
            thread.join()
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        (
            "WARNING",
            "the application has started threads while it was loaded, which forked workers lack: aa metrics, zz poller",
        )
    ]


# Forking


def test_a_child_comes_back_with_what_it_has_to_run(outside: Outside, forks: list[Callable[[], int]]) -> None:
    ours = outside.ask_for(3, token=7)
    forks.append(lambda: CHILD)
    child = outside.run()
    assert child is not None
    spec, channel = child
    assert (spec.app, spec.number, spec.loaded) == (SPEC.app, 3, hello)
    channel.send("ready", loop="asyncio")
    assert ours.receive()[0]["kind"] == "ready"
    # Nothing of the zygote's is left in it, and what it must not get yet is held back.
    assert outside.theirs.fileno() == -1
    assert signal.set_wakeup_fd(-1) == -1
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= SIGNALS_HELD_BACK
    channel.close()


def test_the_zygotes_own_channel_outlives_a_child_that_lets_go_of_it(
    outside: Outside, forks: list[Callable[[], int]]
) -> None:
    with socket.socket(fileno=os.dup(outside.theirs.fileno())) as zygotes:
        outside.ask_for(1, token=1)
        forks.append(lambda: CHILD)
        child = outside.run()
        assert child is not None
        outside.heard()
        Channel(zygotes).send("exited", token=1, status=0)
        assert outside.heard()[0]["kind"] == "exited"
        child[1].close()


def test_it_tells_the_number_of_each_child_and_how_it_has_ended(
    outside: Outside, forks: list[Callable[[], int]]
) -> None:
    forks += [exits(0), exits(3)]
    found: list[Said] = []

    def supervise() -> None:
        try:
            hear(outside.channel, "loaded")
            for token in (1, 2):
                outside.ask_for(token, token=token)
                found.append(hear(outside.channel, "forked"))
                found.append(hear(outside.channel, "exited"))
        finally:
            outside.stop()

    thread = threading.Thread(target=supervise)
    thread.start()
    assert outside.run() is None
    thread.join()
    assert [(said["kind"], said["token"], said.get("status")) for said in found] == [
        ("forked", 1, None),
        ("exited", 1, 0),
        ("forked", 2, None),
        ("exited", 2, 3),
    ]
    assert all(said["pid"] > 0 for said in found if said["kind"] == "forked")


def test_it_keeps_no_end_of_a_childs_channel(outside: Outside, forks: list[Callable[[], int]]) -> None:
    ours = outside.ask_for(1, token=1)
    forks.append(lambda: NOBODY)
    outside.stop()
    assert outside.run() is None
    with pytest.raises(Closed):
        ours.receive()


@pytest.mark.parametrize("last_words", [[], ["reopen", "stop"]])
def test_a_worker_that_nobody_wants_any_more_is_not_forked(
    outside: Outside, forks: list[Callable[[], int]], last_words: list[str]
) -> None:
    ours = outside.ask_for(1, token=1)
    for kind in last_words:
        ours.send(kind)
    ours.close()
    outside.stop()
    assert outside.run() is None
    assert [said["kind"] for said in outside.heard()] == ["loaded"]  # nor is os.fork called, which would fail


def test_one_to_which_something_has_been_said_already_is_forked(
    outside: Outside, forks: list[Callable[[], int]]
) -> None:
    outside.ask_for(1, token=1).send("reopen")
    forks.append(lambda: CHILD)
    child = outside.run()
    assert child is not None
    assert child[1].receive()[0]["kind"] == "reopen"
    child[1].close()


def test_a_process_of_the_applications_is_buried_without_a_word(outside: Outside, forks: list[Any]) -> None:
    found: list[Said] = []

    def supervise() -> None:
        try:
            hear(outside.channel, "loaded")
            with suppress(ChildProcessError):  # it has been buried already
                os.waitid(os.P_PID, exits(5)(), os.WEXITED | os.WNOWAIT)
            outside.ask_for(1, token=1)
            found.append(hear(outside.channel, "exited"))
        finally:
            outside.stop()

    forks.append(exits(4))
    thread = threading.Thread(target=supervise)
    thread.start()
    assert outside.run() is None
    thread.join()
    assert [(said["token"], said["status"]) for said in found] == [(1, 4)]


def test_a_child_that_ends_after_it_is_no_concern_of_python(
    outside: Outside, forks: list[Callable[[], int]], capfd: pytest.CaptureFixture[str]
) -> None:
    outside.ask_for(1, token=1)
    outside.stop()
    forks.append(lambda: NOBODY)
    assert outside.run() is None
    gc.collect()
    signal.raise_signal(signal.SIGCHLD)  # of which Python would write to what the zygote has closed
    assert capfd.readouterr().err == ""


def test_it_ends_when_the_supervisor_has_gone(outside: Outside) -> None:
    outside.channel.close()
    assert outside.run(WorkerSpec(None, Config.from_options(static=["."]))) is None
    assert outside.exits == []


def test_it_does_so_while_the_application_is_still_being_loaded(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: Any, **options: Any) -> Any:
        outside.channel.close()
        assert outside.ended.wait(10)
        return hello

    monkeypatch.setattr(module.importer, "load", load)
    outside.run()
    assert outside.exits == [1]


def test_signals_that_are_for_the_supervisor_do_not_end_it(outside: Outside, forks: list[Callable[[], int]]) -> None:
    numbers = [*SIGNALS_HELD_BACK, signal.SIGTERM]

    def supervise() -> None:
        try:
            outside.ask_for(1, token=1)
            hear(outside.channel, "forked")  # from now on it waits
            for number in numbers:
                os.kill(os.getpid(), number)
        finally:
            outside.stop()

    # So that a zygote that does not ignore them fails the test, and does not end the tests.
    got: list[int] = []
    for number in numbers:
        signal.signal(number, lambda number, frame: got.append(number))
    # As a process is started.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_HELD_BACK)
    forks.append(lambda: NOBODY)
    thread = threading.Thread(target=supervise)
    thread.start()
    assert outside.run() is None
    thread.join()
    assert got == []
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & SIGNALS_HELD_BACK


def test_a_worker_that_cannot_be_forked_has_ended_and_the_zygote_goes_on(
    outside: Outside, forks: list[Callable[[], int]], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    ours = outside.ask_for(1, token=5)
    outside.stop()
    forks.append(fail)
    assert outside.run() is None
    assert [(said["kind"], said.get("token"), said.get("status")) for said in outside.heard()] == [
        ("loaded", None, None),
        ("exited", 5, 1),
    ]
    assert "no worker can be forked: Resource temporarily unavailable" in caplog.messages
    with pytest.raises(Closed):
        ours.receive()
