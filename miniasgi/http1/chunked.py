"""Chunked content, taken apart (RFC 9112 §7.1).

Knows the chunk grammar and its limits. Does not know heads or connections. One pass over each piece of input, however
many chunks are in it: a million chunks of one octet cost a million steps, not their square.
"""

from __future__ import annotations

from ..errors import BadRequest
from .grammar import BAD_OCTET, CHUNK_LINE, TOKEN
from .parser import Limits, RequestSink

__all__ = ["ChunkedDecoder"]

# 4,096: what a chunk line may take. 16,384: what all chunk extensions together may take beyond as many octets as the
# content has; honest ones are signatures, short beside their chunks. Both as Node and Go have it, in kind.
_MAX_LINE = 4096
_MAX_EXTENSIONS = 16384


class ChunkedDecoder:
    """Takes chunked content from its first chunk to the end of its trailer section.

    Trailer fields are checked like any others and dropped: merged into the head's fields they could overrule what
    has been decided by those (RFC 9110 §6.5.1).
    """

    __slots__ = ("_excess", "_kept", "_limits", "_missing", "_sink", "_trailer_lines", "_trailer_octets")

    def __init__(self, sink: RequestSink, limits: Limits) -> None:
        self._sink = sink
        self._limits = limits
        self._kept = b""  # a line that is incomplete, or less than the CRLF after chunk data
        self._missing = 0  # octets of chunk data still to come, and its CRLF: never 1 or 2 between two chunks
        self._excess = 0  # octets of extensions less octets of content
        self._trailer_lines = -1  # trailer fields so far; -1 before the last chunk
        self._trailer_octets = 0

    def feed(self, data: bytes, /) -> bytes | None:
        """Decode *data*; return what follows the content, or None while the content is incomplete.

        Raises BadRequest after handing over all the content that came before the fault.
        """
        kept = len(self._kept)
        if kept:
            data = self._kept + data
            self._kept = b""
        pieces: list[bytes] = []
        try:
            return self._decode(data, pieces, kept)
        finally:
            if pieces:
                self._sink.on_body(b"".join(pieces))

    def _decode(self, data: bytes, pieces: list[bytes], kept: int) -> bytes | None:
        position, size = 0, len(data)
        # The octets kept before have been looked at; not the CR that may have been the last of them.
        unchecked = max(kept - 1, 0)
        while True:
            if self._missing:
                position = self._take_chunk(data, position, pieces)
                if self._missing:
                    return None
            line_end = data.find(b"\r\n", position or unchecked)
            if line_end < 0:
                self._keep(data, position, position or unchecked)
                return None
            if line_end - position > self._longest():
                raise BadRequest("chunk line or trailer field too long")
            line = data[position:line_end]
            position = line_end + 2
            if self._trailer_lines >= 0:
                if not line:
                    return data[position:] if position < size else b""
                self._check_trailer(line)
            else:
                self._start_chunk(line)

    def _start_chunk(self, line: bytes) -> None:
        match = CHUNK_LINE.fullmatch(line)
        if not match:
            raise BadRequest(f"malformed chunk line {line[:40]!r}")
        length = int(match[1], 16)
        self._excess = max(self._excess + len(line) - len(match[1]) - length, 0)
        if self._excess > _MAX_EXTENSIONS:
            raise BadRequest("chunk extensions outweigh the content")
        if length:
            self._missing = length + 2
        else:
            self._trailer_lines = 0

    def _take_chunk(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Take what is there of a chunk's data and the CRLF after it; return the position after it."""
        available = len(data) - position
        content = min(self._missing - 2, available)
        if content > 0:
            pieces.append(data[position : position + content])
            self._missing -= content
            position += content
        if self._missing > 2:
            return position
        # Both octets are looked at (h11 CVE-2025-43859): anything else there is a chunk longer than it said.
        ending = data[position : position + 2]
        if ending == b"\r\n":
            self._missing = 0
            return position + 2
        if not b"\r\n".startswith(ending):
            raise BadRequest(f"chunk data followed by {ending!r}")
        self._kept = ending
        return position

    def _keep(self, data: bytes, position: int, unchecked: int) -> None:
        """Keep an incomplete line, unless it is hopeless already."""
        line = data[position:]
        bad = BAD_OCTET.search(data, unchecked)
        if bad:
            raise BadRequest(f"octet {bad.group()!r} in a chunk line or trailer field")
        if len(line) > self._longest() + 1:
            raise BadRequest("chunk line or trailer field too long")
        self._kept = line

    def _longest(self) -> int:
        return _MAX_LINE if self._trailer_lines < 0 else self._limits.field

    def _check_trailer(self, line: bytes) -> None:
        name, colon, _ = line.partition(b":")
        # With its line end: a CR right before that is a bare one.
        if not colon or not TOKEN.fullmatch(name) or BAD_OCTET.search(line + b"\r\n"):
            raise BadRequest(f"malformed trailer field {line[:40]!r}")
        self._trailer_lines += 1
        self._trailer_octets += len(line) + 2
        if self._trailer_lines > self._limits.fields or self._trailer_octets > self._limits.head:
            raise BadRequest("trailer section too large")
