"""The parser with httptools (Node's llhttp). The only file that imports it."""

from __future__ import annotations

import httptools

from ...errors import BadRequest
from ...types import Fields
from .second_reader import LibraryParser

__all__ = ["HttptoolsParser"]


class HttptoolsParser(LibraryParser):
    """The RequestParser whose heads llhttp reads too."""

    __slots__ = ("_fields",)
    _fields: Fields  # set for the time of each reading

    def _second_reading(self, block: bytes) -> Fields:
        self._fields = []
        parser = httptools.HttpRequestParser(self)
        try:
            # llhttp knows some fifty methods and refuses all others; the request line has been read already.
            parser.feed_data(b"GET / HTTP/1.1\r\n" + block + b"\r\n")
        except httptools.HttpParserUpgrade:
            pass  # raised for any offer of an upgrade, when the head is complete
        except httptools.HttpParserError as error:
            raise BadRequest(f"httptools: {error}") from error
        return self._fields

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.strip(b" \t")))
