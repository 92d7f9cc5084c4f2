"""Requests as access lines are given them."""

from __future__ import annotations

from miniasgi.http1.head import FieldSection, RequestHead, RequestLine

__all__ = ["CLIENT", "request"]

CLIENT = ("192.0.2.1", 50000)


def request(target: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET") -> RequestHead:
    section = FieldSection([(b"host", b"example.org"), *fields])
    return RequestHead(RequestLine(method, target, b"HTTP/1.1"), section)
