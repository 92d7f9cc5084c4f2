"""The floor: uvloop and a Protocol that answers constant bytes without parsing anything.

    python -m tests.benchmarks.floor --port 8000 [--workload hello]

No server in Python that reads its requests can cost less; every other figure is divided by this one.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import cast

from .workload import FloorRule, Workload
from .workloads import APPLICATION_WORKLOADS


def constant_answer(workload: Workload) -> bytes:
    """The answer to one request, as a server of the workload's application would frame it."""
    head = (
        "HTTP/1.1 200 OK\r\nserver: floor\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        f"content-type: {workload.content_type}\r\n"
    ).encode()
    content = workload.exchanges("")[0].content
    if not workload.is_chunked:
        return head + b"content-length: %d\r\n\r\n" % len(content) + content
    pieces = [content[start : start + 1024] for start in range(0, len(content), 1024)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


class AnswerEachRead(asyncio.Protocol):
    """Answers each read once."""

    write: Callable[[bytes], None]  # the transport's, set in connection_made

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: uvloop's transports are not subclasses of asyncio's.
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        self.write(self.answer)


class AnswerEachBlankLine(AnswerEachRead):
    """Answers as many times as a read has blank lines, in one write; a blank line cut in two counts too."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.tail = b""

    def data_received(self, data: bytes) -> None:
        self.write(self.answer * (self.tail + data).count(b"\r\n\r\n"))
        # Three octets, so that a blank line is never counted twice.
        self.tail = data[-3:]


class AnswerByOctets(AnswerEachRead):
    """Reads the first request's length, and from then on answers whenever that many octets came."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.request_octets = 0
        self.received = 0

    def data_received(self, data: bytes) -> None:
        if not self.request_octets:
            head, blank_line, _ = data.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split()[0]
            self.request_octets = len(head) + len(blank_line) + int(length)
        self.received += len(data)
        while self.received >= self.request_octets:
            self.received -= self.request_octets
            self.write(self.answer)


PROTOCOLS = {
    FloorRule.READ: AnswerEachRead,
    FloorRule.BLANK_LINE: AnswerEachBlankLine,
    FloorRule.OCTETS: AnswerByOctets,
}


async def serve(workload: Workload, port: int) -> None:
    """Answer on 127.0.0.1 until cancelled."""
    answer, protocol = constant_answer(workload), PROTOCOLS[workload.floor_rule]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(answer), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        print("floor: uvloop is missing, so this is not the floor; running on asyncio", file=sys.stderr)
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def main() -> None:
    """Serve the named workload's constant answer."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.floor", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workload", default="hello", choices=[workload.name for workload in APPLICATION_WORKLOADS])
    options = parser.parse_args()
    workload = next(workload for workload in APPLICATION_WORKLOADS if workload.name == options.workload)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(workload, options.port))


if __name__ == "__main__":
    main()
