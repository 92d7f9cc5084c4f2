"""Log files that have been moved are opened again: every handler's, without a record lost or in two places."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterator
from logging.handlers import MemoryHandler, RotatingFileHandler, TimedRotatingFileHandler, WatchedFileHandler
from pathlib import Path

import pytest

from miniasgi.observe.reopening import reopen_files

logger = logging.getLogger("tests.reopen")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Loggers without handlers, afterwards too."""
    names = ("tests", "tests.reopen", "tests.reopen.below", "miniasgi.server")
    loggers = [logging.getLogger(), *map(logging.getLogger, names)]
    before = [(each.handlers, each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.handlers = []  # pytest has some, files among them
    logger.setLevel(logging.INFO)
    yield
    for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
        for handler in each.handlers:
            handler.close()
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


@pytest.fixture
def errors() -> io.StringIO:
    """What the server says."""
    stream = io.StringIO()
    logging.getLogger("miniasgi.server").addHandler(logging.StreamHandler(stream))
    return stream


def rotate(path: Path) -> Path:
    return path.rename(path.with_suffix(".old"))


@pytest.mark.parametrize(
    "make",
    [
        logging.FileHandler,
        lambda path: logging.FileHandler(path, "w"),
        lambda path: logging.FileHandler(path, "x"),
        WatchedFileHandler,
        lambda path: WatchedFileHandler(path, "w"),
        lambda path: RotatingFileHandler(path, maxBytes=1000, backupCount=1),
        lambda path: TimedRotatingFileHandler(path, "D"),
    ],
    ids=["appended", "written", "created", "watched", "watched, written", "by size", "by time"],
)
def test_what_is_before_is_in_the_old_file_and_what_is_after_in_the_new_one(
    tmp_path: Path, make: Callable[[Path], logging.FileHandler]
) -> None:
    path = tmp_path / "log"
    handler = make(path)
    logger.addHandler(handler)
    logger.info("one")
    old_stream, mode = handler.stream, handler.mode
    old = rotate(path)
    assert reopen_files() == [str(path)]
    assert (old_stream.closed, handler.mode) == (True, mode)
    logger.info("two")
    assert (old.read_text(), path.read_text()) == ("one\n", "two\n")


@pytest.mark.parametrize("mode", ["a", "w", "x"])
def test_a_file_that_has_not_been_moved_is_continued(tmp_path: Path, mode: str, errors: io.StringIO) -> None:
    path = tmp_path / "log"
    logger.addHandler(logging.FileHandler(path, mode))
    logger.info("one")
    assert reopen_files() == [str(path)]
    logger.info("two")
    assert (path.read_text(), errors.getvalue()) == ("one\ntwo\n", "")


def test_a_watched_file_is_not_opened_a_second_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = WatchedFileHandler(path)
    logger.addHandler(handler)
    rotate(path)
    reopen_files()
    new = handler.stream
    logger.info("two")
    assert handler.stream is new


def test_handlers_of_all_loggers_are_reached_and_each_once(tmp_path: Path) -> None:
    below = logging.getLogger("tests.reopen.below")
    paths = [tmp_path / name for name in ("root", "one", "both", "below")]
    opened: list[str] = []

    class Counting(logging.FileHandler):
        def _open(self) -> io.TextIOWrapper:
            opened.append(self.baseFilename)
            return super()._open()

    root, one, both, last = [Counting(path) for path in paths]
    logging.getLogger().addHandler(root)
    for each, handlers in ((logger, (one, both)), (below, (both, last))):
        for handler in handlers:
            each.addHandler(handler)
    logger.addHandler(logging.FileHandler(paths[1]))  # two handlers for one file
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    opened.clear()
    assert sorted(reopen_files()) == sorted(opened) == sorted(map(str, paths))


def test_what_a_memory_handler_hands_its_records_to_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "log"
    memory = MemoryHandler(100, target=MemoryHandler(1, target=logging.FileHandler(path)))
    logger.addHandler(memory)
    logger.addHandler(MemoryHandler(100))  # has no target
    logger.info("one")
    memory.flush()
    old = rotate(path)
    assert reopen_files() == [str(path)]
    logger.info("two")
    memory.flush()
    assert (old.read_text(), path.read_text()) == ("one\n", "two\n")
    assert isinstance(memory.target, MemoryHandler)
    assert memory.target.target is not None
    memory.target.target.close()


def test_what_is_not_open_is_left_closed(tmp_path: Path) -> None:
    delayed = logging.FileHandler(tmp_path / "delayed", delay=True)
    closed = logging.FileHandler(tmp_path / "closed")
    closed.close()
    logger.addHandler(delayed)
    logger.addHandler(closed)
    assert reopen_files() == []
    assert not (tmp_path / "delayed").exists()


@pytest.mark.parametrize("make", [logging.FileHandler, lambda path: logging.FileHandler(path, "w")])
def test_what_cannot_be_opened_is_told_and_the_old_file_goes_on(
    tmp_path: Path, errors: io.StringIO, make: Callable[[Path], logging.FileHandler]
) -> None:
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "log"
    handler, other = make(path), logging.FileHandler(tmp_path / "other")
    mode = handler.mode
    logger.addHandler(handler)
    logger.addHandler(other)
    (tmp_path / "there").rename(tmp_path / "gone")
    assert reopen_files() == [str(tmp_path / "other")]
    assert handler.mode == mode
    logger.info("two")
    assert (tmp_path / "gone" / "log").read_text() == "two\n"
    assert errors.getvalue() == (
        f"{path} is not reopened, its lines go on to the old file: [Errno 2] No such file or directory: '{path}'\n"
    )


def test_an_old_file_that_cannot_be_closed_well_is_told_and_the_new_one_is_used(
    tmp_path: Path, errors: io.StringIO
) -> None:
    class Full(io.TextIOWrapper):
        def close(self) -> None:
            super().close()
            raise OSError(28, "No space left on device")

    path = tmp_path / "log"
    handler = logging.FileHandler(path)
    handler.stream.close()
    handler.stream = Full(io.BytesIO())
    logger.addHandler(handler)
    assert reopen_files() == [str(path)]
    logger.info("two")
    assert path.read_text() == "two\n"
    assert errors.getvalue() == (
        f"{path} is reopened, but the last lines in the old file may be lost: [Errno 28] No space left on device\n"
    )


def test_a_file_is_opened_while_nobody_else_can_write(tmp_path: Path) -> None:
    free: list[bool] = []

    class Asking(logging.FileHandler):
        def _open(self) -> io.TextIOWrapper:
            thread = threading.Thread(target=ask, args=(self,))
            thread.start()
            thread.join()
            return super()._open()

    def ask(handler: logging.Handler) -> None:
        assert handler.lock is not None
        free.append(handler.lock.acquire(blocking=False))
        if free[-1]:
            handler.lock.release()

    handler = Asking(tmp_path / "log", delay=True)
    handler.stream = io.TextIOWrapper(io.BytesIO())
    logger.addHandler(handler)
    assert reopen_files() == [str(tmp_path / "log")]
    assert free == [False]


def test_the_error_is_told_without_the_lock(tmp_path: Path) -> None:
    held: list[bool] = []
    handler = logging.FileHandler(tmp_path / "log")

    class Asking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()

    def ask() -> None:
        assert handler.lock is not None
        held.append(not handler.lock.acquire(blocking=False))
        if not held[-1]:
            handler.lock.release()

    def fail() -> io.TextIOWrapper:
        raise ValueError("not an error of the system")

    handler._open = fail  # type: ignore[method-assign]
    logger.addHandler(handler)
    logging.getLogger("miniasgi.server").addHandler(Asking())
    assert reopen_files() == []
    assert held == [False]


def test_no_record_of_threads_that_write_meanwhile_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logger.addHandler(logging.FileHandler(path))
    logger.propagate = False
    written, enough = threading.Event(), threading.Event()
    totals: dict[str, int] = {}

    def write(who: str) -> None:
        number = 0
        while not enough.is_set():
            logger.info("%s %d", who, number)
            number += 1
            written.set()
        totals[who] = number

    threads = [threading.Thread(target=write, args=(who,)) for who in "AB"]
    for thread in threads:
        thread.start()
    olds = []
    try:
        for number in range(30):
            written.clear()
            assert written.wait(10)
            olds.append(path.rename(tmp_path / f"old-{number}"))
            assert reopen_files() == [str(path)]
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    lines = [line for file in [*olds, path] for line in file.read_text().splitlines()]
    for who in "AB":
        assert [line for line in lines if line[0] == who] == [f"{who} {number}" for number in range(totals[who])]
    assert len(lines) == sum(totals.values())
