"""The opening handshake: what a client must have said, and what it is answered (RFC 6455 §4.2).

Knows fields. Does not know messages, nor what an application thinks of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ApplicationError
from ..http1.grammar import TOKEN
from ..http1.head import RequestHead
from ..http1.response import encode_fields
from ..types import Field, Fields

__all__ = ["Handshake", "Refusal", "asks_for_websocket", "encode_accept", "read_handshake"]

# RFC 6455 §1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_OCTETS = 16


class Handshake(NamedTuple):
    """What a client asks for.

    Attributes:
        key: Sec-WebSocket-Key, as it came.
        subprotocols: that it speaks, in its order of preference.
        extensions: Sec-WebSocket-Extensions, its lines joined.
    """

    key: bytes
    subprotocols: list[str]
    extensions: bytes


class Refusal(NamedTuple):
    """An answer to a request that asks for a WebSocket in a wrong way.

    Attributes:
        status: 400, 405 or 426.
        fields: that have to stand in it.
        reason: for the log.
    """

    status: int
    fields: Fields
    reason: str


def asks_for_websocket(head: RequestHead) -> bool:
    """Whether the client offers to go on with the WebSocket protocol; never in HTTP/1.0, which has no upgrade."""
    return b"websocket" in [each.strip(b" \t") for each in head.upgrade.split(b",")]


def read_handshake(head: RequestHead) -> Handshake | Refusal:
    """What the client wants, or what it is to be answered."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in head.fields:
        if name.startswith(b"sec-websocket-"):
            found.setdefault(name[14:], []).append(value)
    if head.line.method != "GET":
        return Refusal(405, [(b"allow", b"GET")], f"WebSocket handshake with {head.line.method}, expected GET")
    versions = found.get(b"version", [])
    if versions != [b"13"]:
        # RFC 6455 §4.2.2 and §4.4: with the version that there is, so that the client may try again. RFC 9110 §7.8: who
        # sends Upgrade names it in Connection.
        fields = [(b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
        return Refusal(426, fields, f"WebSocket version {b', '.join(versions)[:40]!r}, expected 13")
    if head.section.length:
        return Refusal(400, [], "WebSocket handshake with content")
    keys = found.get(b"key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        return Refusal(400, [], f"Sec-WebSocket-Key {b', '.join(keys)[:40]!r}, expected 16 octets in base64, once")
    protocols = [each.strip(b" \t") for each in b",".join(found.get(b"protocol", [])).split(b",")]
    protocols = [each for each in protocols if each]
    if not all(TOKEN.fullmatch(each) for each in protocols):
        return Refusal(400, [], "malformed Sec-WebSocket-Protocol")
    return Handshake(keys[0], [each.decode("ascii") for each in protocols], b", ".join(found.get(b"extensions", [])))


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_OCTETS
    except binascii.Error:
        return False


def encode_accept(
    handshake: Handshake, extensions: bytes, subprotocol: str | None, fields: Sequence[Field], defaults: bytes
) -> bytes:
    """The head that opens the WebSocket, with the application's *fields* and the server's *defaults*.

    Raises ApplicationError for fields that are none or not the application's to send, and for a subprotocol that the
    client did not name.
    """
    encoded = encode_fields(fields).encoded
    for name, _ in fields:
        lowered = bytes(name).lower()
        if lowered.startswith(b"sec-websocket-") or lowered in _OURS:
            raise ApplicationError(
                f"field {lowered.decode(errors='replace')!r} in websocket.accept, which is the server's"
            )
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\n",
        defaults,
        b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ",
        base64.b64encode(hashlib.sha1(handshake.key + _GUID, usedforsecurity=False).digest()),
        b"\r\n",
    ]
    if subprotocol is not None:
        if subprotocol not in handshake.subprotocols:
            raise ApplicationError(
                f"subprotocol {subprotocol!r:.80} in websocket.accept, expected one of {handshake.subprotocols!r:.200}"
            )
        lines.append(b"sec-websocket-protocol: %b\r\n" % subprotocol.encode())
    if extensions:
        lines.append(b"sec-websocket-extensions: %b\r\n" % extensions)
    lines += (encoded, b"\r\n")
    return b"".join(lines)


_OURS = frozenset((b"connection", b"upgrade", b"content-length", b"transfer-encoding"))
