"""A bounded memory for pure functions of what applications repeat.

Only what has come twice is remembered, so that what comes once, a cookie or a token among it, costs no more than its
mark and is not kept.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

__all__ = ["Memory"]

_Key = TypeVar("_Key", bound=Hashable)
_Meaning = TypeVar("_Meaning")


class Memory(dict[_Key, _Meaning]):
    """A dictionary that is read as one, and written to by offer() alone.

    It holds at most *entries*, and is emptied when it is full: simpler than forgetting the oldest, and what is still
    in use is back after two requests.
    """

    __slots__ = ("_entries", "_seen")

    def __init__(self, entries: int) -> None:
        super().__init__()
        self._entries = entries
        self._seen: set[int] = set()

    def offer(self, key: _Key, meaning: _Meaning) -> None:
        """Remember what *key* means, if it has been offered before."""
        # A hash may stand for two keys: then one of them is remembered at its first offer.
        mark = hash(key)
        if mark in self._seen:
            if len(self) >= self._entries:
                self.clear()
            self[key] = meaning
        else:
            if len(self._seen) >= 4 * self._entries:
                self._seen.clear()
            self._seen.add(mark)
