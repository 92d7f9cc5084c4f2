"""Files that lines are added to, by several processes too: opened, closed by others, moved."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniasgi.observe import handlers
from miniasgi.observe.handlers import BatchFileHandler
from miniasgi.observe.reopening import reopen_files
from tests.support import ROOT

PIPE_BUF = select.PIPE_BUF


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("tests", logging.INFO, "", 0, text, (), None)


@pytest.fixture
def file_handler(tmp_path: Path) -> Iterator[BatchFileHandler]:
    handler = BatchFileHandler(str(tmp_path / "log"))
    yield handler
    handler.close()


def test_a_file_is_added_to(tmp_path: Path, writes: list[bytes]) -> None:
    (tmp_path / "log").write_text("before\n")
    handler = BatchFileHandler(str(tmp_path / "log"))
    handler.handle(record("one\nand é\ud800"))
    handler.close()
    assert writes == ["one\nand é\\ud800\n".encode()]
    assert (tmp_path / "log").read_bytes() == b"before\n" + writes[0]


def test_a_file_is_opened_so_that_all_who_write_add_to_its_end(file_handler: BatchFileHandler) -> None:
    assert fcntl.fcntl(file_handler.stream.fileno(), fcntl.F_GETFL) & os.O_APPEND
    assert not os.get_inheritable(file_handler.stream.fileno())


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o644), (0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_file_is_made_for_its_owner_to_write(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        BatchFileHandler(str(tmp_path / "log")).close()
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == mode


def test_a_file_that_others_have_closed_is_opened_again(tmp_path: Path, file_handler: BatchFileHandler) -> None:
    file_handler.handle(record("one"))
    file_handler.close()  # as dictConfig does with all handlers
    file_handler.handle(record("two"))
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_disk_that_is_full_is_said_each_time_that_it_is(
    tmp_path: Path, file_handler: BatchFileHandler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = logging.getLogger("miniasgi.server")
    server.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, server.name)
    monkeypatch.setattr(server, "propagate", False)
    write = os.write

    def full(descriptor: int, octets: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    try:
        for how in (full, full, write, write, full, write):
            monkeypatch.setattr(handlers.os, "write", how)
            file_handler.handle(record(how.__name__))
    finally:
        server.removeHandler(caplog.handler)
    lost, again = "access lines are lost: [Errno 28] No space left on device", "access lines are written again"
    assert [each.getMessage() for each in caplog.records] == [lost, again, lost, again]
    assert (tmp_path / "log").read_text() == "write\nwrite\nwrite\n"


def test_a_file_that_cannot_be_opened_again_is_said_once(
    tmp_path: Path, file_handler: BatchFileHandler, caplog: pytest.LogCaptureFixture
) -> None:
    server = logging.getLogger("miniasgi.server")
    server.addHandler(caplog.handler)
    file_handler.close()
    (tmp_path / "log").unlink()
    tmp_path.joinpath("log").mkdir()
    try:
        for _ in range(3):
            file_handler.handle(record("lost"))
    finally:
        server.removeHandler(caplog.handler)
    assert {each.getMessage().partition(": '")[0] for each in caplog.records} == {
        "access lines are lost: [Errno 21] Is a directory"
    }


def test_a_file_that_has_been_moved_is_opened_again(tmp_path: Path, file_handler: BatchFileHandler) -> None:
    logger = logging.getLogger("tests.handlers")
    logger.addHandler(file_handler)
    try:
        file_handler.handle(record("one"))
        (tmp_path / "log").rename(tmp_path / "old")
        assert str(tmp_path / "log") in reopen_files()
        file_handler.handle(record("two"))
    finally:
        logger.removeHandler(file_handler)
    assert ((tmp_path / "old").read_text(), (tmp_path / "log").read_text()) == ("one\n", "two\n")


# Two real processes

LINES = 3000

STAMP = "2026-11-20 12:00:00"

WRITER = f"""
import logging, sys
from types import SimpleNamespace
from miniasgi.config import Config
from miniasgi.observe import access, logs

access.times.local = lambda seconds: "{STAMP}"
logs.configure(Config(access_logfile=sys.argv[2]))
print("ready", file=sys.stderr, flush=True)
sys.stdin.read(1)  # both begin at once
log = access.AccessLog(logging.getLogger("miniasgi.access"))
who = sys.argv[1]
for number in range({LINES}):
    # From 60 octets to 750, and now and then one that is, with its end, as long as a pipe takes it.
    length = {PIPE_BUF - 1} if number % 100 == 99 else 60 + number * number % 691
    around = len("{STAMP} -:0  200 0 0.0ms")
    request = f"{{who}} {{number}} {{length}} ".ljust(length - around, who)
    log.add(None, SimpleNamespace(line=SimpleNamespace(log=request)), 200, 0, 0.0)
log.flush()
"""


def check(lines: list[str]) -> None:
    """Every line of both writers is there, whole, and each writer's in its order."""
    numbers: dict[str, list[int]] = {"A": [], "B": []}
    for line in lines:
        who, number, length, filling = line.removeprefix(f"{STAMP} -:0 ").split(" ")[:4]
        assert len(line) == int(length)
        assert filling == who * len(filling)
        assert line.startswith(STAMP) and line.endswith(f"{who} 200 0 0.0ms")
        numbers[who].append(int(number))
    assert numbers == {"A": list(range(LINES)), "B": list(range(LINES))}


def start(who: str, stdout: int | None = None, file: str = "-") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, who, file]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE)


def begin(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        assert process.stderr is not None
        assert process.stderr.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b".")
        process.stdin.flush()


def test_lines_of_two_processes_arrive_whole_through_a_pipe_that_is_read_slowly() -> None:
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Room for one page, so that each write has to wait for some: in a roomy pipe, mixing is a rare accident.
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BUF)
    with start("A", writer) as one, start("B", writer) as other, open(reader, "rb", buffering=0) as file:
        os.close(writer)
        begin(one, other)
        text = b"".join(iter(lambda: file.read(997), b"")).decode()
    assert (one.returncode, other.returncode) == (0, 0)
    check(text.splitlines())


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_lines_of_two_processes_arrive_whole_in_a_file(tmp_path: Path, mode: str) -> None:
    with open(tmp_path / "log", mode) as file, start("A", file.fileno()) as one, start("B", file.fileno()) as other:
        begin(one, other)
    assert (one.returncode, other.returncode) == (0, 0)
    check((tmp_path / "log").read_text().splitlines())


def test_lines_of_two_processes_arrive_whole_in_a_file_that_each_has_opened(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with start("A", file=path) as one, start("B", file=path) as other:
        begin(one, other)
    assert (one.returncode, other.returncode) == (0, 0)
    check((tmp_path / "log").read_text().splitlines())
