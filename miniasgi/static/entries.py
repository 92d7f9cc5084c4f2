"""What a folder holds: read, and put in order.

Knows an open descriptor of the folder, and asks what may be seen and where symbolic links lead. Does not know the root,
nor how it is told.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

__all__ = ["Entry", "Listing", "Order", "scan"]

# What one query is split into at most: more than any browser sends.
_MOST_PARAMETERS = 16
_DIGITS = re.compile("[0-9]+")


class Entry(NamedTuple):
    """One name in a folder: *size* in octets, 0 for a folder; *modified* in whole seconds since 1970."""

    name: bytes
    is_directory: bool
    size: int
    modified: int


class Listing(NamedTuple):
    """What a folder holds, in no order; *truncated* if there is more."""

    entries: Sequence[Entry]
    truncated: bool


class Order(NamedTuple):
    """The order in which entries are shown: *by* "name", "size" or "date", the smallest first unless *descending*."""

    by: str = "name"
    descending: bool = False

    @classmethod
    def from_query(cls, query: bytes) -> Order:
        """What a query such as b"sort=size&order=desc" asks for; what it does not say, or says wrongly, by default."""
        asked = dict(part.partition(b"=")[::2] for part in query.split(b"&", _MOST_PARAMETERS))
        by = {b"size": "size", b"date": "date"}.get(asked.get(b"sort", b""), "name")
        return cls(by, asked.get(b"order") == b"desc")

    def apply(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries in this order: folders first, and by name among equals."""
        ordered = sorted(entries, key=_natural, reverse=self.by == "name" and self.descending)
        if self.by == "size":
            ordered.sort(key=lambda entry: entry.size, reverse=self.descending)
        elif self.by == "date":
            ordered.sort(key=lambda entry: entry.modified, reverse=self.descending)
        return [entry for entry in ordered if entry.is_directory] + [
            entry for entry in ordered if not entry.is_directory
        ]


def _natural(entry: Entry) -> str:
    """What puts "file2" before "File10", and tells any two names apart."""
    text = entry.name.decode("utf-8", "surrogateescape")
    # "\0" is in no name: what is equal but for case or leading zeros is told apart only after everything else.
    return _DIGITS.sub(_number, text.casefold()) + "\0" + text


def _number(match: re.Match[str]) -> str:
    """A number as text that compares as the number does: among other text as a digit, among numbers by its length."""
    digits = match[0].lstrip("0")
    return "0" + chr(len(digits)) + digits


def scan(
    directory: int,
    visible: Callable[[bytes], bool],
    measure: Callable[[bytes], os.stat_result | None],
    most: int = 10_000,
) -> Listing:
    """Read the folder that is open as *directory*, which stays open and as it is.

    Only regular files and folders are listed, *most* of them. *visible* is asked first, about every name; *measure*,
    about symbolic links alone, says what they lead to, or None for those that are not to be shown.

    Raises:
        OSError: the folder cannot be read.
    """
    entries: list[Entry] = []
    # A duplicate would share its position with every other reader of the folder.
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        with os.scandir(own) as found:
            for candidate in found:
                name = os.fsencode(candidate.name)
                if not visible(name):
                    continue
                try:
                    is_link = candidate.is_symlink()
                    status = measure(name) if is_link else candidate.stat(follow_symlinks=False)
                except OSError:
                    # It has gone meanwhile, or may not be looked at.
                    continue
                if status is None:
                    continue
                is_directory = stat.S_ISDIR(status.st_mode)
                if not is_directory and not stat.S_ISREG(status.st_mode):
                    continue
                if len(entries) >= most:
                    return Listing(entries, True)
                size = 0 if is_directory else status.st_size
                entries.append(Entry(name, is_directory, size, status.st_mtime_ns // 1_000_000_000))
    finally:
        os.close(own)
    return Listing(entries, False)
