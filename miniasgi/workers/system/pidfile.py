"""A file that holds the number of the process to send signals to, while it runs.

Knows files and whether a process is alive. Does not know what the process does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
from pathlib import Path

from ...errors import StartupError

__all__ = ["PidFile"]

logger = logging.getLogger("miniasgi.server")

# 32 octets: a number with room around it. What is longer is another kind of file, such as an application that was
# named by mistake, and must not be replaced.
_MOST_OCTETS = 32
_NUMBER = re.compile(rb"\s*([1-9][0-9]{0,9})\s*", re.ASCII)


class PidFile:
    """The file at *path*, which holds this process's number from entering the context to leaving it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        #: Absolute, because the current directory may be another one when the file is removed.
        self.path = Path(path).absolute()
        # This process's number once it has been written. A process that was forked since then has another one.
        self._written = 0

    def __enter__(self) -> PidFile:
        """Write the file.

        Raises StartupError: a process that the file names is alive; it is no such file; it cannot be read or written.
        """
        own = os.getpid()
        try:
            self._make_way(own)
        except OSError as error:
            raise StartupError(f"--pid {self.path}: cannot be read: {error.strerror}") from error
        try:
            self._write(own)
        except OSError as error:
            raise StartupError(f"--pid {self.path}: cannot be written: {error.strerror}") from error
        self._written = own
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the file if it is still this process's own."""
        if self._written != os.getpid():
            return
        try:
            if _number(self._read()) == self._written:
                self.path.unlink()
        except (FileNotFoundError, StartupError):
            pass  # somebody else has removed it, or put something else there
        except OSError as error:
            logger.warning("%s cannot be removed: %s", self.path, error.strerror)

    def _make_way(self, own: int) -> None:
        """Make sure that what is at the path may be replaced, and say so in the log."""
        try:
            content = self._read()
        except FileNotFoundError:
            return
        number = _number(content)
        if number is None:
            logger.warning("%s does not hold a process's number; it is replaced", self.path)
        # In a container a new process often gets the number that the one before had.
        elif number != own:
            if _is_alive(number):
                raise StartupError(
                    f"--pid {self.path}: process {number}, which it names, is alive; "
                    "stop that one, or remove the file if that one is another program"
                )
            logger.warning("%s names process %d, which has gone; it is replaced", self.path, number)

    def _read(self) -> bytes:
        """What is in the file; StartupError if it cannot be one of this kind."""
        # Renaming replaces whatever is there, and root may replace everything, /dev/null too. So nothing else than a
        # file is taken, and no link: whose it is, and who else may turn it elsewhere, cannot be known.
        if self.path.is_symlink():
            raise StartupError(f"--pid {self.path}: found a symbolic link, expected a file, or nothing")
        # O_NONBLOCK: a pipe would keep us waiting for a writer.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StartupError(f"--pid {self.path}: found no regular file, expected one, or nothing")
            content = os.read(descriptor, _MOST_OCTETS + 1)
        finally:
            os.close(descriptor)
        if len(content) > _MOST_OCTETS:
            raise StartupError(f"--pid {self.path}: found more than a process's number in it, expected that or nothing")
        return content

    def _write(self, number: int) -> None:
        # Written beside and renamed, so that nobody reads half a number. O_EXCL follows no link, and the name cannot be
        # guessed, so nobody can be there first.
        beside = self.path.with_name(f".pid-{os.urandom(8).hex()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with open(descriptor, "wb") as file:
                file.write(b"%d\n" % number)
            beside.rename(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise


def _number(content: bytes) -> int | None:
    found = _NUMBER.fullmatch(content)
    return int(found[1]) if found else None


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except PermissionError:  # there is one, somebody else's
        return True
    except (ProcessLookupError, OverflowError):  # OverflowError: no process has such a number
        return False
    return True
