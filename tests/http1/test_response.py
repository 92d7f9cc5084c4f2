"""Response heads and content: what goes on the wire, and what an application cannot put there."""

from __future__ import annotations

from typing import Any

import pytest

from miniasgi.errors import ApplicationError
from miniasgi.http1 import response
from miniasgi.http1.head import FieldSection, RequestHead, RequestLine
from miniasgi.http1.response import (
    CONTINUE,
    BodyWriter,
    ChunkedWriter,
    NoBodyWriter,
    SizedWriter,
    UntilCloseWriter,
    choose_framing,
    encode_error,
    encode_fields,
    encode_informational,
    frame_whole,
    status_line,
    without_content,
)


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "_encoded", type(response._encoded)(response._encoded._entries))


def request(method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> RequestHead:
    return RequestHead(RequestLine(method, b"/", version), FieldSection([(b"host", b"h")]))


# Status lines


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (404, b"HTTP/1.1 404 Not Found\r\n"),
        (299, b"HTTP/1.1 299 \r\n"),
        (999, b"HTTP/1.1 999 \r\n"),
    ],
)
def test_a_status_line_has_its_reason_phrase_or_an_empty_one(status: int, line: bytes) -> None:
    assert status_line(status) == line


@pytest.mark.parametrize(
    "status", [0, 99, 100, 101, 103, 199, 1000, -200, "200", "200 OK\r\nA: b", None, b"200", 200.5, True]
)
def test_what_is_not_a_final_status_is_the_application_s_fault(status: Any) -> None:
    with pytest.raises(ApplicationError):
        status_line(status)


# Fields


def test_fields_are_encoded_as_they_are_in_their_order() -> None:
    fields = [(b"Content-Type", b"text/plain"), (b"x-empty", b""), (b"SET-cookie", b"a=b"), (b"set-cookie", b"\xff\t")]
    assert (
        encode_fields(fields).encoded
        == b"Content-Type: text/plain\r\nx-empty: \r\nSET-cookie: a=b\r\nset-cookie: \xff\t\r\n"
    )


@pytest.mark.parametrize(
    "fields",
    [
        [(b"a", b"b"), (b"c", b"d")],
        ((b"a", b"b"), (b"c", b"d")),
        [[b"a", b"b"], [b"c", b"d"]],
        [(bytearray(b"a"), bytearray(b"b")), (b"c", memoryview(b"d"))],
        [(b"a", memoryview(bytearray(b"b"))), (b"c", b"d")],
        {b"a": b"b", b"c": b"d"}.items(),
    ],
)
def test_fields_may_be_any_iterable_of_pairs_of_octets(fields: Any) -> None:
    assert encode_fields(fields).encoded == b"a: b\r\nc: d\r\n"
    assert encode_fields(iter(fields)).encoded == b"a: b\r\nc: d\r\n"


def test_no_fields_are_no_octets() -> None:
    assert encode_fields([]).encoded == b""


@pytest.mark.parametrize(
    "fields",
    [None, 5, "ab", {b"a": b"b"}, [5], ["ab"], [b"ab"], [()], [(b"a",)], [[b"a"]], [(b"a", b"b", b"c")]]
    + [[pair] for pair in (("a", "b"), (b"a", "b"), ("a", b"b"), (b"a", 5), (b"a", None), (None, b"b"), [b"a", "b"])],
)
def test_what_is_not_pairs_of_octets_is_the_application_s_fault(fields: Any) -> None:
    with pytest.raises(ApplicationError):
        encode_fields(fields)


SPLITTERS = [
    b"b\r\nSet-Cookie: c=d",
    b"b\r\n\r\n<html>",
    b"b\r\n c",
    b"b\r\n",
    b"\r\nb",
    b"b\rc",
    b"b\nc",
    b"\r",
    b"\n",
    b"b\x00",
    b"\x0b",
    b"\x0c",
    b"\x1f",
    b"\x7f",
]


@pytest.mark.parametrize("value", SPLITTERS)
@pytest.mark.parametrize("name", [b"a", b"location", b"Date", b"server", b"connection", b"content-length"])
def test_nothing_in_a_value_splits_the_response(name: bytes, value: bytes) -> None:
    for pair in ((name, value), [name, value], (name, bytearray(value))):
        with pytest.raises(ApplicationError):
            encode_fields([(b"first", b"1"), pair, (b"last", b"2")])  # type: ignore[list-item]  # lists are allowed


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a:", b"a\r\nb", b"a\n", b"\ra", b"a\x00", b"\xe9", b" a", b"a\t", b"(a)"]
)
def test_nothing_in_a_name_splits_the_response(name: bytes) -> None:
    for pair in ((name, b"b"), [name, b"b"]):
        with pytest.raises(ApplicationError):
            encode_fields([pair])  # type: ignore[list-item]  # lists are allowed


def test_a_cr_in_one_value_and_an_lf_in_another_do_not_make_up_for_each_other() -> None:
    with pytest.raises(ApplicationError):
        encode_fields([(b"a", b"\r"), (b"b", b"\n")])
    with pytest.raises(ApplicationError):
        encode_fields([(b"a", b"\n\r")])


def test_a_transfer_encoding_of_the_application_s_never_goes_out() -> None:
    assert (
        encode_fields([(b"a", b"b"), (b"Transfer-Encoding", b"chunked"), (b"c", b"d")]).encoded == b"a: b\r\nc: d\r\n"
    )
    assert encode_fields([(b"transfer-encoding", b"x\r\ny: z")]).encoded == b""


@pytest.mark.parametrize(
    ("value", "close", "encoded"),
    [
        (b"close", True, b""),
        (b"Close", True, b""),
        (b"keep-alive", False, b""),
        (b"keep-alive, close", True, b""),
        (b"", False, b""),
        (b"upgrade", False, b"connection: upgrade\r\n"),
        (b"x, close", True, b"connection: x, close\r\n"),
        (b"closed", False, b"connection: closed\r\n"),
    ],
)
def test_persistence_is_left_to_the_server_and_a_close_is_heard(value: bytes, close: bool, encoded: bytes) -> None:
    found = encode_fields([(b"connection", value)])
    assert (found.close, found.encoded) == (close, encoded)


def test_a_close_is_not_unsaid_by_a_second_connection_field() -> None:
    assert encode_fields([(b"connection", b"close"), (b"connection", b"keep-alive")]).close


@pytest.mark.parametrize(("value", "length"), [(b"0", 0), (b"5", 5), (b"0005", 5), (b"9" * 19, 10**19 - 1)])
def test_content_length_is_read(value: bytes, length: int) -> None:
    found = encode_fields([(b"Content-Length", value)])
    assert (found.length, found.encoded) == (length, b"Content-Length: " + value + b"\r\n")


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"+1", b"1.0", b" 1", b"1 ", b"0x1", b"1,1", b"1_0", b"9" * 5000, b"\xb2"]
)
def test_a_content_length_that_is_no_number_is_the_application_s_fault(value: bytes) -> None:
    with pytest.raises(ApplicationError):
        encode_fields([(b"content-length", value)])


def test_two_content_lengths_are_the_application_s_fault_even_where_they_agree() -> None:
    with pytest.raises(ApplicationError):
        encode_fields([(b"content-length", b"5"), (b"Content-Length", b"5")])


def test_an_application_s_own_date_and_server_are_seen() -> None:
    assert (encode_fields([(b"Date", b"x")]).has_date, encode_fields([(b"Date", b"x")]).has_server) == (True, False)
    assert (encode_fields([(b"SERVER", b"x")]).has_date, encode_fields([(b"SERVER", b"x")]).has_server) == (False, True)


def test_a_204_has_no_content_length() -> None:
    fields = [(b"a", b"b"), (b"Content-Length", b"0"), (b"c", b"d")]
    assert without_content(204, fields) == [(b"a", b"b"), (b"c", b"d")]


def test_a_205_says_that_its_content_is_empty() -> None:
    fields = [(b"a", b"b"), (b"Content-Length", b"5"), (b"c", b"d")]
    assert without_content(205, fields) == [(b"a", b"b"), (b"c", b"d"), (b"content-length", b"0")]
    assert without_content(205, []) == [(b"content-length", b"0")]


# What is remembered


def test_fields_that_come_again_are_not_encoded_again() -> None:
    fields = [(b"a", b"b")]
    for _ in range(3):
        encode_fields(fields)
    assert encode_fields(fields) is encode_fields([(b"a", b"b")])


def test_what_is_remembered_is_no_longer_tied_to_what_was_given() -> None:
    value: Any = bytearray(b"b")
    for _ in range(3):
        assert encode_fields([(b"a", value)]).encoded == b"a: b\r\n"
    value[:] = b"c"
    assert encode_fields([(b"a", value)]).encoded == b"a: c\r\n"


def test_never_more_than_512_sections_are_remembered() -> None:
    most = 0
    for number in range(1200):
        for _ in range(2):
            encode_fields([(b"etag", b"%d" % number)])
        most = max(most, len(response._encoded))
    assert 0 < most <= 512


@pytest.mark.parametrize("name", [b"a", b"transfer-encoding", b"connection"])
def test_long_sections_are_not_remembered(name: bytes) -> None:
    for _ in range(3):
        encode_fields([(name, b"," * 2000)])
    assert not response._encoded


def test_names_that_an_application_makes_up_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "_names", response._ResponseNames())
    for number in range(1500):
        encode_fields([(b"x-%d" % number, b""), (b"y" * 65, b"")])
    assert len(response._names) == 1024
    assert max(map(len, response._names)) <= 64
    assert encode_fields([(b"Date", b"x")]).has_date


def test_fields_that_were_refused_are_refused_again() -> None:
    for _ in range(3):
        with pytest.raises(ApplicationError):
            encode_fields([(b"a", b"\n")])
        with pytest.raises(ApplicationError):
            encode_fields([(b"a b", b"")])


# Framing: status × method × version × what the application declares × whether the first piece is the last

DECLARED = [(b"content-length", b"5")]
CHUNKED_LINE = b"transfer-encoding: chunked\r\n"
FIVE = b"content-length: 5\r\n"


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS", b"QUERY"])
@pytest.mark.parametrize("status", [200, 206, 301, 404, 500, 599])
def test_framing_of_a_response_with_content(status: int, method: bytes, version: bytes) -> None:
    head, none = request(method, version), encode_fields([])
    streamed, lines = choose_framing(head, status, none, None)
    if version == b"HTTP/1.1":
        assert (type(streamed), lines) == (ChunkedWriter, CHUNKED_LINE)
    else:
        assert (type(streamed), lines) == (UntilCloseWriter, b"")
    for whole in (None, 5, 0):
        sized, lines = choose_framing(head, status, encode_fields(DECLARED), whole)
        assert (type(sized), lines) == (SizedWriter, b"")
    sized, lines = choose_framing(head, status, none, 5)
    assert (type(sized), lines) == (SizedWriter, FIVE)
    sized, lines = choose_framing(head, status, none, 0)
    assert (type(sized), lines) == (SizedWriter, b"content-length: 0\r\n")
    assert frame_whole(head, status, none, b"hello") == (FIVE, b"hello")
    assert frame_whole(head, status, none, b"") == (b"content-length: 0\r\n", b"")
    assert frame_whole(head, status, encode_fields(DECLARED), b"hello") == (b"", b"hello")


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize("status", [204, 205, 304])
def test_framing_of_a_status_that_has_no_content(status: int, method: bytes, version: bytes) -> None:
    head = request(method, version)
    for fields in (encode_fields([]), encode_fields(DECLARED)):
        for whole in (None, 0, 5):
            writer, lines = choose_framing(head, status, fields, whole)
            assert (type(writer), lines) == (NoBodyWriter, b"")
        assert frame_whole(head, status, fields, b"hello") == (b"", b"")


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_framing_of_a_response_to_head(status: int, version: bytes) -> None:
    head, none = request(b"HEAD", version), encode_fields([])
    # RFC 9110 §8.6: the length that a GET would have may be told; of a stream it is not known.
    for whole, expected in ((None, b""), (0, b""), (5, FIVE)):
        writer, lines = choose_framing(head, status, none, whole)
        assert (type(writer), lines) == (NoBodyWriter, expected)
    writer, lines = choose_framing(head, status, encode_fields(DECLARED), 9)
    assert (type(writer), lines) == (NoBodyWriter, b"")
    assert frame_whole(head, status, none, b"hello") == (FIVE, b"")
    assert frame_whole(head, status, none, b"") == (b"", b"")
    assert frame_whole(head, status, encode_fields(DECLARED), b"") == (b"", b"")


@pytest.mark.parametrize("body", [b"", b"hell", b"hello!"])
def test_a_whole_response_must_be_as_long_as_declared(body: bytes) -> None:
    with pytest.raises(ApplicationError):
        frame_whole(request(), 200, encode_fields(DECLARED), body)


# Writers


def written(writer: BodyWriter, *pieces: bytes) -> bytes:
    """What goes on the wire for *pieces*, of which the last one ends the content."""
    last = len(pieces) - 1
    return b"".join(writer.write(piece, number < last) for number, piece in enumerate(pieces))


@pytest.mark.parametrize("pieces", [(b"hello",), (b"he", b"llo"), (b"hello", b""), (b"", b"hell", b"", b"o")])
def test_a_sized_writer_writes_what_was_declared(pieces: tuple[bytes, ...]) -> None:
    assert written(SizedWriter(5), *pieces) == b"hello"


@pytest.mark.parametrize(
    "pieces", [(b"",), (b"hell",), (b"he", b"ll"), (b"hello!",), (b"hello", b"!"), (b"hello!", b"")]
)
def test_a_sized_writer_refuses_another_length(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(ApplicationError):
        written(SizedWriter(5), *pieces)


@pytest.mark.parametrize(
    ("pieces", "octets"),
    [
        ((b"",), b"0\r\n\r\n"),
        ((b"a",), b"1\r\na\r\n0\r\n\r\n"),
        ((b"a", b""), b"1\r\na\r\n0\r\n\r\n"),
        ((b"a", b"", b"b"), b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
        ((b"x" * 26,), b"1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"),
        ((b"0\r\n\r\n",), b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
    ],
)
def test_a_chunked_writer_ends_content_once_and_never_early(pieces: tuple[bytes, ...], octets: bytes) -> None:
    assert written(ChunkedWriter(), *pieces) == octets


def test_content_until_close_is_written_as_it_is() -> None:
    assert written(UntilCloseWriter(), b"a", b"", b"b", b"") == b"ab"


def test_a_writer_of_no_content_writes_none() -> None:
    assert written(NoBodyWriter(), b"a", b"b") == b""


def test_a_file_is_announced_as_its_framing_needs() -> None:
    chunked = ChunkedWriter()
    assert (chunked.announce(26), chunked.after) == (b"1a\r\n", b"\r\n")
    until_close = UntilCloseWriter()
    assert (until_close.announce(26), until_close.after) == (b"", b"")
    sized = SizedWriter(26)
    assert (sized.announce(20), sized.after, sized.write(b"123456", False)) == (b"", b"", b"123456")


def test_a_file_longer_than_declared_is_not_announced() -> None:
    with pytest.raises(ApplicationError):
        SizedWriter(5).announce(6)


def test_a_file_shorter_than_declared_shows_at_the_end() -> None:
    writer = SizedWriter(5)
    writer.announce(4)
    with pytest.raises(ApplicationError):
        writer.write(b"", False)


# What the server says by itself


def test_continue_is_a_whole_interim_response() -> None:
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_an_interim_response_has_its_fields_and_no_content() -> None:
    link = b"</a.css>; rel=preload"
    assert encode_informational(103, [(b"link", link)]) == b"HTTP/1.1 103 Early Hints\r\nlink: " + link + b"\r\n\r\n"
    with pytest.raises(ApplicationError):
        encode_informational(103, [(b"link", b"a\r\nb: c")])


def test_a_refusal_is_a_whole_response_that_announces_the_close() -> None:
    assert encode_error(431, b"server: s\r\n") == (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\nserver: s\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: 32\r\nconnection: close\r\n\r\nRequest Header Fields Too Large\n"
    )
