"""Where log lines go: a handler each where nobody has given one, names, and a reader that has gone is said once."""

from __future__ import annotations

import io
import logging
import logging.config
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from miniasgi.config import Config
from miniasgi.errors import UsageError
from miniasgi.observe import logs
from miniasgi.observe.logs import BatchHandler

NAMES = ("miniasgi", "miniasgi.server", "miniasgi.access")

pytestmark = pytest.mark.usefixtures("unconfigured")

server = logging.getLogger("miniasgi.server")
access = logging.getLogger("miniasgi.access")


def test_the_server_writes_to_standard_error_and_access_lines_go_to_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Config())
    server.info("listening on %s", "http://127.0.0.1:8000")
    server.debug("not this")
    access.info("a line as it is")
    captured = capsys.readouterr()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info listening on http://127\.0\.0\.1:8000\n", captured.err)
    assert captured.out == "a line as it is\n"


def test_a_traceback_stands_below_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config())
    try:
        raise ValueError("broken")
    except ValueError as error:
        server.error("it failed", exc_info=error)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" error it failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: broken"


@pytest.mark.parametrize(
    ("level", "number"), [("trace", 5), ("debug", 10), ("info", 20), ("warning", 30), ("error", 40), ("critical", 50)]
)
def test_the_level_is_the_servers(level: str, number: int) -> None:
    logs.configure(Config(log_level=level))
    assert server.level == number
    assert access.isEnabledFor(logging.INFO)  # has a switch of its own


def test_configuring_twice_adds_nothing() -> None:
    logs.configure(Config())
    logs.configure(Config(log_level="debug"))
    assert (len(server.handlers), len(access.handlers)) == (1, 1)
    assert server.level == logging.DEBUG


@pytest.mark.parametrize("name", NAMES)
def test_handlers_that_somebody_has_given_are_left_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger(name).addHandler(handler)
    logs.configure(Config())
    assert logging.getLogger(name).handlers == [handler]
    server.info("to the server")
    access.info("to access")
    captured = capsys.readouterr()
    written = stream.getvalue().splitlines()
    if name == "miniasgi":
        assert (written, captured.err, captured.out) == (["to the server", "to access"], "", "")
    elif name == "miniasgi.server":
        assert (written, captured.err, captured.out) == (["to the server"], "", "to access\n")
    else:
        assert (written, captured.out) == (["to access"], "")
        assert captured.err.endswith("to the server\n")


def test_a_level_that_somebody_has_given_the_access_logger_is_left_alone() -> None:
    access.setLevel(logging.ERROR)
    logs.configure(Config())
    assert not access.isEnabledFor(logging.INFO)


class Gone(io.StringIO):
    """The end of a pipe that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_has_gone_is_said_once_and_never_raised(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config())
    access.handlers = [BatchHandler(Gone())]
    for _ in range(3):
        access.info("a line")
    assert re.fullmatch(
        r"[-0-9: ]{19} error access lines are lost: \[Errno 32\] Broken pipe\n", capsys.readouterr().err
    )


def test_a_line_that_cannot_be_formatted_is_reported_as_logging_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    logs.configure(Config())
    access.handlers = [BatchHandler(sys.stderr)]
    access.info("%d", "no number")
    assert "TypeError" in capsys.readouterr().err


def test_loggers_that_an_application_has_switched_off_by_configuring_its_own_are_heard_again() -> None:
    server.disabled = access.disabled = True  # as dictConfig does to loggers that it does not mention
    try:
        logs.configure(Config())
        assert (server.disabled, access.disabled) == (False, False)
    finally:
        server.disabled = access.disabled = False


# Once more


def test_what_is_the_same_stays(tmp_path: Path) -> None:
    config = Config(error_logfile=str(tmp_path / "log"))
    logs.configure(config)
    before = [*server.handlers, *access.handlers]
    logs.configure(config, "")
    logs.configure(Config(error_logfile=str(tmp_path / "log"), log_level="debug"))
    assert [*server.handlers, *access.handlers] == before


def test_what_is_another_takes_the_place_of_what_there_was(tmp_path: Path) -> None:
    logs.configure(Config(error_logfile=str(tmp_path / "one")))
    (old,) = server.handlers
    assert isinstance(old, logging.FileHandler)
    stream = old.stream
    logs.configure(Config(error_logfile=str(tmp_path / "two")))
    server.info("ready")
    assert (stream.closed, len(server.handlers)) == (True, 1)
    assert (tmp_path / "one").read_text() == ""
    assert (tmp_path / "two").read_text().endswith(" ready\n")


def test_what_cannot_be_had_leaves_what_there_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config())
    before = server.handlers[:]
    with pytest.raises(UsageError):
        logs.configure(Config(error_logfile=str(tmp_path / "none" / "log")))
    assert server.handlers == before


@pytest.mark.parametrize("name", ["miniasgi", "miniasgi.server"])
def test_a_handler_that_an_application_gives_later_takes_the_place_of_ours(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Config())
    stream = io.StringIO()
    logging.getLogger(name).addHandler(logging.StreamHandler(stream))
    logs.configure(Config())
    server.info("ready")
    assert (stream.getvalue(), capsys.readouterr().err) == ("ready\n", "")
    logging.getLogger(name).handlers = []
    logs.configure(Config())
    server.info("ready")
    assert capsys.readouterr().err.endswith(" info ready\n")


def test_threads_that_configure_at_once_add_one_handler() -> None:
    barrier = threading.Barrier(8)

    def configure() -> None:
        barrier.wait()
        logs.configure(Config())

    threads = [threading.Thread(target=configure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(server.handlers), len(access.handlers)) == (1, 1)


# Names


def in_a_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What stands after the time in the lines since the last call."""
    return [line[20:] for line in capsys.readouterr().err.splitlines()]


def test_a_name_stands_before_the_message(nameless: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config(), "worker 2")
    server.info("%d%% ready", 100)
    access.info("a line as it is")
    captured = capsys.readouterr()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info worker 2: 100% ready\n", captured.err)
    assert captured.out == "a line as it is\n"


def test_the_main_threads_name_is_that_of_all_threads_that_have_none(
    nameless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Config(), "worker 2")
    in_a_thread(lambda: server.info("from the application's thread"))
    assert said(capsys) == ["info worker 2: from the application's thread"]


def test_a_threads_name_is_for_what_it_logs_itself(nameless: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config())

    def worker(number: int) -> None:
        logs.configure(Config(), f"worker {number}")
        server.info("ready")
        in_a_thread(lambda: server.info("from the application's thread"))

    in_a_thread(lambda: worker(1))
    in_a_thread(lambda: worker(2))
    server.info("stopping")
    assert said(capsys) == [
        "info worker 1: ready",
        "info from the application's thread",
        "info worker 2: ready",
        "info from the application's thread",
        "info stopping",
    ]


def test_a_threads_name_wins_over_the_process_s(nameless: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config(), "process")

    def worker() -> None:
        logs.set_name("thread")
        server.info("one")
        logs.set_name("")
        server.info("two")

    in_a_thread(worker)
    assert said(capsys) == ["info thread: one", "info process: two"]


def test_configuring_without_a_name_keeps_the_one_there_is(nameless: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_name("worker 2")
    logs.configure(Config())
    server.info("ready")
    logs.set_name("")
    server.info("ready")
    assert said(capsys) == ["info worker 2: ready", "info ready"]


def test_a_record_is_as_before_for_other_handlers(nameless: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config(), "worker 2")
    stream = io.StringIO()
    second = logging.StreamHandler(stream)
    second.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    server.addHandler(second)
    server.info("ready")
    assert stream.getvalue() == "INFO ready\n"
