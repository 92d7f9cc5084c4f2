"""Who speaks what is not spoken here is told apart by the first octets."""

from __future__ import annotations

import ssl

import pytest

from miniasgi.server.sockets.first_octets import PLAIN_HTTP_ANSWER, looks_like_http, looks_like_tls, misplaced
from tests.certificates import client_context


def test_who_speaks_http_is_told_to_speak_https() -> None:
    assert PLAIN_HTTP_ANSWER == (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: 57\r\n"
        b"connection: close\r\n"
        b"\r\n"
        b"This port speaks HTTPS: its address begins with https://\n"
    )


def test_what_a_client_sends_first_looks_like_tls() -> None:
    outgoing = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    first = outgoing.read()
    for length in range(1, len(first) + 1):
        assert looks_like_tls(first[:length])
        assert not looks_like_http(first[:length])


@pytest.mark.parametrize("octets", [b"", b"\x16\x02", b"\x15\x03\x01", b"GET / HTTP/1.1\r\n", b"\x80\x2e\x01"])
def test_what_is_no_handshake_does_not_look_like_tls(octets: bytes) -> None:
    assert not looks_like_tls(octets)


@pytest.mark.parametrize(
    "octets", [b"G", b"GET", b"GET ", b"GET /", b"\r\nPOST / HTTP/1.1\r\n", b"M-SEARCH * HTTP/1.1"]
)
def test_a_request_looks_like_http(octets: bytes) -> None:
    assert looks_like_http(octets)


@pytest.mark.parametrize(
    "octets", [b"", b"\x16", b"\0", b"\r\n", b" GET /", b"GET\r\n", b"G\xff", b"{", b"\r\n" * 9 + b"G"]
)
def test_what_is_no_request_does_not_look_like_http(octets: bytes) -> None:
    assert not looks_like_http(octets)


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"\x16\x03\x01\x02\x00", "TLS"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY protocol"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", "PROXY protocol"),
        (b"PROXY / HTTP/1.1\r\n", ""),
        (b"GET / HTTP/1.1\r\n", ""),
        (b"", ""),
    ],
)
def test_what_can_only_come_before_http_is_named(octets: bytes, word: str) -> None:
    found = misplaced(octets)
    assert found.startswith(f"looks like {'the ' if word.startswith('PROXY') else ''}{word}") if word else not found
