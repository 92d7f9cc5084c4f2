"""The octets of a response: its head, and how its content is framed.

Knows RFC 9112 §6 and the application's fields. Does not know connections: whether one may be reused is asked of the
caller, and the octets are returned, not sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from ..errors import ApplicationError
from .grammar import CONTENT_LENGTH, FIELD_OCTETS, TOKEN
from .head import RequestHead
from .memory import Memory

__all__ = [
    "CONTINUE",
    "STATUS_LINES",
    "BodyWriter",
    "ChunkedWriter",
    "NoBodyWriter",
    "ResponseFields",
    "SizedWriter",
    "UntilCloseWriter",
    "choose_framing",
    "encode_error",
    "encode_fields",
    "encode_informational",
    "frame_whole",
    "status_line",
    "without_content",
]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Python before 3.13 has the names of RFC 7231 for these.
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
    426: "Upgrade Required",
}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {phrase}\r\n".encode() for status, phrase in _PHRASES.items()}
#: The usual final statuses and their status lines, with line ends; status_line() has them all.
STATUS_LINES = {status: line for status, line in _STATUS_LINES.items() if status >= 200}


def status_line(status: int) -> bytes:
    """The status line with its line end. Raises ApplicationError for what is not a final status code."""
    line = STATUS_LINES.get(status)
    if line is None:
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise ApplicationError(f"status {status!r} in http.response.start, expected an int from 200 to 999")
        # RFC 9112 §4: the space stays when there is no reason phrase.
        line = b"HTTP/1.1 %d \r\n" % status
    return line


class ResponseFields:
    """An application's response fields, checked.

    Attributes:
        encoded: field lines, each with its line end.
        length: what Content-Length says, or None.
        close: whether the application asks for the connection to be closed.
        has_date, has_server: whether the application states its own.
        plain: whether it states neither.
    """

    __slots__ = ("close", "encoded", "has_date", "has_server", "length", "plain")

    def __init__(self, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """Raises ApplicationError for what is no field, or would end one early."""
        self.length: int | None = None
        self.close = self.has_date = self.has_server = False
        lines: list[bytes] = []
        for name, value in fields:
            kind = _names[name]
            if kind:
                if kind == b"transfer-encoding":
                    continue  # ASGI leaves framing to the server, whatever the application says of it
                if kind == b"connection" and self._read_connection(value):
                    continue
                if kind == b"content-length":
                    self._read_length(value)
                elif kind == b"date":
                    self.has_date = True
                elif kind == b"server":
                    self.has_server = True
            lines.append(b"%b: %b\r\n" % (name, value))
        self.plain = not self.has_date and not self.has_server
        encoded = self.encoded = b"".join(lines)
        # A CR, LF or NUL in a value would split the response. All are looked for at once: what may stay is removed, and
        # nothing but the line ends must be left.
        if encoded.translate(None, FIELD_OCTETS) != b"\r\n" * len(lines):
            bad = next(value for _, value in fields if bytes(value).translate(None, FIELD_OCTETS))
            raise ApplicationError(f"response field value {bad[:80]!r} has a control octet in it")

    def _read_connection(self, value: bytes) -> bool:
        """Take over a close or keep-alive option, which the server states for itself."""
        options = [option.strip(b" \t") for option in value.lower().split(b",")]
        self.close = self.close or b"close" in options
        return all(option in (b"close", b"keep-alive", b"") for option in options)

    def _read_length(self, value: bytes) -> None:
        if not CONTENT_LENGTH.fullmatch(value):
            raise ApplicationError(f"Content-Length {value[:40]!r}, expected digits")
        length = int(value)
        if self.length is not None:
            raise ApplicationError("more than one Content-Length in the response")
        self.length = length


class _ResponseNames(dict[bytes, bytes]):
    """A name as the application writes it -> the name in lower case if it means something here, else empty."""

    def __missing__(self, name: bytes) -> bytes:
        if not TOKEN.fullmatch(name):
            raise ApplicationError(f"malformed response field name {name[:80]!r}")
        lowered = name.lower()
        kind = lowered if lowered in _MEANINGFUL else b""
        if len(name) <= 64 and len(self) < 1024:
            self[name] = kind
        return kind


_MEANINGFUL = frozenset((b"connection", b"content-length", b"date", b"server", b"transfer-encoding"))
_names = _ResponseNames()

# An application says the same fields again and again.
_MAX_OCTETS = 1024
_encoded: Memory[tuple[tuple[bytes, bytes], ...], ResponseFields] = Memory(512)


def encode_fields(fields: Iterable[tuple[bytes, bytes]]) -> ResponseFields:
    """Check and encode an application's fields: pairs of octets, in any iterable.

    Raises ApplicationError for anything else, and for what would split the response.
    """
    key: tuple[tuple[bytes, bytes], ...] = ()
    try:
        key = tuple(fields)
        known = _encoded.get(key)
    except (TypeError, ValueError):
        # Lists instead of tuples, or bytearrays: allowed, but not to be looked up by. What an iterator gave is in
        # the key by now, and nowhere else.
        key = _freeze(key or fields)
        known = _encoded.get(key)
    if known is None:
        try:
            known = ResponseFields(key)
        except (TypeError, ValueError, AttributeError) as error:
            raise ApplicationError(f"response fields {key!r:.200}, expected pairs of bytes") from error
        # Both, because fields that were left out are in the key and not in the lines.
        if len(known.encoded) <= _MAX_OCTETS and sum(len(value) for _, value in key) <= _MAX_OCTETS:
            _encoded.offer(key, known)
    return known


def _freeze(fields: object) -> tuple[tuple[bytes, bytes], ...]:
    try:
        pairs = tuple((name, value) for name, value in fields)  # type: ignore[attr-defined]  # an error says so
    except (TypeError, ValueError) as error:
        raise ApplicationError(f"response fields {fields!r:.200}, expected pairs of bytes") from error
    for pair in pairs:
        for part in pair:
            if not isinstance(part, (bytes, bytearray, memoryview)):
                raise ApplicationError(f"{part!r:.80} in the response fields, expected bytes")
    return tuple((bytes(name), bytes(value)) for name, value in pairs)


class BodyWriter:
    """How content goes on the wire. Bound when the response begins, so that nobody asks again how it is framed."""

    __slots__ = ()

    def write(self, data: bytes, more: bool) -> bytes:
        """The octets to send for a piece of content. Raises ApplicationError if it is not what was declared."""
        raise NotImplementedError

    def announce(self, count: int) -> bytes:
        """The octets to send before *count* octets that go from file to socket by themselves."""
        raise NotImplementedError

    #: The octets to send after those.
    after = b""


class SizedWriter(BodyWriter):
    """Content as long as Content-Length says (RFC 9112 §6.2)."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def write(self, data: bytes, more: bool) -> bytes:
        left = self._left - len(data)
        if left < 0:
            raise ApplicationError(f"{-left} octets more than Content-Length declares")
        self._left = left
        if left and not more:
            raise ApplicationError(f"{left} octets fewer than Content-Length declares")
        return data

    def announce(self, count: int) -> bytes:
        if count > self._left:
            raise ApplicationError(f"{count - self._left} octets more than Content-Length declares")
        self._left -= count
        return b""


class ChunkedWriter(BodyWriter):
    """Content in chunks (RFC 9112 §7.1)."""

    __slots__ = ()
    after = b"\r\n"

    def write(self, data: bytes, more: bool) -> bytes:
        if more:
            # An empty chunk would be the last one.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"

    def announce(self, count: int) -> bytes:
        return b"%x\r\n" % count


class UntilCloseWriter(BodyWriter):
    """Content that ends with the connection (RFC 9112 §6.3, rule 8)."""

    __slots__ = ()

    def write(self, data: bytes, more: bool) -> bytes:
        return data

    def announce(self, count: int) -> bytes:
        return b""


class NoBodyWriter(BodyWriter):
    """No content, whatever the application hands over (RFC 9112 §6.3, rule 1)."""

    __slots__ = ()

    def write(self, data: bytes, more: bool) -> bytes:
        return b""


# RFC 9110 §15.3.5, §15.3.6 and §15.4.5.
_BODILESS = frozenset((204, 205, 304))
_CHUNKED = ChunkedWriter()
_UNTIL_CLOSE = UntilCloseWriter()
_NO_BODY = NoBodyWriter()


def choose_framing(
    request: RequestHead, status: int, fields: ResponseFields, whole: int | None
) -> tuple[BodyWriter, bytes]:
    """The writer for a response's content, and the field lines that its framing adds.

    *whole* is the octets of content where the first piece is the last, else None.
    """
    if status in _BODILESS or request.line.method == "HEAD":
        # RFC 9110 §8.6: a HEAD may be told the length that a GET would have; an empty piece says nothing of that.
        if whole and fields.length is None and status not in _BODILESS:
            return _NO_BODY, b"content-length: %d\r\n" % whole
        return _NO_BODY, b""
    if fields.length is not None:
        return SizedWriter(fields.length), b""
    if whole is not None:
        return SizedWriter(whole), b"content-length: %d\r\n" % whole
    if request.line.version == "1.1":
        return _CHUNKED, b"transfer-encoding: chunked\r\n"
    return _UNTIL_CLOSE, b""


def frame_whole(request: RequestHead, status: int, fields: ResponseFields, body: bytes) -> tuple[bytes, bytes]:
    """The field lines that framing adds, and the content to send, of a response that is there in one piece.

    What choose_framing and its writer would do, without the writer: this is the usual response.
    Raises ApplicationError if the content is not as long as declared.
    """
    length = len(body)
    if status in _BODILESS or request.line.method == "HEAD":
        return choose_framing(request, status, fields, length)[1], b""
    if fields.length == length:
        return b"", body
    if fields.length is None:
        return b"content-length: %d\r\n" % length, body
    SizedWriter(fields.length).write(body, False)
    raise AssertionError("a length that is not the declared one is refused")


def without_content(status: int, fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields of a 204, which must not have a Content-Length (RFC 9110 §8.6), or of a 205, whose is 0."""
    kept = [(name, value) for name, value in fields if name.lower() != b"content-length"]
    # RFC 9110 §15.3.6: no content may be sent, but what follows the head of a 205 is framed as usual.
    return [*kept, (b"content-length", b"0")] if status == 205 else kept


def encode_informational(status: int, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An interim response, which has no content (RFC 9110 §15.2)."""
    return _STATUS_LINES[status] + encode_fields(fields).encoded + b"\r\n"


def encode_error(status: int, defaults: bytes, *, bodiless: bool = False) -> bytes:
    """A whole response for a request that the server refuses by itself; nothing of the request is in it.

    *bodiless* for an answer to HEAD.
    """
    content = _PHRASES[status].encode() + b"\n"
    return b"%b%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        _STATUS_LINES[status],
        defaults,
        len(content),
        b"" if bodiless else content,
    )
