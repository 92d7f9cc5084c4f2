"""Chunked content, by itself: what is taken, where the bounds are, and that the work is linear."""

from __future__ import annotations

import re

import pytest

from miniasgi.errors import BadRequest
from miniasgi.http1 import chunked
from miniasgi.http1.chunked import ChunkedDecoder
from miniasgi.http1.grammar import BAD_OCTET
from miniasgi.http1.parsers import Limits
from miniasgi.testing import RecordingSink

END = b"0\r\n\r\n"


def decode(*pieces: bytes, limits: Limits | None = None) -> tuple[list[bytes], bytes | None]:
    """The pieces of content that the sink was given, and what the last feed returned."""
    sink = RecordingSink()
    decoder = ChunkedDecoder(sink, limits or Limits())
    rest: bytes | None = None
    for piece in pieces:
        assert rest is None
        rest = decoder.feed(piece)
    return [event[1] for event in sink.events], rest


def refuse(*pieces: bytes, limits: Limits | None = None) -> bytes:
    """The content that was handed over before the refusal."""
    sink = RecordingSink()
    decoder = ChunkedDecoder(sink, limits or Limits())
    with pytest.raises(BadRequest):
        for piece in pieces:
            decoder.feed(piece)
    return b"".join(event[1] for event in sink.events)


def test_chunks_that_come_together_are_handed_over_together() -> None:
    assert decode(b"1\r\na\r\n2;x\r\nbc\r\n" + END) == ([b"abc"], b"")


def test_content_is_handed_over_as_soon_as_it_is_there() -> None:
    assert decode(b"5\r\nab", b"c", b"de", b"\r\n", END) == ([b"ab", b"c", b"de"], b"")


def test_what_follows_the_content_is_returned_untouched() -> None:
    assert decode(END + b"\r\n\x00GET") == ([], b"\r\n\x00GET")


def test_content_is_incomplete_until_its_trailer_section_has_ended() -> None:
    assert decode(b"0\r\nA: b\r\n\r") == ([], None)
    assert decode(b"0\r\nA: b\r\n\r", b"\n") == ([], b"")


def test_trailer_fields_are_dropped() -> None:
    assert decode(b"1\r\na\r\n0\r\nHost: x\r\nContent-Length: 9\r\n\r\nrest") == ([b"a"], b"rest")


def test_the_content_before_a_fault_is_handed_over() -> None:
    assert refuse(b"1\r\na\r\n2\r\nbcd") == b"abc"
    assert refuse(b"1\r\na\r\nx\r\n") == b"a"


@pytest.mark.parametrize("ending", [b"\n", b"\r\r", b"ab", b"0\r\n", b"\rx"])
def test_both_octets_after_chunk_data_are_looked_at(ending: bytes) -> None:
    assert refuse(b"1\r\na" + ending) == b"a"
    assert refuse(b"1\r\na", *(ending[at : at + 1] for at in range(len(ending)))) == b"a"


def test_a_size_of_sixteen_digits_is_taken_and_one_of_seventeen_is_not() -> None:
    assert decode(b"f" * 16 + b"\r\nab") == ([b"ab"], None)
    assert refuse(b"f" * 17 + b"\r\nab") == b""


# Bounds


def test_a_chunk_line_may_have_4096_octets_and_no_more() -> None:
    line = b"1;" + b"x" * 4094
    assert decode(line + b"\r\na\r\n" + END) == ([b"a"], b"")
    assert refuse(line + b"x\r\na\r\n" + END) == b""


def test_a_chunk_line_without_an_end_is_refused_when_it_cannot_end_in_time() -> None:
    assert decode(b"1;" + b"x" * 4094, b"\r") == ([], None)
    assert refuse(b"1;" + b"x" * 4096) == b""


def test_extensions_may_have_16384_octets_more_than_the_content() -> None:
    chunk = b"1;%b\r\na\r\n" % (b"x" * 1023)  # 1,024 octets of extension for one of content
    assert decode(chunk * 16 + END) == ([b"a" * 16], b"")
    assert refuse(chunk * 16 + b"1;" + b"x" * 17 + b"\r\na\r\n") == b"a" * 16
    assert decode(chunk * 16 + b"1;" + b"x" * 16 + b"\r\na\r\n" + END) == ([b"a" * 17], b"")


def test_extensions_are_free_where_the_content_outweighs_them() -> None:
    chunk = b"400;%b\r\n%b\r\n" % (b"x" * 1000, b"a" * 1024)
    assert decode(chunk * 100 + END) == ([b"a" * 102400], b"")


def test_content_that_came_before_is_no_credit_for_extensions() -> None:
    plenty = b"ffff\r\n%b\r\n" % (b"a" * 0xFFFF)
    assert refuse(plenty + b"1;%b\r\na\r\n" % (b"x" * 4000) * 5) == b"a" * (0xFFFF + 4)


LIMITS = Limits(request_line=100, field=50, fields=4, head=120)


@pytest.mark.parametrize(
    "trailers",
    [b"a:\r\n" * 4, b"a:" + b"b" * 48 + b"\r\n", b"a:%b\r\na:%b\r\nb:%b\r\n" % (b"b" * 48, b"b" * 48, b"b" * 10)],
)
def test_a_trailer_section_at_its_bounds_is_taken(trailers: bytes) -> None:
    assert decode(b"0\r\n" + trailers + b"\r\n", limits=LIMITS) == ([], b"")


@pytest.mark.parametrize(
    "trailers",
    [
        b"a:\r\n" * 5,
        b"a:" + b"b" * 49 + b"\r\n",
        b"a:" + b"b" * 50,
        b"a:%b\r\na:%b\r\nb:%b\r\n" % (b"b" * 48, b"b" * 48, b"b" * 13),
    ],
)
def test_a_trailer_section_beyond_its_bounds_is_refused(trailers: bytes) -> None:
    assert refuse(b"0\r\n" + trailers, limits=LIMITS) == b""


@pytest.mark.parametrize("field", [b"A : b", b"A", b": b", b" A: b", b"A: \x00", b"A: b\r", b"A: b\nC: d", b"\x80: b"])
def test_a_trailer_field_is_checked_as_any_other(field: bytes) -> None:
    assert refuse(b"0\r\n" + field + b"\r\n\r\n") == b""


# Linear work


def test_many_small_chunks_in_one_feed_are_one_call_on_the_sink() -> None:
    assert decode(b"1\r\na\r\n" * 10000 + END) == ([b"a" * 10000], b"")


class CountingPattern:
    """BAD_OCTET, and how many octets it has been shown."""

    def __init__(self) -> None:
        self.octets = 0

    def search(self, data: bytes, start: int = 0) -> re.Match[bytes] | None:
        self.octets += len(data) - start
        return BAD_OCTET.search(data, start)


def test_each_octet_of_a_line_that_comes_slowly_is_searched_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = CountingPattern()
    monkeypatch.setattr(chunked, "BAD_OCTET", pattern)
    octets = b"0\r\na:" + b"b" * 2000
    assert decode(*(octets[at : at + 1] for at in range(len(octets)))) == ([], None)
    assert pattern.octets <= 2 * len(octets)


class Searched(bytes):
    """Octets that count how many of them are looked through for a line end, also when they stand behind others."""

    octets = 0

    def find(self, what: bytes, start: int = 0) -> int:  # type: ignore[override]  # all that is called
        Searched.octets += len(self) - start
        return super().find(what, start)

    def __radd__(self, before: bytes) -> Searched:
        return Searched(before.__add__(self))


@pytest.mark.parametrize("line", [b"1;a=" + b"b" * 2000, b"0\r\na:" + b"b" * 2000])
def test_a_line_that_comes_slowly_is_not_looked_through_for_its_end_again_and_again(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Searched, "octets", 0)
    assert decode(*(Searched(line[at : at + 1]) for at in range(len(line)))) == ([], None)
    assert len(line) <= Searched.octets <= 3 * len(line)
