"""The library's protocol as a codec: messages, however their octets are cut; every end, told once."""

from __future__ import annotations

import random
import struct
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest

from miniasgi.websocket.codec import Codec, Offer
from tests.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    close,
    close_code,
    frame,
    take_frame,
)

pytest.importorskip("websockets", reason="the package websockets is not installed")

from miniasgi.websocket.library import LibraryCodec


class Told:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def on_message(self, data: str | bytes) -> None:
        self.all.append(data)

    def on_pong(self) -> None:
        self.all.append(PONG)

    def on_end(self, code: int, reason: str) -> None:
        self.all.append((code, reason))


def make(extensions: bytes = b"", deflates: bool = True) -> tuple[Codec, Told]:
    told = Told()
    return LibraryCodec(told, Offer(extensions, 1000, deflates)), told


def frames(octets: bytes) -> list[Frame]:
    """What *octets* of the server are, all of them."""
    buffer = bytearray(octets)
    found = []
    while (each := take_frame(buffer)) is not None:
        found.append(each)
    assert not buffer
    return found


def hear(octets: bytes, extensions: bytes = b"") -> tuple[list[Any], list[Frame], bool]:
    """What is told, what is sent, and whether it is over, when a client has sent *octets*."""
    codec, told = make(extensions)
    sent = frames(codec.receive(octets))
    return told.all, sent, codec.over


# What the server sends


HEADERS = {
    0: b"\x00",
    125: b"\x7d",
    126: b"\x7e\x00\x7e",
    65535: b"\x7e\xff\xff",
    65536: b"\x7f" + bytes(5) + b"\x01\0\0",
}


@pytest.mark.parametrize(("length", "header"), HEADERS.items())
def test_a_message_is_one_frame_whose_header_is_as_short_as_it_may_be(length: int, header: bytes) -> None:
    codec, _ = make()
    assert codec.message(b"x" * length) == b"\x82" + header + b"x" * length
    assert codec.message("y" * length) == b"\x81" + header + b"y" * length
    assert codec.message("€" * 42) == b"\x81\x7e\x00\x7e" + "€".encode() * 42


def test_a_ping_is_empty_and_its_answer_is_told() -> None:
    codec, told = make()
    assert codec.ping() == b"\x89\x00"
    assert codec.receive(frame(PONG)) == b""
    assert told.all == [PONG]


# What the client sends


@pytest.mark.parametrize(
    ("octets", "messages"),
    [
        (frame(TEXT, b"caf\xc3\xa9"), ["café"]),
        (frame(BINARY, b"caf\xc3"), [b"caf\xc3"]),
        (frame(TEXT) + frame(BINARY), ["", b""]),
        (frame(TEXT, b"\xe2", final=False) + frame(CONTINUATION, b"\x82\xac"), ["€"]),
        (frame(TEXT, final=False) + frame(CONTINUATION, final=False) + frame(CONTINUATION), [""]),
        (frame(BINARY, b"a", final=False) + frame(CONTINUATION) + frame(TEXT, b"b"), [b"a", "b"]),
        (frame(TEXT, b"a", final=False) + frame(PONG) + frame(CONTINUATION, b"b"), [PONG, "ab"]),
    ],
)
def test_frames_are_messages(octets: bytes, messages: list[Any]) -> None:
    told, sent, over = hear(octets)
    assert (told, sent, over) == (messages, [], False)


def test_a_ping_is_answered_with_what_it_says_between_fragments_too() -> None:
    octets = frame(PING, b"1") + frame(TEXT, b"a", final=False) + frame(PING, b"x" * 125) + frame(CONTINUATION, b"b")
    assert hear(octets) == (["ab"], [Frame(PONG, b"1"), Frame(PONG, b"x" * 125)], False)


OPENING = (
    frame(TEXT, "schön €🦊".encode())
    + frame(BINARY, bytes(range(256)), mask=b"\x00\xff\x00\xff")
    + frame(TEXT, b"\xf0\x9f", final=False)
    + frame(PING, b"are you there?")
    + frame(CONTINUATION, b"\xa6", final=False)
    + frame(CONTINUATION, final=False)
    + frame(CONTINUATION, b"\x8a!")
    + frame(PONG, b"?")
    + frame(BINARY, b"y" * 126, final=False)
    + frame(CONTINUATION, b"z" * 800)
)
TOLD = ["schön €🦊", bytes(range(256)), "🦊!", PONG, b"y" * 126 + b"z" * 800]
ENDINGS: dict[str, tuple[bytes, tuple[int, str]]] = {
    "closed": (close(3000, "später".encode()), (3000, "später")),
    "not UTF-8": (frame(TEXT, b"ok\xff"), (1007, "invalid start byte at position 2")),
    "not UTF-8, in fragments": (frame(TEXT, b"\xe2", final=False) + frame(CONTINUATION, b"x"), (1007, "")),
    "too long": (frame(BINARY, declared=1001), (1009, "")),
    "not masked": (frame(TEXT, b"x", mask=None), (1002, "")),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_how_octets_are_cut_changes_nothing(ending: str) -> None:
    last, end = ENDINGS[ending]
    octets = OPENING + last
    whole = hear(octets)
    told, sent, over = whole
    assert told[:-1] == TOLD
    assert told[-1][0] == end[0]
    assert end[1] in told[-1][1]
    assert sent[0] == Frame(PONG, b"are you there?")
    assert (close_code(sent), over) == (end[0], True)
    chance = random.Random(6455)
    cuttings = [range(1, len(octets)), *(sorted(chance.sample(range(1, len(octets)), 12)) for _ in range(60))]
    for places in cuttings:
        codec, heard = make()
        answer = b"".join([codec.receive(octets[one:two]) for one, two in pairwise([0, *places, len(octets)])])
        assert (heard.all, frames(answer), codec.over) == whole, f"cut at {places}"


# What the client must not send

VIOLATIONS: dict[int, list[bytes]] = {
    1002: [
        frame(TEXT, b"x", mask=None),
        frame(TEXT, b"x", reserved=4),
        frame(3),
        frame(11),
        frame(PING, b"x" * 126),
        frame(PING, final=False),
        frame(CLOSE, b"\x03"),
        frame(CONTINUATION, b"x"),
        frame(TEXT, b"a", final=False) + frame(TEXT, b"b"),
        *(close(code) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)),
    ],
    # RFC 6455 §8.1.
    1007: [
        *(frame(TEXT, text) for text in (b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")),
        frame(TEXT, b"a", final=False) + frame(CONTINUATION, b"\xff", final=False),
        frame(TEXT, b"\xe2\x82", final=False) + frame(CONTINUATION, b""),
        close(1000, b"\xff"),
    ],
    1009: [
        frame(BINARY, b"x" * 1001),
        frame(BINARY, declared=2**62),
        frame(BINARY, b"x" * 1000, final=False) + frame(CONTINUATION, b"y"),
        frame(TEXT, b"x" * 500, final=False) + frame(CONTINUATION, b"x" * 501, final=False),
    ],
}


@pytest.mark.parametrize(
    ("code", "octets"),
    [(code, octets) for code, each in VIOLATIONS.items() for octets in each],
    ids=lambda value: value if isinstance(value, int) else value[:10].hex(),
)
def test_what_breaks_the_protocol_ends_the_session_where_it_is_found(code: int, octets: bytes) -> None:
    told, sent, over = hear(octets)
    assert [found for found, _ in told] == [code]
    assert (close_code(sent), len(sent), over) == (code, 1, True)


@pytest.mark.parametrize("later", [frame(PING), close(1000), frame(3), frame(BINARY, declared=1001)])
def test_nothing_behind_text_that_is_not_utf_8_is_answered(later: bytes) -> None:
    told, sent, _ = hear(frame(TEXT, b"\xff") + later)
    assert [code for code, _ in told] == [1007]
    assert (close_code(sent), len(sent)) == (1007, 1)


def test_nothing_behind_text_that_is_not_utf_8_is_told() -> None:
    told, _, _ = hear(frame(TEXT, b"\xff") + frame(BINARY, b"x") + frame(PONG))
    assert [code for code, _ in told] == [1007]


@pytest.mark.parametrize("before", [b"x", b""])
def test_what_looks_like_a_frame_inside_another_is_none(before: bytes) -> None:
    codec, told = make()
    inner = frame(TEXT, b"not a message")
    whole = frame(BINARY, before + inner, mask=bytes(4))
    codec.receive(whole[: -len(inner)])
    codec.receive(inner)
    assert told.all == [before + inner]


def test_a_message_that_begins_inside_another_is_seen_wherever_octets_are_cut() -> None:
    codec, told = make()
    codec.receive(frame(TEXT, b"a", final=False))
    assert close_code(frames(codec.receive(frame(TEXT, b"b")))) == 1002
    assert [code for code, _ in told.all] == [1002]


def test_a_message_may_have_as_many_octets_as_it_may_have_again_and_again() -> None:
    octets = frame(BINARY, b"x" * 1000) + frame(TEXT, b"y" * 600, final=False) + frame(CONTINUATION, b"y" * 400)
    assert hear(octets * 3)[0] == [b"x" * 1000, "y" * 1000] * 3


@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_a_message_in_pieces_takes_no_more_than_it_says(kind: int) -> None:
    count = 50_000
    told = Told()
    codec = LibraryCodec(told, Offer(b"", 1 << 20, False))
    codec.receive(frame(kind, b"ab", final=False))
    tracemalloc.start()
    try:
        piece = frame(CONTINUATION, b"cd", final=False) * (count // 100)
        for _ in range(100):
            codec.receive(piece)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 3 * count
    codec.receive(frame(CONTINUATION))
    assert told.all == ["ab" + "cd" * count if kind == TEXT else b"ab" + b"cd" * count]


# The end


ENDS = {close(): (1000, ""), close(None): (1005, ""), close(4999, b"x" * 123): (4999, "x" * 123)}


@pytest.mark.parametrize(("octets", "end"), ENDS.items())
def test_the_client_is_answered_with_its_own_close(octets: bytes, end: tuple[int, str]) -> None:
    told, sent, over = hear(frame(TEXT, b"last") + octets + frame(TEXT, b"too late") + close(3000))
    assert told == ["last", end]
    assert [each.opcode for each in sent] == [CLOSE]
    assert (close_code(sent), sent[0].payload[2:].decode(), over) == (*end, True)


def test_an_end_is_told_once_and_nothing_after_it() -> None:
    codec, told = make()
    assert codec.receive(close(1000))
    for octets in (close(1001), frame(PING), frame(TEXT, b"x", mask=None), b"\xff" * 100):
        assert codec.receive(octets) == b""
    assert codec.close(1001, "") == b""
    assert (told.all, codec.over) == ([(1000, "")], True)


def test_the_servers_own_close_waits_for_the_clients() -> None:
    codec, told = make()
    assert frames(codec.close(3001, "späti")) == [Frame(CLOSE, struct.pack("!H", 3001) + "späti".encode())]
    assert codec.close(3001, "again") == b""
    assert codec.receive(frame(TEXT, b"on its way")) == b""
    assert (told.all, codec.over) == (["on its way"], False)
    # A client that breaks the protocol instead is done as well.
    for answer, end in ((close(3002), (3002, "")), (frame(3), (3001, "again"))):
        codec, told = make()
        codec.close(3001, "again")
        assert codec.receive(answer) == b""
        assert (told.all, codec.over) == ([end], True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [*((code, "") for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536)), (1000, "x" * 124)],
)
def test_a_close_that_no_client_would_take_is_refused_and_the_session_goes_on(code: int, reason: str) -> None:
    codec, told = make()
    with pytest.raises(ValueError, match=r"."):
        codec.close(code, reason)
    assert (told.all, codec.over) == ([], False)
    assert codec.message("still") == b"\x81\x05still"
    assert close_code(frames(codec.close(1000, "x" * 123))) == 1000
