"""What the server logs while a test runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


class Records(logging.Handler):
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def errors(self) -> list[str]:
        """The messages of what was logged as an error, each with the error's own text behind it."""
        return [
            record.getMessage() + (f" / {record.exc_info[1]!r}" if record.exc_info else "")
            for record in self.records
            if record.levelno >= logging.ERROR
        ]

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def logged() -> Iterator[Records]:
    """What goes to the miniasgi.server logger, from DEBUG on."""
    logger = logging.getLogger("miniasgi.server")
    handler = Records()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(before)
    logger.removeHandler(handler)
