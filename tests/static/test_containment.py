"""Who renames, exchanges and encodes while files are opened: nothing outside the root is ever read."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi.static import paths
from miniasgi.static.paths import Root, split_path

from ..support import descriptors
from .trees import INSIDE, OUTSIDE, failure, read

pytestmark = [
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc"),
    pytest.mark.usefixtures("collected"),
]


class Kernel:
    """An openat2 that fails with these errors first; *before* happens ahead of each call."""

    works = True

    def __init__(self, *errors: int, before: Callable[[], None] = lambda: None) -> None:
        self._errors = list(errors)
        self._before = before
        self.calls = 0

    def __call__(self, directory: int, path: bytes, flags: int) -> int:
        self.calls += 1
        self._before()
        if self._errors:
            number = self._errors.pop(0)
            raise OSError(number, os.strerror(number))
        return os.open(path, flags, dir_fd=directory)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EINTR])
def test_the_kernel_is_asked_again_and_then_the_path_is_checked(
    tree: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    root = Root(tree)
    kernel = Kernel(number, number, number)
    monkeypatch.setattr(paths, "_openat2", kernel)
    assert (read(root, "page.html"), kernel.calls) == (b"page", 4)
    kernel = Kernel(*[number] * 5)
    monkeypatch.setattr(paths, "_openat2", kernel)
    assert (read(root, "page.html"), kernel.calls) == (b"page", 4)
    kernel = Kernel(*[number] * 5)
    monkeypatch.setattr(paths, "_openat2", kernel)
    assert (failure(root, "out"), kernel.calls) == ("EXDEV", 4)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EMFILE, errno.EACCES, errno.ELOOP])
def test_other_errors_of_the_kernel_are_final(tree: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    root = Root(tree)
    kernel = Kernel(number)
    monkeypatch.setattr(paths, "_openat2", kernel)
    assert (failure(root, "page.html"), kernel.calls) == (errno.errorcode[number], 1)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG, errno.EOPNOTSUPP])
def test_a_kernel_without_openat2_is_asked_once(tree: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    calls = []

    def refuse(*arguments: Any) -> int:
        calls.append(arguments)
        ctypes.set_errno(number)
        return -1

    kernel = paths._OpenAt2()
    kernel.works = True
    kernel._call = refuse
    monkeypatch.setattr(paths, "_openat2", kernel)
    root = Root(tree)
    assert read(root, "page.html") == b"page"
    assert not kernel.works
    assert read(root, "absolute") == b"page"
    assert failure(root, "out") == "EXDEV"
    assert len(calls) == 1


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], None]]]:
    """What is put into it happens after a path has been opened, and before it is seen where that has led.

    The kernel's own way lets nothing come between.
    """
    happens: list[Callable[[], None]] = []
    real_open = os.open

    def open_and_wait(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = real_open(path, flags, mode, dir_fd=dir_fd)
        if dir_fd is not None:
            while happens:
                happens.pop()()
        return descriptor

    monkeypatch.setattr(paths._openat2, "works", False)
    monkeypatch.setattr(os, "open", open_and_wait)
    yield happens
    assert not happens


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_what_was_opened_inside_stays_that_when_a_link_takes_its_place(
    tree: Path, interrupted: list[Callable[[], None]]
) -> None:
    (tree / "sub" / "secret").write_bytes(b"harmless")
    interrupted.append(lambda: swap(tree / "sub", tree / "out-directory"))
    # The file has kept its content, and has another name beneath the root now.
    assert read(Root(tree), "sub/secret") == b"harmless"


def test_what_was_opened_outside_is_refused_when_a_harmless_file_takes_its_place(
    tree: Path, interrupted: list[Callable[[], None]]
) -> None:
    (tree / "sub" / "secret").write_bytes(b"harmless")
    interrupted.append(lambda: swap(tree / "sub", tree / "out-directory"))
    assert failure(Root(tree), "out-directory/secret") == "EXDEV"


def test_what_is_removed_while_it_is_opened_is_not_there(tree: Path, interrupted: list[Callable[[], None]]) -> None:
    interrupted.append((tree / "page.html").unlink)
    # What a removed file is called by the kernel is a name that a file may have.
    (tree / "page.html (deleted)").write_bytes(b"another")
    assert failure(Root(tree), "page.html") == "ENOENT"


def test_a_file_is_opened_in_the_directory_there_was_when_the_root_is_renewed_meanwhile(
    way: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root(tree)
    another = tree.parent / "another"
    another.mkdir()
    (another / "page.html").write_bytes(b"renewed")
    happens = [lambda: swap(tree, another)]

    def exchange() -> None:
        if happens:
            happens.pop()()
            root.renew()

    if way == "openat2":
        monkeypatch.setattr(paths, "_openat2", Kernel(before=exchange))
    else:
        real_open = os.open

        def open_late(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if dir_fd is not None:
                exchange()
            return real_open(path, flags, mode, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", open_late)
    before = descriptors()
    assert read(root, "page.html") == b"page"
    assert read(root, "page.html") == b"renewed"
    assert descriptors() == before


def test_without_proc_the_path_is_found_out_otherwise(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_readlink = os.readlink

    def readlink(path: Any) -> Any:
        if os.fsencode(path).startswith(b"/proc/self/fd/"):
            raise FileNotFoundError(errno.ENOENT, "no /proc")
        return real_readlink(path)

    monkeypatch.setattr(paths._openat2, "works", False)
    monkeypatch.setattr(os, "readlink", readlink)
    root = Root(tree)
    assert {path: read(root, path) for path in INSIDE} == INSIDE
    for path in OUTSIDE:
        assert failure(root, path) == "EXDEV"


def test_no_exchange_of_a_directory_for_a_link_lets_the_outside_be_read(way: str, tree: Path) -> None:
    (tree / "sub" / "secret").write_bytes(b"harmless")
    root = Root(tree)
    before = descriptors()
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            swap(tree / "sub", tree / "out-directory")

    thread = threading.Thread(target=exchange)
    thread.start()
    found = set()
    try:
        for _ in range(3000):
            for name in ("sub", "out-directory"):
                try:
                    found.add(read(root, f"{name}/secret"))
                except OSError as error:
                    found.add(errno.errorcode[error.errno or 0].encode())
    finally:
        stop.set()
        thread.join()
    assert found <= {b"harmless", b"ENOENT", b"EXDEV"}
    assert descriptors() == before


def hostile_paths(tree: Path, seed: int, count: int) -> Iterator[bytes]:
    """Raw paths of names that there are, and of everything that has ever led out of a root."""
    chosen = random.Random(seed)
    names = [os.fsencode(name) for name in sorted(os.listdir(tree)) if name != "fifo"]
    names += [b"file.txt", b"up", b"out-far", b"secret", b"root", b"outside", b"etc", b"passwd"]
    tricks = [b"", b"..", b"%2e", b"%2e%2e", b"%252e%252e", b".%2e", b"..%2f", b"%2f", b"%252f", b"..\\", b"..%5c"]
    tricks += [b".", b"\0", b"%00", b"..%00", b"\xc0\xae\xc0\xae", b"%c0%ae%c0%ae", b"%e0%80%ae", b"..%c0%af"]
    tricks += [b"%", b"%u002e", b"....", b". .", b"..%20", b"%ff", b"~", b"//", b"..;", b"C:", b"?", b"*", b"n" * 300]
    outside = os.fsencode(tree.parent / "outside" / "secret")
    tricks += [outside, outside.replace(b"/", b"%2f"), b"/etc/passwd", b"../" * 9 + b"etc/passwd"]
    between = (b"/", b"/", b"/", b"//", b"")
    for _ in range(count):
        fragments = [chosen.choice(names if chosen.random() < 0.7 else tricks) for _ in range(chosen.randrange(1, 6))]
        yield chosen.choice(between) + chosen.choice(between).join(fragments)


def test_no_path_leads_out_of_the_root(way: str, tree: Path) -> None:
    root = Root(tree)
    inside = os.path.realpath(tree)
    before = descriptors()
    contents = set()
    for raw_path in hostile_paths(tree, 4, 20_000):
        segments = split_path(raw_path)
        if segments is None:
            continue
        try:
            descriptor = root.open(segments)
        except OSError:
            continue
        try:
            found = os.path.realpath(f"/proc/self/fd/{descriptor}")
            assert found == inside or found.startswith(inside + "/"), raw_path
            if found not in (inside, inside + "/sub"):
                contents.add(os.read(descriptor, 100))
        finally:
            os.close(descriptor)
    assert contents == {b"page", b"file"}
    assert descriptors() == before
