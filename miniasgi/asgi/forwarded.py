"""What a trusted proxy says of the request that it has received: X-Forwarded-*, or Forwarded (RFC 7239).

Knows fields and their grammar. Does not know the connection, and does not decide whether the peer is trusted: it is
asked only where it is.

A proxy adds to what it was sent, so the right end of a list is what the trusted peer has written, and everything left
of the first entry that names no trusted proxy may be the invention of a client. There nothing is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, TypeAlias

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


class Forwarded(NamedTuple):
    """A request as the proxy has received it.

    Attributes:
        origin: for this request alone.
        host: the Host field that the application is to see; None for the one that came.
    """

    origin: Origin
    host: bytes | None


#: Where in a list the client stands, and its address; None where the proxy does not know it, or does not tell.
_Chosen: TypeAlias = tuple[int, tuple[str, int] | None]


class _Said(NamedTuple):
    """What the fields say of the server, whichever family they are of; None where they say nothing."""

    scheme: str | None = None
    host: bytes | None = None  # its port, if any, is one
    port: int | None = None
    root_path: str | None = None


class _Meaning(NamedTuple):
    """What becomes of an origin. *chosen* is None where no client is named, or where that has to be looked up."""

    scheme: str
    server: tuple[str, int | None] | None
    host: bytes | None
    root_path: str | None
    chosen: _Chosen | None


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
        # Proxies repeat themselves, but for their clients, who are read apart: what the other fields mean follows from
        # their octets, and from what is known of the connection.
        self._others = self.names - {_FOR} | {b"host"}
        self._names_clients = _FOR in self.names
        self._memory = Memory[tuple[object, ...], _Meaning](_MOST_REMEMBERED)
        self._clients = Memory[bytes, _Chosen](_MOST_REMEMBERED)

    def read(self, fields: Fields, origin: Origin) -> Forwarded:
        """The origin and the host of a request with *fields*, that has come from a trusted peer with *origin*.

        Raises BadRequest: what the peer says makes no sense.
        """
        others = self._others
        found = [field for field in fields if field[0] in others]
        key = (*found, origin.scheme, origin.server)
        meaning = self._memory.get(key)
        if meaning is None:
            meaning = self._understand(found, origin)
            if sum([len(value) for _, value in found]) <= _LONGEST_REMEMBERED:
                self._memory.offer(key, meaning)
        scheme, server, host, root_path, chosen = meaning
        if self._names_clients:
            chosen = self._find_client(fields)
        made = Origin(
            origin.client if chosen is None else chosen[1],
            server,
            scheme,
            origin.root_path if root_path is None else root_path,
            origin.state,
            origin.draining,
            origin.tls,
            origin.trusted,
        )
        return Forwarded(made, host)

    def _understand(self, found: list[Field], origin: Origin) -> _Meaning:
        chosen: _Chosen | None = None
        if _FORWARDED in self.names:
            chosen, said = self._understand_forwarded(found)
        else:
            said = _understand_x_forwarded(found)
        scheme = said.scheme or origin.scheme
        server, host = _name_server(scheme, said, origin.server, found)
        return _Meaning(scheme, server, host, said.root_path, chosen)

    def _find_client(self, fields: Fields) -> _Chosen | None:
        # Several lines are one list (RFC 9110 §5.3).
        chain = b",".join([value for name, value in fields if name == _FOR])
        if not chain:
            return None
        chosen = self._clients.get(chain)
        if chosen is None:
            if b"," in chain or chain == _UNIX:
                chosen = self._choose(_members(chain), "X-Forwarded-For")
            else:  # one proxy, which names its client: the usual case, and no list
                chosen = 0, _read_node(chain, "X-Forwarded-For")
            if chosen is not None and len(chain) <= _LONGEST_REMEMBERED:
                self._clients.offer(chain, chosen)
        return chosen

    def _understand_forwarded(self, found: list[Field]) -> tuple[_Chosen | None, _Said]:
        # Each line is a list of its own: no quote that is opened in one of them can be closed in another.
        elements: list[dict[bytes, bytes]] = []
        for name, line in found:
            if name == _FORWARDED:
                _read_elements(line, elements)
        elements.reverse()
        chosen = self._choose((element.get(b"for", b"unknown") for element in elements), "Forwarded")
        if chosen is None:
            return None, _Said()
        # Whoever has named the client is trusted, and has received the request with this scheme and host.
        proto, host = elements[chosen[0]].get(b"proto"), elements[chosen[0]].get(b"host")
        return chosen, _Said(
            scheme=None if proto is None else _read_scheme(proto, "Forwarded proto"),
            host=_read_host(host, "Forwarded host") if host else None,  # RFC 9112 §3.2: a Host field may be empty
        )

    def _choose(self, nodes: Iterable[bytes], field: str) -> _Chosen | None:
        """Which of *nodes*, those nearest to this server first, is the client, and its address; None without any.

        It is the first that is no trusted proxy, else the last; those behind it are not looked at.
        """
        chosen: _Chosen | None = None
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


def _understand_x_forwarded(found: Iterable[Field]) -> _Said:
    prefix = b""  # a path, not a list
    # Proxies replace the others, and do not add to them; if one does, then its own word is the last.
    last: dict[bytes, bytes] = {}
    for name, value in found:
        if name == _PREFIX:
            prefix = value
        elif name != b"host" and (member := value if b"," not in value else next(_members(value), b"")):
            last[name] = member
    proto, host, port = last.get(_PROTO), last.get(_HOST), last.get(_PORT)
    return _Said(
        None if proto is None else _read_scheme(proto, "X-Forwarded-Proto"),
        None if host is None else _read_host(host, "X-Forwarded-Host"),
        None if port is None else _read_port(port, "X-Forwarded-Port"),
        _read_prefix(prefix) if prefix else None,
    )


def _members(line: bytes) -> Iterator[bytes]:
    """The members of a list, the last first; empty ones are none (RFC 9110 §5.6.1.2)."""
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


def _name_server(
    scheme: str, said: _Said, server: tuple[str, int | None] | None, found: Iterable[Field]
) -> tuple[tuple[str, int | None] | None, bytes | None]:
    """The server that was asked, in the place of *server*, and the Host field that the application is to see, or None.

    A port that the proxy was connected to, and that is not the scheme's own, is added to a host without one: it is the
    application's only way to make links that lead back to the proxy.
    """
    default = 443 if scheme == "https" else 80
    if said.host is not None:
        name, port = _split_host(said.host)
        server = name.decode("ascii").strip("[]"), said.port or int(port or default)
    elif said.port is not None and server is not None and server[1] is not None:
        server = server[0], said.port  # a Unix domain socket has no port to be changed
    if said.port is not None and said.port != default:
        host = said.host or next((value for name, value in found if name == b"host"), b"")
        name, port = _split_host(host)
        if name and not port:
            return server, b"%b:%d" % (name, said.port)
    return server, said.host
