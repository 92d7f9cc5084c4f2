"""Whether a request's preconditions hold (RFC 9110 §13).

Knows the conditional fields and the validators of what would be sent. Knows no file; whether preconditions count at
all, because the plain answer would be a success (§13.2.1), is for the caller to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..dates import parse_http_date
from ..types import Fields

__all__ = ["Validators", "evaluate", "range_applies"]

_PRECONDITIONS = frozenset((b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"))
# RFC 9110 §8.8.3: entity-tag = [ weak ] opaque-tag, with what §5.6.1.2 lets stand between the members of a list. None
# of it is ever tried again with less, so that the time for a list is linear.
_MEMBER = re.compile(rb'[ \t,]*+((?:W/)?"[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+(?=,|\Z)')


class Validators(NamedTuple):
    """What tells one state of a representation from another (RFC 9110 §8.8)."""

    etag: bytes
    """The value of ETag, its quotes included; empty if there is none."""
    last_modified: bytes
    """The value of Last-Modified; empty if there is none."""
    modified: int
    """The same in seconds since 1970; 0 if there is none."""


def evaluate(method: str, fields: Fields, validators: Validators) -> int:
    """The status that a request's preconditions lead to: 200 (go on), 304 or 412 (RFC 9110 §13.2.2).

    Lines of one name are one list. A list of entity-tags counts up to its first malformed member; a date that is
    malformed, or a list, is ignored.
    """
    named: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in _PRECONDITIONS:
            named[name] = named[name] + b", " + value if name in named else value
    if not named:
        return 200
    reads = method in ("GET", "HEAD")
    # §13.2.2, steps 1 and 2
    if (tags := named.get(b"if-match")) is not None:
        if not _lists(tags, validators.etag, weak=False):
            return 412
    elif (date := named.get(b"if-unmodified-since")) is not None:
        if _modified_since(date, validators) is True:
            return 412
    # Steps 3 and 4. §13.1.3: If-Modified-Since is ignored beside If-None-Match, whatever that says.
    if (tags := named.get(b"if-none-match")) is not None:
        if _lists(tags, validators.etag, weak=True):
            return 304 if reads else 412
    elif reads and (date := named.get(b"if-modified-since")) is not None:
        if _modified_since(date, validators) is False:
            return 304
    return 200


def range_applies(if_range: bytes, validators: Validators) -> bool:
    """Whether the Range of a request with this If-Range counts (RFC 9110 §13.1.5): if nothing at all has changed."""
    if if_range.startswith((b'"', b"W/")):
        # Strong comparison: a weak one, which begins otherwise, is equal to nothing.
        return if_range == validators.etag and if_range.startswith(b'"')
    # A date must be the same, and not only be no earlier.
    if not validators.last_modified:
        return False
    return if_range == validators.last_modified or parse_http_date(if_range) == validators.modified


def _lists(tags: bytes, etag: bytes, *, weak: bool) -> bool:
    """Whether *tags*, the value of If-Match or If-None-Match, has *etag* in it, or is "*"."""
    # What most clients send: one, as it was given to them.
    if tags == etag and (weak or etag.startswith(b'"')):
        return bool(etag)
    if tags.strip(b" \t") == b"*":
        return True
    # What is nowhere in the octets is no member either.
    if etag.removeprefix(b"W/") not in tags:
        return False
    # §8.8.3.2: the weak comparison takes no notice of W/, the strong one finds what has it equal to nothing.
    if weak:
        etag = etag.removeprefix(b"W/")
        return any(tag.removeprefix(b"W/") == etag for tag in _entity_tags(tags))
    return etag.startswith(b'"') and etag in _entity_tags(tags)


def _entity_tags(tags: bytes) -> Iterator[bytes]:
    position = 0
    while member := _MEMBER.match(tags, position):
        yield member[1]
        position = member.end()


def _modified_since(date: bytes, validators: Validators) -> bool | None:
    """Whether the file has changed after *date*; None if that cannot be said, and the field is to be ignored."""
    if not validators.last_modified:
        return None
    # Most clients return what they got, which need not be understood.
    if date == validators.last_modified:
        return False
    seconds = parse_http_date(date)
    return None if seconds is None else validators.modified > seconds
