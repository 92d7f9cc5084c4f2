"""What is read at once, what is refused, and where nobody can tell."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi import page_cache
from miniasgi.page_cache import is_cold, read_any, read_cached
from tests.support import Kernel

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(CONTENT)
    number = os.open(tmp_path / "file", os.O_RDONLY)
    yield number
    os.close(number)


@pytest.fixture(params=["asks", "cannot ask"])
def asks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system with RWF_NOWAIT, and on one without."""
    if request.param == "cannot ask":
        monkeypatch.setattr(page_cache, "_NOWAIT", 0)


def fail_with(monkeypatch: pytest.MonkeyPatch, number: int) -> list[tuple[Any, ...]]:
    """Let preadv() fail; its arguments, the buffers by their lengths."""
    calls: list[tuple[Any, ...]] = []

    def preadv(descriptor: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        calls.append((descriptor, [len(buffer) for buffer in buffers], offset, flags))
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "preadv", preadv, raising=False)
    return calls


@pytest.mark.usefixtures("asks")
@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, len(CONTENT)), (0, 1), (100, 1000), (len(CONTENT) - 1, 1), (0, 0), (len(CONTENT) - 5, 100), (99_999, 10)],
)
def test_a_file_that_was_just_written_is_read_at_once(descriptor: int, offset: int, count: int) -> None:
    for read in (read_cached, read_any):
        assert read(descriptor, offset, count) == CONTENT[offset : offset + count]
    # Nothing moves on, so that many may read.
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0


def test_what_would_have_to_be_waited_for_is_refused(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "_NOWAIT", 8)
    calls = fail_with(monkeypatch, errno.EAGAIN)
    with pytest.raises(BlockingIOError):
        read_cached(descriptor, 100, 1000)
    assert calls == [(descriptor, [1], 100, 8)]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_file_system_that_cannot_tell_is_waited_for(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(page_cache, "_NOWAIT", 8)
    calls = fail_with(monkeypatch, number)
    assert read_cached(descriptor, 100, 1000) == CONTENT[100:1100]
    assert len(calls) == 1


def test_a_system_that_cannot_tell_is_not_asked(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "_NOWAIT", 0)
    calls = fail_with(monkeypatch, errno.EAGAIN)
    assert read_cached(descriptor, 0, 10) == CONTENT[:10]
    assert calls == []


def test_for_no_octets_nothing_is_asked(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "_NOWAIT", 8)
    calls = fail_with(monkeypatch, errno.EAGAIN)
    assert read_cached(descriptor, 0, 0) == b""
    assert calls == []


def test_who_may_wait_does_not_ask(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fail_with(monkeypatch, errno.EAGAIN)
    assert read_any(descriptor, 100, 1000) == CONTENT[100:1100]
    assert calls == []


@pytest.mark.usefixtures("asks")
def test_errors_of_reading_are_those_of_the_system() -> None:
    for read in (read_cached, read_any):
        with pytest.raises(OSError) as raised:
            read(-1, 0, 10)
        assert raised.value.errno == errno.EBADF


# What is in memory

COLD = BlockingIOError(errno.EAGAIN, "try again")


def test_a_part_is_warm_if_its_first_and_its_last_octet_are(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, 1, 1)
    assert not is_cold(5, 1000, 100)
    assert kernel.calls == [(1000, 1, 8), (1099, 1, 8)]


@pytest.mark.parametrize("answers", [(COLD,), (1, COLD)], ids=["first", "last"])
def test_a_part_is_cold_if_its_first_or_its_last_octet_is(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[int | OSError, ...]
) -> None:
    Kernel(monkeypatch, *answers)
    assert is_cold(5, 0, 100)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ESPIPE, errno.EBADF, errno.EINVAL])
def test_nothing_is_cold_where_it_cannot_be_told(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    Kernel(monkeypatch, OSError(number, os.strerror(number)))
    assert not is_cold(5, 0, 100)


def test_nothing_is_asked_of_a_platform_that_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    monkeypatch.setattr(page_cache, "_NOWAIT", 0)
    assert not is_cold(5, 0, 100)
    assert kernel.calls == []


def test_what_is_behind_the_end_is_not_cold(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"0123456789")
    with path.open("rb") as opened:
        assert not is_cold(opened.fileno(), 0, 1000)
        assert not is_cold(opened.fileno(), 5000, 1000)
