"""Where log lines go when nobody has said so: the server's to standard error, access lines to standard output."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

__all__ = ["TRACE", "BatchHandler", "configure"]

#: Below DEBUG, as uvicorn has it.
TRACE = 5


class BatchHandler(logging.StreamHandler[TextIO]):
    """Writes records whose text may be many lines; a reader that has gone is said once, and never raised."""

    _broken = False

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], OSError):
            if not self._broken:
                self._broken = True
                logging.getLogger("miniasgi.server").error("access lines are lost: %s", sys.exc_info()[1])
        else:
            super().handleError(record)


def configure(level: str) -> None:
    """Give the two loggers a handler each, unless somebody has given them one, and *level* to the server's."""
    logging.addLevelName(TRACE, "TRACE")
    server = logging.getLogger("miniasgi.server")
    server.setLevel(TRACE if level == "trace" else level.upper())
    if not _has_handler(server):
        handler = logging.StreamHandler()
        handler.setFormatter(_ServerFormatter())
        server.addHandler(handler)
        server.propagate = False
    access = logging.getLogger("miniasgi.access")
    # dictConfig switches off, unless told otherwise, the loggers that it does not mention.
    server.disabled = access.disabled = False
    if not _has_handler(access):
        access.addHandler(BatchHandler(sys.stdout))
        access.propagate = False
    if access.level == logging.NOTSET:
        access.setLevel(logging.INFO)


def _has_handler(logger: logging.Logger) -> bool:
    """Whether *logger* itself, or "miniasgi" above it, has been given a handler; root's are other people's."""
    return bool(logger.handlers or logging.getLogger("miniasgi").handlers)


class _ServerFormatter(logging.Formatter):
    """Time, level, message; tracebacks below, as they come."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        return super().formatMessage(record)
