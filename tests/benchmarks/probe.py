"""One request on a plain blocking socket, and a strict look at its answer."""

import socket
import time
from collections.abc import Callable

from .workloads import Workload


class WrongAnswer(Exception):
    """The server answered something else than the workload's application says."""


class Client:
    """One connection that reads answers whole."""

    def __init__(self, port: int, timeout_seconds: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_seconds)
        self._buffer = b""
        self.octets_read = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def check(self, write: bytes, workload: Workload) -> None:
        """Send one write of the workload and check every answer to it.

        Raises:
            WrongAnswer: the status is not 200, the content differs, or more octets came than belong to it.
        """
        self.socket.sendall(write)
        for _ in range(workload.requests_per_write):
            self.check_answer(workload)
        if self._buffer:
            raise WrongAnswer(f"{len(self._buffer)} octets after the last answer: {self._buffer[:80]!r}")

    def check_answer(self, workload: Workload) -> None:
        """Read one answer and compare it with the workload's."""
        status, content = self.read_answer()
        if status != 200:
            raise WrongAnswer(f"status {status}, with the content {content[:200]!r}")
        if content != workload.content:
            found, expected = content[:80], workload.content[:80]
            raise WrongAnswer(
                f"{len(content)} octets of content, {found!r}…, instead of {len(workload.content)}, {expected!r}…"
            )

    def read_answer(self) -> tuple[int, bytes]:
        """The status and the content of the next answer."""
        head = self._read_until(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        try:
            status = int(status_line.split()[1])
            if fields.get(b"transfer-encoding") == b"chunked":
                return status, self._read_chunks()
            return status, self._read_octets(int(fields[b"content-length"]))
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
            self._receive()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _read_octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _receive(self) -> None:
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            raise WrongAnswer(f"no complete answer in time; so far {self._buffer[:80]!r}") from None
        if not data:
            raise WrongAnswer(f"connection closed within an answer, after {self._buffer[:80]!r}")
        self._buffer += data
        self.octets_read += len(data)


def probe(port: int, workload: Workload) -> float:
    """Check the answers to the workload's first write; return the octets of one answer, head included."""
    with Client(port) as client:
        client.check(workload.writes()[0], workload)
        return client.octets_read / workload.requests_per_write


def wait_for_answer(port: int, workload: Workload, deadline: float, has_ended: Callable[[], bool]) -> None:
    """Ask until the server accepts and answers rightly.

    Raises:
        WrongAnswer: it answered wrongly, or nothing before the deadline (of time.perf_counter), or it ended.
    """
    while True:
        try:
            with Client(port, max(0.1, deadline - time.perf_counter())) as client:
                return client.check(workload.writes()[0], workload)
        except OSError as error:
            if has_ended():
                raise WrongAnswer("it ended") from None
            if time.perf_counter() > deadline:
                raise WrongAnswer(f"no connection: {error}") from None
            time.sleep(0.001)
