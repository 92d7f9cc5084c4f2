"""One line for each request, written many at a time, with nothing lost and nothing kept from others' handlers."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable

import pytest

from miniasgi.config import Config
from miniasgi.errors import UsageError
from miniasgi.observe.access import AccessLog
from miniasgi.observe.handlers import BatchHandler
from tests.observe.requests import CLIENT, request

pytestmark = pytest.mark.usefixtures("nameless", "utc")


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


NOON = 1795521600.0  # 2026-11-24 12:00:00 UTC


class Clock:
    """The time of day, moved by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def add(log: AccessLog, number: int = 0) -> None:
    log.add(CLIENT, request(b"/%d" % number), 200, 5, 0.00125)


def test_a_line_says_when_from_where_what_status_size_and_how_long(logger: logging.Logger, stream: io.StringIO) -> None:
    log = AccessLog(logger, clock=Clock())
    log.add(CLIENT, request(b"/a?b"), 404, 12345, 0.00125)
    log.add(("2001:db8::1", 443), request(method=b"POST"), 200, 0, 12.5)
    log.add(None, None, 400, 0, 0.0)
    log.flush()
    assert stream.getvalue() == (
        '2026-11-24 12:00:00 192.0.2.1:50000 "GET /a?b HTTP/1.1" 404 12345 1.2ms\n'
        '2026-11-24 12:00:00 [2001:db8::1]:443 "POST / HTTP/1.1" 200 0 12500.0ms\n'
        '2026-11-24 12:00:00 -:0 "-" 400 0 0.0ms\n'
    )


def test_what_a_websocket_adds_and_a_request_id_follow(logger: logging.Logger, stream: io.StringIO) -> None:
    log = AccessLog(logger, clock=Clock())
    more = (("in", 6), ("out", 7))
    log.add(CLIENT, request(), 101, 1070, 8.6431, (), "", more)
    log.add(CLIENT, request(), 200, 5, 0.001, (), "0f")
    log.add(CLIENT, request(), 101, 0, 0.0, (), 'a b"\n', more)
    log.flush()
    assert [line[40:] for line in stream.getvalue().splitlines()] == [
        '"GET / HTTP/1.1" 101 1070 8643.1ms 6 in, 7 out'[4:],
        '"GET / HTTP/1.1" 200 5 1.0ms id=0f'[4:],
        '"GET / HTTP/1.1" 101 0 0.0ms 6 in, 7 out id=a\\x20b\\x22\\x0a'[4:],
    ]


def test_the_default_format_looks_at_nothing_but_the_request_line(logger: logging.Logger) -> None:
    log = AccessLog(logger)
    assert log.wants_fields is False
    fields = iter([(b"content-type", b"text/plain")])
    log.add(CLIENT, request(), 200, 5, 0.001, fields)
    assert next(fields) == (b"content-type", b"text/plain")


def made(logger: logging.Logger, stream: io.StringIO, **options: str) -> str:
    log = AccessLog(logger, Config(**options), clock=Clock())  # type: ignore[arg-type]
    log.add(CLIENT, request(b"/", (b"referer", b"http://a/")), 200, 5, 0.001, [(b"x", b"y")], "0f")
    log.flush()
    return stream.getvalue()


def test_common_and_combined_are_apaches(logger: logging.Logger, stream: io.StringIO) -> None:
    common = '192.0.2.1 - - [24/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5'
    assert made(logger, stream, access_log_format="common") == common + "\n"
    assert made(logger, stream, access_log_format="combined").splitlines()[1] == common + ' "http://a/" "-"'


def test_a_format_of_ones_own_is_used(logger: logging.Logger, stream: io.StringIO) -> None:
    text = "%(s)s %({x}o)s %(id)s"
    assert AccessLog(logger, Config(access_log_format=text)).wants_fields is True
    assert made(logger, stream, access_log_format=text) == "200 y 0f\n"


@pytest.mark.parametrize(
    "options",
    [
        {"access_log_format": "json"},
        {"log_format": "json"},
        {"log_format": "json", "access_log_format": "json"},
    ],
)
def test_json_is_asked_for_by_either_option(
    options: dict[str, str], logger: logging.Logger, stream: io.StringIO
) -> None:
    found = json.loads(made(logger, stream, **options))
    assert (found["logger"], found["time"], found["target"]) == ("tests.access", "2026-11-24T12:00:00Z", "/")
    assert (found["request_id"], found["referer"]) == ("0f", "http://a/")


def test_lines_of_another_format_are_messages_in_a_log_that_is_json(
    logger: logging.Logger, stream: io.StringIO
) -> None:
    found = json.loads(made(logger, stream, log_format="json", access_log_format='%(s)s "%({x}o)s"'))
    assert (found["logger"], found["message"]) == ("tests.access", '200 "y"')


def test_a_format_that_is_none_is_an_error_at_once(logger: logging.Logger) -> None:
    with pytest.raises(UsageError, match=r"^--access-log-format: found '%\(S\)s'"):
        AccessLog(logger, Config(access_log_format="%(S)s"))


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, lambda line: line[:19]),
        ({"access_log_format": "%(t)s"}, lambda line: line),
        ({"access_log_format": "json"}, lambda line: json.loads(line)["time"]),
        ({"access_log_format": "%(s)s", "log_format": "json"}, lambda line: json.loads(line)["time"]),
    ],
    ids=["default", "atoms", "json", "in json"],
)
def test_the_time_is_that_of_the_last_tick(
    options: dict[str, str], shown: Callable[[str], str], logger: logging.Logger, stream: io.StringIO
) -> None:
    clock = Clock()
    log = AccessLog(logger, Config(**options), clock=clock)  # type: ignore[arg-type]
    add(log)
    clock.now += 7
    add(log)
    log.tick()
    add(log)
    log.flush()
    times = [re.findall(r"12:00:\d\d", shown(line)) for line in stream.getvalue().splitlines()]
    assert times == [["12:00:00"], ["12:00:00"], ["12:00:07"]]


def test_lines_wait_for_the_next_tick(logger: logging.Logger, stream: io.StringIO) -> None:
    clock = Clock()
    log = AccessLog(logger, clock=clock)
    add(log, 1)
    add(log, 2)
    assert stream.getvalue() == ""
    clock.now += 1
    log.tick()
    add(log, 3)
    assert [line[:19] for line in stream.getvalue().splitlines()] == ["2026-11-24 12:00:00"] * 2
    log.flush()
    assert stream.getvalue().splitlines()[2].startswith("2026-11-24 12:00:01 ")


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
    log.add(None, request(b"/?%s%d"), 200, 0, 0.0)
    log.flush()
    assert [(record.name, record.levelname) for record in records] == [("tests.access", "INFO")]
    assert '"GET /?%s%d HTTP/1.1"' in records[0].getMessage()


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
