"""What a folder holds: which names are taken, and in which order."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from miniasgi.static.entries import Entry, Listing, Order, scan


def everything(name: bytes) -> bool:
    return True


def nothing(name: bytes) -> os.stat_result | None:
    raise AssertionError(f"{name!r} is no symbolic link")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def write(path: Path, size: int, modified: float) -> None:
    path.write_bytes(b"x" * size)
    os.utime(path, (modified, modified))


def names(entries: list[Entry]) -> list[bytes]:
    return [entry.name for entry in entries]


# Reading


def test_files_and_folders_are_listed_with_size_and_whole_seconds(tmp_path: Path, directory: int) -> None:
    write(tmp_path / "file", 3, 1_000_000_000.75)
    (tmp_path / "folder").mkdir()
    os.utime(tmp_path / "folder", (5, 5))
    found = scan(directory, everything, nothing)
    assert sorted(found.entries) == [Entry(b"file", False, 3, 1_000_000_000), Entry(b"folder", True, 0, 5)]
    assert found.truncated is False


def test_names_are_octets(tmp_path: Path, directory: int) -> None:
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/\xff\n")
    except OSError:
        pytest.skip("this file system has only names that are UTF-8")
    assert names(list(scan(directory, everything, nothing).entries)) == [b"\xff\n"]


def test_what_is_neither_file_nor_folder_is_not_listed(tmp_path: Path, directory: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as unix:
        # A socket's path may have some hundred octets only.
        os.chdir(tmp_path)
        try:
            unix.bind("socket")
        finally:
            os.chdir(here)
    assert scan(directory, everything, nothing) == Listing([], False)


def test_a_name_that_is_not_visible_is_not_looked_at(tmp_path: Path, directory: int) -> None:
    (tmp_path / ".link").symlink_to("file")
    write(tmp_path / "file", 0, 1)
    found = scan(directory, lambda name: not name.startswith(b"."), nothing)
    assert found == Listing([Entry(b"file", False, 0, 1)], False)


def test_a_symbolic_link_is_listed_as_what_it_leads_to_if_that_may_be_shown(tmp_path: Path, directory: int) -> None:
    write(tmp_path / "file", 7, 9)
    (tmp_path / "folder").mkdir()
    for name, target in (("to-file", "file"), ("to-folder", "folder"), ("out", "/"), ("fifo", "f")):
        (tmp_path / name).symlink_to(target)
    os.mkfifo(tmp_path / "f")
    asked = []

    def measure(name: bytes) -> os.stat_result | None:
        asked.append(name)
        return None if name == b"out" else os.stat(name, dir_fd=directory)

    found = scan(directory, everything, measure)
    assert sorted((entry.name, entry.is_directory, entry.size) for entry in found.entries) == [
        (b"file", False, 7),
        (b"folder", True, 0),
        (b"to-file", False, 7),
        (b"to-folder", True, 0),
    ]
    assert sorted(asked) == [b"fifo", b"out", b"to-file", b"to-folder"]


def test_what_vanishes_while_the_folder_is_read_is_left_out(tmp_path: Path, directory: int) -> None:
    write(tmp_path / "gone", 0, 1)
    write(tmp_path / "here", 0, 1)

    def visible(name: bytes) -> bool:
        if name == b"gone":
            os.unlink(name, dir_fd=directory)
        return True

    assert scan(directory, visible, nothing) == Listing([Entry(b"here", False, 0, 1)], False)


def test_no_more_than_the_most_are_read(tmp_path: Path, directory: int) -> None:
    for number in range(6):
        write(tmp_path / str(number), 0, 1)
    asked: list[bytes] = []

    def visible(name: bytes) -> bool:
        asked.append(name)
        return True

    found = scan(directory, visible, nothing, most=4)
    assert names(list(found.entries)) == asked[:4]
    assert (len(asked), found.truncated) == (5, True)
    assert scan(directory, everything, nothing, most=6).truncated is False


def test_a_descriptor_can_be_scanned_again_and_by_several_at_once(tmp_path: Path, directory: int) -> None:
    for number in range(3):
        write(tmp_path / str(number), 0, 1)
    inner: list[Listing] = []

    def visible(name: bytes) -> bool:
        inner.append(scan(directory, everything, nothing))
        return True

    outer = scan(directory, visible, nothing)
    assert inner == [outer] * 3
    assert len(outer.entries) == 3


def test_no_descriptor_is_left_open(tmp_path: Path, directory: int) -> None:
    def fail(name: bytes) -> bool:
        raise LookupError

    (tmp_path / "a").mkdir()
    lowest = os.dup(directory)
    os.close(lowest)
    scan(directory, everything, nothing)
    with pytest.raises(LookupError):
        scan(directory, fail, nothing)
    again = os.dup(directory)
    os.close(again)
    assert again == lowest


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "file", 0, 1)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(NotADirectoryError):
            scan(descriptor, everything, nothing)
    finally:
        os.close(descriptor)


# Order


@pytest.mark.parametrize(
    ("query", "order"),
    [
        (b"", Order("name", False)),
        (b"sort=name&order=desc", Order("name", True)),
        (b"sort=size", Order("size", False)),
        (b"order=desc&sort=date", Order("date", True)),
        (b"sort=size&order=asc", Order("size", False)),
        (b"sort=owner&order=down", Order("name", False)),
        (b"sort=SIZE&order=DESC", Order("name", False)),
        (b"sort&order&&==&\xff=\x00", Order("name", False)),
        (b"x=1&" * 10_000 + b"sort=size", Order("name", False)),
    ],
)
def test_any_query_asks_for_some_order(query: bytes, order: Order) -> None:
    assert Order.from_query(query) == order


def in_order(order: Order, *entries: Entry) -> list[bytes]:
    return names(order.apply(entries))


def test_names_are_in_the_order_that_people_expect() -> None:
    expected = [
        b"2 of 10",
        b"10 of 10",
        b"a.txt",
        b"a1",
        b"file",
        b"FILE1",
        b"file002",
        b"file2",
        b"file2b",
        b"File3",
        b"file10",
        b"file10000000000000000000000",
        b"Z",
        "\u00e9".encode(),
        b"\xfe",
        b"\xff",
    ]
    entries = [Entry(name, False, 0, 0) for name in expected]
    assert in_order(Order(), *reversed(entries)) == expected
    assert in_order(Order("name", True), *entries) == expected[::-1]


def test_names_that_differ_in_case_alone_have_one_order_however_they_are_read() -> None:
    entries = [Entry(name, False, 0, 0) for name in (b"a1", b"A1", b"a01", b"A01")]
    assert {tuple(in_order(Order(), *way)) for way in permutations(entries)} == {(b"A01", b"A1", b"a01", b"a1")}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order("name", False), [b"d1", b"d2", b"a", b"b", b"c"]),
        (Order("name", True), [b"d2", b"d1", b"c", b"b", b"a"]),
        (Order("size", False), [b"d1", b"d2", b"c", b"a", b"b"]),
        (Order("size", True), [b"d1", b"d2", b"a", b"b", b"c"]),
        (Order("date", False), [b"d2", b"d1", b"b", b"a", b"c"]),
        (Order("date", True), [b"d1", b"d2", b"a", b"c", b"b"]),
    ],
)
def test_folders_come_first_and_equals_are_in_order_of_their_names(order: Order, expected: list[bytes]) -> None:
    entries = [
        Entry(b"c", False, 1, 20),
        Entry(b"d2", True, 0, 5),
        Entry(b"b", False, 9, 10),
        Entry(b"d1", True, 0, 6),
        Entry(b"a", False, 9, 20),
    ]
    assert in_order(order, *entries) == expected
    assert in_order(order, *reversed(entries)) == expected
