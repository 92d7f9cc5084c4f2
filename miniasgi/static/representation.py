"""A file in one coding: what is said of it, and which answer a request's preconditions and ranges make of it.

Knows RFC 9110's conditional and range requests through their modules. Opens nothing, and knows no paths.
"""

from __future__ import annotations

import os
import time
from hashlib import blake2b
from typing import NamedTuple

from ..dates import http_date
from ..page_cache import read_cached
from ..types import Field, Fields
from .answer import Answer, OpenFile, plain
from .conditional import Validators, evaluate, range_applies
from .ranges import Multipart, parse_ranges

__all__ = ["SELECTIVE", "Identity", "Representation", "field_value", "identity"]


class Identity(NamedTuple):
    """What tells one state of a file from any other.

    Time and size alone do not: packages and images are unpacked with the same times, and what is written twice within
    a tick of the clock has the same ones.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int


# 64 KiB: parts of a file up to that in all are read, so that they leave in one write with their head.
_JOIN_OCTETS = 64 * 1024

#: Fields that make another answer than the whole file possible.
SELECTIVE = frozenset((b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"))


def identity(status: os.stat_result) -> Identity:
    """What tells this state of the file from any other."""
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Representation:
    """A file's content in one coding, and the fields that go with it.

    Attributes:
        identity: of the file it was made from.
        size: octets of content.
        content: kept in memory; None where it is read for each answer.
        whole: the answer to a plain GET, where the content is kept.
    """

    __slots__ = ("_added", "_head", "_not_modified", "_type", "content", "identity", "size", "validators", "whole")

    def __init__(
        self,
        status: os.stat_result,
        content: bytes | None,
        coding: str,
        content_type: bytes,
        added: Fields,
        *,
        tag_content: bool,
    ) -> None:
        """*content* where the file is small enough to be read whole; *added*: fields that settings ask for."""
        self.identity = identity(status)
        self.size = status.st_size if content is None else len(content)
        self.content: bytes | None = None
        self.whole: Answer | None = None
        # Never later than Date (RFC 9110 §8.8.2.1), which servers renew once a second: a clock that was wrong once
        # would keep caches from asking again.
        modified = min(status.st_mtime_ns // 10**9, int(time.time()) - 1)
        last_modified = http_date(modified) if modified > 0 else b""
        etag = _entity_tag(status, content if tag_content else None, coding)
        self.validators = Validators(etag, last_modified, max(modified, 0))
        self._type = content_type
        self._added: Fields = [(b"content-encoding", coding.encode()), *added] if coding != "identity" else added
        self._head: Fields = [(b"etag", self.validators.etag)]
        if last_modified:
            self._head.append((b"last-modified", last_modified))
        self._head += [(b"accept-ranges", b"bytes"), *self._added]
        self._not_modified = Answer(304, [(b"etag", self.validators.etag), *added])

    def keep(self, content: bytes) -> None:
        """Answer from memory from now on."""
        self.content = content
        self.whole = self._whole(content)

    def answer(self, method: str, fields: Fields, body: bytes | OpenFile) -> Answer:
        """The answer to a GET or HEAD with these fields (RFC 9110 §13.2.2 and §14.2), *body* being all of the content.

        A file that is not part of the answer is closed.
        """
        status = evaluate(method, fields, self.validators)
        if status != 200:
            _close(body)
            return self._not_modified if status == 304 else plain(412, self._without_coding())
        if method == "GET":
            asked = [value for name, value in fields if name == b"range"]
            # Several lines of what is no list say nothing (RFC 9110 §5.3).
            partial = self._partial(asked[0], fields, body) if len(asked) == 1 else None
            if partial is not None:
                return partial
        if body is self.content and self.whole is not None:
            return self.whole
        whole = self._whole(body)
        if method == "HEAD":
            _close(body)
            return Answer(200, whole.fields)
        return whole

    def _whole(self, body: bytes | OpenFile) -> Answer:
        fields = [(b"content-type", self._type), (b"content-length", b"%d" % self.size), *self._head]
        if isinstance(body, bytes):
            return Answer(200, fields, body)
        return Answer(200, fields, file=body, parts=[(b"", 0, self.size)])

    def _partial(self, asked: bytes, fields: Fields, body: bytes | OpenFile) -> Answer | None:
        """The answer to a request for ranges; None for the whole, as if nothing had been asked."""
        condition = field_value(fields, b"if-range")
        if condition is not None and not range_applies(condition, self.validators):
            return None
        ranges = parse_ranges(asked, self.size)
        if ranges is None:
            return None
        if not ranges:
            _close(body)
            return plain(416, [(b"content-range", b"bytes */%d" % self.size), *self._without_coding()])
        if len(ranges) == 1:
            start, stop = ranges[0]
            place = (b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, self.size))
            return self._make(206, [place, *self._head], self._type, body, [(b"", start, stop)])
        multipart = Multipart(ranges, self.size, self._type)
        return self._make(206, self._head, multipart.content_type, body, multipart.parts, multipart.end)

    def _make(
        self,
        status: int,
        fields: Fields,
        content_type: bytes,
        body: bytes | OpenFile,
        parts: list[tuple[bytes, int, int]],
        end: bytes = b"",
    ) -> Answer:
        length = sum(len(before) + stop - start for before, start, stop in parts) + len(end)
        fields = [(b"content-type", content_type), (b"content-length", b"%d" % length), *fields]
        if isinstance(body, OpenFile):
            if length > _JOIN_OCTETS:
                return Answer(status, fields, end, body, parts)
            try:
                pieces = [before + read_cached(body.fileno(), start, stop - start) for before, start, stop in parts]
            except BlockingIOError:
                return Answer(status, fields, end, body, parts)
            if sum(map(len, pieces)) + len(end) != length:
                # The file has become shorter since it was opened: whoever sends it will see, and cut the connection.
                return Answer(status, fields, end, body, parts)
            body.close()
        else:
            pieces = [before + body[start:stop] if before else body[start:stop] for before, start, stop in parts]
        return Answer(status, fields, pieces[0] if len(pieces) == 1 and not end else b"".join(pieces) + end)

    def _without_coding(self) -> list[Field]:
        return [field for field in self._added if field[0] not in (b"content-encoding", b"cache-control")]


def _entity_tag(status: os.stat_result, content: bytes | None, coding: str) -> bytes:
    """A strong entity tag, another one for each coding (RFC 9110 §8.8.3).

    Of the content where it is at hand, so that all hosts and processes agree; else of what the file system says: its
    time of change as well, because builds that can be reproduced give each file the same time of modification.
    """
    if content is not None:
        tag = blake2b(content, digest_size=12).hexdigest()
    else:
        tag = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
    return f'"{tag}"'.encode() if coding == "identity" else f'"{tag}-{coding}"'.encode()


def _close(body: bytes | OpenFile) -> None:
    if isinstance(body, OpenFile):
        body.close()


def field_value(fields: Fields, name: bytes) -> bytes | None:
    """The value of a field, several lines of it being one list (RFC 9110 §5.3); None where there is none."""
    values = [value for known, value in fields if known == name]
    return b", ".join(values) if values else None
