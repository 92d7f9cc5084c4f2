"""What a folder has for a path: its files, index, pages, other codings and names, as the settings show them."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

import pytest

from miniasgi.static.answer import OpenFile
from miniasgi.static.folder import NOTHING, Folder, Found, close_all
from miniasgi.static.paths import Root
from miniasgi.static.settings import Options, Settings

from ..support import descriptors
from .trees import INSIDE, OUTSIDE, error_of, segments

pytestmark = [
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc"),
    pytest.mark.usefixtures("collected"),
]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def make(directory: Path, **options: Unpack[Options]) -> Folder:
    return Folder(directory, Settings(options), Clock())


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() <= before


def content(file: OpenFile | None) -> bytes:
    """All of *file*, which is closed."""
    assert file is not None
    try:
        return os.pread(file.fileno(), 100, 0)
    finally:
        file.close()


def found(result: Found | None) -> tuple[str, bytes] | None:
    return None if result is None else (b"/".join(result.segments).decode(), content(result.file))


def write(directory: Path, *names: str) -> None:
    """Files that contain their names."""
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def test_regular_files_inside_are_opened_with_the_status_that_they_have(way: str, tree: Path) -> None:
    folder = make(tree)
    for path, octets in INSIDE.items():
        file = folder.open(segments(path))
        assert file is not None
        assert os.path.samestat(file.status, os.stat(tree / path))
        assert content(file) == octets
        assert folder.has(segments(path))


def test_a_directory_is_no_file_and_no_error(way: str, tree: Path) -> None:
    folder = make(tree)
    for path in ("sub", "to-directory", "absolute-directory"):
        assert folder.open(segments(path)) is None
        assert not folder.has(segments(path))
    assert folder.open([]) is None


def test_what_is_neither_is_an_error(way: str, tree: Path) -> None:
    folder = make(tree)
    directory = os.open(tree, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        # Its address may be 108 octets long, the path of the tree more.
        server.bind(f"/proc/self/fd/{directory}/socket")
    os.close(directory)
    for name in (b"fifo", b"socket"):
        assert error_of(folder.open, [name]) == "ENXIO"
        assert not folder.has([name])


def test_a_device_is_an_error(way: str) -> None:
    assert error_of(make(Path("/dev")).open, [b"null"]) == "ENXIO"


@pytest.mark.parametrize("path", [*OUTSIDE, "nothing", "dangling", "circle", "page.html/x", "page.html/", "n" * 256])
def test_what_cannot_be_reached_is_nothing(way: str, tree: Path, path: str) -> None:
    folder = make(tree)
    assert not folder.has(segments(path))
    assert getattr(errno, error_of(folder.open, segments(path))) in NOTHING


@pytest.mark.parametrize("number", [errno.EILSEQ, errno.EINVAL])
def test_names_that_a_file_system_does_not_take_are_nothing(
    tree: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(Root, "open", lambda *_: fail(number))
    assert not make(tree).has([b"\xff"])


def fail(number: int) -> int:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_other_errors_are_told(tree: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    folder = make(tree, clean_urls=True)
    monkeypatch.setattr(Root, "open", lambda *_: fail(number))
    name = errno.errorcode[number]
    assert number not in NOTHING
    assert error_of(folder.has, [b"page.html"]) == name
    assert error_of(folder.index, []) == name
    assert error_of(folder.page, [b"page"]) == name
    assert error_of(folder.list, []) == name


def test_the_index_is_the_first_of_its_names_that_is_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a/index.html", "a/index.htm", "b/index.htm", "b/index.html/x", "c/x", "index.html")
    folder = make(tmp_path, index=("index.html", "index.htm"))
    assert found(folder.index([])) == ("index.html", b"index.html")
    assert found(folder.index([b"a"])) == ("a/index.html", b"a/index.html")
    assert found(folder.index([b"b"])) == ("b/index.htm", b"b/index.htm")
    assert folder.index([b"c"]) is None
    assert folder.index([b"nothing"]) is None
    assert make(tmp_path, index=()).index([]) is None


def test_the_index_may_have_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.html")
    (tmp_path / name).write_bytes(b"odd")
    index = make(tmp_path, index=(name,)).index([])
    assert index is not None
    assert (index.segments, content(index.file)) == ((b"\xff.html",), b"odd")


def test_an_index_that_is_hidden_or_leads_out_is_none(way: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"SECRET")
    root = tmp_path / "root"
    write(root, ".index", "hidden/index.html")
    (root / "index.html").symlink_to("../outside")
    assert make(root).index([]) is None
    assert make(root, index=(".index",)).index([]) is None
    assert found(make(root, index=(".index",), dotfiles=True).index([])) == (".index", b".index")
    assert make(root, hide=("/hidden",)).index([b"hidden"]) is None
    assert found(make(root, follow_symlinks=True).index([])) == ("index.html", b"SECRET")


def test_a_page_is_found_without_its_extension_if_that_is_wanted(tmp_path: Path) -> None:
    write(tmp_path, "about.html", "a/b.html", ".html", "a/.c.html", "x.html/y")
    folder = make(tmp_path, clean_urls=True)
    assert found(folder.page([b"about"])) == ("about.html", b"about.html")
    assert found(folder.page([b"a", b"b"])) == ("a/b.html", b"a/b.html")
    assert [folder.page(each) for each in ([], [b"nothing"], [b"about.html"], [b"a", b".c"], [b"x"])] == [None] * 5
    assert make(tmp_path).page([b"about"]) is None


def coded(folder: Folder, path: str) -> dict[str, bytes]:
    file = folder.open(segments(path))
    assert file is not None
    return {coding: content(each) for coding, each in folder.codings(Found(segments(path), file)).items()}


def test_codings_are_what_stands_beside_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a/x.js", "a/x.js.gz", "a/x.js.br", "a/x.js.zst", "a/y.js", "a/x.br")
    folder = make(tmp_path, precompressed=("gzip", "br"))
    assert coded(folder, "a/x.js") == {"identity": b"a/x.js", "br": b"a/x.js.br", "gzip": b"a/x.js.gz"}
    assert coded(folder, "a/y.js") == {"identity": b"a/y.js"}
    assert coded(folder, "a/x.js.gz") == {"identity": b"a/x.js.gz"}
    assert coded(make(tmp_path, precompressed=("zstd",)), "a/x.js") == {"identity": b"a/x.js", "zstd": b"a/x.js.zst"}
    assert coded(make(tmp_path), "a/x.js") == {"identity": b"a/x.js"}


def test_a_coding_that_is_older_than_the_file_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "x.js", "x.js.gz", "x.js.br")
    os.utime(tmp_path / "x.js", ns=(0, 10**18))
    os.utime(tmp_path / "x.js.gz", ns=(0, 10**18))
    os.utime(tmp_path / "x.js.br", ns=(0, 10**18 - 1))
    folder = make(tmp_path, precompressed=("gzip", "br"))
    assert coded(folder, "x.js") == {"identity": b"x.js", "gzip": b"x.js.gz"}


def test_a_coding_that_is_hidden_or_no_file_or_leads_out_is_left_out(way: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"SECRET")
    root = tmp_path / "root"
    write(root, "x.js", "x.js.zst", "x.js.gz/file")
    (root / "x.js.br").symlink_to("../outside")
    folder = make(root, precompressed=("br", "zstd", "gzip"), hide=("*.zst",))
    assert coded(folder, "x.js") == {"identity": b"x.js"}


def test_where_codings_cannot_be_looked_for_everything_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "x.js", "x.js.br", "x.js.gz")
    folder = make(tmp_path, precompressed=("br", "gzip"))
    before = descriptors()
    source = folder.open([b"x.js"])
    assert source is not None
    real_open = Root.open
    monkeypatch.setattr(
        Root, "open", lambda root, path: fail(errno.EMFILE) if path[-1][-3:] == b".gz" else real_open(root, path)
    )
    # The source is given back as well.
    with pytest.raises(OSError, match="Too many open files"):
        folder.codings(Found([b"x.js"], source))
    assert source.fileno() == -1
    assert descriptors() == before


def test_what_was_opened_in_several_codings_is_closed_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    folder = make(tmp_path)
    files = {name: file for name in "ab" if (file := folder.open([name.encode()]))}
    close_all(files)
    assert [file.fileno() for file in files.values()] == [-1, -1]


def test_a_directory_is_listed_if_that_is_wanted(way: str, tree: Path) -> None:
    folder = make(tree, listing=("html",))
    for path in ("sub", "to-directory", "absolute-directory"):
        assert folder.is_listed(segments(path))
        assert not make(tree).is_listed(segments(path))
    assert folder.is_listed([])
    for path in ("page.html", "fifo", "nothing", "out-directory", "parent", "top", "circle"):
        assert not folder.is_listed(segments(path))


def test_a_listing_holds_what_may_be_seen_and_stays_inside(way: str, tree: Path) -> None:
    write(tree, ".dot", "x.bak", "sub/.dot", "sub/deep/x")
    names = {"page.html": 4, "sub": 0, "to-file": 4, "to-directory": 0, "chain": 4, "absolute": 4}
    names |= {"absolute-directory": 0, "out-and-back": 4}
    folder = make(tree, listing=("html",), hide=("*.bak", "/sub/deep"))
    listing = folder.list([])
    assert {entry.name.decode(): entry.size for entry in listing.entries} == names
    assert {entry.name for entry in listing.entries if entry.is_directory} == {
        b"sub",
        b"to-directory",
        b"absolute-directory",
    }
    assert sorted(entry.name for entry in folder.list([b"sub"]).entries) == [b"file.txt", b"up"]
    # Hidden is a path; this is another one.
    assert sorted(entry.name for entry in folder.list([b"to-directory"]).entries) == [b"deep", b"file.txt", b"up"]


def test_what_is_no_directory_is_not_listed(way: str, tree: Path) -> None:
    folder = make(tree, listing=("html",))
    assert error_of(folder.list, [b"page.html"]) == "ENOTDIR"
    assert error_of(folder.list, [b"nothing"]) == "ENOENT"
    assert error_of(folder.list, [b"out-directory"]) == "EXDEV"


def test_once_a_second_it_is_seen_which_directory_stands_there(tmp_path: Path) -> None:
    write(tmp_path, "1/page", "2/page")
    (tmp_path / "current").symlink_to("1")
    clock = Clock()
    folder = Folder(tmp_path / "current", Settings({}), clock)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("2")
    clock.now += 0.99
    folder.renew()
    assert content(folder.open([b"page"])) == b"1/page"
    clock.now += 0.01
    folder.renew()
    assert content(folder.open([b"page"])) == b"2/page"
    (tmp_path / "current").unlink()
    folder.renew()
    clock.now += 1
    # Until there is one again, it is looked for every time.
    assert [error_of(folder.renew) for _ in range(2)] == ["ENOENT", "ENOENT"]
    (tmp_path / "current").symlink_to("1")
    folder.renew()
    assert content(folder.open([b"page"])) == b"1/page"


def test_there_is_no_folder_without_a_directory(tmp_path: Path) -> None:
    write(tmp_path, "file")
    assert error_of(make, tmp_path / "nothing") == "ENOENT"
    assert error_of(make, tmp_path / "file") == "ENOTDIR"
    (tmp_path / "gone").mkdir()
    folder = make(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    assert not folder.has([b"file"])
