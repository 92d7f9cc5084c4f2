"""What can be opened beneath a directory, what cannot, and that nothing stays open: whichever way the kernel offers."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from miniasgi.static import paths
from miniasgi.static.paths import Root

from ..support import descriptors
from .trees import INSIDE, OUTSIDE, error_of, failure, read, segments

pytestmark = [
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc"),
    pytest.mark.usefixtures("collected"),
]


def test_files_and_what_links_lead_to_inside_are_opened(way: str, tree: Path) -> None:
    root = Root(tree)
    before = descriptors()
    assert {path: read(root, path) for path in INSIDE} == INSIDE
    assert descriptors() == before


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_is_outside_is_not_opened(way: str, tree: Path, path: str) -> None:
    root = Root(tree)
    assert failure(root, path) == "EXDEV"
    assert root.status(segments(path)) is None


def test_an_absolute_path_is_not_opened(way: str, tree: Path) -> None:
    # No request has such segments: the first of several is never empty.
    assert failure(Root(tree), str(tree.parent / "outside" / "secret")) == "EXDEV"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("nothing", "ENOENT"),
        ("nothing/at/all", "ENOENT"),
        ("dangling", "ENOENT"),
        ("circle", "ELOOP"),
        ("ping", "ELOOP"),
        ("circle/file.txt", "ELOOP"),
        ("page.html/file.txt", "ENOTDIR"),
        ("page.html/", "ENOTDIR"),
        ("to-file/", "ENOTDIR"),
        ("n" * 256, "ENAMETOOLONG"),
        ("sub/" + "n" * 256 + "/file.txt", "ENAMETOOLONG"),
        ("sub/" * 1100 + "file.txt", "ENAMETOOLONG"),
    ],
)
def test_what_cannot_be_opened_is_an_error(way: str, tree: Path, path: str, error: str) -> None:
    root = Root(tree)
    assert failure(root, path) == error
    assert root.status(segments(path)) is None


def test_links_that_lead_out_to_nothing_are_not_opened(way: str, tree: Path) -> None:
    assert failure(Root(tree), "dangling-out") in ("EXDEV", "ENOENT")


def test_links_of_proc_are_not_a_way_out(way: str, tree: Path) -> None:
    assert failure(Root(tree), "magic") == "EXDEV"
    assert failure(Root(tree), "magic/pyproject.toml") in ("EXDEV", "ENOENT")


def test_links_of_proc_are_not_a_way_out_of_proc_either(way: str) -> None:
    assert failure(Root("/proc/self"), "root/etc/passwd") in ("ELOOP", "EXDEV")


def test_a_fifo_without_a_writer_does_not_block(way: str, tree: Path) -> None:
    root = Root(tree)
    descriptor = root.open([b"fifo"])
    assert stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    os.close(descriptor)


def test_a_socket_is_not_opened(way: str, tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        # Its address may be 108 octets long, the path of the tree more.
        directory = os.open(tree, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{directory}/socket")
        os.close(directory)
        assert failure(Root(tree), "socket") == "ENXIO"


def test_a_directory_is_opened(way: str, tree: Path) -> None:
    root = Root(tree)
    for path, names in {"sub": ["file.txt", "out-far", "up"], "to-directory/": ["file.txt", "out-far", "up"]}.items():
        descriptor = root.open(segments(path))
        assert sorted(os.listdir(descriptor)) == names
        os.close(descriptor)
    descriptor = root.open([])
    assert os.path.samestat(os.fstat(descriptor), os.stat(tree))
    os.close(descriptor)


def test_the_status_is_that_of_what_links_lead_to(way: str, tree: Path) -> None:
    root = Root(tree)
    before = descriptors()
    for path in (*INSIDE, "fifo", "sub", "to-directory"):
        status = root.status(segments(path))
        assert status is not None
        assert os.path.samestat(status, os.stat(tree / path))
    assert descriptors() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_opened_but_has_a_status(way: str, tree: Path) -> None:
    (tree / "page.html").chmod(0)
    root = Root(tree)
    assert failure(root, "page.html") == "EACCES"
    assert root.status([b"page.html"]) is not None


def test_descriptors_are_not_inherited(way: str, tree: Path) -> None:
    root = Root(tree)
    for flags in (paths._READ, paths._NAME):
        descriptor = root.open([b"absolute"], flags)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_names_need_not_be_utf_8(way: str, tree: Path) -> None:
    (tree / os.fsdecode(b"\xff\n (deleted)")).write_bytes(b"odd")
    descriptor = Root(tree).open([b"\xff\n (deleted)"])
    assert os.read(descriptor, 9) == b"odd"
    os.close(descriptor)


def test_the_whole_file_system_may_be_a_root(way: str, tree: Path) -> None:
    assert read(Root("/"), str(tree / "page.html").lstrip("/")) == b"page"


def test_links_may_lead_out_if_that_is_wanted(way: str, tree: Path) -> None:
    root = Root(tree, follow_symlinks=True)
    inside = {path: read(root, path) for path in INSIDE}
    assert inside == INSIDE
    for path in ("out", "out-absolute", "out-directory/secret", "sub/out-far", "prefix"):
        assert read(root, path) == b"SECRET"
    assert failure(root, "circle") == "ELOOP"


def test_the_directory_is_looked_up_again_when_the_root_is_renewed(way: str, tmp_path: Path) -> None:
    for number in "12":
        (tmp_path / number).mkdir()
        (tmp_path / number / "page.html").write_text(number)
    current, following = tmp_path / "current", tmp_path / "following"
    current.symlink_to("1")
    following.symlink_to(tmp_path / "2")
    before = descriptors()
    root = Root(current)
    assert read(root, "page.html") == b"1"
    following.rename(current)
    assert read(root, "page.html") == b"1"
    root.renew()
    assert read(root, "page.html") == b"2"
    root.renew()
    assert read(root, "page.html") == b"2"
    assert descriptors() == before + 1
    del root
    assert descriptors() == before


def test_a_directory_may_be_removed_and_come_back(way: str, tree: Path) -> None:
    root = Root(tree)
    before = descriptors()
    shutil.rmtree(tree)
    assert failure(root, "page.html") == "ENOENT"
    assert [error_of(root.renew) for _ in range(2)] == ["ENOENT", "ENOENT"]
    tree.write_bytes(b"a file")
    assert error_of(root.renew) == "ENOTDIR"
    tree.unlink()
    tree.mkdir()
    (tree / "page.html").write_bytes(b"again")
    root.renew()
    assert read(root, "page.html") == b"again"
    assert descriptors() == before


def test_a_root_is_a_directory(tree: Path) -> None:
    assert error_of(Root, tree / "nothing") == "ENOENT"
    assert error_of(Root, tree / "page.html") == "ENOTDIR"


def test_the_working_directory_may_change(way: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    root = Root("root")
    assert root.directory == str(tree)
    monkeypatch.chdir("/")
    root.renew()
    assert read(root, "absolute") == b"page"
