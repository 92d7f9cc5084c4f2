"""Where log lines go, and how they look, as the options say."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import sys
from pathlib import Path

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.observe import logs

server = logging.getLogger("miniasgi.server")
access = logging.getLogger("miniasgi.access")

pytestmark = pytest.mark.usefixtures("unconfigured")


# Files


def test_lines_go_to_the_files_that_the_options_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(error_logfile=str(tmp_path / "errors"), access_logfile=str(tmp_path / "access"))
    (tmp_path / "access").write_text("before\n")
    logs.configure(config)
    server.info("ready")
    access.info("a line as it is")
    assert (tmp_path / "errors").read_text()[19:] == " info ready\n"
    assert (tmp_path / "access").read_text() == "before\na line as it is\n"
    assert capsys.readouterr() == ("", "")


def test_both_may_go_to_one_file_and_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs.configure(Config(error_logfile=str(path), access_logfile=str(path)))
    for number in range(3):
        server.info("ready %d", number)
        access.info("line %d", number)
    path.rename(tmp_path / "old")
    assert str(path) in logs.reopen_files()
    server.info("ready 3")
    access.info("line 3")
    shown = [re.sub(r"^[-:0-9 ]{19} ", "", line) for line in (tmp_path / "old").read_text().splitlines()]
    assert shown == [text for number in range(3) for text in (f"info ready {number}", f"line {number}")]
    assert [line.rpartition(" ")[2] for line in path.read_text().splitlines()] == ["3", "3"]


def test_no_file_is_made_for_lines_that_nobody_wants(tmp_path: Path) -> None:
    logs.configure(Config(access_log=False, access_logfile=str(tmp_path / "access")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["error_logfile", "access_logfile"])
def test_a_file_that_cannot_be_had_is_told_in_a_line(option: str, tmp_path: Path) -> None:
    flag = "--" + option.replace("_", "-")
    for path, reason in (
        (tmp_path / "folder", "Is a directory"),
        (tmp_path / "none" / "log", f"No such file or directory (no directory {tmp_path / 'none'})"),
        (tmp_path / "file" / "log", "Not a directory"),
    ):
        config = Config.from_options(**{option: str(path)})
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "file").touch()
        with pytest.raises(UsageError) as caught:
            logs.configure(config)
        assert str(caught.value) == f"{flag} {path}: {reason}, expected - or a file that lines can be added to"


def test_a_file_that_the_system_refuses_is_not_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int, mode: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StartupError) as caught:
        logs.configure(Config(error_logfile="/var/log/x"))
    assert type(caught.value) is StartupError
    assert str(caught.value).startswith("--error-logfile /var/log/x: Permission denied, expected - or a file")


def test_a_file_that_an_application_has_closed_by_configuring_its_own_logs_is_written_to_again(tmp_path: Path) -> None:
    config = Config(error_logfile=str(tmp_path / "log"))
    logs.configure(config)
    logging.config.dictConfig({"version": 1})
    logs.configure(config)
    server.info("ready")
    assert (tmp_path / "log").read_text().endswith(" info ready\n")


# Formats


def test_both_logs_may_be_json(nameless: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Config(log_format="json", use_colors=True), "worker 2")
    server.warning("a\nb")
    access.info('{"already": "json"}')
    captured = capsys.readouterr()
    found = json.loads(captured.err)
    assert (found["level"], found["message"], found["worker"]) == ("warning", "a\nb", "worker 2")
    assert captured.out == '{"already": "json"}\n'


def test_a_format_that_is_none_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--access-log-format: found '%\(S\)s'"):
        logs.configure(Config(access_log_format="%(S)s", error_logfile=str(tmp_path / "log")))
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LINE = '2026-11-24 12:00:00 192.0.2.1:50000 "GET / HTTP/1.1" 200 5 1.2ms'


@pytest.mark.parametrize("asked", [None, True, False])
def test_a_terminal_shows_levels_and_statuses_in_colour(asked: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    logs.configure(Config(use_colors=asked))
    server.info("ready")
    access.info(LINE)
    expected = asked is not False
    assert ("\x1b[32minfo\x1b[0m ready" in sys.stderr.getvalue()) is expected
    assert ("\x1b[32m200\x1b[0m" in sys.stdout.getvalue()) is expected


def test_only_the_default_format_has_a_status_that_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    logs.configure(Config(use_colors=True, access_log_format="common"))
    access.info(LINE)
    assert sys.stdout.getvalue() == LINE + "\n"


def test_a_file_is_never_coloured(tmp_path: Path) -> None:
    config = Config(use_colors=True, error_logfile=str(tmp_path / "errors"), access_logfile=str(tmp_path / "access"))
    logs.configure(config)
    server.info("ready")
    access.info(LINE)
    assert "\x1b" not in (tmp_path / "errors").read_text() + (tmp_path / "access").read_text()
