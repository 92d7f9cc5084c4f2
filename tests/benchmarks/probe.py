"""One request on a blocking socket, and a strict look at its answer."""

import socket
import ssl
import time
from collections.abc import Callable, Mapping

from .certificates import NAMES
from .exchange import Exchange

# To these a server may not add content, whatever their fields say (RFC 9112, section 6.3).
STATUSES_WITHOUT_CONTENT = (204, 304)


class WrongAnswer(Exception):
    """The server answered something else than is right."""


class Client:
    """One connection that reads answers whole; with a context, it is one of TLS."""

    def __init__(self, port: int, timeout_seconds: float = 10.0, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_seconds)
        if context:
            self.socket = _secured(self.socket, context)
        self._buffer = b""
        self.octets_read = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def check(self, exchange: Exchange) -> Mapping[bytes, bytes]:
        """Send one write and check every answer to it; return the last one's fields, by their names in lower case.

        Raises:
            WrongAnswer: the status or the content is another, or more octets came than belong to it.
        """
        self.socket.sendall(exchange.write)
        fields: Mapping[bytes, bytes] = {}
        for _ in range(exchange.requests):
            fields = self._check_answer(exchange)
        if self._buffer:
            raise WrongAnswer(f"{len(self._buffer)} octets after the last answer: {self._buffer[:80]!r}")
        return fields

    def check_end(self) -> None:
        """See that the server closes the connection.

        Raises:
            WrongAnswer: it says more, or keeps the connection open.
        """
        try:
            data = self.socket.recv(1)
        except TimeoutError:
            raise WrongAnswer("the connection was kept open after the answer") from None
        if data:
            raise WrongAnswer("octets came after the last answer")

    def ask(self, write: bytes) -> bytes:
        """Send one request and return the content of its answer.

        Raises:
            WrongAnswer: the status is not 200.
        """
        self.socket.sendall(write)
        return self.read_content()

    def read_content(self) -> bytes:
        """The content of the next answer, to a request that has been sent.

        Raises:
            WrongAnswer: the status is not 200.
        """
        status, _, content = self._read_answer()
        if status != 200:
            raise WrongAnswer(f"status {status} instead of 200, with the content {content[:80]!r}")
        return content

    def _check_answer(self, exchange: Exchange) -> Mapping[bytes, bytes]:
        status, fields, content = self._read_answer()
        if status != exchange.status:
            raise WrongAnswer(f"status {status} instead of {exchange.status}, with the content {content[:80]!r}")
        if content != exchange.content:
            found, expected = content[:80], exchange.content[:80]
            raise WrongAnswer(
                f"{len(content)} octets of content, {found!r}…, instead of {len(exchange.content)}, {expected!r}…"
            )
        return fields

    def _read_answer(self) -> tuple[int, Mapping[bytes, bytes], bytes]:
        head = self._read_until(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        try:
            status = int(status_line.split()[1])
            if status in STATUSES_WITHOUT_CONTENT:
                return status, fields, b""
            if fields.get(b"transfer-encoding") == b"chunked":
                return status, fields, self._read_chunks()
            return status, fields, self._read_octets(int(fields[b"content-length"]))
        except (KeyError, IndexError, ValueError) as error:
            raise WrongAnswer(f"not understood: {head!r}") from error

    def _read_chunks(self) -> bytes:
        pieces: list[bytes] = []
        while size := int(self._read_until(b"\r\n"), 16):
            pieces.append(self._read_octets(size))
            self._read_until(b"\r\n")
        self._read_until(b"\r\n")
        return b"".join(pieces)

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._buffer += self._receive()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _read_octets(self, count: int) -> bytes:
        pieces = [self._buffer]
        missing = count - len(self._buffer)
        while missing > 0:
            pieces.append(self._receive())
            missing -= len(pieces[-1])
        received = b"".join(pieces)
        self._buffer = received[count:]
        return received[:count]

    def _receive(self) -> bytes:
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            raise WrongAnswer(f"no complete answer in time; last read {self._buffer[:80]!r}") from None
        if not data:
            raise WrongAnswer(f"connection closed within an answer, after {self._buffer[:80]!r}")
        self.octets_read += len(data)
        return data


def _secured(plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """The connection after the handshake; when that fails, it is closed."""
    try:
        return context.wrap_socket(plain, server_hostname=NAMES[0])
    except BaseException:
        plain.close()
        raise


def probe(port: int, exchange: Exchange, context: ssl.SSLContext | None = None) -> float:
    """Check the answers to one write; return the octets of one answer, head included."""
    with Client(port, context=context) as client:
        client.check(exchange)
        return client.octets_read / exchange.requests


def wait_for_answer(
    port: int,
    exchange: Exchange,
    deadline: float,
    has_ended: Callable[[], bool],
    context: ssl.SSLContext | None = None,
) -> None:
    """Ask until the server accepts and answers rightly.

    Raises:
        WrongAnswer: it answered wrongly, or nothing before the deadline (of time.perf_counter), or it ended.
    """
    while True:
        try:
            with Client(port, max(0.1, deadline - time.perf_counter()), context) as client:
                client.check(exchange)
                return
        except OSError as error:
            if has_ended():
                raise WrongAnswer("it ended") from None
            if time.perf_counter() > deadline:
                raise WrongAnswer(f"no connection: {error}") from None
            time.sleep(0.001)
