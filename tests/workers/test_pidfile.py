"""PidFile: what it writes, what it replaces, what it refuses, and what it leaves behind."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from miniasgi.errors import StartupError
from miniasgi.workers.system.pidfile import PidFile
from tests.support import descriptors

OWN = os.getpid()
OTHER = 4_000_000  # the kernel's greatest is 4194304; whether there is one, the fake says


class Processes:
    """Stands for the kernel: says of a process that it is there, that it is somebody else's, or that it is gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[int, Exception] = {}
        self.asked: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "kill", self.kill)

    def kill(self, process: int, number: int) -> None:
        self.asked.append((process, number))
        if process in self.answers:
            raise self.answers[process]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    return Processes(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.pid"


def refusal(path: Path) -> str:
    """What is said when there can be no file at *path*; and then nothing has changed."""
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    with pytest.raises(StartupError) as caught, PidFile(path):
        pass
    assert (sorted(path.parent.iterdir()) if path.parent.is_dir() else []) == before
    assert "\n" not in str(caught.value)
    start, _, reason = str(caught.value).partition(": ")
    assert start == f"--pid {path}"
    return reason


# Writing and removing


def test_the_file_holds_the_number_for_as_long_as_the_context(path: Path) -> None:
    with PidFile(path):
        assert path.read_bytes() == b"%d\n" % OWN
        assert os.listdir(path.parent) == ["app.pid"]
    assert os.listdir(path.parent) == []


def test_everybody_may_read_the_file_but_only_its_owner_write_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with PidFile(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_the_file_is_removed_when_the_context_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), PidFile(path):
        raise ZeroDivisionError
    assert not path.exists()


def test_a_relative_path_is_the_same_after_the_directory_has_changed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    with PidFile("app.pid"):
        monkeypatch.chdir(tmp_path / "below")
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [b"1\n", b"", b"no number", b"%d and more\n" % OWN, b"x" * 1000],
    ids=["1", "empty", "words", "more", "long"],
)
def test_a_file_that_somebody_else_has_written_since_is_left(path: Path, content: bytes) -> None:
    with PidFile(path):
        path.write_bytes(content)
    assert path.read_bytes() == content


def test_a_link_that_somebody_else_has_put_there_since_is_left(path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"%d\n" % OWN)
    with PidFile(path):
        path.unlink()
        path.symlink_to("copy")
    assert path.is_symlink()


def test_a_file_that_has_gone_is_not_missed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with PidFile(path):
        path.unlink()
    assert caplog.records == []


def test_a_forked_process_leaves_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PidFile(path):
        monkeypatch.setattr(os, "getpid", lambda: OTHER)
    assert path.read_bytes() == b"%d\n" % OWN


def test_a_file_that_cannot_be_removed_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unlink(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with PidFile(path):
        monkeypatch.setattr(Path, "unlink", unlink)
    assert caplog.messages == [f"{path} cannot be removed: Permission denied"]


# What is there before


@pytest.mark.parametrize("content", [b"%d\n", b"%d", b" %d \r\n"])
def test_a_file_of_a_process_that_is_alive_is_refused(path: Path, processes: Processes, content: bytes) -> None:
    path.write_bytes(content % OTHER)
    assert refusal(path) == (
        f"process {OTHER}, which it names, is alive; stop that one, or remove the file if that one is another program"
    )
    assert processes.asked == [(OTHER, 0)]
    assert path.read_bytes() == content % OTHER


def test_somebody_else_s_process_is_alive(path: Path, processes: Processes) -> None:
    processes.answers[OTHER] = PermissionError()
    path.write_text(f"{OTHER}\n")
    assert f"process {OTHER}" in refusal(path)


@pytest.mark.parametrize("gone", [ProcessLookupError(), OverflowError()])
def test_a_file_of_a_process_that_has_gone_is_replaced_and_that_is_logged(
    path: Path, processes: Processes, caplog: pytest.LogCaptureFixture, gone: Exception
) -> None:
    processes.answers[OTHER] = gone
    path.write_text(f"{OTHER}\n")
    with PidFile(path):
        assert path.read_bytes() == b"%d\n" % OWN
    assert caplog.record_tuples == [
        ("miniasgi.server", logging.WARNING, f"{path} names process {OTHER}, which has gone; it is replaced")
    ]


def test_a_number_that_no_process_can_have_is_asked_of_the_kernel_without_harm(path: Path) -> None:
    path.write_text("9999999999\n")
    with PidFile(path):
        assert path.read_bytes() == b"%d\n" % OWN


# 0 and negative numbers are groups of processes, which kill() would take for alive.
@pytest.mark.parametrize("content", [b"", b"\n", b"0\n", b"-1\n", b"abc\n", b"12 13\n", b"\xff\xfe", "١٢".encode()])
def test_a_file_without_a_number_is_replaced_and_that_is_logged(
    path: Path, processes: Processes, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path.write_bytes(content)
    with PidFile(path):
        assert path.read_bytes() == b"%d\n" % OWN
    assert caplog.messages == [f"{path} does not hold a process's number; it is replaced"]
    assert processes.asked == []


def test_a_file_with_this_process_s_own_number_is_from_before_a_restart(
    path: Path, processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"{OWN}\n")
    with PidFile(path):
        assert path.read_bytes() == b"%d\n" % OWN
    assert not path.exists()
    assert caplog.records == []


def test_a_file_of_another_kind_is_not_replaced(path: Path) -> None:
    path.write_text("from starlette.applications import Starlette\n\napp = Starlette()\n")
    assert refusal(path) == "found more than a process's number in it, expected that or nothing"


@pytest.mark.parametrize("target", ["elsewhere", "missing", "app.pid"])
def test_a_link_is_neither_followed_nor_replaced(path: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").write_text("")
    path.symlink_to(target)
    assert refusal(path) == "found a symbolic link, expected a file, or nothing"
    assert os.readlink(path) == target


def test_what_is_no_regular_file_is_refused_at_once(path: Path) -> None:
    expected = "found no regular file, expected one, or nothing"
    path.mkdir()
    assert refusal(path) == expected
    path.rmdir()
    os.mkfifo(path)
    assert refusal(path) == expected
    assert refusal(Path("/dev/null")) == expected


def test_the_file_is_never_seen_half_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("")
    seen: list[tuple[bytes, bytes]] = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append((self.read_bytes(), Path(target).read_bytes()))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    with PidFile(path):
        pass
    assert seen == [(b"%d\n" % OWN, b"")]


# What cannot be written


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing" / "app.pid") == "cannot be written: No such file or directory"


def test_a_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file" / "app.pid") == "cannot be read: Not a directory"


def test_a_failed_renaming_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(self: Path, target: Path) -> Path:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", rename)
    assert refusal(path) == "cannot be written: Operation not permitted"


def test_a_file_that_cannot_be_read_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    path.write_text("")
    monkeypatch.setattr(os, "open", denied)
    assert refusal(path) == "cannot be read: Permission denied"


def test_no_descriptor_stays_open(path: Path) -> None:
    before = descriptors()
    with PidFile(path):
        assert descriptors() == before
    assert descriptors() == before
    path.mkdir()
    refusal(path)
    assert descriptors() == before
