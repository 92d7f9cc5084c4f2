"""Which files are an application's sources, and what they look like from outside.

Knows directories, links and globs. Does not open a file, and does not know when it is asked to look, nor what for.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
from collections import deque
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import NamedTuple

__all__ = ["Snapshot", "SourceFiles"]

logger = logging.getLogger("miniasgi.server")

#: Each file's modification time in nanoseconds, size in octets, and inode, by its path.
Snapshot = dict[str, tuple[int, int, int]]

# Names with a dot in front, besides: .git, .venv, .tox, and what editors write before they rename it.
_SKIPPED = {"__pycache__", "node_modules"}
# PEP 405: what makes a directory a virtual environment.
_ENVIRONMENT = "pyvenv.cfg"


class SourceFiles:
    """The sources in some directories and below. Belongs to one thread at a time."""

    def __init__(self, directories: Sequence[str], *, include: Sequence[str], exclude: Sequence[str]) -> None:
        """Find ``*.py`` and what *include* fits, but not what *exclude* fits, nor what is in a directory that it fits.

        A glob with a slash is held against the path below one of *directories*, with ``**`` for any number of
        directories; one without, against each name. In *exclude*, a path from the working directory will do as well.
        A name with a dot in front is found by a glob that begins with a dot, but not in a directory of such a name.
        """
        # One may be within another, or be another by a second name.
        self._roots = list(dict.fromkeys(os.path.realpath(directory) for directory in directories))
        self._included = _Globs(include)
        # As in shells, a star is not meant for what is hidden: "*.toml" is not for an editor's ".#x.toml".
        self._included_hidden = _Globs(glob for glob in include if posixpath.basename(glob).startswith("."))
        self._excluded = _Globs(exclude)
        self._excluded_paths = {os.path.realpath(each) for each in exclude if each}
        # What the last look has found: directories, each with its path below its root ("" for a root); and where
        # links lead that were followed.
        self._directories: dict[str, str] = {}
        self._link_targets: list[str] = []
        # Directories of which it was said that they cannot be read.
        self._unreadable: set[str] = set()

    def look(self) -> Snapshot:
        """What there is now. What has vanished while it was looked at, or cannot be read, is not there."""
        files: Snapshot = {}
        self._directories, self._link_targets = {}, []
        waiting = deque((root, "") for root in self._roots)
        links: deque[tuple[str, str]] = deque()
        while waiting or links:
            if not waiting:
                # Links last, so that each file has the path that it has without them.
                link, below = links.popleft()
                target = os.path.realpath(link)
                if self._can_follow(target):
                    self._link_targets.append(target)
                    waiting.append((target, below))
                continue
            path, below = waiting.popleft()
            if path in self._directories:
                continue
            found = self._read(path, below)
            if found is None:
                continue
            self._directories[path] = below
            files.update(found.files)
            waiting += found.directories
            links += found.links
        return files

    def _read(self, path: str, below: str) -> _Directory | None:
        """What is in the directory *path*; None for a virtual environment."""
        found = _Directory({}, [], [])
        prefix = f"{below}/" if below else ""
        for entry in self._entries(path):
            name = entry.name
            try:
                if entry.is_dir():
                    if not self._leaves_out(name, below, entry.path):
                        (found.links if entry.is_symlink() else found.directories).append((entry.path, prefix + name))
                elif self._is_source(name, below, entry.path):
                    state = entry.stat()
                    found.files[entry.path] = (state.st_mtime_ns, state.st_size, state.st_ino)
                elif name == _ENVIRONMENT and below:
                    # But a directory that was named to be watched is watched.
                    return None
            except OSError:
                # It has vanished since, or is a link that leads nowhere.
                continue
        return found

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            # As when another branch is checked out. It may come back.
            return []
        except OSError as error:
            if path not in self._unreadable:
                self._unreadable.add(path)
                logger.warning("cannot look for changes in %s: %s", path, error.strerror)
            return []

    def _can_follow(self, target: str) -> bool:
        """Whether a link may lead to *target*: not to what is left out or was found already, nor in a circle."""
        inside = os.path.join(target, "")
        if target in self._excluded_paths or target in self._directories:
            return False
        return not any(root.startswith(inside) for root in self._roots)

    def _is_source(self, name: str, below: str, path: str) -> bool:
        """Whether the file *name*, in the directory *below* a root, is looked at; *path* is where it is."""
        if name.startswith("."):
            if not self._included_hidden.fit(name, below):
                return False
        elif not name.endswith(".py") and not self._included.fit(name, below):
            return False
        return path not in self._excluded_paths and not self._excluded.fit(name, below)

    def _leaves_out(self, name: str, below: str, path: str) -> bool:
        """Whether the directory *name*, in the directory *below* a root, is passed by."""
        if name.startswith(".") or name in _SKIPPED:
            return True
        return path in self._excluded_paths or self._excluded.fit(name, below)

    def concerns(self, path: str) -> bool:
        """Whether what the last look has found may be otherwise once *path* has changed."""
        if self.is_top(path):
            return True
        directory, name = os.path.split(path)
        if directory not in self._directories:
            # Links, and platforms that spell a path in their own way.
            directory = os.path.realpath(directory)
        below = self._directories.get(directory)
        if below is None:
            return False
        path = os.path.join(directory, name)
        if path in self._directories or os.path.isdir(path):
            return not self._leaves_out(name, below, path)
        return self._is_source(name, below, path)

    def is_top(self, path: str) -> bool:
        """Whether *path* is one of tops()."""
        return path in self._roots or path in self._link_targets

    def tops(self) -> dict[str, tuple[int, int] | None]:
        """The directories below which all is, each with what becomes another if it is replaced; None if it is gone."""
        return {path: _identity(path) for path in dict.fromkeys(self._roots + self._link_targets)}


class _Directory(NamedTuple):
    """What was found in one directory; what is still to be read, each with its path below the root."""

    files: Snapshot
    directories: list[tuple[str, str]]
    links: list[tuple[str, str]]


class _Globs:
    """Some globs at once."""

    def __init__(self, globs: Iterable[str]) -> None:
        # A slash at the end says that it is a directory's, as shells complete it, not where it is.
        spelled = [each for each in (glob.replace(os.sep, "/").rstrip("/") for glob in globs) if each]
        names = "|".join(translate(glob) for glob in spelled if "/" not in glob)
        self._names = re.compile(names) if names else None
        self._paths = [
            [None if part == "**" else re.compile(translate(part)) for part in posixpath.normpath(glob).split("/")]
            for glob in spelled
            if "/" in glob
        ]

    def fit(self, name: str, below: str) -> bool:
        """Whether one of them fits *name*, in the directory *below* a root."""
        if self._names and self._names.match(name):
            return True
        if not self._paths:
            return False
        parts = [*below.split("/"), name] if below else [name]
        return any(_fits(glob, parts) for glob in self._paths)


def _fits(glob: Sequence[re.Pattern[str] | None], parts: Sequence[str]) -> bool:
    """Whether a *glob*, cut at its slashes, fits all of *parts*; None in it is for any number of them."""
    if not glob:
        return not parts
    if glob[0] is None:
        return any(_fits(glob[1:], parts[count:]) for count in range(len(parts) + 1))
    return bool(parts) and glob[0].match(parts[0]) is not None and _fits(glob[1:], parts[1:])


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
