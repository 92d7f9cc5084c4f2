"""One line for each request, written many at a time, with nothing lost and nothing kept from others' handlers."""

from __future__ import annotations

import io
import logging
import re

import pytest

from miniasgi.observe import access
from miniasgi.observe.access import AccessLog
from miniasgi.observe.logs import BatchHandler


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def logger() -> logging.Logger:
    """A logger that is in nobody's books, so that nobody else gives it a handler."""
    return logging.Logger("tests.access", logging.INFO)


@pytest.fixture
def stream(logger: logging.Logger) -> io.StringIO:
    """What is written where the server's own handler writes."""
    stream = io.StringIO()
    logger.addHandler(BatchHandler(stream))
    return stream


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the clock says: the last of these."""
    times = ["2026-11-20 12:00:00"]
    monkeypatch.setattr(access.time, "strftime", lambda form: times[-1])
    return times


def add(log: AccessLog, number: int = 0) -> None:
    log.add(("192.0.2.1", 50000), f'"GET /{number} HTTP/1.1"', 200, 5, 0.00125)


def test_a_line_says_when_from_where_what_status_size_and_how_long(
    logger: logging.Logger, stream: io.StringIO, noon: list[str]
) -> None:
    log = AccessLog(logger)
    log.add(("192.0.2.1", 50000), '"GET /a?b HTTP/1.1"', 404, 12345, 0.00125)
    log.add(("2001:db8::1", 443), '"POST / HTTP/1.0"', 200, 0, 12.5)
    log.add(None, '"-"', 400, 0, 0.0)
    log.flush()
    assert stream.getvalue() == (
        '2026-11-20 12:00:00 192.0.2.1:50000 "GET /a?b HTTP/1.1" 404 12345 1.2ms\n'
        '2026-11-20 12:00:00 2001:db8::1:443 "POST / HTTP/1.0" 200 0 12500.0ms\n'
        '2026-11-20 12:00:00 -:0 "-" 400 0 0.0ms\n'
    )


def test_lines_wait_for_the_next_tick(logger: logging.Logger, stream: io.StringIO, noon: list[str]) -> None:
    log = AccessLog(logger)
    add(log, 1)
    add(log, 2)
    assert stream.getvalue() == ""
    noon.append("2026-11-20 12:00:01")
    log.tick()
    add(log, 3)
    assert [line[:19] for line in stream.getvalue().splitlines()] == ["2026-11-20 12:00:00"] * 2
    log.flush()
    assert stream.getvalue().splitlines()[2].startswith("2026-11-20 12:00:01 ")


def test_a_batch_is_one_record_and_comes_before_too_much_is_kept_back(
    logger: logging.Logger, stream: io.StringIO
) -> None:
    handled: list[logging.LogRecord] = []
    logger.addFilter(lambda record: handled.append(record) is None)
    log = AccessLog(logger)
    for number in range(255):
        add(log, number)
    assert handled == []
    add(log, 255)
    assert len(handled) == 1
    assert [re.findall(r"/(\d+) ", line) for line in stream.getvalue().splitlines()] == [[str(n)] for n in range(256)]


def test_a_flush_writes_each_line_once(logger: logging.Logger, stream: io.StringIO) -> None:
    log = AccessLog(logger)
    for number in range(1000):
        add(log, number)
    log.flush()
    log.flush()
    log.tick()
    assert len(stream.getvalue().splitlines()) == 1000


def test_others_handlers_get_a_record_for_each_line(logger: logging.Logger, stream: io.StringIO) -> None:
    handler = Records()
    logger.addHandler(handler)
    log = AccessLog(logger)
    for number in range(3):
        add(log, number)
    assert handler.messages == []
    log.flush()
    assert len(handler.messages) == 3
    assert "\n".join(handler.messages) + "\n" == stream.getvalue()


def test_a_handler_further_up_gets_a_record_for_each_line(logger: logging.Logger, stream: io.StringIO) -> None:
    handler = Records()
    logger.parent = logging.Logger("tests")
    logger.parent.addHandler(handler)
    logger.propagate = False
    log = AccessLog(logger)
    for number in range(3):
        add(log, number)
    log.flush()
    assert handler.messages == []
    logger.propagate = True
    for number in range(3):
        add(log, number)
    log.flush()
    assert len(handler.messages) == 3


def test_a_record_is_one_of_the_access_logger_and_its_text_is_taken_literally(logger: logging.Logger) -> None:
    records: list[logging.LogRecord] = []
    handler = Records()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    logger.addHandler(handler)
    log = AccessLog(logger)
    log.add(None, '"GET /%s%d HTTP/1.1"', 200, 0, 0.0)
    log.flush()
    assert [(record.name, record.levelname) for record in records] == [("tests.access", "INFO")]
    assert '"GET /%s%d HTTP/1.1"' in records[0].getMessage()


def test_a_disabled_logger_and_a_filter_are_heeded(logger: logging.Logger, stream: io.StringIO) -> None:
    log = AccessLog(logger)
    logger.disabled = True
    add(log)
    log.flush()
    logger.disabled = False
    logger.addFilter(lambda record: False)
    add(log)
    log.flush()
    assert stream.getvalue() == ""


def test_without_any_handler_nothing_is_kept(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog(logger)
    for number in range(1000):
        add(log, number)
    log.flush()
    assert log._lines == []
