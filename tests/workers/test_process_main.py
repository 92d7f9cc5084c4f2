"""What a worker process does with its first message, its signals and its end; in the process of the tests, which stays.

What serves is replaced by a few lines that say how it went. Real processes are those of test_process.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.workers import process_main as module
from miniasgi.workers import role, thread_group
from miniasgi.workers.kinds.channel import Channel
from miniasgi.workers.kinds.process import REPORT_SIGNAL, SIGNALS_HELD_BACK, pack
from miniasgi.workers.kinds.remote import Remote
from miniasgi.workers.serving.spec import WorkerSpec
from tests.kept import signals_kept
from tests.server.apps import hello

from .fakes import FakeWorker, hear, loggers_kept

SPEC = WorkerSpec("myapp:app", Config(), 3)
OF_A_TERMINAL = [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU]

Serving = Callable[[WorkerSpec, Remote], object]


class Ended(BaseException):
    """Instead of the end of the process of the tests."""


class Host:
    """The supervisor's end of the channel, and what the process does that has the other one."""

    def __init__(self) -> None:
        self.channel, self.theirs = Channel.pair()
        self.titles: list[str] = []
        # With which statuses threads other than the main one have ended the process.
        self.exits: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.serving: Serving = lambda spec, control: None
        self.worker = FakeWorker()

    def exit(self, status: int) -> None:
        if threading.current_thread() is threading.main_thread():
            raise Ended(status)
        self.exits.put(status)

    def serve(self, serving: Serving | None = None, spec: WorkerSpec = SPEC) -> int:
        """The exit status of a process that serves as *serving* does."""
        self.serving = serving or self.serving
        with pytest.raises(Ended) as caught:
            module.serve(spec, self.theirs)
        return int(caught.value.args[0])

    def main(self, role: str = "worker", path: Any = None, arguments: Any = None, then: str = "") -> int:
        """The exit status of a process that has been sent this as its first message, and then another one."""
        self.channel.send("spec", spec=pack(SPEC), role=role, path=path or sys.path, arguments=arguments or sys.argv)
        if then:
            self.channel.send(then, force=False, patient=False)
        descriptor = self.theirs.socket.detach()
        with pytest.raises(Ended) as caught:
            module.main(descriptor)
        return int(caught.value.args[0])


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """What a worker process changes in its process is as it was afterwards."""
    host = Host()
    monkeypatch.setattr(role, "is_worker", False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(os, "_exit", host.exit)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    monkeypatch.setattr("atexit._run_exitfuncs", lambda: None)
    monkeypatch.setattr(module, "set_title", host.titles.append)
    monkeypatch.setattr(module, "run_worker", lambda spec, control: host.serving(spec, control))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    with loggers_kept():
        with signals_kept():
            yield host
        faulthandler.unregister(REPORT_SIGNAL)
        host.channel.close()
        host.theirs.close()
        for each in threading.enumerate():
            if each.name == "miniasgi listens to its supervisor":
                each.join(10)


# Its first message


def test_the_first_message_says_what_python_finds_and_what_is_to_be_run(host: Host) -> None:
    found: list[Any] = []

    def serving(spec: WorkerSpec, control: Remote) -> None:
        found.append((spec, sys.path, sys.argv, role.is_worker))

    host.serving = serving
    path, arguments = ["/a/place", *sys.path], ["miniasgi", "myapp:app"]
    assert host.main(path=path, arguments=arguments) == 0
    assert found == [(SPEC, path, arguments, True)]
    assert host.titles == ["miniasgi: worker 3 myapp:app"]


def test_what_the_application_starts_does_not_get_the_channel(host: Host) -> None:
    descriptor = host.theirs.fileno()
    os.set_inheritable(descriptor, True)
    found: list[bool] = []
    host.serving = lambda spec, control: found.append(os.get_inheritable(descriptor))
    host.main()
    assert found == [False]


def test_messages_behind_the_first_one_are_for_the_worker(host: Host) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        assert host.exits.get(timeout=10) == 0  # it is stopped before it serves

    host.serving = serving
    host.main(then="stop")


def test_a_zygote_that_has_come_to_its_end_ends_its_process(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    specs: list[WorkerSpec] = []
    monkeypatch.setattr(module, "run_zygote", lambda spec, channel: specs.append(spec))
    host.serving = lambda spec, control: pytest.fail("it serves")
    assert host.main("zygote") == 0
    assert specs == [SPEC]


def test_what_a_zygote_has_forked_serves_on_a_channel_of_its_own(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Channel.pair()
    forked = WorkerSpec("myapp:app", Config(), 7, loaded=hello)
    monkeypatch.setattr(module, "run_zygote", lambda spec, channel: (forked, theirs))
    found: list[WorkerSpec] = []

    def serving(spec: WorkerSpec, control: Remote) -> None:
        found.append(spec)
        control.recycle("it is told to whom it belongs")

    host.serving = serving
    assert host.main("zygote") == 0
    assert found == [forked]
    assert host.titles == ["miniasgi: worker 7 myapp:app"]
    assert hear(ours, "recycle")
    ours.close()
    host.exits.get(timeout=10)
    theirs.close()


# How it went


def test_a_worker_that_has_been_stopped_ends_with_status_0(host: Host) -> None:
    assert host.serve() == 0


@pytest.mark.parametrize("error", [StartupError("no database", "Traceback"), UsageError("no parser")])
def test_why_it_cannot_start_is_said_before_it_ends(host: Host, error: StartupError) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        raise error

    assert host.serve(serving) == 3
    said = hear(host.channel, "failed")
    assert (said["message"], said["details"], said["status"]) == (str(error), error.details, error.exit_status)


def test_worker_threads_are_a_group_which_logs_as_its_options_say(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[WorkerSpec, int]] = []

    class FakeGroup:
        def __init__(self, spec: WorkerSpec, control: Remote) -> None:
            self.spec = spec

        def run(self) -> None:
            found.append((self.spec, logging.getLogger("miniasgi.server").level))

    monkeypatch.setattr(thread_group, "ThreadGroup", FakeGroup)
    spec = WorkerSpec("myapp:app", Config(worker_class="thread", log_level="debug"))
    assert host.serve(lambda spec, control: pytest.fail("it is one worker"), spec) == 0
    assert found == [(spec, logging.DEBUG)]


def test_stacks_are_written_at_a_signal_that_needs_no_python(host: Host) -> None:
    host.serve()
    assert faulthandler.unregister(REPORT_SIGNAL)


def test_a_crash_in_native_code_says_where(host: Host) -> None:
    was_enabled = faulthandler.is_enabled()
    faulthandler.disable()
    try:
        host.serve(lambda spec, control: None)
        assert faulthandler.is_enabled()
    finally:
        faulthandler.disable()
        if was_enabled:
            faulthandler.enable()


# Signals


def test_what_a_terminal_sends_to_all_is_the_supervisors(host: Host) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        control.started(host.worker)
        for number in OF_A_TERMINAL:
            signal.raise_signal(number)
        assert host.worker.told.empty()

    assert host.serve(serving) == 0


def test_signals_that_were_held_back_come_now(host: Host) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_HELD_BACK)
    masks: list[set[int]] = []
    host.serve(lambda spec, control: masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))))
    assert not masks[0] & SIGNALS_HELD_BACK


def test_sigterm_asks_for_another_worker_and_the_second_one_stops(host: Host) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        control.started(host.worker)
        signal.raise_signal(signal.SIGTERM)
        assert hear(host.channel, "recycle")["reason"] == "it was sent SIGTERM"
        signal.raise_signal(signal.SIGTERM)
        assert host.worker.next()[0] == "stop"

    assert host.serve(serving) == 0


def test_sigterm_before_it_serves_ends_it_at_once(host: Host) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert host.exits.get(timeout=10) == 0

    host.serve(serving)


def test_sigusr1_opens_log_files_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    reopened = threading.Event()
    monkeypatch.setattr(module.logs, "reopen_files", reopened.set)

    def serving(spec: WorkerSpec, control: Remote) -> None:
        signal.raise_signal(signal.SIGUSR1)
        assert reopened.wait(10)

    assert host.serve(serving) == 0


# The supervisor


def test_a_stop_before_it_serves_ends_it_at_once(host: Host) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        host.channel.send("stop", force=False, patient=False)
        assert host.exits.get(timeout=10) == 0

    host.serve(serving)


def test_a_worker_whose_supervisor_has_gone_stops_and_if_it_does_not_ends(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)

    def serving(spec: WorkerSpec, control: Remote) -> None:
        control.started(host.worker)
        host.channel.close()
        assert host.worker.next() == ("stop", {"force": False, "patient": False})
        assert host.exits.get(timeout=10) == 1

    host.serve(serving)
    assert slept == [3.0]
    assert [each.getMessage() for each in caplog.records] == ["the supervisor has gone; stopping"]


def test_a_worker_that_has_been_told_to_end_at_once_and_is_left_alone_has_not_lost_its_supervisor(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        control.started(host.worker)
        host.channel.send("stop", force=True, patient=False)
        host.channel.close()
        assert host.worker.next() == ("stop", {"force": True, "patient": False})
        assert host.exits.get(timeout=10) == 1

    host.serve(serving)
    assert caplog.records == []


def test_a_worker_that_is_told_to_end_while_it_starts_ends_without_a_word(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        assert host.exits.get(timeout=10) == 0

    host.channel.send("stop", force=True, patient=False)
    host.channel.close()
    host.serve(serving)
    assert caplog.records == []


def test_the_supervisor_is_listened_to_while_it_serves(host: Host) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        control.started(host.worker)
        with socket.create_server(("127.0.0.1", 0)) as one:
            host.channel.send("listen", [one], place=3)
        kind, place, sockets = host.worker.next()
        assert (kind, place) == ("listen", 3)
        for each in sockets:
            each.close()

    assert host.serve(serving) == 0


def test_whatever_else_ends_the_loop_is_logged_and_ends_the_process(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    def serving(spec: WorkerSpec, control: Remote) -> None:
        raise ValueError("out of luck")

    host.serving = serving
    assert host.main() == 1
    assert "the worker has failed" in caplog.messages
    assert "ValueError: out of luck" in caplog.text
