"""Where log lines go when nobody has said so: the server's to standard error, access lines to standard output.

Also what logs need when several workers write them: names, lines that arrive whole, files that are opened again. Knows
logging and descriptors; does not know what a worker is.
"""

from __future__ import annotations

import io
import logging
import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from logging.handlers import MemoryHandler, WatchedFileHandler
from typing import TextIO

__all__ = ["TRACE", "BatchHandler", "configure", "reopen_files", "set_name"]

#: Below DEBUG, as uvicorn has it.
TRACE = 5

# The most that a pipe takes without mixing it with what other processes write; 512 is what POSIX asks for at least.
_PIECE_OCTETS: int = getattr(select, "PIPE_BUF", 512)

_logger = logging.getLogger("miniasgi.server")


def configure(level: str, who: str = "") -> None:
    """Give the two loggers a handler each, unless somebody has given them one, and *level* to the server's.

    With *who*, also set_name(who).
    """
    logging.addLevelName(TRACE, "TRACE")
    if who:
        set_name(who)
    server = _logger
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


# Names


class _Name(threading.local):
    who = ""


# A thread's own name wins. Both are set by set_name alone.
_thread_name = _Name()
_process_name = ""


def set_name(who: str) -> None:
    """Have the server's lines begin with *who*, such as "worker 2"; with no name if it is empty.

    The main thread's name is that of the process: of every thread that has none of its own. Another thread's name is
    for what this thread logs.
    """
    global _process_name
    if threading.current_thread() is threading.main_thread():
        _process_name = who
    else:
        _thread_name.who = who


class _ServerFormatter(logging.Formatter):
    """Time, level, who if there is a name, message; tracebacks below, as they come."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # The handler formats in the thread that logs, so the thread's name is at hand.
        who = _thread_name.who or _process_name
        return f"{record.asctime} {record.levelname.lower()} {who}{': ' if who else ''}{record.message}"


# Writing


class BatchHandler(logging.StreamHandler[TextIO]):
    """Writes records whose text may be many lines; a reader that has gone is said once, and never raised.

    Several processes may write to what they have inherited as standard output, and each line arrives whole: always in a
    file, in a pipe if it has no more than PIPE_BUF octets (Linux: 4096), its end included.
    """

    _broken = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            descriptor = _descriptor_of(self.stream)
            if descriptor is None:
                super().emit(record)
                return
            text = self.format(record) + self.terminator
            octets = text.encode(self.stream.encoding, self.stream.errors or "strict")
            self.stream.flush()  # what the application has printed before
            # Past the stream's buffer: what another thread prints meanwhile would be added to the same write there.
            _write_lines(descriptor, octets)
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], OSError):
            if not self._broken:
                self._broken = True
                _logger.error("access lines are lost: %s", sys.exc_info()[1])
        else:
            super().handleError(record)


def _descriptor_of(stream: TextIO) -> int | None:
    """The descriptor that gets what is written to *stream*, if it gets that and nothing else.

    None if *stream* may do more with it than encode, as what stands in for standard output in tests and consoles does.
    """
    if sys.platform == "win32" or type(stream) is not io.TextIOWrapper:
        return None
    buffer = stream.buffer
    raw = buffer.raw if type(buffer) is io.BufferedWriter else buffer  # "python -u" has no buffer
    if type(raw) is not io.FileIO or "\n".encode(stream.encoding) != b"\n":
        return None
    return raw.fileno()


def _write_lines(descriptor: int, octets: bytes) -> None:
    """Write whole lines so that they are not mixed with those of other processes."""
    for piece in _pieces(octets, _piece_octets(descriptor)):
        while piece:
            try:
                piece = piece[os.write(descriptor, piece) :]
            except BlockingIOError:
                # Somebody who shares it has made it non-blocking. Lines wait for a slow reader all the same.
                poll = select.poll()
                poll.register(descriptor, select.POLLOUT)
                poll.poll()


def _piece_octets(descriptor: int) -> int:
    """The most that a single write may have: a file is locked for a whole write, a pipe for no more than PIPE_BUF."""
    return sys.maxsize if stat.S_ISREG(os.fstat(descriptor).st_mode) else _PIECE_OCTETS


def _pieces(octets: bytes, most: int) -> Iterator[bytes]:
    """Cut *octets* after line ends into pieces of at most *most*; a line that is longer is a piece of its own."""
    start = 0
    while len(octets) - start > most:
        end = octets.rfind(b"\n", start, start + most) + 1 or octets.find(b"\n", start + most) + 1 or len(octets)
        yield octets[start:end]
        start = end
    if start < len(octets):
        yield octets[start:]


# Files


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
