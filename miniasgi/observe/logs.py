"""Where log lines go: to the streams and files that the options name, unless somebody has given other handlers.

Knows logging, the options for it and what the rest of this room is for; does not know what a worker is.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple, TextIO

from ..config import Config
from ..errors import StartupError, UsageError
from .formats import check_format
from .formatters import ColoredStatusFormatter, JsonFormatter, TextFormatter, wants_colors
from .handlers import BatchFileHandler, BatchHandler
from .names import set_name
from .reopening import reopen_files

__all__ = ["TRACE", "BatchHandler", "configure", "reopen_files", "set_name"]

#: Below DEBUG, as uvicorn has it.
TRACE = 5

_above = logging.getLogger("miniasgi")
_server = logging.getLogger("miniasgi.server")
_access = logging.getLogger("miniasgi.access")


class _Given(NamedTuple):
    """A handler that configure has given to a logger, and what for."""

    handler: logging.Handler
    wanted: tuple[object, ...]


class _State:
    """What configure has done in this process. Changed by configure alone, which one thread at a time runs."""

    lock = threading.Lock()
    given: dict[str, _Given] = {}  # noqa: RUF012  # there is one
    #: The file that was put into effect, and whether it has set the server's level.
    file = ""
    has_level = False


def configure(config: Config, who: str = "") -> None:
    """Put the file of log_config into effect; give the two loggers a level, and a handler unless they have others.

    With *who*, also set_name(who). May be called again: for other threads, and when the application, which has been
    loaded meanwhile, may have changed what there was. Raises StartupError or UsageError: a format, or a file that
    cannot be had.
    """
    logging.addLevelName(TRACE, "TRACE")
    if who:
        set_name(who)
    check_format(config.access_log_format)
    with _State.lock:
        if config.log_config != _State.file:
            _apply(config.log_config)
        if not _State.has_level:
            level = config.log_level
            _server.setLevel(TRACE if level == "trace" else level.upper())
        if _access.level == logging.NOTSET:
            _access.setLevel(logging.INFO)
        # dictConfig switches off, unless told otherwise, the loggers that it does not mention.
        _server.disabled = _access.disabled = False
        asked = (config.log_format, config.use_colors)
        _give(_server, (config.error_logfile, *asked), lambda: _server_handler(config))
        # A file is opened for those lines alone that are written.
        file = config.access_logfile if config.access_log else "-"
        _give(_access, (file, config.access_log_format, *asked), lambda: _access_handler(config, file))


def _apply(path: str) -> None:
    """Put a file into effect, before anything is added to what it says; none if *path* is empty."""
    _State.file, _State.has_level = path, False
    if path:
        before = _server.level
        _server.setLevel(logging.NOTSET)
        try:
            from .log_config import apply_file  # here, for the few that have one: it takes a tenth of a start

            apply_file(path)
        except StartupError:
            _State.file = ""
            _server.setLevel(before)
            raise
        _State.has_level = _server.level != logging.NOTSET or _above.level != logging.NOTSET


def _give(logger: logging.Logger, wanted: tuple[object, ...], make: Callable[[], logging.Handler]) -> None:
    """See that *logger* has what *make* makes, and has it once; or nothing of ours, where others have given handlers.

    Those of "miniasgi" count, too; the root's are other people's.
    """
    given = _State.given.get(logger.name)
    ours = given.handler if given is not None and given.handler in logger.handlers else None
    others = [handler for handler in logger.handlers if handler is not ours]
    if others or _above.handlers:
        _take(logger, ours)
        if ours is not None and not others:
            logger.propagate = True  # to "miniasgi"; we had switched it off
    elif ours is None or given is None or given.wanted != wanted:
        handler = make()
        _take(logger, ours)
        logger.addHandler(handler)
        logger.propagate = False
        _State.given[logger.name] = _Given(handler, wanted)


def _take(logger: logging.Logger, handler: logging.Handler | None) -> None:
    if handler is not None:
        logger.removeHandler(handler)
        handler.close()
        del _State.given[logger.name]


def _server_handler(config: Config) -> logging.Handler:
    handler = _handler("--error-logfile", config.error_logfile, sys.stderr)
    if config.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter(colored=_is_colored(config, handler)))
    return handler


def _access_handler(config: Config, file: str) -> logging.Handler:
    # The lines come whole: their format is the access log's business.
    handler = _handler("--access-logfile", file, sys.stdout)
    if config.log_format == "text" and config.access_log_format == "default" and _is_colored(config, handler):
        handler.setFormatter(ColoredStatusFormatter())
    return handler


def _handler(option: str, path: str, stream: TextIO) -> BatchHandler:
    """For *stream* if *path* is "-", else for the file there. Raises StartupError if it cannot be opened."""
    if path == "-":
        return BatchHandler(stream)
    try:
        return BatchFileHandler(path)
    except OSError as error:
        # Where the path itself is wrong, it is the option that is to be changed; else it may be the system.
        mistaken = error.errno in (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)
        kind = UsageError if mistaken else StartupError
        folder = "" if error.errno != errno.ENOENT else f" (no directory {os.path.dirname(os.path.abspath(path))})"
        raise kind(
            f"{option} {path}: {error.strerror}{folder}, expected - or a file that lines can be added to"
        ) from error


def _is_colored(config: Config, handler: BatchHandler) -> bool:
    return not isinstance(handler, BatchFileHandler) and wants_colors(config.use_colors, handler.stream)
