"""Handlers that write whole lines, many at a time, to a stream or a file that other processes write to as well.

Knows logging and descriptors; does not know what the lines say.
"""

from __future__ import annotations

import io
import logging
import os
import select
import stat
import sys
from collections.abc import Iterator
from typing import TextIO, cast

__all__ = ["BatchFileHandler", "BatchHandler"]

# The most that a pipe takes without mixing it with what other processes write; 512 is what POSIX asks for at least.
_PIECE_OCTETS: int = getattr(select, "PIPE_BUF", 512)

_logger = logging.getLogger("miniasgi.server")


class BatchHandler(logging.StreamHandler[TextIO]):
    """Writes records whose text may be many lines; a reader that has gone, or a full disk, is said once, never raised.

    Several processes may write to what they have inherited as standard output, and each line arrives whole: always in a
    file, in a pipe if it has no more than PIPE_BUF octets (Linux: 4096), its end included.
    """

    _broken = False  # whether lines are being lost, and it has been said

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
            if self._broken:
                self._broken = False
                _logger.info("access lines are written again")
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], OSError):
            if not self._broken:
                self._broken = True
                _logger.error("access lines are lost: %s", sys.exc_info()[1])
        else:
            super().handleError(record)


class BatchFileHandler(BatchHandler, logging.FileHandler):
    """A BatchHandler whose lines are added to the file at *path*; raises OSError if it cannot be opened."""

    def __init__(self, path: str) -> None:
        logging.FileHandler.__init__(self, path, "a", encoding="utf-8", errors="backslashreplace")

    def _open(self) -> io.TextIOWrapper:
        # 0o644: others may read it, as syslog's files; Python itself would let them write where the umask does.
        opened = open(  # noqa: SIM115  # closed when the handler is
            self.baseFilename,
            self.mode,
            encoding=self.encoding,
            errors=self.errors,
            opener=lambda path, flags: os.open(path, flags, 0o644),
        )
        return cast(io.TextIOWrapper, opened)  # each mode is one of text

    def emit(self, record: logging.LogRecord) -> None:
        # Typed as always there, but None once dictConfig has closed all handlers that there were.
        if self.stream is None:
            try:
                self.stream = self._open()
            except OSError:
                self.handleError(record)
                return
        super().emit(record)


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
