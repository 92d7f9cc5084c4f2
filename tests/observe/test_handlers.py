"""Lines of several processes in one place arrive whole: how a batch is cut, what is written at once, and files."""

from __future__ import annotations

import gzip
import io
import itertools
import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from miniasgi.observe import handlers
from miniasgi.observe.handlers import BatchHandler

PIPE_BUF = select.PIPE_BUF


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
    monkeypatch.setattr(handlers.os, "write", lambda descriptor, octets: write(descriptor, octets[:7]))
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

    monkeypatch.setattr(handlers.os, "write", notice)
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
