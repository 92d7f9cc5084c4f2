"""Telling when source files change, for --reload. The only file that imports watchfiles.

Knows when to look, and when a change is complete. Does not know which files there are (source_files), nor what is done
when they change.

With watchfiles installed, the system says that something has happened; without, nobody does, and so it is looked at
over and over. What has happened is found out in the same way in both cases: by comparing two looks.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from time import thread_time
from typing import Any

from .source_files import Snapshot, SourceFiles

__all__ = ["SourceWatch"]

logger = logging.getLogger("miniasgi.server")

# So that looking takes less than 1 % of a core, however much there is to look at, ...
_IDLE_FACTOR = 100
# ... up to here: 100 ms for a look, which is some 25000 files (CPython 3.11, 2026-11). Whoever has more would rather
# pay for a little more than wait longer.
_MOST_PAUSE_SECONDS = 10.0
# From here on, somebody who saves a file wonders whether it was noticed.
_LONG_PAUSE_SECONDS = 1.0
# Between two looks that must agree before a change is told. Editors truncate and write, or remove and rename, within a
# few milliseconds; a checkout of many files comes to no rest for that long before it is done.
_SETTLE_SECONDS = 0.1
# 2 s: what never comes to rest is told as it is.
_MOST_UNSETTLED = 20
# How long stop() waits for a look that is under way.
_STOP_SECONDS = 2.0

# How often watchfiles lets go, so that directories that have been replaced are found: nothing tells of those.
_CHECK_SECONDS = 1.0
# Most that watchfiles holds a change back while others follow it. They may be of files that nobody looks at, such as a
# log that is being written, so it is not left to wait for all of them: settling is done here.
_DEBOUNCE_MILLISECONDS = 200


class SourceWatch:
    """A thread that calls *notify* when source files have been changed, added or removed."""

    def __init__(
        self,
        directories: Sequence[str],
        *,
        include: Sequence[str],
        exclude: Sequence[str],
        delay: float,
        notify: Callable[[list[str]], None],
    ) -> None:
        """Watch the files in *directories* and below that SourceFiles finds with *include* and *exclude*.

        *notify* gets their paths, sorted, relative to the working directory where that is shorter. It is called in the
        thread, once for changes that follow each other closely. Without watchfiles, looks are *delay* seconds apart, or
        a hundred times what a look takes if that is longer, up to ten seconds.
        """
        self._files = SourceFiles(directories, include=include, exclude=exclude)
        self._delay = delay
        self._notify = notify
        # What notify has been told of. Set by start().
        self._seen: Snapshot = {}
        # CPU time that the last look has taken, in seconds.
        self._cost = 0.0
        self._stopped = threading.Event()
        # A daemon: a look at a network that does not answer must not keep the process.
        self._thread = threading.Thread(target=self._run, name="miniasgi-reload", daemon=True)

    def start(self) -> None:
        """Watch: what changes after this has returned is told. Must be called once at most."""
        self._seen = self._files.look()
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer, and return once notify is not called any more, or after two seconds. May be called twice."""
        self._stopped.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        for _ in self._occasions():
            self._tell_changes()

    def _occasions(self) -> Iterator[None]:
        """Once each time that something may have changed, until stopped."""
        try:
            import watchfiles  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            pass
        else:
            try:
                yield from _told_occasions(watchfiles.watch, self._files, self._stopped)
            except Exception as error:
                # Whatever it is: watches run out, file systems know none, versions differ. Looking always works.
                logger.warning("watchfiles failed (%s: %s); looking at the files instead", type(error).__name__, error)
        yield from self._polled_occasions()

    def _polled_occasions(self) -> Iterator[None]:
        pause, was_said = self._delay, False
        while not self._stopped.wait(pause):
            yield
            pause = max(self._delay, min(self._cost * _IDLE_FACTOR, _MOST_PAUSE_SECONDS))
            if pause > max(self._delay, _LONG_PAUSE_SECONDS) and not was_said:
                was_said = True
                logger.info(
                    "looking for changed files takes %.0f ms, so it is done every %.1f s only; "
                    "with the watchfiles package installed they are noticed at once",
                    self._cost * 1000,
                    pause,
                )

    def _tell_changes(self) -> None:
        """Call notify, if there are changes, once they are complete."""
        found = self._look_again()
        if found is None:
            return
        for _ in range(_MOST_UNSETTLED):
            if self._stopped.wait(_SETTLE_SECONDS):
                return
            before, found = found, self._files.look()
            if found == before:
                break
        # Nothing, if there was a file for a moment only.
        changed = {path for path, _ in found.items() ^ self._seen.items()}
        self._seen = found
        if changed and not self._stopped.is_set():
            self._notify(sorted(map(_shown, changed)))

    def _look_again(self) -> Snapshot | None:
        """What there is now; None if it is what was there before."""
        began = thread_time()
        found: Snapshot | None = self._files.look()
        if found == self._seen:
            # Here, because letting go of it takes its time too.
            found = None
        self._cost = thread_time() - began
        return found


def _told_occasions(
    watch: Callable[..., Generator[set[tuple[Any, str]], None, None]], files: SourceFiles, stopped: threading.Event
) -> Iterator[None]:
    """Once each time that watchfiles says that something has changed, or may have missed it, until *stopped*.

    *watch* is watchfiles.watch, a generator. It follows a directory that is moved away, and takes none that is missing,
    so another is begun when the directories are no longer the same.
    """

    def concerns(change: object, path: str) -> bool:
        return files.concerns(path)

    while not stopped.is_set():
        tops = files.tops()
        present = [path for path, identity in tops.items() if identity is not None]
        if present:
            changes = watch(
                *present,
                watch_filter=concerns,
                stop_event=stopped,
                rust_timeout=int(_CHECK_SECONDS * 1000),
                yield_on_timeout=True,
                debounce=_DEBOUNCE_MILLISECONDS,
                ignore_permission_denied=True,
            )
            # One that has gone since, or something in it just now.
            with suppress(FileNotFoundError):
                yield from _until_replaced(changes, files, tops)
                continue
        yield
        stopped.wait(_CHECK_SECONDS)


def _until_replaced(
    changes: Generator[set[tuple[Any, str]], None, None],
    files: SourceFiles,
    tops: Mapping[str, tuple[int, int] | None],
) -> Iterator[None]:
    """Once for each batch of *changes*, as long as *tops* are what they were when these were begun."""
    is_first = True
    with closing(changes):
        for batch in changes:
            # Nobody tells what has happened between the last look and the beginning of this watch.
            if batch or is_first:
                yield
            is_first = False
            # An inode may be used again at once, but then the watch has told of the removal.
            if any(files.is_top(path) for _, path in batch) or files.tops() != tops:
                break


def _shown(path: str) -> str:
    """*path* as it is said to people."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        # The working directory is gone, or on another drive.
        return path
    return min(relative, path, key=len)
