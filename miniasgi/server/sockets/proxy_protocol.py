"""The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first octet.

Knows octets, and HAProxy's specification of 2020/03/05, to which the sections named here belong. Does not know
sockets, nor who may say this: only a peer that is known to, since nothing else tells a header from an invention of the
client's.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from ...asgi.trusted import unmapped
from ...errors import BadRequest

__all__ = ["MOST_OCTETS", "Arrival", "looks_like_proxy_header", "read_proxy_header"]

# §2.1: the longest line that version 1 can need.
_MOST_LINE_OCTETS = 107
_HEAD_OCTETS = 16
# No sender needs more: addresses of Unix domain sockets take 216, and the rest is a few names and a unique id.
_MOST_BLOCK_OCTETS = 4096
#: The longest header that is read.
MOST_OCTETS = _HEAD_OCTETS + _MOST_BLOCK_OCTETS

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21  # §2.2: version 2 and the command
_UNIX = 3
# §2.2: octets of the addresses, and of the ports, by family.
_ADDRESS_OCTETS = {0: 0, 1: 12, 2: 36, _UNIX: 216}
_TYPE_SSL = 0x20  # PP2_TYPE_SSL
_CLIENT_SSL = 0x01  # PP2_CLIENT_SSL
_SSL_OCTETS = 5  # §2.2.6: one for the client's flags, four for the verification


class Arrival(NamedTuple):
    """A connection as the proxy has received it.

    Attributes:
        client: host and port, or None where there are none: a Unix domain socket of the proxy's.
        server: host and port that the client connected to, or None likewise.
        scheme: "https" if the client is known to have connected over TLS, else "".
        is_known: whether the proxy has said whose connection it is; if not, the connection's own addresses count.
    """

    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    scheme: str
    is_known: bool = True


#: A connection that somebody has made to the proxy of whom it can or will not tell: UNKNOWN, UNSPEC.
_UNKNOWN_ARRIVAL = Arrival(None, None, "", is_known=False)


def read_proxy_header(data: bytes) -> tuple[Arrival | None, int] | None:
    """What the header that *data* begins with says, and how many octets it has; None where more octets are needed.

    The first is None where the header says that it is the proxy itself that connects: LOCAL. What follows the header is
    not looked at.

    Raises BadRequest as soon as *data* cannot become a header.
    """
    if data[:1] in (b"", b"P"):
        return _read_line(data)
    signature = data[: len(_SIGNATURE)]
    if not _SIGNATURE.startswith(signature):
        raise BadRequest(f"the connection begins with {signature!r}, expected a header of the PROXY protocol")
    return _read_block(data)


def looks_like_proxy_header(first: bytes) -> bool:
    """Whether the *first* octets of a connection can be nothing but those of a header, whatever it says."""
    return first.startswith((b"PROXY TCP", b"PROXY UNKNOWN", _SIGNATURE))


# Version 1


def _beginning(*words: bytes) -> re.Pattern[bytes]:
    """A pattern for a line of *words*, each a pattern, with one space between them, that may end anywhere."""
    pattern = b""
    for word in reversed(words):
        pattern = b"(?:" + word + (b"(?: " + pattern + b")?" if pattern else b"") + b")?"
    return re.compile(pattern)


# Enough to refuse another protocol early. Whether the addresses are any is asked when the line is complete, as §2.1
# demands. Senders write IPv4-mapped addresses with dots, in up to 45 characters.
_BEGINNINGS = {
    b"PROXY TCP4 ": _beginning(rb"[0-9.]{1,15}", rb"[0-9.]{1,15}", rb"[0-9]{1,5}", rb"[0-9]{1,5}"),
    b"PROXY TCP6 ": _beginning(rb"[0-9A-Fa-f:.]{1,45}", rb"[0-9A-Fa-f:.]{1,45}", rb"[0-9]{1,5}", rb"[0-9]{1,5}"),
    b"PROXY UNKNOWN": re.compile(rb"(?: .*)?", re.DOTALL),
}
_LINE_END = re.compile(rb"[\r\n]")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)
_TCP = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})",
)


def _read_line(data: bytes) -> tuple[Arrival | None, int] | None:
    line = data[:_MOST_LINE_OCTETS]
    end = _LINE_END.search(line)
    text = line if end is None else line[: end.start()]
    if len(text) > _MOST_LINE_OCTETS - 2:
        raise _bad_line(line)
    if end is None:
        if not any(_begins(text, words, beginning) for words, beginning in _BEGINNINGS.items()):
            raise _bad_line(line)
        return None
    after = line[end.start() : end.start() + 2]
    if after not in (b"\r\n", b"\r"):  # §2.1: neither CR nor LF alone ends the line
        raise _bad_line(line)
    arrival = _UNKNOWN_ARRIVAL if _UNKNOWN.fullmatch(text) else _read_words(text)
    return None if after == b"\r" else (arrival, end.end() + 1)


def _begins(text: bytes, words: bytes, beginning: re.Pattern[bytes]) -> bool:
    """Whether *text* can become a line that has *words* first, and then what has that *beginning*."""
    return words.startswith(text) or (text.startswith(words) and bool(beginning.fullmatch(text, len(words))))


def _read_words(text: bytes) -> Arrival:
    match = _TCP.fullmatch(text)
    if match is None:
        raise _bad_line(text)
    client_port, server_port = int(match[4]), int(match[5])
    if max(client_port, server_port) > 65535:
        raise _bad_line(text)
    kind = IPv4Address if match[1] == b"4" else IPv6Address
    try:
        # These refuse zeros in front of a number, too.
        source, destination = kind(match[2].decode("ascii")), kind(match[3].decode("ascii"))
    except ValueError:
        raise _bad_line(text) from None
    return Arrival((_show(source), client_port), (_show(destination), server_port), "")


def _bad_line(line: bytes) -> BadRequest:
    return BadRequest(f"malformed header of the PROXY protocol, version 1: {line[:80]!r}")


def _show(found: IPv4Address | IPv6Address) -> str:
    return str(unmapped(found) if isinstance(found, IPv6Address) else found)


# Version 2


def _read_block(data: bytes) -> tuple[Arrival | None, int] | None:
    command = data[12] if len(data) > 12 else _PROXY
    if command not in (_LOCAL, _PROXY):
        raise BadRequest(f"PROXY protocol with version and command {command:#04x}, expected 0x20 or 0x21")
    family, transport = divmod(data[13], 16) if len(data) > 13 else (0, 0)
    # §2.2: the family that comes with LOCAL is ignored.
    if command == _PROXY and (family not in _ADDRESS_OCTETS or transport > 2):
        raise BadRequest(f"PROXY protocol with address family {family} and transport {transport}")
    if len(data) < _HEAD_OCTETS:
        if len(data) == 15 and data[14] << 8 > _MOST_BLOCK_OCTETS:
            raise _too_long(data[14] << 8)
        return None
    length = int.from_bytes(data[14:16], "big")
    if length > _MOST_BLOCK_OCTETS:
        raise _too_long(length)
    # §2.2: with UNSPEC of either kind what the block holds is not known.
    says_nothing = command == _LOCAL or not family or not transport
    if not says_nothing and length < _ADDRESS_OCTETS[family]:
        raise BadRequest(f"PROXY protocol with {length} octets for the addresses of family {family}")
    octets = _HEAD_OCTETS + length
    if len(data) < octets:
        return None
    if says_nothing:
        return None if command == _LOCAL else _UNKNOWN_ARRIVAL, octets
    addresses = _ADDRESS_OCTETS[family]
    scheme = _read_scheme(data[_HEAD_OCTETS + addresses : octets])
    if family == _UNIX:
        return Arrival(None, None, scheme), octets
    return _read_addresses(data[_HEAD_OCTETS : _HEAD_OCTETS + addresses], scheme), octets


def _too_long(length: int) -> BadRequest:
    return BadRequest(f"PROXY protocol with a header of {length} octets or more, expected at most {_MOST_BLOCK_OCTETS}")


def _read_addresses(block: bytes, scheme: str) -> Arrival:
    kind, octets = (IPv4Address, 4) if len(block) == 12 else (IPv6Address, 16)
    source, destination = kind(block[:octets]), kind(block[octets : 2 * octets])
    client_port, server_port = int.from_bytes(block[-4:-2], "big"), int.from_bytes(block[-2:], "big")
    return Arrival((_show(source), client_port), (_show(destination), server_port), scheme)


def _read_scheme(vectors: bytes) -> str:
    """The scheme that the type-length-value vectors tell, all of which have to be well-formed."""
    scheme = ""
    for kind, value in _split(vectors):
        if kind == _TYPE_SSL:
            if len(value) < _SSL_OCTETS:
                raise BadRequest(f"PROXY protocol with {len(value)} octets about TLS, expected at least {_SSL_OCTETS}")
            _split(value[_SSL_OCTETS:])
            if value[0] & _CLIENT_SSL:
                scheme = "https"
    return scheme


def _split(vectors: bytes) -> list[tuple[int, bytes]]:
    """The types and values of *vectors* (§2.2)."""
    found = []
    at = 0
    while at < len(vectors):
        begin = at + 3
        end = begin + int.from_bytes(vectors[at + 1 : begin], "big")
        if end > len(vectors):
            raise BadRequest(f"PROXY protocol with a vector of type {vectors[at]:#04x} that ends {end - at} octets on")
        found.append((vectors[at], vectors[begin:end]))
        at = end
    return found
