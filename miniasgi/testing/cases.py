"""What every parser is held against: octets, and what they mean.

Each table has what differs between the cases; a function puts a request around it. The sections that decide are RFC
9112 §2 to §7 and RFC 9110 §5 to §10; where those leave a choice, the cases have the one that http1.head documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..http1.head import CHUNKED
from ..http1.parsers import Limits
from ..types import Fields

__all__ = ["FIRST", "SMALL_LIMITS", "Case", "Event", "cases"]

#: ("request", method, target, version, fields, length), ("body", octets) or ("end",).
Event: TypeAlias = tuple[Any, ...]

#: Limits that a test reaches with a few hundred octets.
SMALL_LIMITS = Limits(request_line=200, field=160, fields=10, head=600)


@dataclass(frozen=True)
class Case:
    """Octets, and what a parser makes of them.

    Attributes:
        name: what the octets are an example of.
        octets: a whole request, the beginning of one, or something that must be refused.
        events: the calls on the sink, as RecordingSink.merged has them.
        status: that of the RequestError; 0 where nothing is wrong.
        meaning: the head's persistent, expects_continue and upgrade.
        limits: what the parser is made with.
    """

    name: str
    octets: bytes
    events: tuple[Event, ...] = ()
    status: int = 0
    meaning: tuple[bool, bool, bytes] = (True, False, b"")
    limits: Limits = SMALL_LIMITS

    @property
    def complete(self) -> bool:
        """Whether the octets are one whole request."""
        return self.events[-1:] == (("end",),)


_HOST = (b"host", b"h")
_CODED = (b"transfer-encoding", b"chunked")

# fmt: off
_LINES_TAKEN = (
    b"GET / HTTP/1.1|OPTIONS * HTTP/1.1|HEAD /a?b=%zz&c=d?e HTTP/1.1|DELETE //h/../p HTTP/1.1|QUERY /a%2Fb%00 HTTP/1.1|"
    b'M-SEARCH /<>"{}^`[]\\ HTTP/1.1|A / HTTP/1.1|GET /:@!$&\'()*+,;= HTTP/1.1'
)
_LINES_REFUSED = {
    400: b"GET /|GET|GET  / HTTP/1.1|GET / HTTP/1.1 | GET / HTTP/1.1|GET\t/ HTTP/1.1|GET / / HTTP/1.1|GET  HTTP/1.1|"
    b"GET / http/1.1|GET / HTTP/1.10|GET / HTTP/1|GET / HTTP/11|GET / HTTPS/1.1|GET / HTTP/1.\xb2|GET / HTTP/x.y|"
    b"G@T / HTTP/1.1|G\xc9T / HTTP/1.1|get / HTTP/1.1|GET /# HTTP/1.1|GET /\x80 HTTP/1.1|GET /\x00 HTTP/1.1|"
    b"GET /\x7f HTTP/1.1|GET a HTTP/1.1|GET * HTTP/1.1|GET ?a HTTP/1.1|GET /%4 HTTP/1.1|GET /%zz HTTP/1.1|"
    b"CONNECT / HTTP/1.1|CONNECT http://h/ HTTP/1.1|GET h:80 HTTP/1.1|GET http:/// HTTP/1.1|GET http://u@h/ HTTP/1.1|"
    b"GET ftp://h/ HTTP/1.1|GET http:/h HTTP/1.1|GET http://h:x/ HTTP/1.1|GET / HTTP/1.1\r|GET / HTTP/1.1\nA: b|"
    b"GET /\rHTTP/1.1|GET / HTTP/1.1\x0b|\x16\x03\x01",
    501: b"CONNECT h:443 HTTP/1.1|CONNECT [::1]:443 HTTP/1.1",
    505: b"GET / HTTP/2.0|GET / HTTP/0.9|GET / HTTP/3.7|PRI * HTTP/2.0",
}
_FIELDS_TAKEN = (
    (b"A:", b""), (b"A:  \t ", b""), (b"A:b", b"b"), (b"A: \tb c\t ", b"b c"), (b"A: \x80\xff", b"\x80\xff"),
    (b"A: b:c,\"d\\", b"b:c,\"d\\"), (b"!#$%&'*+-.^_`|~09: b", b"b"), (b"Content-Length-: 5", b"5"),
    (b"Content_Length: 5", b"5"), (b"Content-Length: 0", b"0"), (b"Content-Length: " + b"0" * 50, b"0" * 50),
)
_FIELDS_REFUSED = {
    400: b"A : b|A\t: b| A: b|\tA: b|A: b\r\n c|A: b\r\n\tc|A|: b|A B: c|A\x00: b|A: \x00|A: \x0b|A: \x1f|A: \x7f|"
    b"A: b\rc|A: b\nC: d|A: b\r|\rA: b|\nA: b|\x80: b|A(: b|A\xdf: b|Content-Length: +1|Content-Length: -1|"
    b"Content-Length: 1,1|Content-Length: 0x1|Content-Length: 1 1|Content-Length:|Content-Length: 1_0|"
    b"Content-Length: \xd9\xa1|Content-Length: 1.0|Content-Length: 99999999999999999999|"
    b"Content-Length: 1\r\nContent-Length: 1|Content-Length: 1\r\nContent-Length: 2|"
    b"Content-Length: 1\r\nTransfer-Encoding: chunked|Transfer-Encoding: chunked\r\nContent-Length: 0|"
    b"Transfer-Encoding:|Transfer-Encoding: gzip|Transfer-Encoding: identity|Transfer-Encoding: chunked, gzip|"
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked|Transfer-Encoding: chunked, chunked|"
    b"Transfer-Encoding: \x0bchunked|Transfer-Encoding : chunked|Transfer-Encoding\r\n : chunked",
    501: b"Transfer-Encoding: br|Transfer-Encoding: xchunked|Transfer-Encoding: gzip, chunked|"
    b"Transfer-Encoding: chunked;a=b|Transfer-Encoding: 'chunked'|Transfer-Encoding: chunked\x80",
    417: b"Expect: 200-ok|Expect: 100-continue, x|Expect: 100-continue;a=b",
}
_HOSTS_TAKEN = b"|h:|h:80|[::1]:80|[1::2:1.2.3.4]|[v1.a:b]|127.0.0.1|a%20b|_x.Example|a,b"
_HOSTS_REFUSED = b"u@h|h/p|h:80:80|<s>|h h|h, h|h?x|h#x|%zz|::1|[::1|[]|[:]|[::1::]|[1:2]|h:x|\x80|h\\|h\""
_CHUNKED_TAKEN = (
    (b"0\r\n\r\n", b""), (b"000\r\n\r\n", b""), (b"1\r\na\r\n0\r\n\r\n", b"a"),
    (b"2\r\nab\r\n3\r\n\r\n0\r\n0\r\n\r\n", b"ab\r\n0"),
    (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"), (b"0001\r\na\r\n00\r\n\r\n", b"a"),
    (b"1;a\r\nb\r\n0;c=d;e\r\n\r\n", b"b"), (b"1 ; a\t= \"b;\\\"\xff\" ;c\r\nd\r\n0\r\n\r\n", b"d"),
    (b"1\r\na\r\n0\r\nB: c\r\nd:\r\n\r\n", b"a"),
    (b"0\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: a\r\n\r\n", b""),
)
_CHUNK_LINES_REFUSED = (
    b"| 1|1 |+1|-1|0x1|g|1_0|1;|1;;|1;a=|1;a=\"|1;a=b c|1;a b|1;\x00|1;a=\"\x7f\"|1\n|1;a\r|1;a\rb|1\r|1,1|\xd9\xa1|"
    b"11111111111111111|00000000000000000000000000000000000001"
)
_CHUNKS_REFUSED = (
    b"1\r\nab\r\n", b"1\r\na\n0\r\n\r\n", b"1\r\na0\r\n\r\n", b"1\r\na\r\r\n0\r\n\r\n", b"1\r\na\r0\r\n\r\n",
)
_TRAILERS_REFUSED = b"A : b|A| A: b|A: b\r\n c|: b|A: \x00|A: b\r|A: b\nC: d|A\x80: b|\n"
# fmt: on


def _request(
    line: bytes = b"GET / HTTP/1.1",
    fields: Iterable[tuple[bytes, bytes]] = (_HOST,),
    length: int = 0,
    body: bytes = b"",
) -> tuple[Event, ...]:
    method, target, version = line.split(b" ")
    head = ("request", method.decode(), target, version[5:].decode(), list(fields), length)
    return (head, ("body", body), ("end",)) if body else (head, ("end",))


def _head(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: h\r\n") -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


def _coded(content: bytes) -> bytes:
    return _head(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.1") + content


FIRST = Case(
    "a first request",
    _coded(b"1;ext\r\na\r\n0\r\nTrailer: b\r\n\r\n"),
    _request(b"POST / HTTP/1.1", [_HOST, _CODED], CHUNKED, b"a"),
)


def cases(limits: Limits = SMALL_LIMITS) -> list[Case]:
    """The kit's cases for a parser with *limits*, which must not be smaller than SMALL_LIMITS."""
    groups = (_line_cases(), _field_cases(), _meaning_cases(), _content_cases(limits), _limit_cases(limits))
    return [replace(case, limits=limits) for group in groups for case in group]


def _line_cases() -> Iterator[Case]:
    for line in _LINES_TAKEN.split(b"|"):
        yield Case(f"request line {line!r}", _head(line=line), _request(line))
    for status, lines in _LINES_REFUSED.items():
        for line in lines.split(b"|"):
            yield Case(f"request line {line!r}", _head(line=line), status=status)
    for target, host in ((b"http://x", b"x"), (b"HTTPS://x:1?a", b"x:1"), (b"http://[::1]/a", b"[::1]")):
        line = b"GET %b HTTP/1.1" % target
        # RFC 9112 §3.2.2: the target's authority replaces the Host field, wherever that stood.
        octets = _head(line=line, host=b"A: b\r\nHost: h\r\nC: d\r\n")
        yield Case(f"target {target!r}", octets, _request(line, [(b"host", host), (b"a", b"b"), (b"c", b"d")]))
    for minor in (2, 9):
        # RFC 9110 §2.5: as the highest minor version that is known.
        later = b"GET / HTTP/1.%d" % minor
        yield Case(f"minor version {minor}", _head(line=later), _request())
        yield Case(f"minor version {minor} without Host", _head(line=later, host=b""), status=400)
    yield Case("absolute-form without Host", _head(line=b"GET http://h/ HTTP/1.1", host=b""), status=400)
    for before in (b"\r\n", b"\r\n" * 400):
        yield Case(f"{len(before)} octets of empty lines first", before + _head(), _request())
    for before in (b"\n", b"\r", b"\r\n\n", b"\r\n\r", b" \r\n", b"\x00"):
        yield Case(f"{before!r} before the request line", before + _head(), status=400)
    for cut in (b"\r\n\r\n\r", b"GET", b"GET / HTTP/1.1\r", _head()[:-2], _head()[:-1]):
        yield Case(f"incomplete head {cut!r}", cut)


def _field_cases() -> Iterator[Case]:
    for line, value in _FIELDS_TAKEN:
        field = line[: line.index(b":")].lower(), value
        yield Case(f"field line {line!r}", _head(line + b"\r\n"), _request(fields=[_HOST, field]))
    for status, blocks in _FIELDS_REFUSED.items():
        for block in blocks.split(b"|"):
            yield Case(f"field lines {block!r}", _head(block + b"\r\n"), status=status)
            yield Case(f"first field lines {block!r}", _head(block + b"\r\n", host=b""), status=status)
    for line, status in ((b"GET / HTTP/2.0", 505), (b"CONNECT h:1 HTTP/1.1", 501)):
        yield Case("faults in request line and fields: the first counts", _head(b"A : b\r\n", line), status=status)
    yield Case("faults in two fields: framing counts", _head(b"Expect: x\r\nContent-Length: x\r\n"), status=400)
    yield Case("same name twice", _head(b"A: b\r\na: c\r\n"), _request(fields=[_HOST, (b"a", b"b"), (b"a", b"c")]))
    for host in _HOSTS_TAKEN.split(b"|"):
        yield Case(f"Host {host!r}", _head(host=b"HOST:%b\r\n" % host), _request(fields=[(b"host", host)]))
    for host in _HOSTS_REFUSED.split(b"|"):
        yield Case(f"Host {host!r}", _head(host=b"Host: %b\r\n" % host), status=400)
    yield Case("Host twice", _head(b"host: h\r\n"), status=400)
    yield Case("no Host", _head(host=b""), status=400)


def _meaning_cases() -> Iterator[Case]:
    table: tuple[tuple[bytes, bytes, tuple[bool, bool, bytes]], ...] = (
        (b"1.1", b"Connection: close", (False, False, b"")),
        (b"1.1", b"Connection: x,\tCLOSE ,", (False, False, b"")),
        (b"1.1", b"Connection: x\r\nConnection: close", (False, False, b"")),
        (b"1.1", b"Connection: closed", (True, False, b"")),
        (b"1.0", b"A: b", (False, False, b"")),
        (b"1.0", b"Connection: Keep-Alive", (True, False, b"")),
        (b"1.0", b"Connection: keep-alive, close", (False, False, b"")),
        (b"1.1", b"Content-Length: 2\r\nExpect: 100-Continue", (True, True, b"")),
        (b"1.1", b"Content-Length: 0\r\nExpect: 100-continue", (True, False, b"")),
        (b"1.1", b"Expect: 100-continue", (True, False, b"")),
        (b"1.0", b"Content-Length: 2\r\nExpect: 100-continue", (False, False, b"")),
        (b"1.1", b"Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade", (True, False, b"websocket")),
        (b"1.1", b"Upgrade: a, b\r\nUpgrade: c\r\nConnection: upgrade", (True, False, b"a, b,c")),
        (b"1.1", b"Content-Length: 2\r\nUpgrade: h2c\r\nConnection: upgrade", (True, False, b"h2c")),
        (b"1.1", b"Upgrade: websocket", (True, False, b"")),
        (b"1.1", b"Connection: upgrade", (True, False, b"")),
        (b"1.0", b"Upgrade: websocket\r\nConnection: upgrade", (False, False, b"")),
    )
    for version, block, meaning in table:
        line = b"POST / HTTP/" + version
        pairs = (text.split(b":", 1) for text in block.split(b"\r\n"))
        fields = [_HOST, *((name.lower(), value.strip(b" \t")) for name, value in pairs)]
        body = b"\r\n" if b"h: 2" in block else b""
        octets = _head(block + b"\r\n", line) + body
        yield Case(
            f"{block!r} in HTTP/{version.decode()}", octets, _request(line, fields, len(body), body), meaning=meaning
        )
    old = _head(line=b"GET / HTTP/1.0", host=b"")
    yield Case("HTTP/1.0 without Host", old, _request(b"GET / HTTP/1.0", []), meaning=(False, False, b""))
    old = _head(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0")
    yield Case("Transfer-Encoding in HTTP/1.0", old, status=400)


def _content_cases(limits: Limits) -> Iterator[Case]:
    line = b"POST / HTTP/1.1"
    for declared, body in ((b"1", b"\r"), (b"02", b"\r\n"), (b"9", b"GET / HTT"), (b"0" * 30 + b"3", b"\x00\xff\n")):
        fields: Fields = [_HOST, (b"content-length", declared)]
        octets = _head(b"Content-Length: %b\r\n" % declared, line) + body
        yield Case(f"Content-Length {declared!r}", octets, _request(line, fields, len(body), body))
        events = _request(line, fields, len(body), body[:-1])
        yield Case(f"Content-Length {declared!r}, incomplete", octets[:-1], events[:-1])
    coded = [_HOST, _CODED]
    for content, body in _CHUNKED_TAKEN:
        events = _request(line, coded, CHUNKED, body)
        yield Case(f"chunked content {content!r}", _coded(content), events)
        yield Case(f"chunked content {content!r}, incomplete", _coded(content[:-1]), events[:-1])
    octets = _head(b"TRANSFER-ENCODING: , ChunKed\t,\r\n", line) + b"0\r\n\r\n"
    yield Case("a list of chunked", octets, _request(line, [_HOST, (b"transfer-encoding", b", ChunKed\t,")], CHUNKED))
    before = _request(line, coded, CHUNKED)[:1]
    for text in _CHUNK_LINES_REFUSED.split(b"|"):
        yield Case(f"chunk line {text!r}", _coded(text + b"\r\na\r\n0\r\n\r\n"), before, 400)
    for content in _CHUNKS_REFUSED:
        yield Case(f"chunk {content!r}", _coded(content), (*before, ("body", b"a")), 400)
    for text in _TRAILERS_REFUSED.split(b"|"):
        yield Case(f"trailer field {text!r}", _coded(b"0\r\n" + text + b"\r\n\r\n"), before, 400)
    flood = b"1;%b\r\na\r\n" % (b"x" * 1000)
    events = _request(line, coded, CHUNKED, b"a" * 10)
    yield Case("some extensions", _coded(flood * 10 + b"0\r\n\r\n"), events)
    yield Case("extensions without end", _coded(flood[:4] + b"x" * 70000), before, 400)
    yield Case(
        "more extensions than content", _coded(b"1;x\r\na\r\n" + flood * 70), (*before, ("body", b"a" * 17)), 400
    )
    count, field = limits.fields, limits.field
    for name, trailers in (
        ("too many trailer fields", b"a:\r\n" * (count + 1)),
        ("too long a trailer field", b"a:" + b"b" * (field - 1) + b"\r\n"),
        ("too long a trailer field without end", b"a:" + b"b" * field),
    ):
        yield Case(name, _coded(b"0\r\n" + trailers + b"\r\n"), before, 400)
    taken = b"a:\r\n" * (count - 1) + b"a:" + b"b" * (field - 2) + b"\r\n"
    yield Case("as many and as long trailer fields as may be", _coded(b"0\r\n" + taken + b"\r\n"), (*before, ("end",)))


def _limit_cases(limits: Limits) -> Iterator[Case]:
    """Each limit met exactly, and passed by one octet or field."""
    line = b"GET /%b HTTP/1.1" % (b"x" * (limits.request_line - 14))
    yield Case("longest request line", _head(line=line), _request(line))
    yield Case("request line one octet too long", _head(line=b"G" + line), status=414)
    yield Case("request line without end", b"GET /" + b"x" * (2 * limits.request_line), status=414)
    value = b"x" * (limits.field - 2)
    yield Case("longest field", _head(b"a:%b\r\n" % value), _request(fields=[_HOST, (b"a", value)]))
    yield Case("field one octet too long", _head(b"a: %b\r\n" % value), status=431)
    yield Case("field without end", _head(b"a:" + value * 2)[:-2], status=431)
    many = [(b"a", b"")] * (limits.fields - 1)
    yield Case("most fields", _head(b"a:\r\n" * len(many)), _request(fields=[_HOST, *many]))
    yield Case("one field too many", _head(b"a:\r\n" * limits.fields), status=431)
    fields: Fields = [_HOST]
    octets = _head()
    while (left := limits.head - len(octets)) and len(fields) < limits.fields:
        # Never a few octets left that make no field.
        size = left if left <= limits.field + 2 else min(limits.field + 2, left - 4)
        fields.append((b"a", b"x" * (size - 4)))
        octets = octets[:-2] + b"a:" + fields[-1][1] + b"\r\n\r\n"
    if not left:
        yield Case("longest head", octets, _request(fields=fields))
        yield Case("head one octet too long", octets.replace(b"Host: h", b"Host: hh"), status=431)
        yield Case("head without end", octets[:-2] + b"a:\r\nb:", status=431)
