"""How a record of the server becomes lines: text for people, JSON for programs, and colours on a terminal.

Knows logging; does not know where the lines go.
"""

from __future__ import annotations

import logging
import os
import re

from . import names, times
from .escaping import json_text, visible

__all__ = ["ColoredStatusFormatter", "JsonFormatter", "TextFormatter", "wants_colors"]

_RESET = "\x1b[0m"
# The least severe of each colour: faint, green, yellow, red, bold red.
_LEVEL_COLORS = ((50, "\x1b[1;31m"), (40, "\x1b[31m"), (30, "\x1b[33m"), (20, "\x1b[32m"), (0, "\x1b[2m"))
_STATUS_COLORS = {"2": "\x1b[32m", "3": "\x1b[36m", "4": "\x1b[33m", "5": "\x1b[31m", "0": "\x1b[31m"}


def wants_colors(asked: bool | None, stream: object) -> bool:
    """Whether lines on *stream* are coloured: as *asked*, or, where that is None, if somebody looks at a terminal.

    https://no-color.org has NO_COLOR, which says no if it is not empty, and https://force-color.org has FORCE_COLOR,
    which says yes, as where a program that shows colours reads a pipe.
    """
    if asked is not None:
        return asked
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]  # what stands for standard error may have none
    except (AttributeError, ValueError):  # ValueError: it is closed
        return False


class TextFormatter(logging.Formatter):
    """Time, level, who if there is a name, message; tracebacks below, of which no line can pass for one of these."""

    def __init__(self, *, colored: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self._colored = colored

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record, self.datefmt)
        # Escaped here and not where Python would keep it, because other handlers' formatters take it from there. An
        # exception's text often holds what a client has sent.
        below = (_exception(self, record), self.formatStack(record.stack_info) if record.stack_info else "")
        return "\n".join([self.formatMessage(record), *(visible(text) for text in below if text)])

    def formatMessage(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        if self._colored:
            level = _level_color(record.levelno) + level + _RESET
        # The handler formats in the thread that logs, so the thread's name is at hand.
        who = names.name()
        return f"{record.asctime} {level} {who}{': ' if who else ''}{visible(record.message)}"


def _level_color(number: int) -> str:
    return next((color for least, color in _LEVEL_COLORS if number >= least), "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, pid; exception, stack and worker where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        members = {
            "time": times.iso(record.created, fraction=True),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if exception := _exception(self, record):
            members["exception"] = exception
        if record.stack_info:
            members["stack"] = self.formatStack(record.stack_info)
        if who := names.name():
            members["worker"] = who
        written = ", ".join(f'"{name}": {json_text(text)}' for name, text in members.items())
        return f'{{{written}, "pid": {os.getpid()}}}'


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback of *record*; empty if there is none."""
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


class ColoredStatusFormatter(logging.Formatter):
    """For access lines of the default format, one or many in a record: their status in colour."""

    def format(self, record: logging.LogRecord) -> str:
        return _STATUS.sub(_color_status, super().format(record))


# In the request line there is no quote, so the first one with a number behind it ends it.
_STATUS = re.compile(r'(?m)^([^"\n]*"[^"\n]*" )([0-9]+)')


def _color_status(match: re.Match[str]) -> str:
    color = _STATUS_COLORS.get(match[2][0], "")
    return f"{match[1]}{color}{match[2]}{_RESET}" if color else match[0]
