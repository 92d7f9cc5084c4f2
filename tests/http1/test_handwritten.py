"""What the hand-written parser remembers of the last request, and that it stays within bounds."""

from __future__ import annotations

import pytest

from miniasgi.asgi.scope import Origin, http_scope
from miniasgi.errors import HeadTooLarge, RequestError
from miniasgi.http1.head import RequestLine
from miniasgi.http1.parsers import Limits, handwritten
from miniasgi.http1.parsers.handwritten import HandwrittenParser, read_fields
from miniasgi.testing import Event, RecordingSink
from miniasgi.types import Fields

HOST = (b"host", b"h")


def feed(*pieces: bytes) -> RecordingSink:
    """Feed *pieces* to one parser, each of them used up."""
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    for piece in pieces:
        assert parser.feed(piece) == b""
    return sink


def get(path: bytes = b"/", fields: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n"


def told(path: bytes = b"/", *fields: tuple[bytes, bytes]) -> list[Event]:
    return [("request", "GET", path, "1.1", [HOST, *fields], 0), ("end",)]


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The request lines and field sections that have been read, rather than remembered."""
    read: list[bytes] = []
    read_line, read_lines = handwritten.read_request_line, handwritten.read_lines

    def watched_line(line: bytes) -> RequestLine:
        read.append(line)
        return read_line(line)

    def watched_lines(lines: list[bytes]) -> Fields:
        read.append(b"".join(line + b"\r\n" for line in lines))
        return read_lines(lines)

    monkeypatch.setattr(handwritten, "read_request_line", watched_line)
    monkeypatch.setattr(handwritten, "read_lines", watched_lines)
    return read


def test_a_request_that_comes_again_and_again_means_the_same_and_is_read_twice(readings: list[bytes]) -> None:
    sink = feed(*[get(b"/a", b"A: b\r\n")] * 5)
    assert sink.events == told(b"/a", (b"a", b"b")) * 5
    assert readings == [b"GET /a HTTP/1.1", b"Host: h\r\nA: b\r\n", b"Host: h\r\nA: b\r\n"]


def test_fields_that_come_again_and_again_with_other_request_lines_are_read_twice(readings: list[bytes]) -> None:
    sink = feed(get(b"/a"), get(b"/b"), get(b"/b"), get(b"/c"))
    assert sink.events == [*told(b"/a"), *told(b"/b"), *told(b"/b"), *told(b"/c")]
    lines = [b"GET /a HTTP/1.1", b"GET /b HTTP/1.1", b"GET /c HTTP/1.1"]
    assert readings == [lines[0], b"Host: h\r\n", lines[1], b"Host: h\r\n", lines[2]]


@pytest.mark.parametrize("octets", [10, 100, 300, 900])
def test_a_head_of_any_length_that_comes_again_is_read_twice(octets: int, readings: list[bytes]) -> None:
    fields = b"A: %b\r\n" % (b"a" * octets)
    feed(*[get(b"/a", fields)] * 3, *[get(b"/b", fields)] * 3)
    section = b"Host: h\r\n" + fields
    assert readings == [b"GET /a HTTP/1.1", section, section, b"GET /b HTTP/1.1"]


def test_fields_that_never_come_again_are_not_kept() -> None:
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    for number in range(20):
        assert parser.feed(get(fields=b"Cookie: session=%d\r\n" % number)) == b""
        assert (parser._block, parser._octets) == (None, b"")


def test_fields_that_differ_only_before_their_end_mean_what_they_say() -> None:
    same = b"X: %b\r\n" % (b"x" * 40)
    events: list[Event] = []
    octets = []
    for value in (b"a", b"b", b"b", b"a", b"c"):
        octets.append(get(fields=b"A: " + value + b"\r\n" + same))
        events += told(b"/", (b"a", value), (b"x", b"x" * 40))
    assert feed(*octets).events == events


def test_a_request_line_that_comes_again_with_other_fields_is_read_once(readings: list[bytes]) -> None:
    sink = feed(get(fields=b"A: b\r\n"), get(fields=b"A: c\r\n"), get(fields=b"A: b\r\n"))
    assert sink.events == [*told(b"/", (b"a", b"b")), *told(b"/", (b"a", b"c")), *told(b"/", (b"a", b"b"))]
    assert readings == [b"GET / HTTP/1.1", *(b"Host: h\r\nA: %b\r\n" % value for value in (b"b", b"c", b"b"))]


def test_no_fields_are_a_field_section_like_any_other() -> None:
    old = b"GET / HTTP/1.0\r\n\r\n"
    events: list[Event] = [("request", "GET", b"/", "1.0", [], 0), ("end",)]
    assert feed(old, old).events == events * 2
    assert feed(get(), old, old, get()).events == [*told(), *events, *events, *told()]


def test_content_is_not_remembered_with_its_head() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"
    request = ("request", "POST", b"/", "1.1", [HOST, (b"content-length", b"2")], 2)
    sink = feed(head + b"ab", head + b"cd", head, b"ef", head, b"gh")
    bodies = [event for event in sink.events if event[0] == "body"]
    assert bodies == [("body", b"ab"), ("body", b"cd"), ("body", b"ef"), ("body", b"gh")]
    assert sink.events[0] == sink.events[3] == sink.events[6] == sink.events[9] == request


def test_content_that_looks_like_the_last_request_is_content() -> None:
    octets = get()
    sink = feed(
        octets, octets, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (2 * len(octets)), octets, octets
    )
    assert sink.merged[5:] == [("body", octets * 2), ("end",)]


def test_chunked_content_that_looks_like_the_last_request_is_content() -> None:
    octets = get()
    chunk = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(octets)
    assert feed(octets, octets, chunk, octets, b"\r\n0\r\n\r\n").merged[5:] == [("body", octets), ("end",)]


def test_the_end_of_a_head_that_looks_like_the_last_request_is_its_end() -> None:
    sink = feed(get(), get(), b"GET /a HTTP/1.1\r\nB: ", get())
    fields = [(b"b", b"GET / HTTP/1.1"), HOST]
    assert sink.events[4:] == [("request", "GET", b"/a", "1.1", fields, 0), ("end",)]


def test_the_last_request_with_octets_behind_it_gives_them_back() -> None:
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    assert parser.feed(get()) == b""
    assert parser.feed(get() + b"\r\nrest") == b"\r\nrest"
    assert parser.feed(get() * 2) == get()
    assert parser.feed(get()) == b""
    assert sink.events == told() * 4


def test_a_request_that_came_slowly_or_after_empty_lines_is_remembered_as_what_it_is(readings: list[bytes]) -> None:
    octets = get()
    pieces = [octets[at : at + 1] for at in range(len(octets))]
    assert feed(*pieces, octets, b"\r\n" + octets, octets, *pieces).events == told() * 5
    assert readings == [b"GET / HTTP/1.1", b"Host: h\r\n", b"Host: h\r\n"]


def test_nothing_is_remembered_from_one_connection_to_another(readings: list[bytes]) -> None:
    feed(get())
    feed(get())
    assert readings == [b"GET / HTTP/1.1", b"Host: h\r\n"] * 2


def test_what_is_long_is_not_remembered() -> None:
    parser = HandwrittenParser(RecordingSink(), Limits())
    for size in (10, 600, 990, 1010, 1024, 2000, 10):
        for octets in (
            get(b"/" + b"a" * size),
            get(fields=b"A: " + b"b" * size + b"\r\n"),
            get(b"/" + b"a" * size, b"A: " + b"b" * size + b"\r\n"),
        ):
            assert parser.feed(octets) == b""
            assert len(parser._octets) <= 1024
            assert len(parser._first) <= 1024
            assert len(parser._block or b"") <= 1024


def test_what_is_long_means_the_same_each_time() -> None:
    path, value = b"/" + b"a" * 2000, b"b" * 2000
    octets = get(path, b"A: " + value + b"\r\n")
    sink = feed(octets, octets, get(), octets, get(), get())
    long, short = told(path, (b"a", value)), told()
    assert sink.events == [*long, *long, *short, *long, *short, *short]


# Heads that are long enough to be read without a search for their end


def long(path: bytes, fields: bytes = b"") -> bytes:
    return get(path, b"X: %b\r\n" % (b"x" * 300) + fields)


LONG = (b"x", b"x" * 300)


def test_a_long_head_that_is_not_alone_ends_where_it_ends() -> None:
    content = b"POST / HTTP/1.1\r\nHost: h\r\nX: %b\r\nContent-Length: 4\r\n\r\n" % LONG[1]
    for behind in (long(b"/b"), b"\r\n", b"\r\n\r\n", b"rest", b"rest\r\n\r\n", get()):
        sink = RecordingSink()
        parser = HandwrittenParser(sink, Limits())
        assert parser.feed(long(b"/a") + behind) == behind
        assert sink.events == told(b"/a", LONG)
        assert parser.feed(content + b"\r\n\r\n" + behind) == behind
        assert sink.events[3:] == [("body", b"\r\n\r\n"), ("end",)]
        assert parser.feed(content) == b""
        assert parser.feed(long(b"/c")) == long(b"/c")[4:]
        assert sink.events[6:] == [("body", b"GET "), ("end",)]


def test_long_heads_that_come_at_once_are_each_read_once(readings: list[bytes]) -> None:
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    octets = b"".join(long(b"/%d" % number, b"N: %032d\r\n" % number) for number in range(40))
    while octets:
        octets = parser.feed(octets)
    assert len(sink.heads) == 40
    # A few more for the first: it is not known before that it is not alone.
    assert sum(section.count(b"\r\n") for section in readings) < 40 * 3 + 50


@pytest.mark.parametrize(
    "octets",
    [
        long(b"/#"),
        long(b"/", b"A : b\r\n"),
        long(b"/", b"A\r\n"),
        long(b"/", b" folded\r\n"),
        long(b"/", b"A: b\rc\n: d\r\n"),
        long(b"/", b"A: b\n\rc: d\r\n"),
        long(b"/", b"A: \x00\r\n"),
        long(b"/", b"Host: h\r\n"),
        long(b"/", b"A: b\r\n" * 100),
        long(b"/", b"A: %b\r\n" % (b"a" * 20000)),
        long(b"/" + b"a" * 20000),
        long(b"/", b"Expect: more\r\n"),
        long(b"/")[1:].replace(b"Host", b"Most"),
    ],
)
def test_a_long_head_that_is_wrong_is_refused_as_if_it_came_slowly(octets: bytes) -> None:
    with pytest.raises(RequestError) as at_once:
        feed(octets)
    parser = HandwrittenParser(RecordingSink(), Limits())
    with pytest.raises(RequestError) as slowly:
        for at in range(len(octets)):
            parser.feed(octets[at : at + 1])
    assert (type(at_once.value), str(at_once.value)) == (type(slowly.value), str(slowly.value))


def test_what_is_refused_after_a_good_request_is_refused() -> None:
    for octets in (
        get(b"/#"),
        get(fields=b"A : b\r\n"),
        get(fields=b"Host: h\r\n"),
        get()[:-2] + b"\n",
        b"\r\n".join([b"", b"Host: h", b"", b""])[2:],
    ):
        parser = HandwrittenParser(RecordingSink(), Limits())
        assert parser.feed(get()) == b""
        with pytest.raises(RequestError):
            parser.feed(octets)


def test_a_request_that_is_remembered_never_shares_its_list_between_two_scopes() -> None:
    origin = Origin(None, None, "http", "", {})
    sink = feed(*[get()] * 4)
    scopes = [http_scope(head, origin) for head in sink.heads]
    for scope in scopes:
        scope["headers"].append((b"x", b"y"))
    assert all(scope["headers"] == [HOST, (b"x", b"y")] for scope in scopes)
    assert all(head.fields == [HOST] for head in sink.heads)


def test_more_fields_than_the_limit_are_refused_before_they_are_read() -> None:
    assert read_fields(b"a:\r\n" * 3, 3) == [(b"a", b"")] * 3
    with pytest.raises(HeadTooLarge):
        read_fields(b"a:\r\n" * 4, 3)


def test_names_that_clients_make_up_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handwritten, "_names", {})
    for number in range(1500):
        assert read_fields(b"X-%d:\r\n" % number, 1) == [(b"x-%d" % number, b"")]
        assert read_fields(b"Y" * 65 + b":\r\n", 1) == [(b"y" * 65, b"")]
    assert len(handwritten._names) == 1024
    assert max(map(len, handwritten._names)) <= 64
