"""Compression (RFC 7692): which offers are taken, messages both ways, and a limit that no bomb gets past."""

from __future__ import annotations

import pytest

from miniasgi.errors import BadRequest
from tests.websocket.frames import BINARY, CONTINUATION, TEXT, close_code, deflated, frame, inflated
from tests.websocket.test_library import frames, hear, make

DEFLATES = b"permessage-deflate"
CHOSEN = b"permessage-deflate; server_max_window_bits=12"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (b"", b""),
        (DEFLATES, CHOSEN),
        (b"x-other; a=1, permessage-deflate", CHOSEN),
        (DEFLATES + b"; client_max_window_bits", CHOSEN + b"; client_max_window_bits=12"),
        (DEFLATES + b"; client_max_window_bits=10", CHOSEN + b"; client_max_window_bits=10"),
        (DEFLATES + b"; server_max_window_bits=9", DEFLATES + b"; server_max_window_bits=9"),
        (DEFLATES + b'; server_max_window_bits="15"', CHOSEN),
        # zlib has no window as small as that, whatever it says.
        (DEFLATES + b"; server_max_window_bits=8, permessage-deflate", CHOSEN),
        # RFC 7692 §5: what cannot be accepted is passed over, and the next offer is looked at.
        (DEFLATES + b"; server_max_window_bits=16", b""),
        (DEFLATES + b"; unknown", b""),
        (DEFLATES + b"; server_max_window_bits=7, permessage-deflate", CHOSEN),
    ],
)
def test_compression_is_negotiated(offered: bytes, chosen: bytes) -> None:
    assert make(offered)[0].extensions == chosen


@pytest.mark.parametrize(
    "offered", [b";", b"permessage-deflate;", b"permessage-deflate; =1", b"a b", b"\xff", b'permessage-deflate; a="']
)
def test_a_malformed_offer_is_a_bad_request(offered: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        make(offered)
    assert str(caught.value) == f"malformed Sec-WebSocket-Extensions {offered!r}"


def test_without_compression_no_offer_is_taken() -> None:
    codec, told = make(DEFLATES, deflates=False)
    assert codec.extensions == b""
    assert close_code(frames(codec.receive(frame(TEXT, deflated(b"hello"), reserved=4)))) == 1002
    assert [code for code, _ in told.all] == [1002]


def test_messages_are_compressed_both_ways() -> None:
    codec, told = make(DEFLATES)
    for data, opcode in (("schön " * 30, TEXT), (b"\x00" * 300, BINARY)):
        plain = data.encode() if isinstance(data, str) else data
        (sent,) = frames(make(DEFLATES)[0].message(data))
        assert (sent.opcode, sent.reserved, sent.final) == (opcode, 4, True)
        assert len(sent.payload) < len(plain) / 4
        assert inflated(sent.payload) == plain
        fresh, heard = make(DEFLATES)
        assert fresh.receive(frame(opcode, deflated(plain), reserved=4)) == b""
        assert heard.all == [data]
    # Uncompressed ones may come all the same.
    assert codec.receive(frame(TEXT, b"plain")) == b""
    assert told.all == ["plain"]


def test_a_compressed_text_in_fragments_is_inflated_and_decoded_across_them() -> None:
    octets = deflated("€".encode() * 50)
    codec, told = make(DEFLATES)
    codec.receive(frame(TEXT, octets[:3], final=False, reserved=4) + frame(CONTINUATION, octets[3:]))
    assert told.all == ["€" * 50]


def test_a_reserved_bit_within_a_compressed_message_ends_the_session() -> None:
    octets = deflated(b"hello")
    first, second = frame(TEXT, octets[:3], final=False, reserved=4), frame(CONTINUATION, octets[3:], reserved=4)
    told, sent, over = hear(first + second, DEFLATES)
    assert [code for code, _ in told] == [1002]  # RFC 7692 §6: only the first frame has it
    assert (close_code(sent), over) == (1002, True)


@pytest.mark.parametrize("length", range(990, 1300))
def test_a_message_that_is_inflated_is_whole_or_too_long(length: int) -> None:
    told, _, _ = hear(frame(BINARY, deflated(bytes(length)), reserved=4), DEFLATES)
    assert told == [bytes(length)] if length <= 1000 else told[0][0] == 1009


def test_the_limit_holds_for_what_a_message_is_once_it_is_inflated() -> None:
    assert hear(frame(BINARY, deflated(bytes(1000)), reserved=4), DEFLATES)[0] == [bytes(1000)]
    bomb = deflated(bytes(1001))
    whole = frame(BINARY, bomb, reserved=4)
    cut = frame(BINARY, bomb[:4], final=False, reserved=4) + frame(CONTINUATION, bomb[4:])
    for octets in (whole, cut, frame(BINARY, deflated(bytes(2**24)), reserved=4)):
        told, sent, over = hear(octets, DEFLATES)
        assert [code for code, _ in told] == [1009]
        assert (close_code(sent), over) == (1009, True)
