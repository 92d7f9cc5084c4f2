"""The three parsers agree, on requests that nobody thought of, however these are cut.

Requests are made from parts, the kit's cases and the corpus, then damaged; each is fed to every parser whole and in
pieces, and all must report the same calls, the same refusal and the same rest. Everything follows from the number of
the case, so that a failure can be looked at again with ``outcomes(*example(number))``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from miniasgi.errors import RequestError
from miniasgi.http1.parsers import Limits, ParserFactory, load
from miniasgi.testing import SMALL_LIMITS, Event, RecordingSink, cases

from ..conftest import PARSERS

# Where a package is missing, the others are compared; the hand-written parser alone with itself, cut otherwise.
INSTALLED = [name for name in PARSERS if name == "handwritten" or find_spec(name)]
EXAMPLES = 8000
LONGEST = 1500

# Of each pair of tables, the first is legal.
LINES = (
    b"GET / HTTP/1.1|POST /a?b HTTP/1.1|PUT /%20 HTTP/1.1|HEAD //x HTTP/1.1|OPTIONS * HTTP/1.1|BREW / HTTP/1.1|"
    b"GET http://x:1/y HTTP/1.1|GET / HTTP/1.0|POST / HTTP/1.0"
).split(b"|")
ODD_LINES = b"GET / HTTP/2.0|CONNECT h:1 HTTP/1.1|PRI * HTTP/2.0|GET /|get / HTTP/1.1|GET /\x80 HTTP/1.1".split(b"|")
FIELDS = (
    b'A: b|a:b|A:|A: \t|A-B:\tc d\t|A: b, c;d="e\\"|A: \x80\xff|Accept: */*|Cookie: a=b; c=d|X_Y: z|'
    b"!#$%&'*+-.^_`|~: t|"
    b"Connection: close|Connection: keep-alive|Connection: Upgrade, x|Upgrade: websocket|Upgrade: h2c|Keep-Alive: 5|"
    b"Expect: 100-continue|TE: trailers|Trailer: a|Proxy-Connection: close|HTTP2-Settings: AAMAAABkAARA|"
    b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5|Content-Type: text/plain|Content_Length: 3"
).split(b"|")
ODD_FIELDS = (
    b"Expect: x|Content-Length : 3|Transfer-Encoding: identity|Transfer-Encoding:\x0bchunked|Content-Length: 0|"
    b"Content-Length: 00000|Host: i|A : b| c|A|: b|A: \x00|A: b\rc|A: b\nc: d|\x80: b"
).split(b"|")
LENGTHS = b"Content-Length: 3|Content-Length:03|content-length: \t3\t|Content-Length: 0000000000000000000000003".split(
    b"|"
)
ODD_LENGTHS = (
    b"Content-Length: 3\r\nContent-Length: 3|Content-Length: +3|Content-Length: 3, 3|Content-Length: 4|"
    b"Content-Length: 3\r\nTransfer-Encoding: chunked|Content-Length: 99999999999999999999"
).split(b"|")
CODINGS = b"Transfer-Encoding: chunked|transfer-encoding:CHUNKED|Transfer-Encoding: , chunked,".split(b"|")
ODD_CODINGS = (
    b"Transfer-Encoding: gzip, chunked|Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked|Transfer-Encoding: x|"
    b"Transfer-Encoding: chunked, identity"
).split(b"|")
CHUNKS = b'3\r\nabc\r\n|003\r\nabc\r\n|3;x\r\nabc\r\n|3 ;x="y\\""\r\nabc\r\n|a\r\n0123456789\r\n'.split(b"|")
ODD_CHUNKS = (
    b"0\r\n\r\n|3\r\nab\r\n|3\r\nabcd\r\n|3\nabc\r\n|3 \r\nabc\r\n|0x3\r\nabc\r\n|ffffffffffffffffff\r\n|-3\r\nabc\r\n|"
    b"3;\r\nabc\r\n"
).split(b"|")
TRAILERS = (b"", b"A: b\r\n", b"A:\r\nContent-Length: 3\r\n")
ODD_TRAILERS = (b"A : b\r\n", b"A\r\n", b"A: b\r\r\n", b" a\r\n")
SPICE = (
    b'\r|\n|\r\n|\r\n\r\n| |\t|:|;|,|\x00|\x0b|\x0c|\x1f|\x7f|\x80|\xa0|\xff|"|\\|/|%|#|@|0|1|A|-|_|()|\r\n |\n\n|'
    b"HTTP/1.1|chunked"
).split(b"|")


def corpus() -> list[bytes]:
    """The kit's cases, and the octets of the cases in data form, where they are there."""
    found = [case.octets for case in cases()]
    for file in sorted((Path(__file__).parents[1] / "cases").glob("*.json")):
        raw = [case.get("raw") for case in json.loads(file.read_text("utf-8"))["cases"]]
        found += [text.encode("latin-1") for text in raw if isinstance(text, str)]
    return [octets for octets in found if 0 < len(octets) <= LONGEST]


CORPUS = corpus()


def built(random: Random) -> bytes:
    """A request made of parts, legal more often than not."""

    def pick(legal: Sequence[bytes], odd: Sequence[bytes]) -> bytes:
        return random.choice(legal if random.random() < 0.96 else odd)

    fields = [pick(FIELDS, ODD_FIELDS) for _ in range(random.choice((0, 1, 2, 5, 9)))]
    if random.random() < 0.98:
        fields.insert(random.randrange(len(fields) + 1), b"Host: h")
    content = b""
    kind = random.randrange(4)
    if kind == 1:
        fields.append(pick(LENGTHS, ODD_LENGTHS))
        content = b"abc"
    elif kind == 2:
        fields.append(pick(CODINGS, ODD_CODINGS))
        chunks = b"".join(pick(CHUNKS, ODD_CHUNKS) for _ in range(random.randrange(4)))
        content = chunks + b"0\r\n" + pick(TRAILERS, ODD_TRAILERS) + b"\r\n"
    return pick(LINES, ODD_LINES) + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + content


def damaged(random: Random, octets: bytes) -> bytes:
    """*octets* with one thing done to them."""
    at = random.randrange(len(octets) + 1)
    end = min(at + random.choice((1, 1, 1, 2, 5, 40)), len(octets))
    match random.randrange(7):
        case 0 if at < len(octets):  # flip a bit
            return octets[:at] + bytes([octets[at] ^ 1 << random.randrange(8)]) + octets[at + 1 :]
        case 1:  # insert
            return octets[:at] + random.choice(SPICE) + octets[at:]
        case 2:  # delete
            return octets[:at] + octets[end:]
        case 3:  # duplicate
            return octets[:end] + octets[at:]
        case 4:  # splice
            other = random.choice(CORPUS)
            start = random.randrange(len(other))
            return octets[:at] + other[start : start + random.choice((3, 20, 200))] + octets[end:]
        case 5:  # a line end that is none
            return octets.replace(b"\r\n", random.choice((b"\n", b"\r", b"\r\r\n", b"\n\r")), 1)
        case _:  # replace
            return octets[:at] + random.choice(SPICE) + octets[end:]


class Example(NamedTuple):
    octets: bytes
    pieces: list[bytes]
    limits: Limits


def example(number: int) -> Example:
    random = Random(number)
    octets = b"".join(
        random.choice(CORPUS) if random.random() < 0.15 else built(random) for _ in range(random.choice((1, 1, 2, 3)))
    )
    for _ in range(random.choice((0, 0, 1, 1, 3))):
        octets = damaged(random, octets)
    octets = octets or b"\r\n"
    places = sorted({random.randrange(len(octets)) for _ in range(random.choice((1, 2, 5, 30)))} | {0})
    pieces = [octets[begin:end] for begin, end in zip(places, [*places[1:], len(octets)], strict=True)]
    return Example(octets, pieces, random.choice((SMALL_LIMITS, Limits())))


class Outcome(NamedTuple):
    events: list[Event]
    meanings: list[tuple[Any, ...]]
    status: int
    rests: list[bytes]  # what was left after each request


def feed(factory: ParserFactory, pieces: list[bytes], limits: Limits) -> Outcome:
    """Feed *pieces* to a new parser, request after request, until they are used up or refused."""
    sink = RecordingSink()
    parser = factory(sink, limits)
    rests: list[bytes] = []
    status = 0
    try:
        for number, rest in enumerate(pieces):
            while rest:
                rest = parser.feed(rest)
                if sink.events.count(("end",)) > len(rests):
                    rests.append(rest + b"".join(pieces[number + 1 :]))
                else:
                    assert rest == b"", "octets were given back before the request was complete"
    except RequestError as error:
        status = error.status
    meanings = [(head.persistent, head.expects_continue, head.upgrade, head.line.path) for head in sink.heads]
    return Outcome(sink.merged, meanings, status, rests)


def outcomes(octets: bytes, pieces: list[bytes], limits: Limits) -> dict[str, Outcome]:
    """What each parser makes of the octets, whole and in pieces."""
    found = {}
    for name in INSTALLED:
        factory = load(name)
        found[name] = feed(factory, [octets], limits)
        found[f"{name} in pieces"] = feed(factory, pieces, limits)
    return found


@pytest.mark.slow
def test_all_parsers_report_the_same_however_octets_are_cut() -> None:
    taken = refused = 0
    for number in range(EXAMPLES):
        made = example(number)
        found = outcomes(*made)
        first = found["handwritten"]
        for name, outcome in found.items():
            assert outcome == first, f"example({number}) {made!r}: handwritten {first!r}, {name} {outcome!r}"
        taken += bool(first.rests)
        refused += bool(first.status)
    # Both ways, or nothing has been tried.
    assert min(taken, refused) > EXAMPLES // 5, (taken, refused)
