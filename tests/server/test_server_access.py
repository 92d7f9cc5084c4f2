"""The access lines of a server: none is lost, and none is written for nobody; on both loops."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from miniasgi.observe.logs import BatchHandler
from tests.server.apps import Gate, hello
from tests.server.embedded import serving
from tests.support import Client, fetch, run_on, until


class Records(logging.Handler):
    """A handler of somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class Batches(BatchHandler):
    """The server's own handler, writing to a list."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def access_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("miniasgi.access")
    before = logger.handlers[:], logger.propagate, logger.level
    logger.handlers, logger.propagate = [], False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


LINE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d 127\.0\.0\.1:\d+ "GET /(\d+) HTTP/1\.1" 200 5 \d+\.\dms')


@pytest.mark.parametrize("kind", [Records, Batches])
def test_no_access_line_is_lost_when_the_server_stops(
    loop_name: str, access_logger: logging.Logger, kind: type[Records] | type[Batches]
) -> None:
    handler = kind()
    access_logger.handlers = [handler]  # none of pytest's, which are somebody else's

    async def main() -> None:
        async with serving(hello, access_log=True) as server:
            client = await Client.open(server.port)
            for number in range(600):
                client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
            for _ in range(600):
                await client.response()
            client.close()

    run_on(loop_name, main())
    lines = "\n".join(handler.messages).split("\n")
    found = [LINE.fullmatch(line) for line in lines]
    assert [match and int(match[1]) for match in found] == list(range(600))
    assert len(handler.messages) == 600 if kind is Records else len(handler.messages) < 10


def test_access_lines_tell_what_was_not_answered_and_what_was_refused(
    loop_name: str, access_logger: logging.Logger
) -> None:
    handler = Batches()
    access_logger.handlers = [handler]  # none of pytest's, which are somebody else's

    async def main() -> None:
        gate = Gate()
        async with serving(gate, access_log=True) as server:
            client = await Client.open(server.port)
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            await client.rest()
            client.close()
            other = await Client.open(server.port)
            other.send(b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: gate.waiting)
            other.reset()
            await until(lambda: len(server._service.connections) == 0)
            gate.open("/gone")

    run_on(loop_name, main())
    (text,) = handler.messages
    refused, gone = text.split("\n")
    assert re.search(r' "-" 400 0 0\.0ms$', refused)
    assert re.search(r' "GET /gone HTTP/1\.1" 0 0 \d+\.\dms$', gone)


def test_there_are_no_access_lines_when_nobody_wants_them(loop_name: str, access_logger: logging.Logger) -> None:
    handler = Records()
    access_logger.handlers = [handler]  # none of pytest's, which are somebody else's

    async def main() -> None:
        async with serving(hello, access_log=False) as server:
            await fetch(server.port)
        access_logger.setLevel(logging.WARNING)
        async with serving(hello, access_log=True) as server:
            await fetch(server.port)

    run_on(loop_name, main())
    assert handler.messages == []
