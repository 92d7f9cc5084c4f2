"""Fixtures that run a test once for each parser or event loop, and what holds for all tests."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator

import pytest

PARSERS = ("handwritten", "httptools", "h11")
LOOPS = ("asyncio", "uvloop")
NAMED = frozenset(signal.Signals)


@pytest.fixture(params=PARSERS)
def parser_name(request: pytest.FixtureRequest) -> str:
    """The name of each parser whose package is installed."""
    if request.param != "handwritten":
        pytest.importorskip(request.param, reason=f"the package {request.param} is not installed")
    return str(request.param)


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    """The name of each event loop whose package is installed."""
    if request.param != "asyncio":
        pytest.importorskip(request.param, reason=f"the package {request.param} is not installed")
    return str(request.param)


def surroundings() -> dict[str, object]:
    """What a test could change for all that come after it."""
    loggers = [logging.getLogger(name) for name in (None, "asyncio", "miniasgi", "miniasgi.server", "miniasgi.access")]
    return {
        "loggers": [
            (
                each.name,
                each.level,
                each.disabled,
                each.propagate,
                [one for one in each.handlers if not is_pytests(one)],
            )
            for each in loggers
        ],
        "signals": {number.name: signal.getsignal(number) for number in signal.valid_signals() if number in NAMED},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "path": list(sys.path),
        # Not the values, which a failure would show to everybody.
        "environment": {name: hash(value) for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "directory": os.getcwd(),
        "collector": gc.isenabled(),
    }


def is_pytests(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest.")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """No test decides how another one ends."""
    before = surroundings()
    yield
    assert surroundings() == before


def pytest_configure() -> None:
    """Let servers be ended by what ends them at a terminal, also where a shell has started the tests out of sight."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Leave the many tests there are out of each later look for garbage, of which they were the most."""
    gc.collect()
    gc.freeze()
