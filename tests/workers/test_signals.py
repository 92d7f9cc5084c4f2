"""Signals that nobody obeys: the ending ones end at once, the others do nothing, and afterwards all is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from miniasgi.workers.system import signals as module
from miniasgi.workers.system.signals import ENDING, GENTLE, bridge_signals, give_back, ignore_gentle


class Ended(BaseException):
    """Instead of the end of the process of the tests."""


def handlers() -> list[Any]:
    return [signal.getsignal(getattr(signal, name)) for name in (*ENDING, *GENTLE)]


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was done, in order."""
    notes: list[object] = []

    def end(status: int, *, at_once: bool) -> None:
        notes.append((status, at_once))
        raise Ended

    monkeypatch.setattr(module, "end_process", end)
    return notes


@pytest.mark.parametrize("name", ENDING)
def test_a_signal_that_ends_does_so_at_once_after_the_last_call(name: str, notes: list[object]) -> None:
    number = getattr(signal, name)
    with pytest.raises(Ended), bridge_signals(lambda: notes.append("last")):
        signal.raise_signal(number)
    assert notes == ["last", (128 + number, True)]


@pytest.mark.parametrize("name", GENTLE)
def test_another_signal_does_nothing(name: str, notes: list[object]) -> None:
    before = handlers()
    with bridge_signals(lambda: notes.append("last")):
        signal.raise_signal(getattr(signal, name))
    assert notes == []
    assert handlers() == before


def test_a_program_that_is_started_meanwhile_ignores_none_of_them() -> None:
    code = "import signal; print([signal.getsignal(getattr(signal, name)) for name in %r])"
    with bridge_signals(lambda: None):
        done = subprocess.run([sys.executable, "-c", code % (GENTLE,)], capture_output=True, text=True, timeout=10)
    assert done.stdout == f"{[signal.SIG_DFL] * len(GENTLE)}\n"


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, seen = handlers(), []

    def enter() -> None:
        with bridge_signals(lambda: None):
            seen.append(handlers())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_handler_that_is_not_pythons_is_left_to_its_owner() -> None:
    before = handlers()
    give_back({signal.SIGUSR1: None})
    assert handlers() == before


@pytest.mark.parametrize("name", GENTLE)
def test_a_process_that_ignores_them_is_neither_stopped_nor_ended_while_the_interpreter_ends(name: str) -> None:
    # A finaliser of a module is among the last things that an interpreter calls.
    code = (
        "import os, signal\n"
        "from miniasgi.workers.system.signals import bridge_signals, ignore_gentle\n"
        "class Last:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid(), write=os.write):\n"
        f"        kill(pid, {int(getattr(signal, name))})\n"
        "        write(1, b'alive')\n"
        "last = Last()\n"
        "ignore_gentle()\n"
        "with bridge_signals(lambda: None): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=10)
    assert (done.returncode, done.stdout) == (0, b"alive"), done.stderr


def test_ignoring_changes_only_those_that_do_not_end() -> None:
    before = handlers()
    try:
        ignore_gentle()
        assert handlers() == before[: len(ENDING)] + [signal.SIG_IGN] * len(GENTLE)
        for name in GENTLE:
            os.kill(os.getpid(), getattr(signal, name))
    finally:
        for name, handler in zip((*ENDING, *GENTLE), before, strict=True):
            signal.signal(getattr(signal, name), handler)
