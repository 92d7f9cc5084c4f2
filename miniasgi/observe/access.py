"""Access lines: one for each request, formatted once, written many at a time.

A log record costs more than a small request, so lines are collected and handed on together: at the latest after a
second, and when the server stops. Knows logging and the formats; does not know connections.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..config import Config
from . import times
from .escaping import word
from .formats import COMBINED, COMMON, More, ResponseFields, TextFormat
from .handlers import BatchHandler
from .json_lines import JsonFormat, JsonTextFormat

if TYPE_CHECKING:
    from ..http1.head import RequestHead

__all__ = ["AccessLog"]

# 256: lines kept back at the most, about 20 KiB.
_BATCH = 256


class _Format(Protocol):
    @property
    def wants_fields(self) -> bool: ...
    def tick(self, now: float) -> None: ...
    def line(
        self,
        client: tuple[str, int] | None,
        head: RequestHead | None,
        status: int,
        octets: int,
        seconds: float,
        fields: ResponseFields,
        request_id: str,
        more: More,
    ) -> str: ...


class AccessLog:
    """Collects access lines for a logger. Nobody but its owner flushes it, so nothing else keeps a line back.

    Attributes:
        wants_fields: whether the lines show fields of responses; else nobody need keep these.
    """

    def __init__(
        self, logger: logging.Logger, config: Config | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """*clock* says the time of day. Raises UsageError for a format that is none."""
        self._logger = logger
        self._clock = clock
        self._lines: list[str] = []
        self._stamp = ""
        # None for the default format, whose lines are made where they are added: a call less for each request.
        self._format = _format(config or Config(), logger.name)
        self.wants_fields = self._format is not None and self._format.wants_fields
        self.tick()

    def tick(self) -> None:
        """Set the time that the next lines carry, and write those that wait."""
        self.flush()
        now = self._clock()
        if self._format is None:
            self._stamp = times.local(now)
        else:
            self._format.tick(now)

    def add(
        self,
        client: tuple[str, int] | None,
        head: RequestHead | None,
        status: int,
        octets: int,
        seconds: float,
        fields: ResponseFields = (),
        request_id: str = "",
        more: More = (),
    ) -> None:
        """Add a line: from where, what, status, octets of content, how long it took.

        *head* is None for what was no request. *fields* are the response's, looked at only with wants_fields; *more* is
        which messages a WebSocket had, and how many: ("in", 6), ("out", 7).
        """
        lines = self._lines
        if self._format is None:
            host, port = client or ("-", 0)
            if ":" in host:
                host = f"[{host}]"  # else the port would pass for a part of it
            request = '"-"' if head is None else head.line.log
            line = f"{self._stamp} {host}:{port} {request} {status} {octets} {seconds * 1000:.1f}ms"
            if more:
                line += " " + ", ".join([f"{number} {name}" for name, number in more])
            if request_id:
                line += f" id={word(request_id.encode('utf-8', 'replace'))}"
            lines.append(line)
        else:
            lines.append(self._format.line(client, head, status, octets, seconds, fields, request_id, more))
        if len(lines) >= _BATCH:
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


def _format(config: Config, logger: str) -> _Format | None:
    """What makes the lines; None for the default format."""
    chosen = config.access_log_format
    if chosen == "json" or (chosen == "default" and config.log_format == "json"):
        return JsonFormat(logger)
    if chosen == "default":
        return None
    text = TextFormat({"common": COMMON, "combined": COMBINED}.get(chosen, chosen))
    return JsonTextFormat(logger, text) if config.log_format == "json" else text


def _takes_batches(logger: logging.Logger) -> bool:
    """Whether every handler that would get a record of *logger* is one of ours."""
    current: logging.Logger | None = logger
    while current is not None:
        if not all(isinstance(handler, BatchHandler) for handler in current.handlers):
            return False
        current = current.parent if current.propagate else None
    return bool(logger.handlers)
