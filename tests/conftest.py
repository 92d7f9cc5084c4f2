"""Fixtures that run a test once for each parser or event loop, and what holds for all tests."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

from tests.kept import surroundings

PARSERS = ("handwritten", "httptools", "h11")
LOOPS = ("asyncio", "uvloop")


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
