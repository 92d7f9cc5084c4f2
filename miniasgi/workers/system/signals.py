"""What signals do to a process that has nobody to obey them: before it serves, and when it has done so.

Without this, one that comes a moment too early or too late would do what the system does: stop the process as a
debugger does (SIGTTIN, SIGTTOU), or end it with its pid file left behind.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from .exits import end_process

__all__ = ["ENDING", "GENTLE", "bridge_signals", "give_back", "ignore_gentle"]

#: Those that end a server.
ENDING = ("SIGINT", "SIGTERM", "SIGQUIT")
#: Those that ask it for something else.
GENTLE = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1")


@contextmanager
def bridge_signals(last: Callable[[], object]) -> Iterator[None]:
    """Until others take the signals, and when they have given them back: end at once, or pass over what else is asked.

    *last* is called before the end. Nothing changes outside the main thread, where signals are somebody else's.
    """

    def end(number: int, frame: FrameType | None) -> None:
        last()
        end_process(128 + number, at_once=True)

    before: dict[int, Any] = {}
    try:
        for name in (*ENDING, *GENTLE):
            # AttributeError: not a POSIX system. ValueError: not in the main thread.
            with suppress(AttributeError, ValueError):
                number = getattr(signal, name)
                before[number] = signal.signal(number, end if name in ENDING else _pass_over)
        yield
    finally:
        give_back(before)


def _pass_over(number: int, frame: FrameType | None) -> None:
    """Do nothing at a signal; unlike an ignored one, it is not ignored by programs that this process starts."""


def give_back(handlers: dict[int, Any]) -> None:
    """Let whoever had the signals have them again; *handlers* as signal.signal() has returned them."""
    for number, handler in handlers.items():
        if handler is not None:  # one that is not Python's, which only its owner can put back
            signal.signal(number, handler)


def ignore_gentle() -> None:
    """Ignore what is not meant to end the process, until it has ended: the interpreter takes its time for that."""
    for name in GENTLE:
        with suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
