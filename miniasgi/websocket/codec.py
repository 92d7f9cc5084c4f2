"""What turns a client's octets into WebSocket messages, and messages into octets: what it has to be.

A Codec does no I/O and knows no clock. The connection feeds it, sends what it returns, and is its Sink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

__all__ = ["OLDEST_PACKAGE", "PACKAGE", "Codec", "CodecFactory", "CodecMissing", "Offer", "Sink"]

#: The oldest version of the package websockets that is good enough, and how it is called for in messages.
OLDEST_PACKAGE = (16, 1)
PACKAGE = "the package websockets, 16.1 or later (pip install 'websockets>=16.1')"


class CodecMissing(Exception):
    """What WebSockets need cannot be had; the message says what that is."""


class Sink(Protocol):
    """What a codec tells the connection, while it takes octets."""

    def on_message(self, data: str | bytes, /) -> None:
        """Take a whole message, text as str."""

    def on_pong(self) -> None:
        """Learn that the client has answered a ping."""

    def on_end(self, code: int, reason: str, /) -> None:
        """Learn that no message comes any more: the client has closed, with *code* or 1005 without, or it has broken
        the protocol and was sent *code*. Called once."""


class Codec(Protocol):
    """One connection's protocol, after its handshake.

    - How the octets are cut into pieces never changes what the sink is told.
    - What a method returns must be sent, in this order, before anything else is.
    """

    #: The value of Sec-WebSocket-Extensions in the answer; empty for none.
    extensions: bytes
    #: Whether nothing is to be sent or taken any more: the transport is to be closed.
    over: bool

    def receive(self, data: bytes, /) -> bytes:
        """Take octets of the client, and return what they ask for: pongs, the closing handshake."""

    def message(self, data: str | bytes, /) -> bytes:
        """A message, as octets."""

    def ping(self) -> bytes:
        """A ping."""

    def close(self, code: int, reason: str, /) -> bytes:
        """The beginning of the closing handshake; empty if it has begun. Raises ValueError: no such code or reason."""

    def discard(self) -> None:
        """Let go of what is held for a connection that is gone, or was refused; nothing is called after that."""


class Offer(NamedTuple):
    """What a codec is made for.

    Attributes:
        extensions: the client's Sec-WebSocket-Extensions, joined.
        max_size: octets that a message may have, after it has been inflated.
        deflates: whether messages may be compressed, if the client can (RFC 7692).
    """

    extensions: bytes
    max_size: int
    deflates: bool


#: Makes a codec for the connection that is its sink. Raises BadRequest if the offer is malformed, CodecMissing if there
#: turns out to be none.
CodecFactory: TypeAlias = Callable[[Sink, Offer], Codec]
