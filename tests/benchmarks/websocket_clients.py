"""Clients of WebSockets on an event loop: each says one message, and the next one when the right answer is there.

Every answer is compared whole. Knows open sessions only; the handshake is behind them.
"""

import asyncio
import time
import zlib
from collections.abc import Sequence
from typing import cast

from .probe import WrongAnswer
from .websocket_frames import CLOSE, FLUSH_END, PING, PONG, Frame, client_frame, read_frame
from .websocket_messages import Message

# Without any answer for so long after the end, a run has failed.
PATIENCE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
_MASK = b"\x5a\x12\x77\x3c"
_CLOSE_FRAME = client_frame(CLOSE, b"\x03\xe8", _MASK)  # 1000

now = time.perf_counter


class Load:
    """What all clients share: until when they say something, and how long the answers took."""

    def __init__(self) -> None:
        self.latencies: list[float] = []  # seconds, of the current or the last run
        self.ends = 0.0  # when nobody shall say anything more, of time.perf_counter
        self.is_closing = False
        self._speaking = 0  # clients that still wait for an answer
        self._over: asyncio.Future[None] | None = None
        self._failure: str | None = None  # the first one; there are no runs after it

    async def run(self, speakers: Sequence["Speaker"], seconds: float) -> float:
        """Let each client speak at least once, and for that long; return the seconds it took until the last answer.

        Raises:
            WrongAnswer: an answer was wrong, or missing, or a session ended.
        """
        self.latencies = []
        self._over = asyncio.get_running_loop().create_future()
        self._speaking = len(speakers)
        if self._failure is not None:
            raise WrongAnswer(self._failure)
        started = now()
        self.ends = started + seconds
        for speaker in speakers:
            speaker.speak()
        try:
            async with asyncio.timeout(seconds + PATIENCE_SECONDS):
                await self._over
        except TimeoutError:
            raise WrongAnswer(
                f"{self._speaking} of {len(speakers)} clients still had no answer {PATIENCE_SECONDS:g} s after the end"
            ) from None
        taken = now() - started
        # What comes too much comes after the last answer.
        if self._failure is not None:
            raise WrongAnswer(self._failure)
        return taken

    def on_quiet(self) -> None:
        """A client has its last answer."""
        self._speaking -= 1
        if not self._speaking and self._over and not self._over.done():
            self._over.set_result(None)

    def on_failure(self, what: str) -> None:
        """Something was wrong: the run ends, and there is no other."""
        if self._failure is None and not self.is_closing:
            self._failure = what
            if self._over and not self._over.done():
                self._over.set_exception(WrongAnswer(what))


class Client(asyncio.Protocol):
    """One session."""

    transport: asyncio.Transport  # set in connection_made, as is closed
    closed: asyncio.Future[None]

    def __init__(self, load: Load) -> None:
        self.load = load
        self._expected: Message | None = None  # none while nothing may come
        self._answer = b""  # its octets
        self._buffer = bytearray()
        self._inflater: zlib._Decompress | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: uvloop's transports are not subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.closed = asyncio.get_running_loop().create_future()

    def expect(self, message: Message) -> None:
        """Wait for the answer to this message."""
        self._expected, self._answer = message, message.answer

    def data_received(self, data: bytes) -> None:
        # Nearly always a read is one whole answer.
        if data == self._answer and not self._buffer:
            self._on_right_answer()
            return
        self._buffer += data
        while frame := read_frame(self._buffer):
            del self._buffer[: len(frame.octets)]
            self._on_frame(frame)

    def on_answer(self) -> None:
        """The right answer is there."""
        raise NotImplementedError

    def say_goodbye(self) -> None:
        """Begin the closing handshake; the server's part of it, and the end, are not looked at."""
        self.transport.write(_CLOSE_FRAME)

    def connection_lost(self, error: Exception | None) -> None:
        self.load.on_failure(f"a session's connection was lost: {error or 'the server closed it'}")
        if not self.closed.done():
            self.closed.set_result(None)

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode == PING:
            self.transport.write(client_frame(PONG, frame.content, _MASK))
        elif frame.opcode == CLOSE:
            code = int.from_bytes(frame.content[:2])
            self.load.on_failure(f"the server closed a session with {code}, {frame.content[2:]!r}")
        elif self._is_right(frame):
            self._on_right_answer()
        else:
            expected = self._expected.content[:80] if self._expected else None
            self.load.on_failure(f"a frame that begins with {frame.octets[:80]!r} came instead of {expected!r}")

    def _is_right(self, frame: Frame) -> bool:
        if self._expected is None:
            return False
        if not self._inflater:
            return frame.octets == self._answer
        if not frame.is_compressed or not frame.is_final:
            return False
        try:
            return self._inflater.decompress(frame.content + FLUSH_END) == self._expected.content
        except zlib.error:
            return False

    def _on_right_answer(self) -> None:
        self._expected, self._answer = None, b""
        self.on_answer()


class Speaker(Client):
    """A client that speaks of its own accord."""

    def __init__(self, load: Load, messages: Sequence[Message]) -> None:
        super().__init__(load)
        self._messages = messages
        self._turn = 0
        self._spoken = 0.0  # when

    def speak(self) -> None:
        """Say the next message, for the server to answer."""
        raise NotImplementedError

    def next_message(self) -> Message:
        """The next in turn."""
        message = self._messages[self._turn % len(self._messages)]
        self._turn += 1
        return message

    def go_on(self, time: float) -> None:
        """Say something more, or nothing if the run is over."""
        if time < self.load.ends:
            self.speak()
        else:
            self.load.on_quiet()


class EchoClient(Speaker):
    """Says a message and waits for the same message to come back."""

    def __init__(self, load: Load, messages: Sequence[Message], is_compressed: bool) -> None:
        super().__init__(load, messages)
        self._inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS) if is_compressed else None

    def speak(self) -> None:
        message = self.next_message()
        self.expect(message)
        self._spoken = now()
        self.transport.write(message.frame)

    def on_answer(self) -> None:
        time = now()
        self.load.latencies.append(time - self._spoken)
        self.go_on(time)


class Listener(Client):
    """Hears what a broadcaster says."""

    broadcaster: "Broadcaster"  # set by it

    def on_answer(self) -> None:
        self.broadcaster.on_heard()


class Broadcaster(Speaker):
    """Says a message that all listeners hear, and the next one when they have."""

    def __init__(self, load: Load, messages: Sequence[Message], listeners: Sequence[Listener]) -> None:
        super().__init__(load, messages)
        self._listeners = listeners
        self._missing = 0  # listeners that have not heard the current message
        for listener in listeners:
            listener.broadcaster = self

    def speak(self) -> None:
        message = self.next_message()
        self._missing = len(self._listeners)
        for listener in self._listeners:
            listener.expect(message)
        self._spoken = now()
        self.transport.write(message.frame)

    def on_heard(self) -> None:
        """One listener more has heard the current message."""
        time = now()
        self.load.latencies.append(time - self._spoken)
        self._missing -= 1
        if not self._missing:
            self.go_on(time)


async def close(load: Load, clients: Sequence[Client]) -> None:
    """End all sessions: with a handshake, or without if that takes long."""
    load.is_closing = True
    for client in clients:
        client.say_goodbye()
    await asyncio.wait([client.closed for client in clients], timeout=CLOSE_SECONDS)
    for client in clients:
        client.transport.abort()
