"""A folder's files: what can be opened for a path, its index, its page, its other codings.

Knows which names may be shown. Does not know requests, nor what is sent of a file.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .answer import OpenFile
from .entries import Listing, scan
from .memory import FRESH_SECONDS
from .paths import Root, closing
from .settings import Settings

__all__ = ["NOTHING", "Folder", "Found"]

logger = logging.getLogger("miniasgi.server")

#: Errors that mean: no file of that name, or none that may be reached, such as a link in a circle or out of the root.
#: EILSEQ: some file systems, such as macOS's, have only names that are UTF-8.
NOTHING = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.ENXIO,
        errno.EXDEV,
        errno.ENODEV,
        errno.EINVAL,
        errno.EILSEQ,
    )
)


class Found(NamedTuple):
    """An open file, and the segments of the path at which it stands."""

    segments: Sequence[bytes]
    file: OpenFile


class Folder:
    """A directory as the settings show it. What is opened is closed by whoever asked for it."""

    def __init__(self, directory: str | os.PathLike[str], settings: Settings, clock: Callable[[], float]) -> None:
        """Raises OSError: *directory* is none, or may not be read."""
        self._root = Root(directory, follow_symlinks=settings.follow_symlinks)
        self._settings = settings
        self._clock = clock
        self._renew_at = clock() + FRESH_SECONDS
        # Whether it was said that no directory stands there.
        self._gone = False

    def renew(self) -> None:
        """See, once a second, which directory it is that stands there. Raises OSError where none does."""
        now = self._clock()
        if now >= self._renew_at:
            try:
                self._root.renew()
            except OSError as error:
                if error.errno in NOTHING and not self._gone:
                    self._gone = True
                    logger.warning("%s has gone: nothing in it is found until it is back", self._root.directory)
                raise
            if self._gone:
                self._gone = False
                logger.info("%s is back", self._root.directory)
            self._renew_at = now + FRESH_SECONDS

    def open(self, segments: Sequence[bytes]) -> OpenFile | None:
        """The regular file at *segments*; None for a directory. Raises OSError for anything else."""
        try:
            descriptor = self._root.open(segments)
        except PermissionError:
            # A directory that may be entered but not listed may still have an index that may be read.
            if self._is_directory(segments):
                return None
            raise
        file = OpenFile(descriptor, os.fstat(descriptor))
        if stat.S_ISREG(file.status.st_mode):
            return file
        file.close()
        if stat.S_ISDIR(file.status.st_mode):
            return None
        raise OSError(errno.ENXIO, "a FIFO, a socket or a device")

    def has(self, segments: Sequence[bytes]) -> bool:
        """Whether there is a regular file at *segments* that may be shown."""
        found = self._try(segments)
        if found is not None:
            found.file.close()
        return found is not None

    def index(self, segments: Sequence[bytes]) -> Found | None:
        """The index file of the directory at *segments*."""
        for name in self._settings.index:
            found = self._try((*segments, os.fsencode(name)))
            if found is not None:
                return found
        return None

    def page(self, segments: Sequence[bytes]) -> Found | None:
        """The page that is called at *segments* without its extension."""
        if not self._settings.clean_urls or not segments:
            return None
        return self._try((*segments[:-1], segments[-1] + b".html"))

    def codings(self, source: Found) -> dict[str, OpenFile]:
        """*source*, and what stands beside it with the same content in another coding."""
        *parents, name = source.segments
        files = {"identity": source.file}
        try:
            for coding, suffix in self._settings.suffixes.items():
                # What may not be read is no reason to withhold what may.
                with suppress(PermissionError):
                    found = self._try((*parents, name + suffix))
                    if found is None:
                        continue
                    if found.file.status.st_mtime_ns >= source.file.status.st_mtime_ns:
                        files[coding] = found.file
                    else:
                        # It was not made from this source, but from one before.
                        found.file.close()
        except OSError:
            close_all(files)
            raise
        return files

    def is_listed(self, segments: Sequence[bytes]) -> bool:
        """Whether there is a directory at *segments*, and directories are listed."""
        return bool(self._settings.listing) and self._is_directory(segments)

    def list(self, segments: Sequence[bytes]) -> Listing:
        """What the directory at *segments* holds. Takes a while for thousands of names. Raises OSError."""
        with closing(self._root.open(segments)) as descriptor:
            return scan(
                descriptor,
                lambda name: self._settings.names.are_visible((*segments, name)),
                lambda name: self._root.status((*segments, name)),
            )

    def _is_directory(self, segments: Sequence[bytes]) -> bool:
        status = self._root.status(segments)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def _try(self, segments: Sequence[bytes]) -> Found | None:
        if not self._settings.names.are_visible(segments):
            return None
        try:
            file = self.open(segments)
        except OSError as error:
            if error.errno in NOTHING:
                return None
            raise
        return Found(segments, file) if file is not None else None


def close_all(files: dict[str, OpenFile]) -> None:
    """Close what was opened and is not needed."""
    for file in files.values():
        file.close()
