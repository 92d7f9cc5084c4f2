"""What a file for Python's logging says of the server's loggers, beside what the options say."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from miniasgi.config import Config
from miniasgi.errors import UsageError
from miniasgi.observe import logs

server = logging.getLogger("miniasgi.server")
access = logging.getLogger("miniasgi.access")

pytestmark = pytest.mark.usefixtures("unconfigured")


def log_config(tmp_path: Path, loggers: dict[str, object], **more: object) -> str:
    """A file that has *loggers* write to "log" beside it."""
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "formatter": "plain"}
    formatter = {"format": "%(name)s %(levelname)s %(message)s"}
    table = {"version": 1, "formatters": {"plain": formatter}, "handlers": {"file": handler}, "loggers": loggers}
    (tmp_path / "logs.json").write_text(json.dumps({**table, **more}))
    return str(tmp_path / "logs.json")


@pytest.mark.parametrize(
    ("named", "written"),
    [
        (["miniasgi"], ["server", "access"]),
        (["miniasgi.server"], ["server"]),
        (["miniasgi.access"], ["access"]),
        (["miniasgi.server", "miniasgi.access"], ["server", "access"]),
        ([], []),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_what_a_file_says_of_the_loggers_wins_over_our_handlers(
    named: list[str], written: list[str], times: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log_config(tmp_path, {name: {"handlers": ["file"]} for name in named})
    for _ in range(times):
        logs.configure(Config(log_config=path))
    server.info("ready")
    access.info("a line")
    expected = {"server": "miniasgi.server INFO ready\n", "access": "miniasgi.access INFO a line\n"}
    assert (tmp_path / "log").read_text() == "".join(expected[each] for each in written)
    captured = capsys.readouterr()
    assert bool(captured.err) is ("server" not in written)
    assert bool(captured.out) is ("access" not in written)


def test_a_file_in_ini_wins_over_handlers_that_there_have_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Config())
    (tmp_path / "logs.ini").write_text(
        "[loggers]\nkeys=root,ours\n[logger_root]\nhandlers=\n[logger_ours]\nqualname=miniasgi\nhandlers=file\n"
        f"[handlers]\nkeys=file\n[handler_file]\nclass=FileHandler\nargs=({str(tmp_path / 'log')!r},)\n"
        "[formatters]\nkeys=\n"
    )
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        for _ in range(2):
            logs.configure(Config(log_config=str(tmp_path / "logs.ini")))
    finally:
        root.handlers[:] = before
    server.info("ready")
    access.info("a line")
    assert (tmp_path / "log").read_text() == "ready\na line\n"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("loggers", "level"),
    [
        ({}, logging.DEBUG),
        ({"miniasgi.server": {}}, logging.DEBUG),
        ({"miniasgi.server": {"level": "ERROR"}}, logging.ERROR),
        ({"miniasgi.server": {"level": "TRACE"}}, 5),
        ({"miniasgi": {"level": "ERROR"}}, logging.ERROR),
        ({"miniasgi.access": {"level": "ERROR"}}, logging.DEBUG),
        ({"miniasgi": {"level": "ERROR"}, "miniasgi.server": {"level": "WARNING"}}, logging.WARNING),
    ],
)
def test_the_level_is_the_files_if_it_gives_one(tmp_path: Path, loggers: dict[str, object], level: int) -> None:
    path = log_config(tmp_path, loggers)
    for _ in range(2):
        logs.configure(Config(log_config=path, log_level="debug"))
        assert server.getEffectiveLevel() == level
    assert access.isEnabledFor(logging.INFO) is ("miniasgi.access" not in loggers)


def test_a_file_cannot_switch_the_two_loggers_off_by_not_naming_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Config(log_config=log_config(tmp_path, {}, disable_existing_loggers=True)))
    server.info("ready")
    assert capsys.readouterr().err.endswith(" info ready\n")


def test_a_file_is_put_into_effect_once_so_that_the_application_has_the_last_word(tmp_path: Path) -> None:
    config = Config(log_config=log_config(tmp_path, {"miniasgi": {"handlers": ["file"]}}))
    logs.configure(config)
    stream = io.StringIO()
    logging.getLogger("miniasgi").handlers = [logging.StreamHandler(stream)]
    logs.configure(config)
    server.info("ready")
    assert stream.getvalue() == "ready\n"


def test_a_file_that_is_broken_is_an_error_each_time(tmp_path: Path) -> None:
    (tmp_path / "logs.toml").write_text("version =")
    logs.configure(Config(log_level="debug"))
    for _ in range(2):
        with pytest.raises(UsageError, match="not TOML"):
            logs.configure(Config(log_config=str(tmp_path / "logs.toml")))
    assert server.level == logging.DEBUG
