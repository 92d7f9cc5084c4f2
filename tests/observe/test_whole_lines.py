"""Lines of several processes in one place arrive whole: how a batch is cut, and what is written at once."""

from __future__ import annotations

import fcntl
import gzip
import io
import itertools
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from miniasgi.observe import logs
from miniasgi.observe.logs import BatchHandler
from tests.support import ROOT

PIPE_BUF = select.PIPE_BUF


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been given to write(2), call by call."""
    written: list[bytes] = []
    write = os.write

    def record(descriptor: int, octets: bytes) -> int:
        written.append(octets)
        return write(descriptor, octets)

    monkeypatch.setattr(logs.os, "write", record)
    return written


class Pipe:
    """A pipe whose writing end is a text stream, and whose reading end is read to its end by a thread."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        self._read: list[bytes] = []
        self.thread = threading.Thread(target=self._read_all, daemon=True)
        self.reading = False

    def start_reading(self) -> None:
        self.reading = True
        self.thread.start()

    def _read_all(self) -> None:
        with open(self.reader, "rb", closefd=False) as file:
            self._read.append(file.read())

    def all_read(self) -> str:
        self.stream.close()
        self.thread.join()
        return self._read[0].decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.stream.close()
    if pipe.reading:
        pipe.thread.join()
    os.close(pipe.reader)


def emit(stream: TextIO, text: str) -> None:
    BatchHandler(stream).handle(logging.LogRecord("tests", logging.INFO, "", 0, text, (), None))


def lines_of(*lengths: int) -> str:
    """Lines of so many octets each, their ends included; the last without its end, as a batch is."""
    return "\n".join(f"{number:05}".ljust(length - 1, ".") for number, length in enumerate(lengths))


def test_a_pipe_gets_as_many_whole_lines_at_once_as_are_never_mixed(pipe: Pipe, writes: list[bytes]) -> None:
    pipe.start_reading()
    text = lines_of(*range(50, 306))
    emit(pipe.stream, text)
    assert pipe.all_read() == text + "\n"
    assert all(piece.endswith(b"\n") and len(piece) <= PIPE_BUF for piece in writes)
    for piece, following in itertools.pairwise(writes):
        assert len(piece) + following.index(b"\n") + 1 > PIPE_BUF


@pytest.mark.parametrize(
    ("lengths", "pieces"),
    [
        ([10], [10]),
        ([PIPE_BUF], [PIPE_BUF]),
        ([PIPE_BUF - 10, 10], [PIPE_BUF]),
        ([PIPE_BUF - 10, 11], [PIPE_BUF - 10, 11]),
        ([10, PIPE_BUF + 1], [10, PIPE_BUF + 1]),
        ([PIPE_BUF + 1, 10], [PIPE_BUF + 1, 10]),
        ([10, 3 * PIPE_BUF, 10, 20], [10, 3 * PIPE_BUF, 30]),
        ([PIPE_BUF, PIPE_BUF], [PIPE_BUF, PIPE_BUF]),
    ],
)
def test_a_line_that_is_too_long_is_written_alone(
    pipe: Pipe, writes: list[bytes], lengths: list[int], pieces: list[int]
) -> None:
    pipe.start_reading()
    emit(pipe.stream, lines_of(*lengths))
    assert pipe.all_read() == lines_of(*lengths) + "\n"
    assert [len(piece) for piece in writes] == pieces


def test_octets_are_counted_and_not_characters(pipe: Pipe, writes: list[bytes]) -> None:
    pipe.start_reading()
    emit(pipe.stream, "\n".join(["é" * 99] * 30))
    assert [len(piece) for piece in writes] == [20 * 199, 10 * 199]


@pytest.mark.parametrize("mode", ["w", "a"])
def test_a_file_gets_all_at_once(tmp_path: Path, writes: list[bytes], mode: str) -> None:
    text = lines_of(*[200] * 256)
    with open(tmp_path / "log", mode, encoding="utf-8") as file:
        emit(file, text)
    assert [piece.decode() for piece in writes] == [text + "\n"]
    assert (tmp_path / "log").read_text() == text + "\n"


def test_what_has_been_printed_before_stays_before(pipe: Pipe, writes: list[bytes]) -> None:
    pipe.start_reading()
    pipe.stream.write("printed\n")
    emit(pipe.stream, "logged")
    assert pipe.all_read() == "printed\nlogged\n"
    assert writes == [b"logged\n"]  # the other one was not added to it


def test_a_stream_without_a_buffer_is_cut_as_well(pipe: Pipe, writes: list[bytes]) -> None:
    pipe.start_reading()
    descriptor = os.dup(pipe.stream.fileno())
    # As "python -u" has it.
    with io.TextIOWrapper(io.FileIO(descriptor, "w"), encoding="utf-8", write_through=True) as stream:
        emit(stream, lines_of(*[100] * 256))
    assert pipe.all_read() == lines_of(*[100] * 256) + "\n"
    assert max(map(len, writes)) == 4000


def test_the_encoding_and_what_it_does_with_others_characters_are_the_streams(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w", encoding="latin-1", errors="backslashreplace") as file:
        emit(file, "é€")
    assert (tmp_path / "log").read_bytes() == b"\xe9\\u20ac\n"


def test_what_a_write_leaves_over_is_written_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(logs.os, "write", lambda descriptor, octets: write(descriptor, octets[:7]))
    with open(tmp_path / "log", "w", encoding="utf-8") as file:
        emit(file, "one line\nand another")
    assert (tmp_path / "log").read_text() == "one line\nand another\n"


def test_a_full_pipe_is_waited_for_though_somebody_has_made_it_non_blocking(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    write, full = os.write, threading.Event()

    def notice(descriptor: int, octets: bytes) -> int:
        try:
            return write(descriptor, octets)
        except BlockingIOError:
            if not full.is_set():
                full.set()
                pipe.start_reading()  # only now
            raise

    monkeypatch.setattr(logs.os, "write", notice)
    text = lines_of(*[1000] * 2000)
    emit(pipe.stream, text)
    assert full.is_set()
    assert pipe.all_read() == text + "\n"


def test_a_pipe_that_nobody_reads_is_said_once(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    server = logging.getLogger("miniasgi.server")
    server.addHandler(caplog.handler)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, pipe.reader)  # closes it, and leaves its number to the fixture
    os.close(null)
    handler = BatchHandler(pipe.stream)
    try:
        for _ in range(3):
            handler.handle(logging.LogRecord("tests", logging.INFO, "", 0, "a line", (), None))
    finally:
        server.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records} == {"access lines are lost: [Errno 32] Broken pipe"}


class Shouting(io.TextIOWrapper):
    def write(self, text: str) -> int:
        return super().write(text.upper())


@pytest.mark.parametrize(
    ("open_stream", "expected"),
    [
        (lambda path: Shouting(path.open("wb"), encoding="utf-8"), b"A LINE\n"),
        (lambda path: path.open("w", encoding="utf-16-le"), "a line\n".encode("utf-16-le")),
        (lambda path: io.TextIOWrapper(gzip.GzipFile(path, "wb"), encoding="utf-8"), b"a line\n"),  # type: ignore[arg-type]
    ],
    ids=["a class of its own", "an encoding of two octets", "compressed"],
)
def test_a_stream_that_does_more_than_encode_does_so(
    tmp_path: Path, writes: list[bytes], open_stream: Callable[[Path], TextIO], expected: bytes
) -> None:
    with open_stream(tmp_path / "log") as stream:
        emit(stream, "a line")
    content = (tmp_path / "log").read_bytes()
    assert (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content) == expected
    assert writes == []


# Two real processes

LINES = 3000

STAMP = "2026-11-20 12:00:00"

WRITER = f"""
import logging, sys, time
from miniasgi.observe import logs
from miniasgi.observe.access import AccessLog

time.strftime = lambda form: "{STAMP}"
logs.configure("info")
print("ready", file=sys.stderr, flush=True)
sys.stdin.read(1)  # both begin at once
log = AccessLog(logging.getLogger("miniasgi.access"))
who = sys.argv[1]
for number in range({LINES}):
    # From 60 octets to 750, and now and then one that is, with its end, as long as a pipe takes it.
    length = {PIPE_BUF - 1} if number % 100 == 99 else 60 + number * number % 691
    around = len("{STAMP} -:0  200 0 0.0ms")
    request = f"{{who}} {{number}} {{length}} ".ljust(length - around, who)
    log.add(None, request, 200, 0, 0.0)
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


def start(who: str, stdout: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, who]
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
