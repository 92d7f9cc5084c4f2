"""The websockets library's protocol as a Codec: frames, masks, closing, compression. The only file that imports it.

Two things it does are done here, because they are what most messages need and cost a quarter of the time there: the
header of a message that is sent without compression, and a whole masked frame that is a whole message.
"""

from __future__ import annotations

import codecs
import logging
import struct
from collections.abc import Callable, Generator

from websockets.exceptions import InvalidHeader, NegotiationError, ProtocolError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import (  # type: ignore[attr-defined]  # apply_mask, in C where it can be
    Close,
    Frame,
    Opcode,
    apply_mask,
)
from websockets.headers import build_extension, parse_extension
from websockets.protocol import SERVER, Protocol, State
from websockets.streams import StreamReader
from websockets.version import version

from ..errors import BadRequest
from .codec import OLDEST_PACKAGE, Offer, Sink

__all__ = ["LibraryCodec"]

# Older ones lose the end of a compressed message that is a little too long, and take a reserved bit within one.
if tuple(map(int, version.split(".")[:2])) < OLDEST_PACKAGE:
    raise ImportError(f"found websockets {version}")

# Names of their own: attributes of an enumeration are slow to find (0.11 against 0.01 µs; CPython 3.11, 2026-11).
_CONT, _TEXT, _CLOSE, _PING, _PONG = Opcode.CONT, Opcode.TEXT, Opcode.CLOSE, Opcode.PING, Opcode.PONG

# What it says of single connections is for the access log to say; what it cannot cope with is for ours.
_logger = logging.getLogger("miniasgi.server.websockets")
_logger.setLevel(logging.WARNING)

# 12 bits and 5: windows of 4 KiB, and about 40 KiB for a connection that compresses instead of 300.
_WINDOW_BITS = 12
_MEMORY_LEVEL = 5


class _Reader(StreamReader):
    """Refuses lengths in a longer form than they need, which the library takes (RFC 6455 §5.2).

    Of each masked frame it is asked for the first two octets, for a longer length if there is one, for the mask and
    for the content, in this order.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stage = 0
        self._least = 0

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing of a frame has been read, or is waiting to be."""
        return not self._stage and not self.buffer

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        data = yield from super().read_exact(n)
        stage = self._stage
        if stage == 0:
            form = data[1] & 0x7F
            self._least = 65536 if form == 127 else 126
            self._stage = 1 if form >= 126 else 2
        elif stage == 1:
            self._stage = 2
            if int.from_bytes(data, "big") < self._least:
                raise ProtocolError("length in a longer form than it needs")
        else:
            self._stage = (stage + 1) % 4
        return data


class _Protocol(Protocol):
    """The library's protocol, as strict as the RFC and no stricter."""

    take: Callable[[Frame], None]  # set by LibraryCodec

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is _CLOSE:
            # A close may come between the frames of a message (RFC 6455 §5.4), which then is never complete; the
            # library takes that for an error.
            self.current_size = None
        super().recv_frame(frame)
        # From here, and not when all that came has been read: what is wrong with a text ends what is taken.
        self.take(frame)


class LibraryCodec:
    """See Codec. Raises BadRequest for malformed extensions."""

    __slots__ = (
        "_between",
        "_compresses",
        "_content",
        "_decoder",
        "_ended",
        "_max_size",
        "_protocol",
        "_reader",
        "_sink",
        "extensions",
        "over",
    )

    def __init__(self, sink: Sink, offer: Offer) -> None:
        self._sink = sink
        self._protocol = _Protocol(SERVER, max_size=offer.max_size, logger=_logger)
        self._protocol.take = self._take
        self._reader = self._protocol.reader = _Reader()
        self._protocol.parser = self._protocol.parse()
        next(self._protocol.parser)
        self.extensions = self._negotiate(offer.extensions) if offer.deflates and offer.extensions else b""
        self._compresses = bool(self.extensions)
        self.over = False
        self._max_size = offer.max_size
        # Whether the library holds no part of a message: then a whole one need not go through it.
        self._between = True
        # Of a message in several frames: what has come, and for text what holds it against UTF-8.
        self._content = bytearray()
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False

    def _negotiate(self, offered: bytes) -> bytes:
        """Take the first offer of compression that fits (RFC 7692 §5)."""
        try:
            offers = parse_extension(offered.decode("latin-1"))
        except InvalidHeader as error:
            raise BadRequest(f"malformed Sec-WebSocket-Extensions {offered[:80]!r}") from error
        factory = ServerPerMessageDeflateFactory(
            server_max_window_bits=_WINDOW_BITS,
            client_max_window_bits=_WINDOW_BITS,
            compress_settings={"memLevel": _MEMORY_LEVEL},
        )
        for name, parameters in offers:
            if name != factory.name or ("server_max_window_bits", "8") in parameters:
                continue  # zlib cannot compress with a window of 8 bits
            try:
                accepted, extension = factory.process_request_params(parameters, [])
            except NegotiationError:
                continue
            self._protocol.extensions = [extension]
            return build_extension([(name, accepted)]).encode("ascii")
        return b""

    def receive(self, data: bytes, /) -> bytes:
        if self._between:
            data = self._take_whole(data)
            if not data:
                return b""
        protocol = self._protocol
        protocol.receive_data(data)
        protocol.events.clear()
        if protocol.eof_sent:
            self.over = True
            if not self._ended:  # by the library, for what the client has sent
                close = protocol.close_sent
                self._end(close.code if close else 1006, close.reason if close else "")
        self._between = not self._ended and self._reader.is_between_frames and protocol.current_size is None
        return b"".join(protocol.data_to_send())

    def _take_whole(self, data: bytes) -> bytes:
        """Take messages of one frame, neither compressed nor long, as far as they are whole. What is left."""
        at, end = 0, len(data)
        while end - at >= 6:
            first = data[at]
            length = data[at + 1] ^ 0x80
            # RFC 6455 §5.2: final, no reserved bit, text or binary; masked, as all frames of clients are.
            if first != 0x81 and first != 0x82:
                break
            start = at + 6
            if length >= 126:
                if length != 126 or end - at < 8:
                    break
                length = data[at + 2] << 8 | data[at + 3]
                if length < 126:
                    break
                start = at + 8
            following = start + length
            if following > end or length > self._max_size:
                break
            content = apply_mask(data[start:following], data[start - 4 : start])
            if first == 0x82:
                self._sink.on_message(bytes(content))
            else:
                try:
                    text = str(content, "utf-8")
                except UnicodeDecodeError:
                    break  # the library says what is to be said
                self._sink.on_message(text)
            at = following
        return data[at:] if at else data

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is _PONG:
            self._sink.on_pong()
        elif opcode is _CLOSE:
            close = self._protocol.close_rcvd or Close(1006, "")
            self._end(close.code, close.reason)
        elif opcode is not _PING:
            self._take_data(frame)  # a UnicodeDecodeError is for the library, which fails with 1007

    def _take_data(self, frame: Frame) -> None:
        opcode = frame.opcode
        data = frame.data
        if opcode is not _CONT:
            if frame.fin:
                self._sink.on_message(str(data, "utf-8") if opcode is _TEXT else bytes(data))
                return
            self._decoder = codecs.getincrementaldecoder("utf-8")() if opcode is _TEXT else None
        # In one piece, since as objects of their own fragments of two octets take thirty times what they say.
        content, decoder = self._content, self._decoder
        content += data
        if decoder is not None:
            decoder.decode(data, frame.fin)  # what is wrong with a text ends it where it comes
        if frame.fin:
            self._content, self._decoder = bytearray(), None
            self._sink.on_message(bytes(content) if decoder is None else str(content, "utf-8"))

    def _end(self, code: int, reason: str) -> None:
        self._ended = True
        self._content = bytearray()
        self._sink.on_end(code, reason)

    def message(self, data: str | bytes, /) -> bytes:
        if self._compresses:
            if isinstance(data, str):
                self._protocol.send_text(data.encode())
            else:
                self._protocol.send_binary(data)
            return b"".join(self._protocol.data_to_send())
        # RFC 6455 §5.2: one final frame, not masked. What the library does for it costs five times as much.
        if isinstance(data, str):
            first = 0x81
            data = data.encode()
        else:
            first = 0x82
        length = len(data)
        if length < 126:
            return b"%c%c%b" % (first, length, data)
        if length < 65536:
            return struct.pack("!BBH", first, 126, length) + data
        return struct.pack("!BBQ", first, 127, length) + data

    def ping(self) -> bytes:
        self._protocol.send_ping(b"")
        return b"".join(self._protocol.data_to_send())

    def close(self, code: int, reason: str, /) -> bytes:
        protocol = self._protocol
        if protocol.state is not State.OPEN:
            return b""
        try:
            protocol.send_close(code, reason)
        except ProtocolError as error:
            raise ValueError(str(error)) from None
        return b"".join(protocol.data_to_send())

    def discard(self) -> None:
        # The protocol, its parser and errors hold each other, and with them what compression needs: 40 KiB that Python
        # does not count when it decides whether to look for such circles.
        self._protocol.parser.close()
        vars(self._protocol).clear()
