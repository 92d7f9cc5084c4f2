"""Records as lines: text, JSON and colours, and that no message can pass for a line of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from typing import Any

import pytest

from miniasgi.observe.formatters import ColoredStatusFormatter, JsonFormatter, TextFormatter, wants_colors
from miniasgi.observe.names import set_name

NOON = 1795521600.25  # 2026-11-24 12:00:00.25 UTC

pytestmark = pytest.mark.usefixtures("nameless", "utc")


def record(text: str, *arguments: object, level: int = logging.INFO, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("miniasgi.server", level, "", 0, text, arguments, None)
    made.created = NOON
    vars(made).update(more)
    return made


def failure() -> Any:
    try:
        raise ValueError('bad "é"\nnext')
    except ValueError:
        return sys.exc_info()


# Text


def test_a_line_has_time_level_and_message() -> None:
    assert TextFormatter().format(record("%d%% ready", 100)) == "2026-11-24 12:00:00 info 100% ready"


def test_a_name_stands_before_the_message() -> None:
    set_name("worker 2")
    assert TextFormatter().format(record("failed", level=logging.ERROR)) == "2026-11-24 12:00:00 error worker 2: failed"


def test_a_message_cannot_pass_for_another_line() -> None:
    shown = TextFormatter().format(record("%s", "a\r\n2026-11-24 12:00:00 info forged\x1b[2J\x9b"))
    assert shown.split("\n") == [
        "2026-11-24 12:00:00 info a\\x0d",
        "    2026-11-24 12:00:00 info forged\\x1b[2J\\x9b",
    ]


def test_a_traceback_stands_below() -> None:
    lines = TextFormatter().format(record("failed\nbadly", exc_info=failure())).split("\n")
    assert lines[:3] == ["2026-11-24 12:00:00 info failed", "badly", "Traceback (most recent call last):"]
    assert lines[-2:] == ['ValueError: bad "é"', "next"]


@pytest.mark.parametrize("kept", [False, True], ids=["", "another-formatter-has-kept-it"])
def test_a_traceback_cannot_pass_for_another_line(kept: bool) -> None:
    try:
        raise ValueError("a\n2026-11-24 12:00:00 info forged\x1b[2J")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info(), stack_info="Stack:\n2026-11-24 12:00:00 info forged")
    if kept:
        logging.Formatter().format(made)
    assert TextFormatter().format(made).split("\n")[-4:] == [
        "ValueError: a",
        "    2026-11-24 12:00:00 info forged\\x1b[2J",
        "Stack:",
        "    2026-11-24 12:00:00 info forged",
    ]
    # Whoever formats it next has it as it is.
    assert logging.Formatter().format(made).endswith("forged\x1b[2J\nStack:\n2026-11-24 12:00:00 info forged")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (5, "\x1b[2mtrace\x1b[0m"),
        (10, "\x1b[2mdebug\x1b[0m"),
        (20, "\x1b[32minfo\x1b[0m"),
        (30, "\x1b[33mwarning\x1b[0m"),
        (40, "\x1b[31merror\x1b[0m"),
        (50, "\x1b[1;31mcritical\x1b[0m"),
    ],
)
def test_the_level_and_nothing_else_is_coloured(level: int, shown: str) -> None:
    logging.addLevelName(5, "TRACE")
    assert TextFormatter(colored=True).format(record("text", level=level)) == f"2026-11-24 12:00:00 {shown} text"


def test_a_level_below_all_has_no_colour() -> None:
    assert " level -1\x1b[0m text" in TextFormatter(colored=True).format(record("text", level=-1))


# JSON


def test_an_object_has_what_there_is() -> None:
    assert JsonFormatter().format(record("%d ready", 2)) == (
        '{"time": "2026-11-24T12:00:00.250Z", "level": "info", "logger": "miniasgi.server", "message": "2 ready", '
        f'"pid": {os.getpid()}}}'
    )


def test_what_there_may_be_are_members() -> None:
    set_name('worker "2"')
    line = JsonFormatter().format(record("failed", exc_info=failure(), stack_info="Stack:\n  x"))
    found = json.loads(line)
    assert list(found) == [
        "time",
        "level",
        "logger",
        "message",
        "exception",
        "stack",
        "worker",
        "pid",
    ]
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith('\nValueError: bad "é"\nnext')
    assert (found["stack"], found["worker"]) == ("Stack:\n  x", 'worker "2"')


def test_a_traceback_that_another_formatter_has_kept_is_a_member() -> None:
    assert json.loads(JsonFormatter().format(record("x", exc_text="kept")))["exception"] == "kept"


def test_there_is_no_exception_where_none_is_handled() -> None:
    assert "exception" not in json.loads(JsonFormatter().format(record("x", exc_info=(None, None, None))))


@pytest.mark.parametrize(
    "text", ["a\r\nb\x1b[2J\u2028\x85", '", "level": "critical", "x": "', "\\", "\ud800", "é日本😀", "\x00"]
)
def test_whatever_is_in_a_message_it_is_one_line_and_one_member(text: str) -> None:
    line = JsonFormatter().format(record("%s", text))
    assert line.isascii() and line.isprintable()
    found = json.loads(line)
    assert found["message"] == text.replace("\ud800", "?")
    assert (len(found), found["level"]) == (5, "info")


# Colours


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "colored"),
    [
        ({}, True),
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_a_terminal_is_coloured_unless_the_environment_says_otherwise(
    environ: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert wants_colors(None, Terminal()) is colored
    assert wants_colors(None, io.StringIO()) is False
    # Who asks for it by an option means it.
    assert wants_colors(True, io.StringIO()) is True
    assert wants_colors(False, Terminal()) is False


def test_colours_can_be_had_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    for value, colored in (("1", True), ("", False)):
        monkeypatch.setenv("FORCE_COLOR", value)
        assert wants_colors(None, io.StringIO()) is colored
        assert wants_colors(False, io.StringIO()) is False


def test_what_cannot_say_that_it_is_a_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    closed = io.StringIO()
    closed.close()
    assert [wants_colors(None, stream) for stream in (None, object(), closed)] == [False, False, False]


def test_the_status_of_each_access_line_is_coloured() -> None:
    batch = "\n".join(
        f'2026-11-24 12:00:00 192.0.2.1:50000 "GET /{number} HTTP/1.1" {number} 200 1.2ms id=404'
        for number in (200, 304, 404, 500, 0, 101)
    )
    shown = ColoredStatusFormatter().format(record("%s", batch)).split("\n")
    assert [re.sub("\x1b.*?m", "", line) for line in shown] == batch.split("\n")
    colored = [re.findall("(\x1b[^m]*m)(.*?)\x1b\\[0m", line) for line in shown]
    assert colored == [
        [("\x1b[32m", "200")],
        [("\x1b[36m", "304")],
        [("\x1b[33m", "404")],
        [("\x1b[31m", "500")],
        [("\x1b[31m", "0")],
        [],
    ]


def test_a_record_that_is_no_access_line_is_left_as_it_is() -> None:
    text = "somebody's own \"words"
    assert ColoredStatusFormatter().format(record(text)) == text
