"""The time zone, the loggers and the names of threads, as a test wants them; afterwards as they were."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator

import pytest

from miniasgi.observe import handlers, logs
from miniasgi.observe.names import set_name


@pytest.fixture
def time_zone() -> Iterator[Callable[[str], None]]:
    """Call it with what the variable TZ is to be."""
    with pytest.MonkeyPatch.context() as patch:

        def set_zone(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        yield set_zone
    time.tzset()


@pytest.fixture
def utc(time_zone: Callable[[str], None]) -> None:
    time_zone("UTC0")


@pytest.fixture
def nameless() -> Iterator[None]:
    set_name("")
    yield
    set_name("")


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging as a program finds it that has just begun, and afterwards as it was."""
    for name, value in (("given", {}), ("file", ""), ("has_level", False)):
        monkeypatch.setattr(logs._State, name, value)
    # So that dictConfig closes no handlers but those that a test has made.
    monkeypatch.setattr(logging, "_handlerList", [])
    monkeypatch.setattr(logging, "_handlers", {})
    ours = [logging.getLogger(name) for name in ("miniasgi", "miniasgi.server", "miniasgi.access")]
    named = [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    loggers = [logging.getLogger(), *named]
    before = [(each.handlers[:], each.level, each.propagate, each.disabled) for each in loggers]
    logging.getLogger().handlers = []
    for each in ours:
        each.handlers, each.propagate = [], True
        each.setLevel(logging.NOTSET)
    yield
    for each, (given, level, propagate, disabled) in zip(loggers, before, strict=True):
        for handler in each.handlers:
            if handler not in given:
                handler.close()
        each.handlers, each.propagate, each.disabled = given, propagate, disabled
        each.setLevel(level)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been given to write(2), call by call."""
    written: list[bytes] = []
    write = os.write

    def record(descriptor: int, octets: bytes) -> int:
        written.append(octets)
        return write(descriptor, octets)

    monkeypatch.setattr(handlers.os, "write", record)
    return written
