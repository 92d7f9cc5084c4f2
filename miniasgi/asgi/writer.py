"""What an exchange needs of its connection, which another version of HTTP may be as well as HTTP/1.1.

Knows ASGI's terms. Does not know octets on the wire, nor who implements it (connections.writing).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from .body import ContentSource

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["ResponseWriter"]


class ResponseWriter(ContentSource, Protocol):
    """What an exchange needs of its connection. None of these waits but those that say so."""

    #: Whether the client is slower than the application; drain() waits until it is not.
    write_paused: bool

    async def drain(self) -> None: ...

    def respond(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole response; the exchange is then finished()."""

    def start_response(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Send a head; its content follows."""

    def write_body(self, exchange: Exchange, data: bytes, more: bool) -> None:
        """Send a piece of content; without *more* the last."""

    async def write_file(self, exchange: Exchange, file: int, offset: int, count: int) -> None:
        """Send *count* octets of the open *file* from *offset*, and wait until they have left."""

    def write_trailers(self, exchange: Exchange, fields: list[tuple[bytes, bytes]]) -> None:
        """End a response that keeps trailers."""

    def informational(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Send an interim response."""

    def finished(self, exchange: Exchange) -> None:
        """Learn that all of the response has been sent; the application may go on with other things."""

    def abort(self, exchange: Exchange) -> None:
        """Let the client see that the response was cut."""

    def ended(self, exchange: Exchange) -> None:
        """Learn that the application has returned."""
