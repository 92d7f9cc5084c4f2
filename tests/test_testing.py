"""The kit finds what is wrong with a parser, and says so; the fakes behave as what they stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from miniasgi.errors import BadRequest, RequestError
from miniasgi.http1.head import FieldSection, RequestHead
from miniasgi.http1.parsers import Limits, RequestSink, load
from miniasgi.http1.parsers.handwritten import HandwrittenParser
from miniasgi.testing import (
    SMALL_LIMITS,
    Case,
    FakeTransport,
    RecordingSink,
    cases,
    check_case,
    check_parser,
)

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
GET_EVENTS = (("request", "GET", b"/", "1.1", [(b"host", b"h")], 0), ("end",))


class Between:
    """A sink that passes everything on, for parsers that are wrong in what they tell."""

    def __init__(self, sink: RequestSink) -> None:
        self.sink = sink

    def on_request(self, head: RequestHead, /) -> None:
        self.sink.on_request(head)

    def on_body(self, data: bytes, /) -> None:
        self.sink.on_body(data)

    def on_end(self, /) -> None:
        self.sink.on_end()


class TellsOtherwise(HandwrittenParser):
    between: type[Between]

    def __init__(self, sink: RequestSink, limits: Limits) -> None:
        super().__init__(self.between(sink), limits)


class DropsAnOctet(TellsOtherwise):
    """Loses the last octet of content."""

    class between(Between):
        def on_body(self, data: bytes, /) -> None:
            if data[:-1]:
                self.sink.on_body(data[:-1])


class TellsNothing(TellsOtherwise):
    """Hands over empty pieces."""

    class between(Between):
        def on_end(self, /) -> None:
            self.sink.on_body(b"")
            self.sink.on_end()


class EndsTwice(TellsOtherwise):
    class between(Between):
        def on_end(self, /) -> None:
            self.sink.on_end()
            self.sink.on_end()


class ForgetsTheEnd(TellsOtherwise):
    class between(Between):
        def on_end(self, /) -> None:
            pass


class AlwaysPersists(TellsOtherwise):
    """Has a view of its own of what a field means."""

    class between(Between):
        def on_request(self, head: RequestHead, /) -> None:
            head = RequestHead(head.line, head.section)
            head.persistent = True
            self.sink.on_request(head)


class MergesFields(TellsOtherwise):
    class between(Between):
        def on_request(self, head: RequestHead, /) -> None:
            head = RequestHead(head.line, head.section)
            head.fields = list(dict(head.fields).items())
            self.sink.on_request(head)


class KeepsTheHost(TellsOtherwise):
    """Leaves the Host field as it is where the target has an authority."""

    class between(Between):
        def on_request(self, head: RequestHead, /) -> None:
            head = RequestHead(head.line, head.section)
            head.fields = head.section.fields
            self.sink.on_request(head)


class GivesTrailersToTheHead(HandwrittenParser):
    """Adds trailer fields to those of the request that is running, as a naive adapter to a library does."""

    def __init__(self, sink: RequestSink, limits: Limits) -> None:
        heads: list[RequestHead] = []
        self.heads = heads

        class Watching(Between):
            def on_request(self, head: RequestHead, /) -> None:
                head = RequestHead(head.line, head.section)
                head.fields = list(head.fields)
                heads.append(head)
                super().on_request(head)

        super().__init__(Watching(sink), limits)

    def feed(self, data: bytes, /) -> bytes:
        rest = super().feed(data)
        if b"\r\n0\r\nB: c\r\n" in data:
            self.heads[-1].fields.append((b"b", b"c"))
        return rest


class GivesTrailersToTheNext(HandwrittenParser):
    """Adds trailer fields to those of the next request."""

    left: tuple[tuple[bytes, bytes], ...] = ()

    def feed(self, data: bytes, /) -> bytes:
        rest = super().feed(data)
        if b"\r\n0\r\nTrailer: b\r\n" in data:
            self.left = ((b"trailer", b"b"),)
        return rest

    def _read_head(self, data: bytes, end: int) -> RequestHead:
        head = super()._read_head(data, end)
        section = FieldSection([*head.section.fields, *self.left])
        self.left = ()
        return RequestHead(head.line, section)


class ReadsPastTheEnd(HandwrittenParser):
    """Goes on to the next request by itself."""

    def feed(self, data: bytes, /) -> bytes:
        while data:
            data = super().feed(data)
        return data


class EatsEmptyLines(HandwrittenParser):
    """Takes the empty lines after a request for its own."""

    def feed(self, data: bytes, /) -> bytes:
        return super().feed(data).lstrip(b"\r\n")


class GivesBackTooMuch(HandwrittenParser):
    """Gives back what it could not use yet, as if its caller would keep it."""

    def feed(self, data: bytes, /) -> bytes:
        return super().feed(data) if b"\r\n\r\n" in data or self._remaining else data


class ForgetsWhereItWas(HandwrittenParser):
    """Looks for the end of a head in each piece alone."""

    def feed(self, data: bytes, /) -> bytes:
        self._kept = b""
        return super().feed(data)


class JudgesWholeHeadsOnly(HandwrittenParser):
    """Waits for the end of what has none."""

    def _wait(self, data: bytes) -> None:
        self._kept = data


class SpillsItsOwnErrors(HandwrittenParser):
    """Lets an exception out that is no RequestError."""

    def feed(self, data: bytes, /) -> bytes:
        try:
            return super().feed(data)
        except BadRequest as error:
            raise ValueError("malformed") from error


class AnswersAlways400(HandwrittenParser):
    def feed(self, data: bytes, /) -> bytes:
        try:
            return super().feed(data)
        except RequestError as error:
            raise BadRequest(str(error)) from error


class TakesBareLineFeeds(HandwrittenParser):
    def feed(self, data: bytes, /) -> bytes:
        return super().feed(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (DropsAnOctet, ["after another request, whole", "calls", "('body', b'a')"]),
        (TellsNothing, ["on_body was given an empty piece"]),
        (EndsTwice, ["(whole)", "calls", "('end',), ('end',)"]),
        (ForgetsTheEnd, ["(whole)", "('end',)"]),
        (AlwaysPersists, ["Connection: close", "persistent", "(False, False, b'')", "(True, False, b'')"]),
        (MergesFields, ["same name twice (whole)", "(b'a', b'b'), (b'a', b'c')"]),
        (KeepsTheHost, ["target b'http://x' (whole)", "(b'host', b'x')", "(b'host', b'h')"]),
        (GivesTrailersToTheHead, ["fields after on_request", "(b'b', b'c')"]),
        (GivesTrailersToTheNext, ["after another request, whole", "(b'trailer', b'b')"]),
        (ReadsPastTheEnd, ["after another request, whole", "one feed() went on to another request"]),
        (EatsEmptyLines, ["octets behind it", "rest", "b'\\r\\n\\x00GET \\xff'", "b'\\x00GET \\xff'"]),
        (GivesBackTooMuch, ["feed() gave back", "before a request was complete"]),
        (ForgetsWhereItWas, ["(octet by octet)", "calls"]),
        (JudgesWholeHeadsOnly, ["request line without end (whole)", "status", "414"]),
        (SpillsItsOwnErrors, ["feed() raised ValueError('malformed')"]),
        (AnswersAlways400, ["status", "501", "400"]),
        (TakesBareLineFeeds, ["status", "400"]),
        (lambda sink, limits: HandwrittenParser(sink, Limits()), ["too many trailer fields (whole)", "400"]),
    ],
)
def test_the_kit_catches_a_parser_that_is_wrong(
    broken: Callable[[RequestSink, Limits], HandwrittenParser], words: list[str]
) -> None:
    with pytest.raises(AssertionError) as caught:
        check_parser(broken)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 8000


@pytest.mark.parametrize("limit", ["request_line", "field", "fields", "head"])
@pytest.mark.parametrize("by", [1, -1, 10**6])
def test_the_kit_catches_a_limit_that_is_off_by_one(limit: str, by: int) -> None:
    def broken(sink: RequestSink, limits: Limits) -> HandwrittenParser:
        return HandwrittenParser(sink, replace(limits, **{limit: getattr(limits, limit) + by}))

    made = cases()
    begin = [case.name for case in made].index("longest request line")
    with pytest.raises(AssertionError, match=r"request line|field|head"):
        for case in made[begin:]:
            check_case(broken, case)


def test_a_failure_is_told_with_the_case_the_cut_and_both_sides() -> None:
    with pytest.raises(AssertionError) as caught:
        check_case(JudgesWholeHeadsOnly, Case("a bare line feed", b"GET / HTTP/1.1\n", status=400))
    assert str(caught.value) == (
        "a bare line feed (whole)\n  fed [b'GET / HTTP/1.1\\n']\n  status\n    expected: 400\n    found:    0"
    )


def test_every_case_has_a_name_of_its_own_or_says_the_same_of_other_octets() -> None:
    made = cases()
    assert len({(case.name, case.octets) for case in made}) == len(made)
    assert {case.status for case in made} == {0, 400, 414, 417, 431, 501, 505}


def test_cases_are_made_for_the_limits_that_are_asked_for() -> None:
    limits = replace(SMALL_LIMITS, request_line=300)
    assert {case.limits for case in cases(limits)} == {limits}
    longest = max(case.octets.find(b"\r\n") for case in cases(limits) if case.name == "longest request line")
    assert longest == 300


def test_a_case_that_waits_for_more_is_not_complete() -> None:
    assert Case("whole", GET, GET_EVENTS).complete
    assert not Case("half", GET[:-1]).complete


# The sink


def test_a_recording_sink_writes_down_the_calls_and_joins_content_on_demand() -> None:
    sink = RecordingSink()
    parser = load("handwritten")(sink, Limits())
    for piece in (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\na", b"bc"):
        assert parser.feed(piece) == b""
    head = ("request", "POST", b"/", "1.0", [(b"content-length", b"3")], 3)
    assert sink.events == [head, ("body", b"a"), ("body", b"bc"), ("end",)]
    assert sink.merged == [head, ("body", b"abc"), ("end",)]
    assert [found.line.method for found in sink.heads] == ["POST"]


# The transport


def test_a_fake_transport_keeps_what_is_written() -> None:
    transport = FakeTransport()
    transport.write(b"a")
    transport.writelines([b"b", bytearray(b"c"), memoryview(b"d")])
    assert transport.written == b"abcd"
    assert transport.take() == b"abcd"
    assert transport.written == b""


def test_nothing_is_written_to_a_fake_transport_after_its_end() -> None:
    transport = FakeTransport()
    assert transport.can_write_eof()
    transport.write_eof()
    with pytest.raises(RuntimeError):
        transport.write(b"a")
    closed = FakeTransport()
    closed.close()
    closed.write(b"a")
    assert (transport.written, closed.written) == (b"", b"")
    assert (transport.eof_written, closed.eof_written) == (True, False)


def test_a_fake_transport_that_is_closed_does_not_read() -> None:
    transport = FakeTransport()
    assert transport.is_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    transport.resume_reading()
    assert transport.is_reading()
    transport.close()
    transport.resume_reading()
    assert (transport.is_closing(), transport.is_reading(), transport.aborted) == (True, False, False)


def test_an_aborted_fake_transport_says_so() -> None:
    transport = FakeTransport()
    transport.abort()
    assert (transport.aborted, transport.is_closing()) == (True, True)


def test_a_fake_transport_has_addresses_and_what_a_test_adds() -> None:
    transport = FakeTransport({"sockname": "/run/x", "ssl_object": 1})
    found = [transport.get_extra_info(name) for name in ("peername", "sockname", "ssl_object", "socket")]
    assert found == [("192.0.2.1", 50000), "/run/x", 1, None]


def test_a_fake_transport_says_how_much_waits_and_where_the_marks_are() -> None:
    transport = FakeTransport()
    assert (transport.get_write_buffer_size(), transport.get_write_buffer_limits()) == (0, (16384, 65536))
    transport.buffer_size = 5
    assert transport.get_write_buffer_size() == 5
    for high, low, limits in (
        (0, None, (0, 0)),
        (100, 10, (10, 100)),
        (100, None, (25, 100)),
        (None, None, (16384, 65536)),
    ):
        transport.set_write_buffer_limits(high, low)
        assert transport.get_write_buffer_limits() == limits


def test_a_fake_transport_knows_its_protocol_once_it_is_told() -> None:
    transport = FakeTransport()
    with pytest.raises(AssertionError):
        transport.get_protocol()
    protocol = asyncio.Protocol()
    transport.set_protocol(protocol)
    assert transport.get_protocol() is protocol
