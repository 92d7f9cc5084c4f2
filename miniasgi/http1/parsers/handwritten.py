"""The hand-written parser: nothing but bytes methods, and a memory for what is repeated.

Wait for the empty line, then read the head once: for heads of a few hundred octets this beats a state machine in
clarity, and in Python in speed.
"""

from __future__ import annotations

from ...errors import BadRequest, HeadTooLarge
from ...types import Fields
from ..grammar import FIELD_OCTETS, TOKEN
from ..head import FieldSection, RequestHead, RequestLine
from ..parser import Limits, RequestSink
from .framing import FramedParser

__all__ = ["HandwrittenParser", "read_fields", "read_request_line"]

# 1,024 octets: longer heads and field sections are read each time, so that what a connection keeps stays small.
_MAX_OCTETS = 1024
# 32 octets: by how much of its end a field section is taken for the same as the last.
_TAIL_OCTETS = 32


class HandwrittenParser(FramedParser):
    """The RequestParser that needs no package and costs least.

    A client repeats itself, and what a head means is a pure function of its octets: so the last request line is
    remembered, and a field section and a whole head when they seem to come again. What ends in another way each time is
    let go of at once: memory that was used a moment ago is the cheapest to use again.
    """

    __slots__ = ("_block", "_first", "_head", "_line", "_octets", "_section", "_tail")

    # Each of these is set together with the octets that it is the meaning of.
    _head: RequestHead
    _line: RequestLine
    _section: FieldSection

    def __init__(self, sink: RequestSink, limits: Limits) -> None:
        super().__init__(sink, limits)
        self._octets = b""  # a whole head without content
        self._first = b""  # a request line
        self._block: bytes | None = None  # a field section, which may be empty
        self._tail: bytes | None = None  # the end of the last field section

    def feed(self, data: bytes, /) -> bytes:
        # Not inside content, which may look like a head.
        if data == self._octets and not self._remaining and not self._kept and data:
            self._sink.on_request(self._head)
            self._sink.on_end()
            return b""
        return super().feed(data)

    def _read_head(self, data: bytes, end: int) -> RequestHead:
        line_end = data.find(b"\r\n", 0, end + 2)
        first = data[:line_end]
        block = data[line_end + 2 : end + 2]
        if not first or first != self._first:
            self._line = read_request_line(first)
            self._first = first if line_end <= _MAX_OCTETS else b""
        section = self._section if block == self._block else FieldSection(read_fields(block, self._limits.fields))
        head = RequestHead(self._line, section)
        tail = block[-_TAIL_OCTETS:]
        if tail != self._tail:
            self._tail = tail
        elif end < _MAX_OCTETS:
            self._block, self._section = block, section
            if end + 4 == len(data) and not section.length:
                self._octets, self._head = data, head
        return head


def read_request_line(line: bytes) -> RequestLine:
    """Read a request line without its line end. Raises RequestError: 400, 501 or 505."""
    words = line.split(b" ")
    if len(words) != 3:
        raise BadRequest(f"malformed request line {line[:80]!r}")
    return RequestLine(*words)


def read_fields(block: bytes, most: int) -> Fields:
    """Read field lines, each with its line end.

    Raises BadRequest for anything outside the grammar (RFC 9112 §5), HeadTooLarge for more than *most* fields.
    """
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > most:
        raise HeadTooLarge(f"more than {most} fields")
    # All octets are legal, and no CR or LF stands alone: one pass in C instead of one per line in Python.
    if block.translate(None, FIELD_OCTETS) != b"\r\n" * len(lines):
        raise BadRequest("control octet in the head")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        # A name with white space in it or before the colon, an obsolete fold, an empty name: none is a token.
        if not colon:
            raise BadRequest(f"field line without a colon {line[:40]!r}")
        fields.append((_names[name], value.strip(b" \t")))
    return fields


class _Names(dict[bytes, bytes]):
    """Field names as sent to field names in lower case; makes and checks those that it does not have."""

    def __missing__(self, name: bytes) -> bytes:
        if not TOKEN.fullmatch(name):
            raise BadRequest(f"malformed field name {name[:40]!r}")
        lowered = name.lower()
        if len(name) <= 64 and len(self) < 1024:
            self[name] = lowered
        return lowered


_names = _Names()
