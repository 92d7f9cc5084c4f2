"""Frames that mean harm, or nothing at all: bombs, and octets from a die. The server neither hangs nor grows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import socket
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from miniasgi import Server
from tests.support import ServerProcess, until
from tests.websocket.apps import MIB, Noted, echo, listen, run_served
from tests.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    PING,
    PONG,
    TEXT,
    BlockingPeer,
    Frame,
    Peer,
    close,
    close_code,
    deflated,
    frame,
    upgrade,
)

pytest.importorskip("websockets", reason="the package websockets is not installed")


# Sizes, while inflating


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_compressed_message_may_be_as_long_as_any_other_and_no_longer(loop_name: str, pieces: int) -> None:
    app = Noted(listen)

    def compressed(payload: bytes) -> bytes:
        packed = deflated(payload)
        step = len(packed) // pieces + 1
        parts = [packed[at : at + step] for at in range(0, len(packed), step)]
        frames = [frame(TEXT, parts[0], reserved=4, final=len(parts) == 1)]
        frames += [frame(CONTINUATION, part, final=part is parts[-1]) for part in parts[1:]]
        return b"".join(frames)

    async def test(server: Server) -> None:
        for count, code in ((10_000, 1000), (10_001, 1009)):
            peer = await Peer.join(server.port, "/", DEFLATE)
            peer.send(compressed(b"z" * count) + close())
            assert close_code(await peer.frames()) == code
            peer.close()
        await until(lambda: app.ended == 2)

    run_served(loop_name, app, test, ws_max_size=10_000)
    assert app.texts == ["z" * 10_000]
    assert [code for code, _ in app.disconnects] == [1000, 1009]


@pytest.mark.parametrize("packed", [b"\xff\xff\xff", b"no deflate at all", b"\x05"])
def test_what_cannot_be_inflated_ends_the_session(
    loop_name: str, packed: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    app = Noted(echo)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port, "/", DEFLATE)
        peer.send(frame(TEXT, packed, reserved=4))
        assert close_code(await peer.frames()) in (1002, 1007)
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test)
    assert app.texts == []
    assert [code in (1002, 1007) for code, _ in app.disconnects] == [True]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def peak(server: ServerProcess) -> int:
    """The most octets of memory that it has ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def bomb(mib: int) -> bytes:
    """A compressed text of so many MiB; each of its blocks stands for itself, so that one is made for all."""
    compressor = zlib.compressobj(9, wbits=-12)
    block = compressor.compress(b"0" * MIB) + compressor.flush(zlib.Z_FULL_FLUSH)
    return (block * mib)[:-4]


@pytest.mark.slow
@pytest.mark.parametrize("fragments", [1, 100])
def test_a_bomb_takes_no_memory(fragments: int) -> None:
    packed = bomb(512)
    assert len(packed) < MIB  # so that only what it inflates to is too long
    step = len(packed) // fragments + 1
    with ServerProcess("tests.websocket.apps:by_path", "--port", "0", "--ws-max-size", str(MIB)) as server:
        with BlockingPeer(server.port, "/listen", DEFLATE) as peer:
            peer.send(frame(TEXT, deflated(b"warm"), reserved=4) + close())
            assert close_code(peer.frames()) == 1000
        before = server.memory()
        peers = [BlockingPeer(server.port, "/listen", DEFLATE) for _ in range(4)]
        for peer in peers:
            try:
                for at in range(0, len(packed), step):
                    kind = CONTINUATION if at else TEXT
                    last = at + step >= len(packed)
                    peer.send(frame(kind, packed[at : at + step], reserved=0 if at else 4, final=last, mask=bytes(4)))
            except ConnectionError:
                pass  # it has heard enough
            assert close_code(peer.frames()) in (1009, None)  # a reset may have overtaken it
            peer.socket.close()
        assert peak(server) - before < 24 * MIB
        assert not [line for line in server.errors if "Traceback" in line]


# Cuts


def test_no_cut_makes_a_frame_of_what_is_none(loop_name: str) -> None:
    """Masks and contents that look like the beginning of a frame where the octets before them are forgotten."""
    app = Noted(listen)
    masks = (b"\x81\x80ab", b"\x82\x80ab", b"\x81\x81ab", b"\x88\x80ab", bytes(4))
    content = b"\x82\x81\x00\x00\x00\x00xyz" * 2

    async def test(server: Server) -> None:
        for mask in masks:
            octets = frame(BINARY, content, mask=mask) + frame(BINARY, content * 10, mask=mask)
            octets += frame(BINARY, content, mask=mask, final=False) + frame(CONTINUATION, content, mask=mask)
            # At every place of the first and of the second one's head, and of both fragments.
            for cut in [*range(1, 40), *range(len(octets) - 50, len(octets))]:
                peer = await Peer.join(server.port)
                peer.send(octets[:cut])
                await turns()
                peer.send(octets[cut:] + close())
                assert close_code(await peer.frames()) == 1000, f"mask {mask!r}, cut at {cut}"
                peer.close()
                await until(lambda: app.received[-1]["type"] == "websocket.disconnect")
                assert app.texts == [content, content * 10, content * 2], f"mask {mask!r}, cut at {cut}"
                app.received.clear()

    run_served(loop_name, app, test)


async def turns() -> None:
    """Let the server read what has been sent: loopback delivers at once, so that a few turns of the loop suffice."""
    for _ in range(3):
        await asyncio.sleep(0)


# Octets from a die


def sentence(die: random.Random, *, compression: bool = False) -> bytes:
    """A few frames that a client might send, the last of them a close; with *compression*, some messages have it."""
    compressor = zlib.compressobj(wbits=-12)
    frames = []
    for _ in range(die.randint(1, 6)):
        mask = die.randbytes(4)
        kind = die.choice((TEXT, BINARY, PING, PONG))
        if kind in (PING, PONG):
            frames.append(frame(kind, die.randbytes(die.randint(0, 125)), mask=mask))
            continue
        size = die.choice((0, 1, 10, 125, 126, 300, 70_000))
        payload = ("é" * size).encode()[: size & ~1] if kind == TEXT else die.randbytes(size)
        packs = compression and die.random() < 0.7
        if packs:
            payload = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        parts = pieces(die, payload, 3)
        for number, part in enumerate(parts):
            opcode, reserved = (CONTINUATION, 0) if number else (kind, 4 * packs)
            last = number == len(parts) - 1
            frames.append(frame(opcode, part, reserved=reserved, final=last, mask=mask))
            if die.random() < 0.2:
                frames.append(frame(PING, b"between", mask=mask))
    frames.append(close(die.choice((1000, 1001, 3000)), b"bye"))
    return b"".join(frames)


def damaged(die: random.Random, octets: bytes) -> bytes:
    """*octets* with some of them changed, lost, doubled, or all made up."""
    if die.random() < 0.1:
        return die.randbytes(die.randint(1, 2000))
    found = bytearray(octets)
    for _ in range(die.randint(1, 4)):
        # Most of what is said stands at the beginning of a frame, and short frames are many.
        at = min(die.randrange(len(found)), die.randrange(len(found)), die.randrange(400))
        at = min(at, len(found) - 1)
        how = die.randrange(4)
        if how == 0:
            found[at] ^= 1 << die.randrange(8)
        elif how == 1:
            found[at] = die.randrange(256)
        elif how == 2:
            del found[at : at + die.randint(1, 5)]
        else:
            found[at:at] = found[at : at + die.randint(1, 20)]
        if not found:
            break
    return bytes(found) or b"\x00"


def pieces(die: random.Random, octets: bytes, at_most: int = 8) -> list[bytes]:
    """*octets* cut at random places, *at_most* so many; some pieces may be empty."""
    cuts = sorted(die.choices(range(len(octets) + 1), k=die.randint(0, at_most)))
    return [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


async def told(server: Server, app: Noted, fields: tuple[bytes, ...], parts: list[bytes]) -> tuple[Any, ...]:
    """What came of octets that were sent in *parts*: the code on the wire, and what the application was told."""
    before, count = len(app.received), app.ended
    peer = await Peer.join(server.port, "/", *fields)
    for part in parts:
        peer.send(part)
        await turns()  # so that most of them are read one by one
    if peer.writer.can_write_eof():
        peer.writer.write_eof()  # else a server that was told of a long frame would wait for it
    code = close_code(await peer.frames())
    peer.close()
    await until(lambda: app.ended > count)
    received = app.received[before:]
    assert [message["type"] for message in received].count("websocket.disconnect") == 1
    assert received[-1]["type"] == "websocket.disconnect"
    return code, received


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
def test_whatever_is_said_and_however_it_is_cut_it_ends_in_the_same_way(
    loop_name: str, compression: bool, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Noted(listen)
    fields = (DEFLATE,) if compression else ()
    codes: set[int | None] = set()

    async def test(server: Server) -> None:
        die = random.Random(seed)
        for _ in range(40):
            octets = damaged(die, sentence(die, compression=compression))
            whole = await told(server, app, fields, [octets])
            for _ in range(2):
                assert await told(server, app, fields, pieces(die, octets)) == whole, octets[:400].hex()
            code, received = whole
            told_code = received[-1]["code"]
            assert code in (None, 1005, told_code), octets[:400].hex()
            if code is None:
                assert told_code == 1006
            codes.add(code)

    run_served(loop_name, app, test, ws_max_size=100_000)
    assert app.errors == []
    assert 1002 in codes
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_an_application_that_answers_is_not_confused_either(
    loop_name: str, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Noted(echo)

    async def test(server: Server) -> None:
        die = random.Random(1000 + seed)
        for _ in range(40):
            octets = sentence(die)
            fine = die.random() < 0.3
            code, received = await told(server, app, (), pieces(die, octets if fine else damaged(die, octets)))
            assert not fine or (code in (1000, 1001, 3000) and received[-1]["code"] == code)

    run_served(loop_name, app, test)
    assert app.errors == []
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_handshake_is_answered_or_closed(
    parser_name: str, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Most are refused, some are ordinary requests, and some are still a handshake."""
    app = Noted(listen)

    async def test(server: Server) -> None:
        die = random.Random(2000 + seed)
        for _ in range(60):
            octets = damaged(die, upgrade("/", DEFLATE, b"Sec-WebSocket-Protocol: a, b"))
            peer = await Peer.open(server.port)
            for part in pieces(die, octets):
                peer.send(part)
                await asyncio.sleep(0)
            peer.writer.write_eof()
            answer = await peer.rest()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
            peer.close()

    run_served("asyncio", app, test, http=parser_name)
    http = [scope for scope in app.scopes if scope["type"] == "http"]
    levels = [each.levelno for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(levels) <= len(http)  # the application takes these for WebSockets, too


def test_ten_thousand_pings_are_answered_in_their_order(loop_name: str) -> None:
    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(b"".join(frame(PING, b"%d" % number) for number in range(10_000)))
        for number in range(10_000):
            assert await peer.frame() == Frame(PONG, b"%d" % number)
        await peer.leave()

    run_served(loop_name, echo, test)


@pytest.mark.slow
@pytest.mark.parametrize("flood", [frame(PING), frame(CONTINUATION, b"ab", final=False), frame(TEXT)], ids=repr)
def test_a_flood_lets_others_have_their_turn(loop_name: str, flood: bytes) -> None:
    octets = flood * 20_000
    arguments = ("tests.websocket.apps:by_path", "--port", "0", "--loop", loop_name)
    with ServerProcess(*arguments) as server, BlockingPeer(server.port, "/listen") as flooder:
        flooder.send(frame(TEXT, b"a", final=False) if flood[0] == CONTINUATION else b"")
        done = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):
                while not done.is_set():
                    flooder.send(octets)

        def read() -> None:
            with contextlib.suppress(OSError):
                while flooder.socket.recv(1 << 20):
                    pass

        threads = [threading.Thread(target=send), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                with BlockingPeer(server.port) as other:  # which waits ten seconds at most
                    other.send(frame(TEXT, b"and me?"))
                    assert other.frame() == Frame(TEXT, b"and me?")
        finally:
            done.set()
            flooder.socket.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def test_nothing_follows_a_close_frame_however_often_it_comes(loop_name: str) -> None:
    app = Noted(echo)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(close(3000) * 50 + frame(PING) * 50 + frame(TEXT, b"x", mask=None))
        assert await peer.frames() == [Frame(CLOSE, b"\x0b\xb8")]
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test)
    assert app.disconnects == [(3000, "")]
