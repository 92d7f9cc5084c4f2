"""What a parser is.

A parser turns a client's octets into calls on a sink. It decides nothing else: what a head means is decided in
http1.head, when the next request may start is the connection's business. The parsers are in http1.parsers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .head import RequestHead

__all__ = ["Limits", "ParserFactory", "RequestParser", "RequestSink"]

KIB = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a head a parser takes, whichever parser it is. In octets: lines without line ends, the head with all.

    The defaults: 8,000 octets of request line is the least that RFC 9112 §3 asks for; 100 fields is what Apache takes.
    """

    request_line: int = 16 * KIB
    field: int = 16 * KIB
    fields: int = 100
    head: int = 64 * KIB


class RequestSink(Protocol):
    """What a parser tells. Called synchronously and in this order for each request."""

    def on_request(self, head: RequestHead, /) -> None:
        """Take the head, complete and sane. Once for each request."""

    def on_body(self, data: bytes, /) -> None:
        """Take a piece of the content, unchunked and never empty. Any number of times; the piece may be kept."""

    def on_end(self, /) -> None:
        """Learn that the content is complete; without content, right after on_request. Once for each request."""


class RequestParser(Protocol):
    """Turns octets into calls on a sink, one request at a time.

    How the octets are cut into feeds never changes the calls, except that on_body may be cut differently. After
    RequestError the parser is dead and must not be fed again.
    """

    def feed(self, data: bytes, /) -> bytes:
        """Parse *data* up to the end of the request, and return what follows it, untouched.

        What is returned must be fed again once the next request may start, or belongs to another protocol after an
        upgrade. Empty while the request is incomplete: its octets have then been taken, or are kept inside.

        Raises:
            RequestError: with the status to answer; the calls made before still stand.
        """


ParserFactory: TypeAlias = Callable[[RequestSink, Limits], RequestParser]
