"""New code for servers that run: on SIGHUP, and with --reload; what works, what is broken, and what is repaired."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import ask, read_all
from tests.workers.processes import KINDS, WorkersProcess, content, needs_linux, request, watch

pytestmark = [pytest.mark.slow, needs_linux]

ALL_KINDS = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)

APP = """
from tests.workers.apps import answer

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, b"%s")
"""
BROKEN = "\n\nraise RuntimeError('tired')\n"


class Code:
    """A module called changing, whose application answers with its version."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "changing.py"

    def write(self, version: str) -> None:
        self._save(APP % version)

    def break_it(self) -> None:
        self._save(BROKEN)

    def _save(self, text: str) -> None:
        # Renamed, so that nobody imports half of it.
        (self.directory / "new").write_text(text)
        (self.directory / "new").rename(self.file)

    def serve(self, *options: str) -> WorkersProcess:
        # Python takes a file that has been compiled for one that was saved in the same second with the same length.
        environ = {"PYTHONDONTWRITEBYTECODE": "1"}
        return WorkersProcess("--app-dir", str(self.directory), *options, app="changing:app", environ=environ)


@pytest.fixture
def code(tmp_path: Path) -> Code:
    made = Code(tmp_path)
    made.write("one")
    return made


def version(server: WorkersProcess) -> str:
    return content(ask(server.port))


def wait_for_version(server: WorkersProcess, wanted: str, before: str, seconds: float = 10.0) -> None:
    """Wait until *wanted* answers; until then only *before* may."""
    end = time.monotonic() + seconds
    while (found := version(server)) != wanted:
        assert found == before
        assert time.monotonic() < end, f"{found} still answers after {seconds} s"


def wait_for_save(server: WorkersProcess, wanted: str, seconds: float = 10.0) -> None:
    """Wait until *wanted* answers; until then, somebody does."""
    end = time.monotonic() + seconds
    while (found := content(ask(server.port))) != wanted:
        assert time.monotonic() < end, f"{found!r} still answers after {seconds} s"


# SIGHUP


@ALL_KINDS
def test_sighup_loads_new_code_and_the_old_workers_go(options: tuple[str, ...], code: Code) -> None:
    with code.serve(*options) as server, watch(server.processes()) as old:
        assert version(server) == "one"
        code.write("two")
        server.signal(signal.SIGHUP)
        wait_for_version(server, "two", before="one")
        server.wait_for("has been loaded anew")
        old.wait(10)
        assert {version(server) for _ in range(20)} == {"two"}


@ALL_KINDS
def test_the_old_code_stays_until_the_new_one_can_be_loaded(options: tuple[str, ...], code: Code) -> None:
    with code.serve(*options) as server:
        old = server.processes()
        code.break_it()
        server.signal(signal.SIGHUP)
        server.wait_for("error the application could not be loaded anew, and the old one stays: ")
        with watch(set(server.processes()) - set(old)) as those_in_vain:
            those_in_vain.wait(10)
        assert server.processes() == old
        assert {version(server) for _ in range(10)} == {"one"}
        code.write("two")
        server.signal(signal.SIGHUP)
        server.wait_for("has been loaded anew")
        wait_for_version(server, "two", before="one")


@ALL_KINDS
def test_code_that_cannot_be_loaded_is_one_error_with_a_traceback(options: tuple[str, ...], code: Code) -> None:
    with code.serve(*options) as server:
        old = server.processes()
        code.break_it()
        server.signal(signal.SIGHUP)
        first = server.wait_for("error ").rstrip("\n")
        # What the others of the same attempt would say is the same.
        with watch(set(server.processes()) - set(old)) as those_in_vain:
            those_in_vain.wait(10)
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
    begin = server.errors.index(first)
    assert first[20:] == (
        "error the application could not be loaded anew, and the old one stays: application 'changing:app': "
        "importing changing failed: RuntimeError: tired"
    )
    assert server.errors[begin + 1 : begin + 5] == [
        "Traceback (most recent call last):",
        f'  File "{code.file}", line 3, in <module>',
        "    raise RuntimeError('tired')",
        "RuntimeError: tired",
    ]
    assert len(server.lines("^Traceback")) == 1
    assert server.lines(" error ") == [first]


def test_a_second_sighup_during_the_first_loads_the_code_as_it_is_then(code: Code) -> None:
    with code.serve("--workers", "2") as server:
        # One that never starts up, so that the first reload is under way for certain.
        code.file.write_text("import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
        server.signal(signal.SIGHUP)
        server.wait_for("importing")
        code.write("two")
        server.signal(signal.SIGHUP)
        server.wait_for("has been loaded anew")
        wait_for_version(server, "two", before="one")
        assert not server.lines(" error ")


# --reload


def test_a_save_shows_the_new_code(code: Code) -> None:
    with code.serve("--reload") as server:
        for before, after in (("one", "two"), ("two", "three")):
            assert version(server) == before
            code.write(after)
            server.wait_for(r"changing\.py changed: starting again")
            wait_for_save(server, after)
        assert not server.lines(" error ")


def test_a_broken_save_is_explained_and_clients_wait_for_the_next_one(code: Code) -> None:
    with code.serve("--reload") as server, server.connect() as client:
        code.break_it()
        server.wait_for("error application 'changing:app': importing changing failed: RuntimeError: tired")
        server.wait_for("^RuntimeError: tired")
        server.wait_for("^waiting for the next change")
        assert server.processes() == []
        with server.connect() as waiting:
            request(waiting, "/")
            code.write("two")
            assert content(read_all(waiting)) == "two"
        assert version(server) == "two"
        assert len(server.lines(" error ")) == 1
        assert read_all(client) == b""


def test_a_first_start_that_is_broken_waits_for_a_change_too(code: Code) -> None:
    code.break_it()
    server = code.serve("--reload")
    with server.starting():
        server.wait_for("error application 'changing:app'")
        server.wait_for("^waiting for the next change")
        assert server.processes() == []
        code.write("two")
        with server:  # which waits for the start-up line
            assert version(server) == "two"


def test_sighup_does_what_a_change_does(code: Code) -> None:
    with code.serve("--reload") as server, watch(server.processes()) as old:
        server.signal(signal.SIGHUP)
        old.wait(10)
        assert version(server) == "one"
        assert len(server.processes()) == 1


def test_a_file_that_is_only_read_or_touched_elsewhere_is_no_change(code: Code, tmp_path: Path) -> None:
    with code.serve("--reload") as server:
        before = server.processes()
        code.file.read_text()
        (tmp_path / "notes.txt").write_text("no code")
        (tmp_path / ".hidden.py").write_text("none either")
        os.utime(tmp_path / "notes.txt")
        # What comes after them is told, and names nothing else.
        (tmp_path / "other.py").write_text("something")
        line = server.wait_for("changed: starting again")
        assert line.split(" info ")[1].split(" changed")[0].endswith("other.py")
        assert "," not in line
        with watch(before) as watched:
            watched.wait(10)
