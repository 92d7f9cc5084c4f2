"""Every option of uvicorn has a row, and what the row says of it is so."""

from __future__ import annotations

import importlib
import re

import pytest

from miniasgi.config import OPTIONS
from miniasgi.config.arguments import QUESTIONS, parse
from miniasgi.config.uvicorn import REFUSED_OR_TAKEN, ROWS, Row

FLAGS = {flag: option for option in OPTIONS for flag in (option.flag, option.negative, *option.aliases) if flag}
# What uvicorn takes for each; other options are switches.
VALUES = {
    "--host": "::1",
    "--port": "80",
    "--uds": "a.sock",
    "--fd": "3",
    "--reload-dir": ".",
    "--reload-include": "*.css",
    "--reload-exclude": "*.css",
    "--reload-delay": "0.5",
    "--workers": "4",
    "--loop": "uvloop",
    "--http": "httptools",
    "--ws": "websockets-sansio",
    "--ws-max-size": "16777216",
    "--ws-max-queue": "32",
    "--ws-ping-interval": "20.0",
    "--ws-ping-timeout": "20.0",
    "--ws-per-message-deflate": "false",
    "--lifespan": "on",
    "--interface": "asgi3",
    "--log-config": "log.json",
    "--log-level": "trace",
    "--forwarded-allow-ips": "127.0.0.1,10.0.0.0/8",
    "--root-path": "/api",
    "--limit-concurrency": "100",
    "--backlog": "2048",
    "--limit-max-requests": "1000",
    "--limit-max-requests-jitter": "100",
    "--timeout-keep-alive": "5",
    "--timeout-graceful-shutdown": "10",
    "--timeout-worker-healthcheck": "5",
    "--ssl-keyfile": "key.pem",
    "--ssl-certfile": "cert.pem",
    "--ssl-keyfile-password": "secret",
    "--ssl-cert-reqs": "2",
    "--ssl-ca-certs": "ca.pem",
    "--ssl-ciphers": "TLSv1",
    "--header": "X-A: b",
    "--app-dir": ".",
    "--h11-max-incomplete-event-size": "16384",
}


def test_no_option_has_two_rows() -> None:
    assert len({row.flag for row in ROWS}) == len(ROWS)


def test_every_option_of_the_uvicorn_that_is_installed_has_a_row() -> None:
    # Not "import uvicorn.main": the package has a function of this name.
    main = pytest.importorskip("uvicorn.main") and importlib.import_module("uvicorn.main").main
    flags = {flag for each in main.params for flag in each.opts if flag.startswith("--")}
    assert flags
    assert flags - {row.flag for row in ROWS} == set()
    taking = {each.opts[0] for each in main.params if each.opts[0].startswith("--") and not each.is_flag}
    assert taking - set(VALUES) == {"--env-file", "--ssl-version"}  # a file; refused
    negatives = {flag for each in main.params for flag in each.secondary_opts}
    assert negatives <= set(FLAGS)


SERVING = [row for row in ROWS if row.foreign is None and row.flag not in ("--env-file", *QUESTIONS)]


@pytest.mark.parametrize("row", SERVING, ids=lambda row: row.flag)
def test_a_command_line_of_uvicorn_means_the_same_here(row: Row) -> None:
    value = VALUES.get(row.flag)
    arguments = parse([row.flag, *([value] if value else []), "myapp:app"], "prog")
    assert (arguments.error, arguments.app) == (None, "myapp:app")
    ((option, typed, text),) = arguments.options
    assert (option.flag, typed) == (row.here, row.flag)
    option.read(text, typed)
    if value:
        assert text == value


def test_what_is_no_option_of_the_server_is_taken_as_well() -> None:
    assert parse(["--env-file", ".env", "myapp:app"], "prog").files == {"env-file": ("--env-file", ".env")}
    assert parse(["--version"], "prog").asked == {"version"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.foreign is not None], ids=lambda row: row.flag)
def test_what_is_no_option_here_says_what_to_do_or_is_taken(row: Row) -> None:
    value = VALUES.get(row.flag)
    arguments = parse([row.flag, *([value] if value else []), "myapp:app"], "prog")
    assert row.foreign == REFUSED_OR_TAKEN[row.flag]
    if row.outcome == "taken":
        assert (arguments.error, arguments.app, arguments.options) == (None, "myapp:app", [])
    else:
        assert re.fullmatch(rf"{row.flag}: (use|not possible).+", str(arguments.error))


def test_an_outcome_is_one_of_four_words() -> None:
    assert {row.outcome for row in ROWS} == {"same", "alias", "taken", "refused"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.flag)
def test_a_note_is_a_sentence_that_names_what_there_is(row: Row) -> None:
    assert row.note == "" or row.note.endswith((".", ".)"))
    for flag in re.findall(r"--[a-z][\w-]*", row.note):
        assert flag in FLAGS
