"""Frames and handshakes as the benchmarks' clients write and read them."""

import sys
import zlib

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import websocket_frames as frames
    from tests.benchmarks.probe import WrongAnswer

# RFC 6455, section 1.3.
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"


def accepting(accept: bytes, *more: bytes) -> bytes:
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    return b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + accept, *more])


def test_a_client_s_frame_is_masked_as_in_the_standard_s_example() -> None:
    assert frames.client_frame(frames.TEXT, b"Hello", MASK) == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"


@pytest.mark.parametrize(
    ("octets", "head", "masked_head"),
    [
        (0, b"\x82\x00", b"\x82\x80"),
        (125, b"\x82\x7d", b"\x82\xfd"),
        (126, b"\x82\x7e\x00\x7e", b"\x82\xfe\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff", b"\x82\xfe\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_length_takes_as_few_octets_as_it_can(octets: int, head: bytes, masked_head: bytes) -> None:
    content = b"x" * octets
    assert frames.server_frame(frames.BINARY, content) == head + content
    assert frames.client_frame(frames.BINARY, content, b"\0\0\0\0") == masked_head + b"\0\0\0\0" + content
    assert frames.read_frame(head + content + b"more") == frames.Frame(
        frames.BINARY, True, False, content, head + content
    )


@pytest.mark.parametrize("octets", [2, 200, 65536])
def test_a_frame_that_is_not_all_there_is_none(octets: int) -> None:
    whole = frames.server_frame(frames.TEXT, b"x" * octets)
    for end in {*range(12), len(whole) - 1} & set(range(len(whole))):
        assert frames.read_frame(whole[:end]) is None


def test_a_frame_tells_whether_it_is_the_last_and_whether_it_is_compressed() -> None:
    read = [frames.read_frame(bytes((first, 0))) for first in (0x01, 0xC1, 0x81)]
    assert [(frame.is_final, frame.is_compressed) for frame in read if frame] == [
        (False, False),
        (True, True),
        (True, False),
    ]


def test_a_compressed_content_can_be_read_by_itself_with_a_window_of_4_kib() -> None:
    octets = frames.compressed(b"again and again and again " * 400)
    assert not octets.endswith(frames.FLUSH_END)
    assert zlib.decompressobj(wbits=-12).decompress(octets + frames.FLUSH_END) == b"again and again and again " * 400


def test_a_handshake_is_asked_for_with_compression_or_without() -> None:
    plain = (
        b"GET /echo HTTP/1.1\r\nHost: bench.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    )
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    assert frames.handshake("/echo", KEY, False) == plain + b"\r\n"
    assert frames.handshake("/echo", KEY, True) == plain + offer + b"\r\n"


def test_a_handshake_that_is_accepted_as_asked_is_right() -> None:
    frames.check_handshake(accepting(ACCEPT), KEY, False)
    frames.check_handshake(accepting(ACCEPT).swapcase().replace(ACCEPT.swapcase(), ACCEPT), KEY, False)
    deflate = b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12"
    frames.check_handshake(accepting(ACCEPT, deflate), KEY, True)


@pytest.mark.parametrize(
    ("head", "is_compressed", "complaint"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0", False, "instead of status 101"),
        (b"", False, "instead of status 101"),
        (accepting(KEY), False, "no WebSocket handshake's answer"),
        (accepting(ACCEPT).replace(b"Upgrade: websocket", b"Upgrade: h2c"), False, "no WebSocket handshake's answer"),
        (accepting(ACCEPT).replace(b"Connection: Upgrade", b"Via: a"), False, "no WebSocket handshake's answer"),
        (accepting(ACCEPT), True, "permessage-deflate was offered"),
        (accepting(ACCEPT, b"Sec-WebSocket-Extensions: permessage-deflate"), False, "none was offered"),
    ],
)
def test_a_handshake_that_is_answered_otherwise_is_wrong(head: bytes, is_compressed: bool, complaint: str) -> None:
    with pytest.raises(WrongAnswer, match=complaint):
        frames.check_handshake(head, KEY, is_compressed)
