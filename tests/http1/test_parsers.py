"""The three parsers: one suite for all of them, and how they are got."""

from __future__ import annotations

import re
import sys
from typing import ClassVar

import pytest

from miniasgi.errors import BadRequest
from miniasgi.http1.grammar import BAD_OCTET, FIELD_OCTETS, TOKEN_OCTETS
from miniasgi.http1.head import RequestHead
from miniasgi.http1.parsers import Limits, ParserFactory, framing, load
from miniasgi.http1.parsers.second_reader import LibraryParser
from miniasgi.testing import RecordingSink, cases, check_case, check_parser
from miniasgi.types import Fields

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


@pytest.fixture
def factory(parser_name: str) -> ParserFactory:
    return load(parser_name)


@pytest.mark.slow
def test_a_parser_passes_the_kit(factory: ParserFactory) -> None:
    check_parser(factory)


@pytest.mark.slow
def test_a_parser_keeps_the_limits_that_are_the_default(factory: ParserFactory) -> None:
    for case in cases(Limits()):
        if len(case.octets) > 400:
            check_case(factory, case)


def test_the_three_parsers_are_known_by_their_names(parser_name: str) -> None:
    assert load(parser_name).__name__.lower() == f"{parser_name}parser"


@pytest.mark.parametrize("name", ["", "auto", "H11", "nothing"])
def test_a_name_that_no_parser_has_is_a_lookup_error(name: str) -> None:
    with pytest.raises(LookupError, match=re.escape(f"no parser is called {name!r}")):
        load(name)


@pytest.mark.parametrize("name", ["httptools", "h11"])
def test_a_parser_whose_package_is_missing_is_an_import_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"miniasgi.http1.parsers.{name}", raising=False)
    with pytest.raises(ImportError):
        load(name)


@pytest.mark.parametrize("octets", [GET, POST, CHUNKED])
@pytest.mark.parametrize("call", ["on_request", "on_body", "on_end"])
def test_what_a_sink_raises_comes_out_as_it_is(factory: ParserFactory, octets: bytes, call: str) -> None:
    class Failure(Exception):
        pass

    class FailingSink(RecordingSink):
        pass

    def fail(*arguments: object) -> None:
        raise Failure

    setattr(FailingSink, call, fail)
    parser = factory(FailingSink(), Limits())
    if octets == GET and call == "on_body":
        assert parser.feed(octets) == b""
    else:
        with pytest.raises(Failure):
            parser.feed(octets)


def test_content_that_is_declared_is_handed_over_without_waiting_for_its_end(factory: ParserFactory) -> None:
    sink = RecordingSink()
    parser = factory(sink, Limits())
    for piece in (POST[:-3], b"a", b"bc"):
        assert parser.feed(piece) == b""
    assert sink.events[1:] == [("body", b"a"), ("body", b"bc"), ("end",)]


def test_content_of_an_upgrade_that_nobody_wants_is_content(factory: ParserFactory) -> None:
    sink = RecordingSink()
    parser = factory(sink, Limits())
    fields = b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n"
    assert parser.feed(POST.replace(b"\r\n\r\n", b"\r\n" + fields) + GET) == GET
    assert parser.feed(GET) == b""
    assert [event[0] for event in sink.events] == ["request", "body", "end", "request", "end"]


def test_two_parsers_do_not_know_of_each_other(factory: ParserFactory) -> None:
    sinks = [RecordingSink() for _ in range(3)]
    parsers = [factory(sink, Limits()) for sink in sinks]
    for at in range(len(CHUNKED)):
        for parser in parsers:
            assert parser.feed(CHUNKED[at : at + 1]) == b""
    assert sinks[0].merged == sinks[1].merged == sinks[2].merged != []


def test_each_octet_of_a_head_that_comes_slowly_is_searched_twice_at_most(
    factory: ParserFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CountingPattern:
        octets = 0

        def search(self, data: bytes, start: int = 0) -> re.Match[bytes] | None:
            self.octets += len(data) - start
            return pattern.search(data, start)

    pattern = BAD_OCTET
    counting = CountingPattern()
    monkeypatch.setattr(framing, "BAD_OCTET", counting)
    octets = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 90
    parser = factory(RecordingSink(), Limits())
    for at in range(len(octets)):
        assert parser.feed(octets[at : at + 1]) == b""
    assert counting.octets <= 2 * len(octets)


def test_a_line_that_comes_slowly_is_not_looked_through_for_its_end_again_and_again() -> None:
    class Searched(bytes):
        octets = 0

        def find(self, what: bytes, start: int, end: int) -> int:  # type: ignore[override]  # all that is called
            Searched.octets += end - start
            return super().find(what, start, end)

    octets = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 2000
    watch = framing.HeadWatch(Limits())
    for end in range(len(octets)):
        watch.scan(Searched(octets[:end]))
    assert len(octets) <= Searched.octets <= 3 * len(octets)


def test_every_octet_that_the_grammar_has_is_taken_in_a_field_and_no_other(factory: ParserFactory) -> None:
    def taken(before: bytes, octet: int, after: bytes) -> bool:
        sink = RecordingSink()
        try:
            factory(sink, Limits()).feed(GET[:-2] + before + bytes([octet]) + after + b"\r\n\r\n")
        except BadRequest:
            assert sink.events == []
            return False
        return True

    for before, after in ((b"A: ", b""), (b"A: ", b"b"), (b"A: b", b""), (b"A: b", b"c"), (b"A:", b"")):
        assert [octet for octet in range(256) if taken(before, octet, after)] == sorted(FIELD_OCTETS)
    for before, after in ((b"", b"A: b"), (b"A", b": b"), (b"A", b"B: c"), (b"", b": b")):
        names = [octet for octet in range(256) if taken(before, octet, after)]
        # ":" ends a name, unless that would be an empty one.
        assert [octet for octet in names if octet != ord(":") or not before] == sorted(TOKEN_OCTETS)


def test_feeding_nothing_changes_nothing(factory: ParserFactory) -> None:
    for octets in (GET, POST, CHUNKED):
        sink = RecordingSink()
        parser = factory(sink, Limits())
        assert parser.feed(b"") == b""
        for at in range(len(octets)):
            assert parser.feed(octets[at : at + 1]) == b""
            assert parser.feed(b"") == b""
        whole = RecordingSink()
        assert factory(whole, Limits()).feed(octets) == b""
        assert sink.merged == whole.merged


# Two readers


@pytest.mark.parametrize("block", [b"A : b\r\n", b"A\r\n", b"A\x00: b\r\n", b": b\r\n"])
def test_what_the_library_refuses_is_refused(parser_name: str, block: bytes) -> None:
    if parser_name == "handwritten":
        pytest.skip("the hand-written parser has no second reader")
    parser = load(parser_name)(RecordingSink(), Limits())
    assert isinstance(parser, LibraryParser)
    assert parser._second_reading(b"A: b\r\n") == [(b"a", b"b")]
    # Our own reading would have stopped these before.
    with pytest.raises(BadRequest):
        parser._second_reading(block)


class OtherReading(LibraryParser):
    """A library that is shown fields and reads others."""

    shown: ClassVar[bytes] = b""
    reads: ClassVar[Fields] = []

    def _second_reading(self, block: bytes) -> Fields:
        type(self).shown = block
        return self.reads


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [(b"host", b"h")],
        [(b"host", b"h"), (b"a", b"")],
        [(b"host", b"h"), (b"a", b"b"), (b"a", b"b")],
        [(b"a", b"b"), (b"host", b"h")],
        [(b"Host", b"h"), (b"a", b"b")],
    ],
)
def test_a_head_that_the_library_reads_otherwise_is_refused(reads: Fields, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OtherReading, "reads", reads)
    sink = RecordingSink()
    with pytest.raises(BadRequest):
        OtherReading(sink, Limits()).feed(GET[:-2] + b"A: b\r\n\r\n")
    assert sink.events == []


@pytest.mark.parametrize("field", [b"Content-Length: 3", b"TRANSFER-encoding:chunked", b"Content-Length: " + b"0" * 30])
def test_fields_that_frame_the_content_are_not_shown_to_the_library(
    field: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OtherReading, "reads", [(b"host", b"h"), (b"a", b"b")])
    sink = RecordingSink()
    octets = GET[:-2] + field + b"\r\nA: b\r\n\r\n"
    assert OtherReading(sink, Limits()).feed(octets) == b""
    assert OtherReading.shown == b"Host: h\r\nA: b\r\n"
    name, _, value = field.partition(b":")
    assert sink.events[0][4] == [(b"host", b"h"), (name.lower(), value.strip()), (b"a", b"b")]


def test_a_method_that_no_library_knows_is_a_method(factory: ParserFactory) -> None:
    heads: list[RequestHead] = []
    sink = RecordingSink()
    sink.heads = heads
    assert factory(sink, Limits()).feed(GET.replace(b"GET", b"BREW-COFFEE")) == b""
    assert heads[0].line.method == "BREW-COFFEE"
