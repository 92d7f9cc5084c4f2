"""What a trusted proxy says of the request that it has received: X-Forwarded-*, or Forwarded (RFC 7239).

Knows fields and their grammar. Does not know the connection, and does not decide whether the peer is trusted: it is
asked only where it is.

A proxy adds to what it was sent, so the right end of a list is what the trusted peer has written, and everything left
of the first entry that names no trusted proxy may be the invention of a client. There nothing is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from ..errors import BadRequest
from ..http1.grammar import TOKEN, is_host
from ..http1.memory import Memory
from ..types import Field, Fields
from .scope import Origin
from .trusted import TrustedPeers, address

__all__ = ["NAMES", "Forwarded", "ProxyFields", "names_for"]

_FOR, _PROTO, _HOST, _PORT, _PREFIX, _FORWARDED = (
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"forwarded",
)
_NAMES = {"for": _FOR, "proto": _PROTO, "host": _HOST, "port": _PORT, "prefix": _PREFIX, "forwarded": _FORWARDED}
#: Every field that may be asked for, in lower case.
NAMES = frozenset(_NAMES.values())

#: More entries are not read. Chains of proxies are short, and a client inside a trusted network can write a list of
#: thousands.
MOST_ENTRIES = 100
# Lists that are repeated are short; longer ones would make what is remembered large.
_LONGEST_REMEMBERED = 512
_MOST_REMEMBERED = 256

_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
_PORT_NUMBER = re.compile(rb"[1-9][0-9]{0,4}")
# What nginx writes of a client, or of another proxy, that has connected to a Unix domain socket of it.
_UNIX = b"unix:"
# RFC 7239 §6: "unknown" and obfuscated identifiers, with a port or without.
_NOBODY = re.compile(rb"(?:(?i:unknown)|_[0-9A-Za-z._\-]+)(?::(?:[0-9]{1,5}|_[0-9A-Za-z._\-]+))?")
# RFC 3986 §3.3, but no empty, "." or ".." segment, and neither percent-encoding nor a quote or a comma: what is
# root_path goes into paths, redirects and pages, and two prefixes in one field are not one path.
_PATH = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[0-9A-Za-z\-._~!$&()*+;=:@]+)*/?")
# RFC 7239 §4: forwarded-pair = token "=" ( token / quoted-string ), what stands between two of them, any of which may
# be missing, and what between two elements. An open quote is given up at once (*+), not tried again octet by octet.
_PAIR = re.compile(
    rb"(" + TOKEN.pattern + rb")=(?:(" + TOKEN.pattern + rb")"
    rb'|"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+)")'
)
_SEMICOLONS = re.compile(rb";+")
_COMMA = re.compile(rb"[ \t]*+,[ \t,]*")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

_SLOTS = tuple(Origin.__slots__)


class Forwarded(NamedTuple):
    """A request as the proxy has received it.

    Attributes:
        origin: for this request alone.
        host: the Host field that the application is to see; None for the one that came.
    """

    origin: Origin
    host: bytes | None


class _Said(NamedTuple):
    """What the fields say, whichever family they are of; None where they say nothing."""

    names_client: bool = False
    client: tuple[str, int] | None = None  # None also where the proxy does not know, or does not tell
    scheme: str | None = None
    host: bytes | None = None  # its port, if any, is one
    port: int | None = None
    root_path: str | None = None


def names_for(parts: Collection[str]) -> frozenset[bytes]:
    """The names of the fields that *parts*, Config.proxy_headers, asks for."""
    # One family at a time: a proxy that writes the one lets the other through as the client has sent it.
    return frozenset(_NAMES[part] for part in (("forwarded",) if "forwarded" in parts else parts))


class ProxyFields:
    """Reads what trusted proxies say: *parts* of it, as Config.proxy_headers has them.

    Attributes:
        names: of the fields that are looked at. A request with none of them need not be read.
    """

    def __init__(self, parts: Collection[str], trusted: TrustedPeers) -> None:
        self.names = names_for(parts)
        self._trusted = trusted
        self._understand = self._understand_forwarded if _FORWARDED in self.names else self._understand_x_forwarded
        # Proxies repeat themselves: what the fields mean follows from their octets alone.
        self._memory = Memory[tuple[Field, ...], _Said](_MOST_REMEMBERED)

    def read(self, fields: Fields, origin: Origin) -> Forwarded:
        """The origin and the host of a request with *fields*, that has come from a trusted peer with *origin*.

        Raises BadRequest: what the peer says makes no sense.
        """
        names = self.names
        found = tuple([field for field in fields if field[0] in names])
        said = self._memory.get(found)
        if said is None:
            said = self._understand(found)
            if sum([len(value) for _, value in found]) <= _LONGEST_REMEMBERED:
                self._memory.offer(found, said)
        made = _copied(origin)
        if said.names_client:
            made.client = said.client
        if said.scheme is not None:
            made.scheme = said.scheme
        if said.root_path is not None:
            made.root_path = said.root_path
        if said.host is None and said.port is None:
            return Forwarded(made, None)
        return Forwarded(made, _name_server(made, said, fields))

    def _understand_x_forwarded(self, found: tuple[Field, ...]) -> _Said:
        chain: list[bytes] = []
        prefix = b""  # a path, not a list
        # Proxies replace these three, and do not add to them; if one does, then its own word is the last.
        last: dict[bytes, bytes] = {}
        for name, value in found:
            if name == _FOR:
                chain.append(value)
            elif name == _PREFIX:
                prefix = value
            elif member := value if b"," not in value else next(_members([value]), b""):
                last[name] = member
        proto, host, port = last.get(_PROTO), last.get(_HOST), last.get(_PORT)
        names_client, client = False, None
        if len(chain) == 1 and chain[0] and chain[0] != _UNIX and b"," not in chain[0]:
            # One proxy, which names its client: the usual case, and no list.
            names_client, client = True, _read_node(chain[0], "X-Forwarded-For")
        elif chain:
            chosen = self._choose(_members(chain), "X-Forwarded-For")
            if chosen is not None:
                names_client, client = True, chosen[1]
        return _Said(
            names_client,
            client,
            None if proto is None else _read_scheme(proto, "X-Forwarded-Proto"),
            None if host is None else _read_host(host, "X-Forwarded-Host"),
            None if port is None else _read_port(port, "X-Forwarded-Port"),
            _read_prefix(prefix) if prefix else None,
        )

    def _understand_forwarded(self, found: tuple[Field, ...]) -> _Said:
        # Each line is a list of its own: no quote that is opened in one of them can be closed in another.
        elements: list[dict[bytes, bytes]] = []
        for _, line in found:
            _read_elements(line, elements)
        elements.reverse()
        chosen = self._choose((element.get(b"for", b"unknown") for element in elements), "Forwarded")
        if chosen is None:
            return _Said()
        place, client = chosen
        # Whoever has named the client is trusted, and has received the request with this scheme and host.
        proto, host = elements[place].get(b"proto"), elements[place].get(b"host")
        return _Said(
            names_client=True,
            client=client,
            scheme=None if proto is None else _read_scheme(proto, "Forwarded proto"),
            host=_read_host(host, "Forwarded host") if host else None,  # RFC 9112 §3.2: a Host field may be empty
        )

    def _choose(self, nodes: Iterable[bytes], field: str) -> tuple[int, tuple[str, int] | None] | None:
        """Which of *nodes*, those nearest to this server first, is the client, and its address; None without any.

        It is the first that is no trusted proxy, else the last; those behind it are not looked at.
        """
        chosen: tuple[int, tuple[str, int] | None] | None = None
        for place, node in enumerate(nodes):
            if place == MOST_ENTRIES:
                raise BadRequest(f"{field} with more than {MOST_ENTRIES} proxies")
            if node == _UNIX and field == "X-Forwarded-For":
                chosen = place, None
                if self._trusted.trusts(None):
                    continue
                break
            client = _read_node(node, field)
            chosen = place, client
            if client is None or not self._trusted.trusts_host(client[0]):
                break
        return chosen


def _members(lines: list[bytes]) -> Iterator[bytes]:
    """The members of a list in field lines, the last first; empty ones are none (RFC 9110 §5.6.1.2)."""
    for line in reversed(lines):
        rest = line
        while rest := rest.rstrip(b" \t,"):
            rest, _, member = rest.rpartition(b",")
            yield member.lstrip(b" \t")


def _read_elements(line: bytes, elements: list[dict[bytes, bytes]]) -> None:
    """Add the elements of a Forwarded field (RFC 7239 §4), of each its values by their names in lower case."""
    line = line.strip(b" \t,")
    at, end = 0, len(line)
    while at < end:
        if len(elements) == MOST_ENTRIES:
            raise BadRequest(f"Forwarded with more than {MOST_ENTRIES} elements")
        element: dict[bytes, bytes] = {}
        elements.append(element)
        while at < end:
            if pair := _PAIR.match(line, at):
                name = pair[1].lower()
                if name in element:
                    raise BadRequest(f"Forwarded with {name[:40]!r} twice in one element")
                element[name] = _ESCAPED.sub(rb"\1", pair[3]) if pair[2] is None else pair[2]
                at = pair.end()
            semicolons = _SEMICOLONS.match(line, at)
            if semicolons is None:
                break
            at = semicolons.end()
        if at < end:
            comma = _COMMA.match(line, at)
            if comma is None:
                raise BadRequest(f"malformed Forwarded at {line[at : at + 40]!r}, expected name=value")
            at = comma.end()


def _read_node(node: bytes, field: str) -> tuple[str, int] | None:
    """The address that an entry names; None if it says that there is none to be named."""
    found = address(node.decode("latin-1"))
    if found is None and _NOBODY.fullmatch(node):
        return None
    # RFC 7239 §6: IPv6 has brackets there.
    if found is None or (field == "Forwarded" and node[:1] != b"[" and node.count(b":") > 1):
        raise BadRequest(f"{field} with {node[:60]!r}, expected an address")
    return found


def _read_scheme(value: bytes, field: str) -> str:
    scheme = _SCHEMES.get(value.lower())
    if scheme is None:
        raise BadRequest(f"{field} {value[:40]!r}, expected http, https, ws or wss")
    return scheme


def _read_host(value: bytes, field: str) -> bytes:
    if not is_host(value):
        raise BadRequest(f"{field} {value[:80]!r}, expected a host")
    port = _split_host(value)[1]
    if port:
        _read_port(port, f"port in {field}")
    return value


def _read_port(value: bytes, field: str) -> int:
    if not _PORT_NUMBER.fullmatch(value) or int(value) > 65535:
        raise BadRequest(f"{field} {value[:40]!r}, expected a number from 1 to 65535")
    return int(value)


def _read_prefix(value: bytes) -> str:
    if not _PATH.fullmatch(value):
        raise BadRequest(f"X-Forwarded-Prefix {value[:80]!r}, expected one path such as /api")
    return value.decode("ascii").rstrip("/")


def _split_host(host: bytes) -> tuple[bytes, bytes]:
    """The name and the digits of the port, if any, of a well-formed *host*."""
    name, colon, port = host.rpartition(b":")
    return (name, port) if colon and host[-1:] != b"]" else (host, b"")


def _name_server(origin: Origin, said: _Said, fields: Fields) -> bytes | None:
    """Set the server of *origin*, and return the Host field that the application is to see, or None to leave it.

    A port that the proxy was connected to, and that is not the scheme's own, is added to a host without one: it is the
    application's only way to make links that lead back to the proxy.
    """
    default = 443 if origin.scheme == "https" else 80
    if said.host is not None:
        name, port = _split_host(said.host)
        origin.server = name.decode("ascii").strip("[]"), said.port or int(port or default)
    elif origin.server is not None and origin.server[1] is not None:  # a Unix domain socket has no port to be changed
        origin.server = origin.server[0], said.port
    if said.port is not None and said.port != default:
        host = said.host or next((value for name, value in fields if name == b"host"), b"")
        name, port = _split_host(host)
        if name and not port:
            return b"%b:%d" % (name, said.port)
    return said.host


def _copied(origin: Origin) -> Origin:
    # Not copy.copy(), which asks the class how it is to be taken apart.
    made = Origin.__new__(Origin)
    for slot in _SLOTS:
        setattr(made, slot, getattr(origin, slot))
    return made
