"""A configuration file that changes while a server with workers runs, as its user sees it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support import ask
from tests.workers.processes import KINDS, WorkersProcess, needs_linux, watch

pytestmark = [pytest.mark.slow, needs_linux]


class File:
    """A configuration file; the options of it are those given."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.rename(self.path)

    def header(self, version: str, more: str = "") -> None:
        self.write(f'header = ["X-Version: {version}"]\n{more}')


@pytest.fixture
def file(tmp_path: Path) -> File:
    made = File(tmp_path / "my.toml")
    made.header("one")
    return made


def version(server: WorkersProcess) -> str:
    head = ask(server.port, "/pid").decode().lower()
    return head.partition("x-version: ")[2].partition("\r\n")[0]


def wait_for_version(server: WorkersProcess, wanted: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while (found := version(server)) != wanted:
        assert time.monotonic() < end, f"{found!r} still answers after {seconds} s"


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_new_workers_have_the_options_that_the_file_has_now(options: tuple[str, ...], file: File) -> None:
    with WorkersProcess("-c", str(file.path), *options) as server:
        assert version(server) == "one"
        before = server.processes()
        file.header("two", "port = 1\ntimeout-worker-healthcheck = 99")
        server.signal(signal.SIGHUP)
        # The port has been typed, and wins as it did.
        server.wait_for("warning --timeout-worker-healthcheck needs a restart: it stays as it was")
        server.wait_for("info changed for new workers: --header")
        server.wait_for("has been loaded anew")
        wait_for_version(server, "two")
        with watch(before) as old:  # which may answer for another moment
            old.wait(10)
        file.write("heder = []")
        server.signal(signal.SIGHUP)
        server.wait_for(r"error nothing is loaded anew, .*: heder: no such option; did you mean header\?")
        assert version(server) == "two"
        file.header("three")
        server.signal(signal.SIGHUP)
        server.wait_for("has been loaded anew")
        wait_for_version(server, "three")
        assert not server.lines("--port needs")


def test_the_file_says_how_many_workers_there_are_until_a_signal_does(file: File) -> None:
    file.header("one", "workers = 2")
    with WorkersProcess("-c", str(file.path)) as server:
        server.signal(signal.SIGTTIN)
        server.wait_for("3 workers are wanted now")
        server.wait_for_workers(3)
        server.signal(signal.SIGHUP)
        # Nobody has changed the file.
        server.wait_for("has been loaded anew by 3 workers")
        file.header("two", "workers = 1")
        server.signal(signal.SIGHUP)
        server.wait_for("changed for new workers: --workers, --header")
        server.wait_for("has been loaded anew by 1 worker$")
