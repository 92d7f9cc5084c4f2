"""Access lines: one for each request, formatted once, written many at a time.

A log record costs more than a small request, so lines are collected and handed on together: at the latest after a
second, and when the server stops. Knows logging; does not know connections.
"""

from __future__ import annotations

import logging
import time

from .logs import BatchHandler

__all__ = ["AccessLog"]

# 256: lines kept back at the most, about 20 KiB.
_BATCH = 256


class AccessLog:
    """Collects access lines for a logger. Nobody but its owner flushes it, so nothing else keeps a line back."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lines: list[str] = []
        self._stamp = ""
        self.tick()

    def tick(self) -> None:
        """Set the time that the next lines carry, and write those that wait."""
        self.flush()
        self._stamp = time.strftime("%Y-%m-%d %H:%M:%S")

    def add(
        self,
        client: tuple[str, int] | None,
        request: str,
        status: int,
        octets: int,
        seconds: float,
        more: str = "",
    ) -> None:
        """Add a line: when, from where, what, status, octets of content, how long it took, and what *more* there is.

        *request* is the request line in quotes, with nothing in it that could end a line or a quote.
        """
        host, port = client or ("-", 0)
        self._lines.append(f"{self._stamp} {host}:{port} {request} {status} {octets} {seconds * 1000:.1f}ms{more}")
        if len(self._lines) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        lines = self._lines
        if not lines:
            return
        self._lines = []
        if _takes_batches(self._logger):
            self._emit("\n".join(lines))
        else:
            # Somebody else's handler: it is owed a record for each request.
            for line in lines:
                self._emit(line)

    def _emit(self, text: str) -> None:
        logger = self._logger
        logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, text, (), None))


def _takes_batches(logger: logging.Logger) -> bool:
    """Whether every handler that would get a record of *logger* is one of ours."""
    current: logging.Logger | None = logger
    while current is not None:
        if not all(isinstance(handler, BatchHandler) for handler in current.handlers):
            return False
        current = current.parent if current.propagate else None
    return bool(logger.handlers)
