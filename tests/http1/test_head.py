"""What a request line and fields mean."""

from __future__ import annotations

import pytest

from miniasgi.errors import (
    BadRequest,
    ExpectationFailed,
    NotImplementedMethod,
    RequestError,
    UnknownCoding,
    VersionNotSupported,
)
from miniasgi.http1.head import CHUNKED, FieldSection, RequestHead, RequestLine
from miniasgi.types import Fields

HOST = (b"host", b"h")


def line(target: bytes = b"/", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> RequestLine:
    return RequestLine(method, target, version)


def head(*fields: tuple[bytes, bytes], version: bytes = b"HTTP/1.1", target: bytes = b"/") -> RequestHead:
    return RequestHead(line(target, version=version), FieldSection([*fields]))


# Request lines


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/a/b?c=d", "/a/b", b"/a/b", b"c=d"),
        (b"/a?b?c", "/a", b"/a", b"b?c"),
        (b"/?", "/", b"/", b""),
        (b"/a%2Fb%20c?%zz&%20", "/a/b c", b"/a%2Fb%20c", b"%zz&%20"),
        (b"/%C3%A9", "/é", b"/%C3%A9", b""),
        (b"/%FF", "/\ufffd", b"/%FF", b""),
        (b"/a+b", "/a+b", b"/a+b", b""),
        (b"//h/../p", "//h/../p", b"//h/../p", b""),
        (b"http://h", "/", b"/", b""),
        (b"http://h?a=b", "/", b"/", b"a=b"),
        (b"http://h/a?b=/c", "/a", b"/a", b"b=/c"),
        (b"HTTPS://h:1/a%20b", "/a b", b"/a%20b", b""),
        (b"http://h?a/b", "/", b"/", b"a/b"),
    ],
)
def test_a_target_is_taken_apart(target: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    found = line(target)
    assert (found.target, found.path, found.raw_path, found.query) == (target, path, raw_path, query)


def test_an_asterisk_is_the_path_of_options() -> None:
    found = line(b"*", b"OPTIONS")
    assert (found.method, found.path, found.raw_path, found.query) == ("OPTIONS", "*", b"*", b"")


@pytest.mark.parametrize(
    ("target", "authority"),
    [(b"/", b""), (b"//h/", b""), (b"http://h", b"h"), (b"http://h:1/", b"h:1"), (b"http://[::1]?a", b"[::1]")],
)
def test_the_authority_is_that_of_an_absolute_target(target: bytes, authority: bytes) -> None:
    assert line(target).authority == authority


@pytest.mark.parametrize(
    ("version", "text"),
    [(b"HTTP/1.1", "1.1"), (b"HTTP/1.0", "1.0"), (b"HTTP/1.2", "1.1"), (b"HTTP/1.9", "1.1")],
)
def test_the_version_is_as_asgi_writes_it(version: bytes, text: str) -> None:
    assert line(version=version).version == text


def test_the_logged_line_is_the_request_line_in_quotes() -> None:
    assert line(b"/a%20b?c", b"POST", b"HTTP/1.0").log == '"POST /a%20b?c HTTP/1.0"'


def test_nothing_in_the_logged_line_ends_its_quotes() -> None:
    assert line(b'/"\\%0a?"').log == '"GET /\\x22\\x5c%0a?\\x22 HTTP/1.1"'


@pytest.mark.parametrize(
    ("method", "target", "version", "error"),
    [
        (b"GET", b"/", b"HTTP/2.0", VersionNotSupported),
        (b"GET", b"/", b"HTTP/1.10", BadRequest),
        (b"get", b"/", b"HTTP/0.9", VersionNotSupported),
        (b"GET", b"/", b"http/1.1", BadRequest),
        (b"GET", b"/", b"", BadRequest),
        (b"get", b"/", b"HTTP/1.1", BadRequest),
        (b"G T", b"/", b"HTTP/1.1", BadRequest),
        (b"", b"/", b"HTTP/1.1", BadRequest),
        (b"GET", b"", b"HTTP/1.1", BadRequest),
        (b"GET", b"a", b"HTTP/1.1", BadRequest),
        (b"GET", b"?a", b"HTTP/1.1", BadRequest),
        (b"GET", b"*", b"HTTP/1.1", BadRequest),
        (b"OPTIONS", b"**", b"HTTP/1.1", BadRequest),
        (b"OPTIONS", b"*?a", b"HTTP/1.1", BadRequest),
        (b"GET", b"h:80", b"HTTP/1.1", BadRequest),
        (b"GET", b"/#a", b"HTTP/1.1", BadRequest),
        (b"GET", b"/\xe9", b"HTTP/1.1", BadRequest),
        (b"GET", b"/%", b"HTTP/1.1", BadRequest),
        (b"GET", b"/%2", b"HTTP/1.1", BadRequest),
        (b"GET", b"http://", b"HTTP/1.1", BadRequest),
        (b"GET", b"http:///a", b"HTTP/1.1", BadRequest),
        (b"GET", b"http://u:p@h/", b"HTTP/1.1", BadRequest),
        (b"GET", b"ftp://h/", b"HTTP/1.1", BadRequest),
        (b"GET", b"://h/", b"HTTP/1.1", BadRequest),
        (b"CONNECT", b"h:80", b"HTTP/1.1", NotImplementedMethod),
        (b"CONNECT", b"h", b"HTTP/1.1", BadRequest),
        (b"CONNECT", b"/", b"HTTP/1.1", BadRequest),
        (b"CONNECT", b"http://h/", b"HTTP/1.1", BadRequest),
    ],
)
def test_a_request_line_outside_the_grammar_is_refused(
    method: bytes, target: bytes, version: bytes, error: type[RequestError]
) -> None:
    with pytest.raises(RequestError) as caught:
        RequestLine(method, target, version)
    assert type(caught.value) is error


# Framing


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], 0),
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b"0" * 5000)], 0),
        ([(b"content-length", b"5")], 5),
        ([(b"content-length", b"0" * 5000 + b"5")], 5),
        ([(b"content-length", b"9" * 19)], 10**19 - 1),
        ([(b"transfer-encoding", b"chunked")], CHUNKED),
        ([(b"transfer-encoding", b"CHUNKED")], CHUNKED),
        ([(b"transfer-encoding", b", chunked\t,")], CHUNKED),
        ([(b"transfer-encoding", b""), (b"transfer-encoding", b"chunked")], CHUNKED),
        ([(b"content_length", b"5")], 0),
        ([(b"sec-websocket-key1", b"5")], 0),
    ],
)
def test_the_length_of_content_is_what_the_fields_declare(fields: Fields, length: int) -> None:
    assert FieldSection(fields).length == length


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([(b"content-length", b"")], BadRequest),
        ([(b"content-length", b"+5")], BadRequest),
        ([(b"content-length", b"-5")], BadRequest),
        ([(b"content-length", b"5, 5")], BadRequest),
        ([(b"content-length", b"5_0")], BadRequest),
        ([(b"content-length", b"9" * 5000)], BadRequest),
        ([(b"content-length", b"\xd9\xa5")], BadRequest),
        ([(b"content-length", b"5"), (b"content-length", b"5")], BadRequest),
        ([(b"content-length", b"5"), (b"content-length", b"6")], BadRequest),
        ([(b"content-length", b"0"), (b"transfer-encoding", b"chunked")], BadRequest),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"5")], BadRequest),
        ([(b"transfer-encoding", b"")], BadRequest),
        ([(b"transfer-encoding", b"gzip")], BadRequest),
        ([(b"transfer-encoding", b"identity")], BadRequest),
        ([(b"transfer-encoding", b"chunked, identity")], BadRequest),
        ([(b"transfer-encoding", b"chunked, chunked")], BadRequest),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"gzip")], BadRequest),
        ([(b"transfer-encoding", b"gzip, chunked")], UnknownCoding),
        ([(b"transfer-encoding", b"x-gzip"), (b"transfer-encoding", b"chunked")], UnknownCoding),
        ([(b"transfer-encoding", b"identity, chunked")], UnknownCoding),
        ([(b"transfer-encoding", b"br, chunked")], UnknownCoding),
        ([(b"transfer-encoding", b"chunked;q=1")], UnknownCoding),
        ([(b"transfer-encoding", b"\xc3\x87hunked")], UnknownCoding),
        ([(b"transfer-encoding", b"\x0cchunked")], UnknownCoding),
        ([(b"expect", b"200-ok")], ExpectationFailed),
        ([(b"expect", b"100-continue"), (b"expect", b"x")], ExpectationFailed),
        ([HOST, HOST], BadRequest),
        ([(b"host", b""), HOST], BadRequest),
        ([(b"host", b"u@h")], BadRequest),
    ],
)
def test_fields_that_mean_two_things_or_nothing_are_refused(fields: Fields, error: type[RequestError]) -> None:
    with pytest.raises(RequestError) as caught:
        FieldSection(fields)
    assert type(caught.value) is error


# Persistence, expectation, upgrade


@pytest.mark.parametrize(
    ("version", "connection", "persistent"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"keep-alive", True),
        (b"HTTP/1.1", b"close", False),
        (b"HTTP/1.1", b"x , Close\t,", False),
        (b"HTTP/1.1", b"close, keep-alive", False),
        (b"HTTP/1.1", b"closed", True),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Keep-Alive", True),
        (b"HTTP/1.0", b"keep-alive, close", False),
        (b"HTTP/1.0", b"keep-alive-not", False),
    ],
)
def test_a_connection_persists_as_version_and_options_say(version: bytes, connection: bytes, persistent: bool) -> None:
    assert head(HOST, (b"connection", connection), version=version).persistent is persistent


def test_a_connection_option_may_be_in_any_of_several_fields() -> None:
    assert not head(HOST, (b"connection", b"x"), (b"connection", b"close"), (b"connection", b"y")).persistent


@pytest.mark.parametrize(
    ("version", "fields", "expects"),
    [
        (b"HTTP/1.1", [(b"content-length", b"1")], True),
        (b"HTTP/1.1", [(b"transfer-encoding", b"chunked")], True),
        (b"HTTP/1.1", [(b"content-length", b"0")], False),
        (b"HTTP/1.1", [], False),
        (b"HTTP/1.0", [(b"content-length", b"1")], False),
    ],
)
def test_continue_is_owed_where_content_is_announced_to_a_server_that_may_say_it(
    version: bytes, fields: Fields, expects: bool
) -> None:
    assert head(HOST, *fields, (b"expect", b"100-Continue"), version=version).expects_continue is expects


@pytest.mark.parametrize(
    ("version", "fields", "upgrade"),
    [
        (b"HTTP/1.1", [(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"WebSocket")], b"websocket"),
        (b"HTTP/1.1", [(b"upgrade", b"a"), (b"connection", b"upgrade"), (b"upgrade", b"b")], b"a,b"),
        (b"HTTP/1.1", [(b"upgrade", b"websocket")], b""),
        (b"HTTP/1.1", [(b"connection", b"upgrade")], b""),
        (b"HTTP/1.0", [(b"connection", b"upgrade"), (b"upgrade", b"websocket")], b""),
    ],
)
def test_an_upgrade_is_offered_by_both_its_fields_together(version: bytes, fields: Fields, upgrade: bytes) -> None:
    assert head(HOST, *fields, version=version).upgrade == upgrade


@pytest.mark.parametrize(
    ("value", "takes"), [(b"trailers", True), (b"gzip, Trailers", True), (b"trailers;q=1", False), (b"", False)]
)
def test_trailers_are_taken_by_a_client_that_says_so(value: bytes, takes: bool) -> None:
    assert FieldSection([(b"te", value)]).takes_trailers is takes


@pytest.mark.parametrize(("value", "takes"), [(b"navigate", True), (b"cors", False)])
def test_early_hints_are_taken_by_a_browser_that_navigates(value: bytes, takes: bool) -> None:
    assert FieldSection([(b"sec-fetch-mode", value)]).takes_early_hints is takes
    assert not FieldSection([]).takes_early_hints


# The head as a whole


def test_http_1_1_needs_a_host_and_1_0_does_not() -> None:
    with pytest.raises(BadRequest):
        head()
    assert head(version=b"HTTP/1.0").fields == []


def test_an_absolute_target_needs_a_host_field_too() -> None:
    with pytest.raises(BadRequest):
        head(target=b"http://h/")


def test_an_empty_host_is_a_host() -> None:
    assert head((b"host", b"")).fields == [(b"host", b"")]


def test_the_authority_of_the_target_replaces_the_host_field() -> None:
    found = head((b"a", b"b"), (b"host", b"other"), (b"c", b"d"), target=b"http://h:1/")
    assert found.fields == [(b"host", b"h:1"), (b"a", b"b"), (b"c", b"d")]
    assert found.section.fields == [(b"a", b"b"), (b"host", b"other"), (b"c", b"d")]


def test_an_http_1_0_client_is_told_of_an_absolute_target_as_a_host() -> None:
    assert head(version=b"HTTP/1.0", target=b"http://h/").fields == [HOST]


def test_transfer_encoding_is_refused_in_http_1_0() -> None:
    with pytest.raises(BadRequest):
        head(HOST, (b"transfer-encoding", b"chunked"), version=b"HTTP/1.0")
