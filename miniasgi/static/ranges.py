"""Which parts of a file are asked for, and how several of them are sent (RFC 9110 §14).

Knows the Range field, and sizes. Knows no file: a part is two positions, half-open.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

__all__ = ["Multipart", "parse_ranges"]

# What a document reader asks for at a time stays far below; Apache has 200. Empty members count, or they were free.
_MOST_RANGES = 64
# More octets than any file system holds. int() is never asked about more than eighteen digits: it takes longer than
# linear time for them, and raises at 4,301.
_MOST_DIGITS = 18
_PAST_ANY_END = 1 << 64
# About what a boundary and two fields add to a part: sending what lies between is cheaper (RFC 9110 §15.3.7.2).
_SMALLEST_GAP = 80
# Many small parts of a small file are an attack or a mistake (RFC 9110 §17.15).
_SMALL_FILE = 64 * 1024
_MOST_PARTS_OF_A_SMALL_FILE = 16


def parse_ranges(value: bytes, size: int) -> list[tuple[int, int]] | None:
    """The parts of a file of *size* octets that the Range field *value* asks for, as [start, stop) pairs.

    None if the field is to be ignored: an unknown unit, a syntax error, more than 64 members, an empty file, a set
    that asks for more than the file has, or many parts of a small file. An empty list if no range can be satisfied,
    which is answered with 416. Parts that overlap or nearly touch are one; they come in the order in which they were
    asked for.
    """
    unit, equals, range_set = value.partition(b"=")
    # RFC 9110 §14.1: range units are compared without regard to case. §14.2: one that is not known is ignored.
    if not equals or unit.lower() != b"bytes" or not size:
        return None
    members = range_set.split(b",", _MOST_RANGES)
    if len(members) > _MOST_RANGES:
        return None
    # RFC 9110 §5.6.1.2: empty members of a list are skipped, a set of nothing else is none.
    specs = [spec for member in members if (spec := member.strip(b" \t"))]
    if not specs:
        return None
    wanted: list[tuple[int, int]] = []
    for spec in specs:
        part = _parse_spec(spec, size)
        if part is None:
            return None
        if part[0] < part[1]:
            wanted.append(part)
    if len(wanted) < 2:
        return wanted
    parts = _merge(wanted)
    if len(parts) > 1:
        # RFC 9110 §17.15: such sets are ignored, unless one part is what they come to.
        if sum(stop - start for start, stop in wanted) > size:
            return None
        if len(parts) > _MOST_PARTS_OF_A_SMALL_FILE and size < _SMALL_FILE:
            return None
    return parts


def _parse_spec(spec: bytes, size: int) -> tuple[int, int] | None:
    """What one range-spec asks for, empty if it cannot be satisfied; None if it is not a range of octets."""
    first, dash, last = spec.partition(b"-")
    # bytes.isdigit() knows ASCII's digits only.
    if not dash or (first and not first.isdigit()) or (last and not last.isdigit()):
        return None
    if first:
        start = _number(first)
        if not last:
            return start, size
        # RFC 9110 §14.1.1: an int-range whose last-pos is less than its first-pos is invalid.
        stop = _number(last) + 1
        return (start, min(stop, size)) if start < stop else None
    # RFC 9110 §14.1.2: the last octets, or all where there are fewer.
    return (max(0, size - _number(last)), size) if last else None


def _number(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _MOST_DIGITS else _PAST_ANY_END


def _merge(wanted: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """*wanted* without overlaps and small gaps, each part where the first of what it is made of was."""
    merged: list[tuple[int, int, int]] = []
    for start, stop, place in sorted((start, stop, place) for place, (start, stop) in enumerate(wanted)):
        if merged and start - merged[-1][2] < _SMALLEST_GAP:
            earliest, first, last = merged[-1]
            merged[-1] = min(earliest, place), first, max(last, stop)
        else:
            merged.append((place, start, stop))
    return [(start, stop) for _, start, stop in sorted(merged)]


class Multipart:
    """The content of a 206 of several parts, multipart/byteranges (RFC 9110 §14.6), but for the file's octets.

    Attributes:
        boundary: what separates the parts, 32 random characters.
        content_type: the value of Content-Type.
        length: the value of Content-Length, in octets.
        parts: for each, the octets that come before it, where it starts in the file and where it stops.
        end: the octets after the last.
    """

    __slots__ = ("boundary", "content_type", "end", "length", "parts")

    def __init__(
        self, ranges: Sequence[tuple[int, int]], size: int, content_type: bytes, boundary: bytes | None = None
    ) -> None:
        # Nobody who writes a file can know it, and make a part end early.
        self.boundary = boundary or secrets.token_hex(16).encode()
        self.content_type = b"multipart/byteranges; boundary=" + self.boundary
        self.parts: list[tuple[bytes, int, int]] = []
        delimiter = b"--" + self.boundary
        self.length = 0
        for start, stop in ranges:
            before = b"%b\r\nContent-Type: %b\r\nContent-Range: bytes %d-%d/%d\r\n\r\n" % (
                delimiter,
                content_type,
                start,
                stop - 1,
                size,
            )
            self.parts.append((before, start, stop))
            self.length += len(before) + stop - start
            # RFC 2046 §5.1.1: the line end before a delimiter belongs to it, and the first needs none.
            delimiter = b"\r\n--" + self.boundary
        self.end = delimiter + b"--\r\n"
        self.length += len(self.end)
