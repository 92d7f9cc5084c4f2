"""What a test may change for all that come after it, and how signals are given back."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = (None, "asyncio", "miniasgi", "miniasgi.server", "miniasgi.access")


def surroundings() -> dict[str, object]:
    """What a test could change for all that come after it."""
    return {
        "loggers": [
            (each.name, each.level, each.disabled, each.propagate, [h for h in each.handlers if not _is_pytests(h)])
            for each in map(logging.getLogger, LOGGERS)
        ],
        "signals": {number: signal.getsignal(number) for number in signal.Signals},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "path": list(sys.path),
        # Not the values, which a failure would show to everybody.
        "environment": {name: hash(value) for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "directory": os.getcwd(),
        "collector": gc.isenabled(),
    }


def _is_pytests(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest.")


@contextmanager
def signals_kept() -> Iterator[None]:
    """The handlers of signals, and which are held back, are as they were afterwards."""
    handlers = {number: signal.getsignal(number) for number in signal.Signals}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
