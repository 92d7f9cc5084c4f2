"""The hand-written parser: nothing but bytes methods, and a memory for what it has read before.

Wait for the empty line, then read the head once: for heads of a few hundred octets this beats a state machine in
clarity, and in Python in speed.
"""

from __future__ import annotations

from ...errors import BadRequest, HeadTooLarge
from ...types import Fields
from ..grammar import FIELD_OCTETS, TOKEN
from ..head import FieldSection, RequestHead, RequestLine
from ..memory import Memory
from .framing import FramedParser

__all__ = ["HandwrittenParser", "read_fields", "read_request_line"]

# Whole heads without content, request lines and field sections, up to 1,024 octets each: about a MiB together at the
# very most.
_MAX_OCTETS = 1024
_heads: Memory[bytes, RequestHead] = Memory(512)
_lines: Memory[bytes, RequestLine] = Memory(256)
_sections: Memory[bytes, FieldSection] = Memory(256)


class HandwrittenParser(FramedParser):
    """The RequestParser that needs no package and costs least."""

    __slots__ = ()

    def feed(self, data: bytes, /) -> bytes:
        if not self._remaining and not self._kept and len(data) <= _MAX_OCTETS:
            head = _heads.get(data)
            if head is not None and len(head.fields) <= self._limits.fields and len(data) <= self._careful_octets:
                self._sink.on_request(head)
                self._sink.on_end()
                return b""
        return super().feed(data)

    def _read_head(self, data: bytes, end: int) -> RequestHead:
        line_end = data.find(b"\r\n", 0, end + 2)
        first = data[:line_end]
        line = _lines.get(first)
        if line is None:
            line = read_request_line(first)
            if len(first) <= _MAX_OCTETS:
                _lines.offer(first, line)
        block = data[line_end + 2 : end + 2]
        section = _sections.get(block)
        if section is None:
            section = FieldSection(read_fields(block))
            if len(block) <= _MAX_OCTETS:
                _sections.offer(block, section)
        if len(section.fields) > self._limits.fields:
            raise HeadTooLarge(f"more than {self._limits.fields} fields")
        head = RequestHead(line, section)
        if not section.length and end + 4 == len(data) <= _MAX_OCTETS:
            _heads.offer(data, head)
        return head


def read_request_line(line: bytes) -> RequestLine:
    """Read a request line without its line end. Raises RequestError: 400, 501 or 505."""
    words = line.split(b" ")
    if len(words) != 3:
        raise BadRequest(f"malformed request line {line[:80]!r}")
    return RequestLine(*words)


def read_fields(block: bytes) -> Fields:
    """Read field lines, each with its line end. Raises BadRequest for anything outside the grammar (RFC 9112 §5)."""
    lines = block.split(b"\r\n")
    lines.pop()
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
