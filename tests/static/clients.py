"""A client that downloads, for tests against server processes: no more HTTP than a head and a declared length."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import TracebackType

from tests.support import connect

__all__ = ["Download", "eventually"]


class Download:
    """A connection, and the response on it that is being read.

    Attributes:
        status: of the response whose head was read last.
        fields: of that response; names in lower case.
    """

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.socket: socket.socket = connect(port, receive_buffer)
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        # What was read past the head, or past the response before.
        self._read = b""

    def __enter__(self) -> Download:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def ask(self, target: str, *lines: str) -> Download:
        """Send a GET with these field lines, and read the head of its response."""
        request = "\r\n".join([f"GET {target} HTTP/1.1", "Host: h", *lines, "", ""])
        self.socket.sendall(request.encode())
        return self.head()

    def head(self) -> Download:
        """Read the head of the next response."""
        while b"\r\n\r\n" not in self._read:
            piece = self.socket.recv(4096)
            assert piece, f"closed in the head, after {self._read!r}"
            self._read += piece
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        self.status = int(first.split()[1])
        self.fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        return self

    @property
    def length(self) -> int:
        """Octets of content that are declared."""
        return int(self.fields.get(b"content-length", b"0"))

    def content(self, most: int | None = None) -> bytes:
        """The content, or *most* octets of it; less where the server closes."""
        wanted = self.length if most is None else most
        pieces = [self._read[:wanted]]
        self._read = self._read[wanted:]
        wanted -= len(pieces[0])
        while wanted:
            try:
                piece = self.socket.recv(min(wanted, 1024 * 1024))
            except ConnectionError:
                piece = b""
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def is_closed(self) -> bool:
        """Whether nothing comes any more, which is waited for."""
        try:
            return not self._read and not self.socket.recv(1)
        except ConnectionError:
            return True


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until *condition* holds; it fails after a time that no sound server needs."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, f"it never came to this: {what}"
        time.sleep(0.02)
