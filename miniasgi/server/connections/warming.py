"""Getting a part of a file into memory, so that the event loop need not wait for a disk.

Knows posix_fadvise(2) and threads. Does not know sockets, nor how it is seen what is in memory (page_cache).
"""

from __future__ import annotations

import contextlib
import os
from asyncio import AbstractEventLoop, Future

__all__ = ["Warming"]

# 256 KiB: how much a thread reads at a time, only to throw it away.
_PIECE = 256 * 1024


class Warming:
    """A part of a file that a thread reads so that it is in memory.

    Attributes:
        ended: done when the thread is, whatever has come of it: what is wrong with the file, sending it tells.
    """

    def __init__(self, loop: AbstractEventLoop, file: int, offset: int, count: int) -> None:
        """Have the loop's default executor read. *file* may be closed at any time; abandon() must be called in the end.

        Raises OSError (there are no descriptors left) or RuntimeError (there are no threads left, or the loop ends).
        """
        # Empty when it has been taken to be closed, by the thread or by abandon(): were the number closed by both, the
        # second might hit another file that has got it meanwhile.
        self._descriptors = [os.dup(file)]
        self._abandoned = False
        try:
            self.ended: Future[None] = loop.run_in_executor(None, self._read, offset, count)
        except BaseException:
            self._close()
            raise

    def abandon(self) -> None:
        """Learn that nobody waits any more: what has not begun never will, what has begun ends soon."""
        self._abandoned = True
        self.ended.cancel()
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(IndexError):
            os.close(self._descriptors.pop())

    def _read(self, offset: int, count: int) -> None:
        try:
            descriptor = self._descriptors.pop()
        except IndexError:
            return
        try:
            # As much again: the disk is at work on it while this part is being sent. While one client takes 1.4 GB that
            # are not in memory, others wait 1.1 ms (p99), against 2.6 ms if the loop reads, and 3 ms if nothing is
            # announced; announcing 4 MiB is no better, nor is POSIX_FADV_SEQUENTIAL (read-ahead of 8 MiB, 2026-11).
            os.posix_fadvise(descriptor, offset, 2 * count, os.POSIX_FADV_WILLNEED)
            buffer = bytearray(min(count, _PIECE))
            end = offset + count
            while offset < end and not self._abandoned:
                read = os.preadv(descriptor, [buffer], offset)
                if not read:
                    break
                offset += read
        except OSError:
            pass
        finally:
            os.close(descriptor)
