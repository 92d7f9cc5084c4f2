"""The head of a request, and the one place where its fields get their meaning.

Framing, persistence, expectation, upgrade, and which combinations are attacks: decided here once, whichever parser
took the octets apart. Knows the grammar; does not know connections, clocks or applications.

A request line and a field section are pure functions of their octets, so a parser may remember what it made of
octets that it has seen: clients repeat themselves.
"""

from __future__ import annotations

from functools import lru_cache

from ..errors import BadRequest, ExpectationFailed, NotImplementedMethod, UnknownCoding, VersionNotSupported
from ..types import Fields
from .grammar import AUTHORITY, BAD_ESCAPE, CONTENT_LENGTH, TARGET, TOKEN, VERSION, is_host

__all__ = ["CHUNKED", "FORWARDING", "FieldSection", "RequestHead", "RequestLine"]

#: The length of content that ends with a last chunk (RFC 9112 §7.1).
CHUNKED = -1

# RFC 9110 §2.5: a higher minor version should be processed as the highest one that is known.
_VERSIONS = {b"HTTP/1.0": "1.0"} | {b"HTTP/1.%d" % minor: "1.1" for minor in range(1, 10)}


class RequestLine:
    """What a request line says (RFC 9112 §3).

    Attributes:
        method: in upper case, as ASGI wants it.
        target: as sent.
        version: "1.1" or "1.0"; what is later than 1.1 counts as that.
        path: percent-decoded; octets that are not UTF-8 become U+FFFD.
        raw_path: as sent, without the query.
        query: as sent, without the question mark.
        authority: of an absolute-form target, else empty; it outranks the Host field (RFC 9112 §3.2.2).
    """

    __slots__ = ("_log", "authority", "method", "path", "query", "raw_path", "target", "version")

    def __init__(self, method: bytes, target: bytes, version: bytes) -> None:
        """Raises BadRequest (400), NotImplementedMethod (501) or VersionNotSupported (505)."""
        known = _VERSIONS.get(version)
        if known is None:
            if VERSION.fullmatch(version):
                raise VersionNotSupported(f"version {version!r} is not supported")
            raise BadRequest(f"malformed version {version[:40]!r}")
        self.version = known
        self.method = _METHODS.get(method) or _unusual_method(method)
        if not TARGET.fullmatch(target):
            raise BadRequest(f"malformed target {target[:80]!r}")
        self.target = target
        self.authority = b""
        self._log = ""  # made when it is first asked for
        if target[:1] != b"/" or method == b"CONNECT":
            self.authority, target = _other_form(method, target)
        raw_path, _, self.query = target.partition(b"?")
        self.raw_path = raw_path
        if b"%" in raw_path:
            # In a path only: browsers send a bare "%" in a query when that is what somebody typed.
            if BAD_ESCAPE.search(raw_path):
                raise BadRequest(f"malformed percent-encoding in {raw_path[:80]!r}")
            self.path = _percent_decode(raw_path)
        else:
            self.path = raw_path.decode("ascii")

    @property
    def log(self) -> str:
        """The request line in quotes, for a log: visible US-ASCII, with nothing in it that ends the quotes."""
        log = self._log
        if log:
            return log
        target = self.target.decode("ascii")
        if '"' in target or "\\" in target:
            target = target.replace("\\", "\\x5c").replace('"', "\\x22")
        log = self._log = f'"{self.method} {target} HTTP/{self.version}"'
        return log


_METHODS = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")}


def _unusual_method(method: bytes) -> str:
    # ASGI has methods in upper case, RFC 9110 §9.1 calls them case-sensitive: "get" can be honoured as neither.
    if not TOKEN.fullmatch(method) or method != method.upper():
        raise BadRequest(f"malformed method {method[:40]!r}")
    return method.decode("ascii")


def _percent_decode(path: bytes) -> str:
    """*path* without its percent-encoding, all of which is known to be well-formed (RFC 3986 §2.1)."""
    first, *parts = path.split(b"%")
    return b"".join([first, *(bytes.fromhex(part[:2].decode()) + part[2:] for part in parts)]).decode(errors="replace")


def _other_form(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """The authority and the rest of a target that is not in origin-form."""
    if method == b"CONNECT":
        if not is_host(target, AUTHORITY):  # RFC 9112 §3.2.3: authority-form, and nothing else
            raise BadRequest(f"CONNECT with target {target[:80]!r}, expected host:port")
        # RFC 9110 §9.3.6: an origin server is no proxy, and ASGI has no tunnels.
        raise NotImplementedMethod("CONNECT asks for a tunnel")
    if target == b"*" and method == b"OPTIONS":  # RFC 9112 §3.2.4
        return b"", target
    return _absolute(target)


def _absolute(target: bytes) -> tuple[bytes, bytes]:
    """The authority of an absolute-form target and what follows it (RFC 9112 §3.2.2)."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise BadRequest(f"target {target[:80]!r} has none of the four forms")
    cut = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    # RFC 9110 §4.2.1: an empty host is an error; §4.2.4: so is userinfo, which no host has a place for.
    if not is_host(authority):
        raise BadRequest(f"target {target[:80]!r} has a malformed authority")
    return authority, path if path[:1] == b"/" else b"/" + path


class FieldSection:
    """What the fields of a request mean.

    Attributes:
        fields: lower-cased names and values, in their order.
        length: octets of content; 0 without content; CHUNKED when it ends with a last chunk.
        close: whether the client wants no other response after this one.
        keep_alive: whether the client said so, which matters to HTTP/1.0 only.
        expects_continue: whether the client waits for "100 Continue" before it sends its content.
        upgrade: what the client wants to upgrade to, in lower case; empty without.
        forwarded: whether any field is there by which a proxy says where a request comes from.
        takes_trailers: whether trailer fields may be sent to the client (TE: trailers).
        takes_early_hints: whether the client is a browser that navigates, which takes a 103.
    """

    __slots__ = (
        "close",
        "expects_continue",
        "fields",
        "forwarded",
        "has_host",
        "keep_alive",
        "length",
        "takes_early_hints",
        "takes_trailers",
        "upgrade",
    )

    def __init__(self, fields: Fields) -> None:
        """Raises BadRequest (400), UnknownCoding (501) or ExpectationFailed (417)."""
        self.fields = fields
        self.length = 0
        self.close = self.keep_alive = self.expects_continue = self.has_host = False
        self.forwarded = self.takes_trailers = self.takes_early_hints = False
        self.upgrade = b""
        found: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            if name in _MEANINGFUL:
                if name == b"host":
                    # RFC 9112 §3.2: more than one Host, or one with an invalid value, must get a 400.
                    if self.has_host:
                        raise BadRequest("more than one Host field")
                    if value and not _is_host(value):
                        raise BadRequest(f"malformed Host {value[:80]!r}")
                    self.has_host = True
                elif value == b"keep-alive" and name == b"connection":
                    self.keep_alive = True  # what browsers send; the rest of the options is for _interpret
                elif name == b"sec-fetch-mode":
                    self.takes_early_hints = value == b"navigate"
                elif name in FORWARDING:
                    self.forwarded = True
                elif name in found:
                    found[name].append(value)
                else:
                    found[name] = [value]
        if found:
            self._interpret(found)

    def _interpret(self, found: dict[bytes, list[bytes]]) -> None:
        """Read the fields that are lists, and those that frame the message."""
        if b"connection" in found:
            options = _members(found[b"connection"])
            self.close = b"close" in options
            self.keep_alive = self.keep_alive or b"keep-alive" in options
            if b"upgrade" in options and b"upgrade" in found:
                self.upgrade = b",".join(found[b"upgrade"]).lower()
        if b"te" in found:
            self.takes_trailers = b"trailers" in _members(found[b"te"])
        # In the order in which a doubtful message is told apart: length, coding, expectation.
        if b"content-length" in found:
            self.length = _content_length(found[b"content-length"])
        if b"transfer-encoding" in found:
            if b"content-length" in found:
                # RFC 9112 §6.1: such a message ought to be handled as an error; half the smuggling there is.
                raise BadRequest("both Content-Length and Transfer-Encoding")
            _check_codings(_members(found[b"transfer-encoding"]))
            self.length = CHUNKED
        if b"expect" in found:
            if any(member != b"100-continue" for member in _members(found[b"expect"])):
                raise ExpectationFailed(f"expectation {found[b'expect'][0][:80]!r}, expected 100-continue")
            self.expects_continue = self.length != 0


# A server has few names, and clients say them in each request.
_is_host = lru_cache(maxsize=64)(is_host)

#: By which a proxy says where a request comes from: RFC 7239, and what came before it.
FORWARDING = frozenset(
    (
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
    )
)

_MEANINGFUL = FORWARDING | frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"sec-fetch-mode",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)


def _members(values: list[bytes]) -> list[bytes]:
    """The members of a comma-separated list over several field lines, in lower case (RFC 9110 §5.6.1.2)."""
    whole = values[0].lower() if len(values) == 1 else b",".join(values).lower()
    if b"," not in whole:
        return [whole] if whole else []
    members = [member.strip(b" \t") for member in whole.split(b",")]
    return [member for member in members if member]


def _content_length(values: list[bytes]) -> int:
    """The value of Content-Length (RFC 9112 §6.3, rule 5).

    Several equal values might be folded into one. They are refused: no client sends them, and whoever is in between
    may fold them in another way.
    """
    if len(values) > 1:
        raise BadRequest("more than one Content-Length field")
    if not CONTENT_LENGTH.fullmatch(values[0]):
        raise BadRequest(f"malformed Content-Length {values[0][:40]!r}")
    # After the zeros at most 19 digits remain, so that int() cannot meet its own bound.
    return int(values[0].lstrip(b"0") or b"0")


def _check_codings(codings: list[bytes]) -> None:
    """Refuse all codings but a single chunked (RFC 9112 §6.1 and §6.3, rule 4)."""
    if codings == [b"chunked"]:
        return
    for coding in codings:
        if coding not in _CODINGS:
            raise UnknownCoding(f"transfer coding {coding[:40]!r}")
    if not codings or codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        raise BadRequest("Transfer-Encoding does not end in a single chunked")
    raise UnknownCoding(f"transfer coding {codings[0]!r}")


# RFC 9112 §7 registers these, and this server can undo only the first; identity was one once (RFC 2616 §3.6).
_CODINGS = frozenset((b"chunked", b"compress", b"deflate", b"gzip", b"x-compress", b"x-gzip", b"identity"))


class RequestHead:
    """A request's head, complete and sane. Nothing in it is changed later: requests may share one.

    Attributes:
        line: what the request line says.
        section: what the fields mean.
        fields: the field lines, with the Host that counts.
        persistent: whether the client allows another request on the connection after this one.
        keep_alive: the field line that tells the client that its connection persists; empty where that needs no word.
    """

    __slots__ = ("fields", "keep_alive", "line", "persistent", "section")

    def __init__(self, line: RequestLine, section: FieldSection) -> None:
        """Raises BadRequest for what only line and fields together show."""
        self.line = line
        self.section = section
        self.fields = section.fields
        # RFC 9112 §9.3: HTTP/1.1 persists by itself, HTTP/1.0 where both sides say so.
        if line.version == "1.1":
            # RFC 9112 §3.2: a request without Host must get a 400, in absolute-form too.
            if not section.has_host:
                raise BadRequest("no Host field")
            self.persistent = not section.close
            self.keep_alive = b""
        else:
            # RFC 9112 §6.1: Transfer-Encoding in HTTP/1.0 means that somebody on the way has mangled the framing.
            if section.length == CHUNKED:
                raise BadRequest("Transfer-Encoding in an HTTP/1.0 request")
            self.persistent = section.keep_alive and not section.close
            self.keep_alive = b"connection: keep-alive\r\n"
        if line.authority:
            # RFC 9112 §3.2.2: the target's authority replaces what the Host field says.
            self.fields = [(b"host", line.authority), *(field for field in self.fields if field[0] != b"host")]

    @property
    def expects_continue(self) -> bool:
        """Whether "100 Continue" is owed; never to HTTP/1.0, which does not know it (RFC 9110 §10.1.1)."""
        return self.section.expects_continue and self.line.version == "1.1"

    @property
    def upgrade(self) -> bytes:
        """The protocols that the client offers to upgrade to; HTTP/1.0 cannot (RFC 9110 §7.8)."""
        return self.section.upgrade if self.line.version == "1.1" else b""
