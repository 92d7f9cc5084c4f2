"""One WebSocket session on a plain blocking socket: opened, and tried, before it is given to an event loop."""

import base64
import os
import socket

from .probe import WrongAnswer
from .websocket_frames import Frame, check_handshake, handshake, read_frame

# A server that has to accept two thousand of them needs a moment.
TIMEOUT_SECONDS = 10.0


class Session:
    """An open session.

    Raises:
        WrongAnswer: the server did not accept it as it was asked to.
        OSError: there was no connection.
    """

    def __init__(self, port: int, target: str, is_compressed: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self._buffer = b""
        try:
            self._open(target, is_compressed)
        except BaseException:
            self.socket.close()
            raise

    def exchange(self, frame: bytes) -> Frame:
        """Send a frame and return the one that comes back.

        Raises:
            WrongAnswer: none did, or something came after it.
        """
        self.socket.sendall(frame)
        while (answer := read_frame(self._buffer)) is None:
            self._buffer += self._receive()
        if after := self._buffer[len(answer.octets) :]:
            raise WrongAnswer(f"{len(after)} octets after the only answer: {after[:80]!r}")
        self._buffer = b""
        return answer

    def _open(self, target: str, is_compressed: bool) -> None:
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(handshake(target, key, is_compressed))
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        check_handshake(head, key, is_compressed)

    def _receive(self) -> bytes:
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise WrongAnswer(f"no answer in {TIMEOUT_SECONDS:g} s; last read {self._buffer[:80]!r}") from None
        if not data:
            raise WrongAnswer(f"connection closed within an answer, after {self._buffer[:80]!r}")
        return data
