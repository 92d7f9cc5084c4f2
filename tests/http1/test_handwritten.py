"""What the hand-written parser remembers, and that it stays within bounds."""

from __future__ import annotations

import pytest

from miniasgi.asgi.scope import Origin, http_scope
from miniasgi.errors import RequestError
from miniasgi.http1.memory import Memory
from miniasgi.http1.parsers import Limits, handwritten
from miniasgi.http1.parsers.handwritten import HandwrittenParser, read_fields
from miniasgi.testing import RecordingSink

Memories = dict[str, Memory[bytes, object]]


@pytest.fixture(autouse=True)
def memories(monkeypatch: pytest.MonkeyPatch) -> Memories:
    """All that the parser remembers by, empty, under the names in its module."""
    fresh = {
        name: Memory[bytes, object](memory._entries)
        for name, memory in vars(handwritten).items()
        if isinstance(memory, Memory)
    }
    for name, memory in fresh.items():
        monkeypatch.setattr(handwritten, name, memory)
    return fresh


def feed(octets: bytes, times: int = 1, limits: Limits | None = None) -> RecordingSink:
    sink = RecordingSink()
    parser = HandwrittenParser(sink, limits or Limits())
    for _ in range(times):
        assert parser.feed(octets) == b""
    return sink


def get(path: bytes = b"/", fields: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n"


def test_a_request_that_comes_again_means_the_same() -> None:
    sink = feed(get(b"/a", b"A: b\r\n"), 5)
    assert sink.events == [("request", "GET", b"/a", "1.1", [(b"host", b"h"), (b"a", b"b")], 0), ("end",)] * 5


def test_fields_that_come_again_with_content_mean_the_same() -> None:
    request = [("request", "POST", b"/", "1.1", [(b"host", b"h"), (b"content-length", b"2")], 2)]
    octets = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"
    assert feed(octets + b"ab", 5).events == [*request, ("body", b"ab"), ("end",)] * 5
    # With its content still to come, and after a request that was remembered.
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    for _ in range(5):
        assert parser.feed(get()) == b""
        assert parser.feed(octets) == b""
        assert parser.feed(b"ab") == b""
    assert sink.merged[2:5] == sink.merged[-3:] == [*request, ("body", b"ab"), ("end",)]


def test_content_that_looks_like_a_remembered_request_is_content() -> None:
    octets = get()
    assert feed(octets, 3).events
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    assert parser.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (2 * len(octets))) == b""
    assert parser.feed(octets) == b""
    assert parser.feed(octets) == b""
    assert sink.merged[1:] == [("body", octets * 2), ("end",)]


def test_the_end_of_a_head_that_looks_like_a_remembered_request_is_its_end() -> None:
    octets = get()
    assert feed(octets, 3).events
    sink = RecordingSink()
    parser = HandwrittenParser(sink, Limits())
    assert parser.feed(b"GET /a HTTP/1.1\r\nB: ") == b""
    assert parser.feed(octets) == b""
    fields = [(b"b", b"GET / HTTP/1.1"), (b"host", b"h")]
    assert sink.events == [("request", "GET", b"/a", "1.1", fields, 0), ("end",)]


def test_a_remembered_request_is_measured_by_the_limits_of_who_asks() -> None:
    octets = get(b"/" + b"a" * 50, b"A: b\r\n" * 5)
    assert feed(octets, 3).events
    for limits, status in (
        (Limits(request_line=60), 414),
        (Limits(field=6), 431),
        (Limits(fields=5), 431),
        (Limits(head=100), 431),
    ):
        with pytest.raises(RequestError) as caught:
            feed(octets, limits=limits)
        assert caught.value.status == status
    assert feed(octets, limits=Limits(request_line=65, field=7, fields=6, head=len(octets))).events


def test_what_was_refused_is_refused_again() -> None:
    for octets in (get(b"/#"), get(fields=b"A : b\r\n"), get(fields=b"Expect: x\r\n"), get(fields=b"Host: h\r\n")):
        for _ in range(3):
            with pytest.raises(RequestError):
                feed(octets)


def test_never_more_than_the_maximum_is_remembered(memories: Memories) -> None:
    most = dict.fromkeys(memories, 0)
    for number in range(1200):
        feed(get(b"/%d" % number, b"Etag: %d\r\n" % number), 2)
        for name, memory in memories.items():
            most[name] = max(most[name], len(memory))
    assert most == {name: memory._entries for name, memory in memories.items()}
    assert max(most.values()) <= 512


def test_what_is_long_is_not_remembered(memories: Memories) -> None:
    feed(get(b"/" + b"a" * 1100, b"B: " + b"c" * 1100 + b"\r\n"), 3)
    assert not any(memories.values())
    feed(get(b"/" + b"a" * 600, b"B: " + b"c" * 600 + b"\r\n"), 3)
    octets = [key for memory in memories.values() for key in memory]
    assert octets
    assert max(map(len, octets)) <= 1024


def test_what_comes_once_is_not_remembered(memories: Memories) -> None:
    feed(get(b"/", b"Authorization: secret\r\n"))
    assert not any(memories.values())


def test_a_remembered_head_never_shares_its_list_between_two_scopes() -> None:
    origin = Origin(None, None, "http", "", {})
    sink = feed(get(), 4)
    scopes = [http_scope(head, origin) for head in sink.heads]
    for scope in scopes:
        scope["headers"].append((b"x", b"y"))
    assert all(scope["headers"] == [(b"host", b"h"), (b"x", b"y")] for scope in scopes)
    assert feed(get()).events == sink.events[:2]


def test_names_that_clients_make_up_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handwritten, "_names", handwritten._Names())
    for number in range(1500):
        assert read_fields(b"X-%d:\r\n" % number) == [(b"x-%d" % number, b"")]
        assert read_fields(b"Y" * 65 + b":\r\n") == [(b"y" * 65, b"")]
    assert len(handwritten._names) == 1024
    assert max(map(len, handwritten._names)) <= 64
