"""Which files are sources, and that looking at them shows what has become of them."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from miniasgi.workers.watching import source_files
from miniasgi.workers.watching.source_files import SourceFiles


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to be watched, which is the working directory, with room beside it."""
    root = tmp_path.resolve() / "app"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


def write(*paths: str, text: str = "") -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def sources(*directories: str, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> SourceFiles:
    return SourceFiles(directories or ["."], include=include, exclude=exclude)


def found(*directories: str, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
    files = sources(*directories, include=include, exclude=exclude)
    return sorted(os.path.relpath(path) for path in files.look())


def test_python_files_are_found_in_all_levels(tree: Path) -> None:
    write("main.py", "package/deep/er/module.py", "readme.md", "main.pyc", "main.py~")
    assert found() == ["main.py", "package/deep/er/module.py"]


def test_what_no_developer_writes_is_left_out(tree: Path) -> None:
    write("a.py", ".a.py", ".git/a.py", "__pycache__/a.py", "web/node_modules/a.py", "env/pyvenv.cfg", "env/lib/a.py")
    assert found() == ["a.py"]


def test_a_virtual_environment_that_is_named_is_watched(tree: Path) -> None:
    write("pyvenv.cfg", "a.py")
    assert found() == ["a.py"]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (["*.toml"], ["a.py", "deep/x.toml", "x.toml"]),
        (["deep/*.toml"], ["a.py", "deep/x.toml"]),
        (["*/*"], ["a.py", "deep/x.toml"]),
        (["./x.toml"], ["a.py", "x.toml"]),
        (["*", ".env"], [".env", "a.py", "deep/x.toml", "x.toml"]),
        (["deep/.*"], ["a.py", "deep/.secret"]),
        ([".hidden/*"], ["a.py"]),
        (["[x"], ["a.py"]),
    ],
)
def test_more_can_be_included(include: list[str], expected: list[str], tree: Path) -> None:
    write("a.py", "x.toml", ".env", "deep/x.toml", "deep/.secret", ".hidden/y.toml")
    assert found(include=include) == expected


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        (["test_*"], ["a.py", "gen/a.py", "sub/gen/a.py", "sub/gen/deep/b.py"]),
        (["gen"], ["a.py", "sub/test_a.py"]),
        (["gen/"], ["a.py", "sub/test_a.py"]),
        (["./gen"], ["a.py", "sub/gen/a.py", "sub/gen/deep/b.py", "sub/test_a.py"]),
        (["sub/gen"], ["a.py", "gen/a.py", "sub/test_a.py"]),
        (["sub/*.py"], ["a.py", "gen/a.py", "sub/gen/a.py", "sub/gen/deep/b.py"]),
        (["**/a.py"], ["sub/gen/deep/b.py", "sub/test_a.py"]),
        (["sub/**/b.py"], ["a.py", "gen/a.py", "sub/gen/a.py", "sub/test_a.py"]),
        (["sub/**"], ["a.py", "gen/a.py"]),
        (["gen/a.py", "a.*", ""], ["sub/gen/deep/b.py", "sub/test_a.py"]),
    ],
)
def test_globs_exclude_files_and_whole_directories(exclude: list[str], expected: list[str], tree: Path) -> None:
    write("a.py", "gen/a.py", "sub/gen/a.py", "sub/gen/deep/b.py", "sub/test_a.py")
    assert found(exclude=exclude) == expected


def test_paths_from_the_working_directory_exclude_too(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("src/a.py", "src/gen/a.py", "src/one.py")
    assert found("src", exclude=["src/gen", str(tree / "src" / "one.py")]) == ["src/a.py"]


def test_directories_that_contain_each_other_are_read_once(tree: Path) -> None:
    write("src/a.py", "src/gen/b.py")
    files = sources("src", ".", str(tree))
    assert sorted(map(os.path.relpath, files.look())) == ["src/a.py", "src/gen/b.py"]
    assert list(files.tops()) == [str(tree / "src"), str(tree)]


def test_links_are_followed_to_where_the_files_are(tree: Path) -> None:
    write("../lib/b.py", "../lib/deep/c.py", "../one.py")
    Path("linked").symlink_to("../lib")
    Path("again").symlink_to("../lib")
    Path("one.py").symlink_to("../one.py")
    Path("gone.py").symlink_to("nowhere")
    Path("node_modules").symlink_to("../lib")
    assert found() == ["../lib/b.py", "../lib/deep/c.py", "one.py"]
    # A link to a file is seen to change with the file.
    files = sources()
    before = files.look()
    write("../one.py", text="22")
    assert files.look().items() - before.items() == {(str(tree / "one.py"), state(tree / "one.py"))}


def test_links_in_a_circle_are_not_followed(tree: Path) -> None:
    write("deep/a.py", "../beside.py")
    Path("deep/self").symlink_to(".")
    Path("deep/up").symlink_to("..")
    Path("out").symlink_to("../..")
    Path("ring").symlink_to("ring")
    files = sources()
    assert sorted(map(os.path.relpath, files.look())) == ["deep/a.py"]
    assert list(files.tops()) == [str(tree)]


def test_a_link_does_not_bring_back_what_is_excluded(tree: Path) -> None:
    write("gen/a.py")
    Path("latest").symlink_to("gen")
    assert found(exclude=["./gen"]) == []
    assert found() == ["gen/a.py"]


def state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def set_time(path: str, nanoseconds: int) -> None:
    os.utime(path, ns=(nanoseconds, nanoseconds))


def replace(path: str) -> None:
    # Both exist for a moment, so that the inode cannot be the same.
    write("new")
    Path("new").rename(path)
    set_time(path, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda: set_time("a.py", 2),
        lambda: (write("a.py", text="1"), set_time("a.py", 1)),
        lambda: replace("a.py"),
        lambda: Path("a.py").unlink(),
    ],
    ids=["written", "of another size", "replaced by one of the same age and size", "removed"],
)
def test_whatever_happens_to_a_file_shows(change: Callable[[], object], tree: Path) -> None:
    write("a.py", "b.py")
    set_time("a.py", 1)
    files = sources()
    before = files.look()
    assert files.look() == before
    change()
    assert {path for path, _ in files.look().items() ^ before.items()} == {str(tree / "a.py")}


def test_a_directory_may_vanish_and_come_back(tree: Path) -> None:
    write("src/deep/a.py")
    files = sources("src")
    assert len(files.look()) == 1
    Path("src").rename("away")
    assert files.look() == {}
    assert files.tops() == {str(tree / "src"): None}
    Path("away").rename("src")
    assert len(files.look()) == 1
    assert files.tops()[str(tree / "src")] is not None


def test_what_vanishes_while_it_is_looked_at_is_not_there(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.py", "b.py", "deep/c.py")
    read = SourceFiles._entries

    def entries(self: SourceFiles, path: str) -> Any:
        listed = read(self, path)
        for name in ("a.py", "deep/c.py"):
            Path(name).unlink(missing_ok=True)
        if Path("deep").exists():
            Path("deep").rmdir()
        return listed

    monkeypatch.setattr(SourceFiles, "_entries", entries)
    assert found() == ["b.py"]


def test_a_directory_that_cannot_be_read_is_told_of_once(
    tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write("a.py", "secret/b.py")
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if path == str(tree / "secret"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(source_files.os, "scandir", refusing)
    files = sources()
    with caplog.at_level(logging.INFO, "miniasgi.server"):
        assert list(files.look()) == list(files.look()) == [str(tree / "a.py")]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"cannot look for changes in {tree}/secret: Permission denied")
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.py", True),
        ("new.py", True),
        ("x.toml", True),
        ("x.txt", False),
        ("deep", True),
        ("deep/new.py", True),
        ("fresh", True),
        ("gen", False),
        ("gen/a.py", False),
        (".hidden", False),
        ("env/lib/a.py", False),
        ("missing/a.py", False),
        ("linked/new.py", True),
        ("../lib/new.py", True),
        ("../beside.py", False),
        ("../lib", True),
        (".", True),
    ],
)
def test_only_what_may_be_a_source_concerns(path: str, expected: bool, tree: Path) -> None:
    write("a.py", "deep/a.py", "gen/a.py", ".hidden/a.py", "env/pyvenv.cfg", "env/lib/a.py", "../lib/a.py")
    Path("linked").symlink_to("../lib")
    files = sources(include=["*.toml"], exclude=["gen"])
    files.look()
    Path("fresh").mkdir()
    assert files.concerns(os.path.normpath(tree / path)) is expected


def test_a_directory_that_is_gone_concerns_if_it_was_watched(tree: Path) -> None:
    write("deep/a.py")
    files = sources()
    files.look()
    Path("deep").rename("../deep")
    assert files.concerns(str(tree / "deep"))
    assert not files.concerns(str(tree / "never"))


def test_the_tops_are_what_was_named_and_where_links_lead(tree: Path) -> None:
    write("../lib/a.py")
    Path("linked").symlink_to("../lib")
    files = sources(".", "missing")
    files.look()
    before = files.tops()
    lib = str(tree.parent / "lib")
    assert list(before) == [str(tree), str(tree / "missing"), lib]
    assert [path for path in before if files.is_top(path)] == list(before)
    assert not files.is_top(str(tree / "linked"))
    # Both exist for a moment, so that the inode cannot be the same.
    Path("../new").mkdir()
    Path(lib).rename("../old")
    Path("../new").rename(lib)
    assert files.tops()[lib] not in (before[lib], None)
