"""Log files that have been moved are opened again, whoever has opened them. Knows logging's handlers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

__all__ = ["reopen_files"]

_logger = logging.getLogger("miniasgi.server")


def reopen_files() -> list[str]:
    """Open the files of all loggers' handlers again, after they have been moved; returns the paths of those opened.

    No record is lost: those before are in the old file, those after in the new one. What cannot be opened is logged,
    and its lines go on to the old file. Reaches every logging.FileHandler, and what a MemoryHandler hands its records
    to; not what stands behind a QueueListener, which only its owner knows, nor files that are open as standard output
    or standard error.

    Must not be called from a signal's handler, which may have interrupted a handler of this thread that is writing.
    """
    return list(dict.fromkeys(handler.baseFilename for handler in _file_handlers() if _reopen(handler)))


def _file_handlers() -> Iterator[logging.FileHandler]:
    """Those of every logger that has been named, each once."""
    from logging.handlers import MemoryHandler  # here, because a start has no use for it

    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.copy().values()]
    waiting = [handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers]
    seen: set[logging.Handler] = set()
    while waiting:
        handler = waiting.pop(0)
        if handler in seen:
            continue
        seen.add(handler)
        if isinstance(handler, logging.FileHandler):
            yield handler
        elif isinstance(handler, MemoryHandler) and handler.target is not None:
            waiting.append(handler.target)


def _reopen(handler: logging.FileHandler) -> bool:
    """Whether *handler* writes to a newly opened file."""
    from logging.handlers import WatchedFileHandler

    path = handler.baseFilename
    problem = ""
    opened = False
    handler.acquire()
    try:
        old, mode = handler.stream, handler.mode
        # Typed as always there, but None if it is closed, or with delay=True: then the next record opens the file.
        if old is None:
            return False
        try:
            # If the file has not been moved, "w" would empty it and "x" refuse it.
            handler.mode = mode.replace("w", "a").replace("x", "a")
            handler.stream = handler._open()
            opened = True
            if isinstance(handler, WatchedFileHandler):
                handler._statstream()  # this one is the one to watch
            old.close()
        except Exception as error:  # OSError; or anything, from a handler of the application's own
            problem = str(error)
        finally:
            handler.mode = mode
    finally:
        handler.release()
    # After the release: this line may go to a MemoryHandler that has a lock and waits for this one.
    if problem and opened:
        _logger.error("%s is reopened, but the last lines in the old file may be lost: %s", path, problem)
    elif problem:
        _logger.error("%s is not reopened, its lines go on to the old file: %s", path, problem)
    return opened
