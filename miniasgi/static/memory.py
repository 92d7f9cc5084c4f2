"""What is remembered of the files that were asked for, for a moment, and not beyond a bound.

Knows a clock. Does not know how files are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from ..types import Fields
from .encodings import choose
from .representation import Representation, field_value

__all__ = ["Known", "Memory"]

#: For how long a file is answered without being looked at again.
FRESH_SECONDS = 1.0
# About what an entry takes beside its content; how many there may be; and how many names of nothing.
_ENTRY_OCTETS = 2048
_MOST_ENTRIES = 32 * 1024
_MOST_MISSING = 1024


class Known:
    """A file that a path has led to.

    Attributes:
        until: when it has to be looked at again.
        sizes: octets by coding, of all codings in which there is the file.
        representations: of those that have been asked for.
    """

    __slots__ = ("octets", "representations", "sizes", "sole", "until")

    def __init__(self, sizes: dict[str, int], representations: dict[str, Representation]) -> None:
        self.sizes = sizes
        self.representations = representations
        # Where there is nothing to choose.
        self.sole = representations.get("identity") if len(sizes) == 1 else None
        # Set by Memory.keep().
        self.until = 0.0
        self.octets = 0

    def chosen(self, fields: Fields) -> Representation | None:
        """The representation for a request with these fields; None where it has not been asked for before."""
        return self.sole or self.representations.get(choose(field_value(fields, b"accept-encoding"), self.sizes))


class Memory:
    """Paths and the files they have led to, up to so many octets; what was not looked at for longest goes first.

    Up to 0 octets: what is known of the files, without any content.
    """

    def __init__(self, most_octets: int, clock: Callable[[], float] = time.monotonic) -> None:
        # Where no content is kept, entries are bounded by their number.
        self._most_octets = most_octets or _MOST_ENTRIES * _ENTRY_OCTETS
        self._clock = clock
        # In the order in which they were last looked at.
        self._known: dict[bytes, Known] = {}
        self._missing: dict[bytes, float] = {}
        self.octets = 0
        # Files may be looked at in threads.
        self._lock = Lock()

    def fresh(self, path: bytes) -> Known | None:
        """What the path has led to within the last second."""
        known = self._known.get(path)
        return known if known is not None and self._clock() < known.until else None

    def last(self, path: bytes) -> Known | None:
        """What the path led to when it was last looked at, however long ago."""
        return self._known.get(path)

    def keep(self, path: bytes, known: Known) -> None:
        """Remember what the path has led to just now."""
        octets = _ENTRY_OCTETS + len(path)
        for representation in known.representations.values():
            octets += len(representation.content or b"")
        with self._lock:
            self._drop(path)
            if octets > self._most_octets:
                # Everything else would have to go for it, and then it itself.
                return
            known.until = self._clock() + FRESH_SECONDS
            known.octets = octets
            self._known[path] = known
            self.octets += octets
            while self.octets > self._most_octets or len(self._known) > _MOST_ENTRIES:
                self._drop(next(iter(self._known)))

    def renew(self, path: bytes, known: Known) -> None:
        """What the path has led to is what it leads to now as well."""
        with self._lock:
            # Another thread may have put something else there, or let it go.
            if self._known.get(path) is known:
                del self._known[path]
                self._known[path] = known
                known.until = self._clock() + FRESH_SECONDS

    def forget(self, path: bytes) -> None:
        """The path leads to no file any more, for the next second at least."""
        with self._lock:
            self._drop(path)
            if len(self._missing) >= _MOST_MISSING:
                # Emptied rather than sorted: somebody tries names, and the next second they are stale anyway.
                self._missing.clear()
            self._missing[path] = self._clock() + FRESH_SECONDS

    def is_missing(self, path: bytes) -> bool:
        """Whether the path has led to nothing within the last second."""
        until = self._missing.get(path)
        return until is not None and self._clock() < until

    def _drop(self, path: bytes) -> None:
        known = self._known.pop(path, None)
        if known is not None:
            self.octets -= known.octets
