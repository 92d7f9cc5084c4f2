"""What the first octets of a connection look like, to tell those apart who speak what is not spoken here.

Knows how HTTP, TLS and the PROXY protocol begin. Reads nothing.
"""

from __future__ import annotations

import re

from ...http1.grammar import TOKEN
from .proxy_protocol import looks_like_proxy_header

__all__ = ["PLAIN_HTTP_ANSWER", "looks_like_http", "looks_like_tls", "misplaced"]

_TEXT = b"This port speaks HTTPS: its address begins with https://\n"

#: For who speaks HTTP without TLS to a port that has it.
PLAIN_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\n"
    b"connection: close\r\n"
    b"\r\n%b" % (len(_TEXT), _TEXT)
)

# RFC 9112 §2.2 and §3: perhaps empty lines, then a method and a space, as much of it as there is.
_REQUEST = re.compile(rb"(?:\r?\n){0,8}" + TOKEN.pattern + rb"(?: |\Z)")


def looks_like_tls(first: bytes) -> bool:
    """Whether the *first* octets of a connection can be those of a TLS handshake."""
    # RFC 8446 §5.1: a record of the type handshake (22), of a version that begins with 3.
    return first[:1] == b"\x16" and first[1:2] in (b"", b"\x03")


def looks_like_http(first: bytes) -> bool:
    """Whether the *first* octets of a connection, one at least, can be those of a request without TLS."""
    return _REQUEST.match(first) is not None


def misplaced(first: bytes) -> str:
    """What the *first* octets of HTTP are, if they are what can only come before it; else empty."""
    if looks_like_tls(first):
        return "looks like TLS, where HTTP without it is expected; --ssl-certfile has the server speak it"
    if looks_like_proxy_header(first):
        return "looks like the PROXY protocol, which only trusted peers may speak, and that with --proxy-protocol"
    return ""
