"""The parser with h11. The only file that imports it."""

from __future__ import annotations

import h11

from ...errors import BadRequest
from ...types import Fields
from .second_reader import LibraryParser

__all__ = ["H11Parser"]


class H11Parser(LibraryParser):
    """The RequestParser whose heads h11 reads too."""

    __slots__ = ()

    def _second_reading(self, block: bytes) -> Fields:
        # HTTP/1.0, because h11 has a rule about Host for 1.1 that does not concern the reading of fields.
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head + 64)
        connection.receive_data(b"GET / HTTP/1.0\r\n" + block + b"\r\n")
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest(f"h11: {error}") from error
        if not isinstance(event, h11.Request):
            raise BadRequest(f"h11 finds {event!r} instead of a request")
        return list(event.headers)
