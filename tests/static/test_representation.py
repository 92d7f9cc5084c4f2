"""What is said of a file, field by field, and what preconditions and ranges make of its answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from miniasgi.static import ranges, representation
from miniasgi.static.answer import Answer, OpenFile
from miniasgi.static.representation import Representation, field_value, identity
from miniasgi.types import Fields

CONTENT = bytes(range(256)) * 4
SECONDS = 1_000_000_000
DATE = b"Sun, 09 Sep 2001 01:46:40 GMT"
NOSNIFF = (b"x-content-type-options", b"nosniff")
CACHE = (b"cache-control", b"max-age=60")
VARY = (b"vary", b"accept-encoding")
ADDED: Fields = [CACHE, NOSNIFF, VARY]
LARGE = 100_000

Made = tuple[Representation, OpenFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    os.utime(path, (SECONDS, SECONDS))
    return path


def opened(path: Path) -> OpenFile:
    descriptor = os.open(path, os.O_RDONLY)
    return OpenFile(descriptor, os.fstat(descriptor))


def made(path: Path, coding: str = "identity", added: Fields = ADDED, *, tag_content: bool = True) -> Representation:
    return Representation(os.stat(path), path.read_bytes(), coding, b"text/x", list(added), tag_content=tag_content)


def etag(path: Path) -> tuple[bytes, bytes]:
    return b"etag", made(path).validators.etag


def parts_of(answer: Answer) -> tuple[int, Fields, bytes]:
    assert answer.file is None
    assert answer.parts == ()
    return answer.status, answer.fields, answer.content


HEAD_END: Fields = [(b"last-modified", DATE), (b"accept-ranges", b"bytes"), *ADDED]


# 200


def test_the_whole_answer_says_everything_about_the_file(path: Path) -> None:
    fields = [(b"content-type", b"text/x"), (b"content-length", b"1024"), etag(path), *HEAD_END]
    assert parts_of(made(path).answer("GET", [], CONTENT)) == (200, fields, CONTENT)


def test_a_coding_is_told_and_has_a_tag_of_its_own(path: Path) -> None:
    plain, coded = made(path), made(path, "gzip")
    tag = plain.validators.etag[:-1] + b'-gzip"'
    fields = [
        (b"content-type", b"text/x"),
        (b"content-length", b"1024"),
        (b"etag", tag),
        (b"last-modified", DATE),
        (b"accept-ranges", b"bytes"),
        (b"content-encoding", b"gzip"),
        *ADDED,
    ]
    assert parts_of(coded.answer("GET", [], CONTENT)) == (200, fields, CONTENT)


def test_a_whole_file_stays_open_as_one_part(path: Path) -> None:
    file = opened(path)
    answer = made(path).answer("GET", [], file)
    assert (answer.status, answer.content, answer.file, answer.parts) == (200, b"", file, [(b"", 0, 1024)])
    assert file.fileno() >= 0
    file.close()


def test_what_is_kept_is_one_answer_for_all(path: Path) -> None:
    each = made(path)
    assert (each.content, each.whole) == (None, None)
    each.keep(CONTENT)
    assert each.content == CONTENT
    assert each.answer("GET", [], CONTENT) is each.whole
    assert each.answer("HEAD", [], CONTENT) is each.whole


def test_head_has_the_fields_of_get_and_closes_the_file(path: Path) -> None:
    file = opened(path)
    answer = made(path).answer("HEAD", [], file)
    assert parts_of(answer) == (200, made(path).answer("GET", [], CONTENT).fields, b"")
    assert file.fileno() == -1


def test_an_empty_file_has_no_ranges(path: Path) -> None:
    path.write_bytes(b"")
    answer = made(path).answer("GET", [(b"range", b"bytes=0-0")], b"")
    assert (answer.status, answer.content, dict(answer.fields)[b"content-length"]) == (200, b"", b"0")


# 304 and 412


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("coding", ["identity", "br"])
def test_not_modified_has_the_fields_that_caches_need(path: Path, method: str, coding: str) -> None:
    each, file = made(path, coding), opened(path)
    tag = each.validators.etag
    answer = each.answer(method, [(b"if-none-match", tag), (b"range", b"bytes=0-0")], file)
    assert parts_of(answer) == (304, [(b"etag", tag), *ADDED], b"")
    assert file.fileno() == -1


def test_not_modified_by_its_date(path: Path) -> None:
    answer = made(path).answer("GET", [(b"if-modified-since", DATE)], CONTENT)
    assert parts_of(answer) == (304, [etag(path), *ADDED], b"")


@pytest.mark.parametrize("coding", ["identity", "br"])
def test_a_failed_precondition_has_no_validators(path: Path, coding: str) -> None:
    file = opened(path)
    answer = made(path, coding).answer("GET", [(b"if-match", b'"other"')], file)
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"20"), NOSNIFF, VARY]
    assert parts_of(answer) == (412, fields, b"Precondition Failed\n")
    assert file.fileno() == -1


# 206 and 416


def test_one_range(path: Path) -> None:
    answer = made(path).answer("GET", [(b"range", b"bytes=10-19")], CONTENT)
    fields = [
        (b"content-type", b"text/x"),
        (b"content-length", b"10"),
        (b"content-range", b"bytes 10-19/1024"),
        etag(path),
        *HEAD_END,
    ]
    assert parts_of(answer) == (206, fields, CONTENT[10:20])


def test_a_range_is_one_of_the_coding(path: Path) -> None:
    answer = made(path, "br").answer("GET", [(b"range", b"bytes=-1")], CONTENT)
    assert answer.fields[2] == (b"content-range", b"bytes 1023-1023/1024")
    assert (b"content-encoding", b"br") in answer.fields
    assert answer.content == CONTENT[-1:]


@pytest.mark.parametrize("from_file", [False, True])
def test_several_ranges(path: Path, from_file: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges.secrets, "token_hex", lambda count: "B" * 2 * count)
    boundary = b"B" * 32
    content = (
        b"--" + boundary + b"\r\nContent-Type: text/x\r\nContent-Range: bytes 500-501/1024\r\n\r\n"
        b"\xf4\xf5\r\n"
        b"--" + boundary + b"\r\nContent-Type: text/x\r\nContent-Range: bytes 1-3/1024\r\n\r\n"
        b"\x01\x02\x03\r\n"
        b"--" + boundary + b"--\r\n"
    )
    file = opened(path)
    answer = made(path).answer("GET", [(b"range", b"bytes=500-501,1-3,2000-")], file if from_file else CONTENT)
    fields = [
        (b"content-type", b"multipart/byteranges; boundary=" + boundary),
        (b"content-length", b"%d" % len(content)),
        etag(path),
        *HEAD_END,
    ]
    assert parts_of(answer) == (206, fields, content)
    assert (file.fileno() == -1) is from_file
    file.close()


@pytest.mark.parametrize("coding", ["identity", "br"])
def test_no_range_inside_tells_the_size(path: Path, coding: str) -> None:
    file = opened(path)
    answer = made(path, coding).answer("GET", [(b"range", b"bytes=1024-")], file)
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"22"),
        (b"content-range", b"bytes */1024"),
        NOSNIFF,
        VARY,
    ]
    assert parts_of(answer) == (416, fields, b"Range Not Satisfiable\n")
    assert file.fileno() == -1


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("HEAD", [(b"range", b"bytes=0-1")]),
        ("HEAD", [(b"range", b"bytes=5000-")]),
        ("GET", [(b"range", b"bytes=0-1"), (b"range", b"bytes=2-3")]),
        ("GET", [(b"range", b"lines=0-1")]),
        ("GET", [(b"range", b"bytes=1-0")]),
        ("GET", [(b"range", b"bytes=0-1"), (b"if-range", b'"other"')]),
        ("GET", [(b"range", b"bytes=5000-"), (b"if-range", b'"other"')]),
        ("GET", [(b"range", b"bytes=0-1"), (b"if-range", b"Sun, 09 Sep 2001 01:46:41 GMT")]),
    ],
)
def test_ranges_that_do_not_count_get_the_whole(path: Path, method: str, fields: Fields) -> None:
    assert made(path).answer(method, fields, CONTENT).fields == made(path).answer("GET", [], CONTENT).fields


def test_a_range_of_what_has_not_changed(path: Path) -> None:
    for condition in (made(path).validators.etag, DATE):
        answer = made(path).answer("GET", [(b"if-range", condition), (b"range", b"bytes=0-1")], CONTENT)
        assert (answer.status, answer.content) == (206, b"\0\1")


def test_small_parts_of_a_file_are_read_and_the_file_closed(path: Path) -> None:
    file = opened(path)
    answer = made(path).answer("GET", [(b"range", b"bytes=10-19")], file)
    assert parts_of(answer)[2] == CONTENT[10:20]
    assert file.fileno() == -1


def test_large_parts_of_a_file_stay_parts(path: Path) -> None:
    path.write_bytes(bytes(LARGE))
    file = opened(path)
    answer = made(path).answer("GET", [(b"range", b"bytes=1-65537")], file)
    assert (answer.status, answer.content, answer.file, answer.parts) == (206, b"", file, [(b"", 1, 65538)])
    assert answer.fields[1] == (b"content-length", b"65537")
    answer = made(path).answer("GET", [(b"range", b"bytes=0-69999,90000-90001")], file)
    assert answer.file is file
    assert [(start, stop) for _, start, stop in answer.parts] == [(0, 70000), (90000, 90002)]
    length = sum(len(before) + stop - start for before, start, stop in answer.parts) + len(answer.content)
    assert answer.fields[1] == (b"content-length", b"%d" % length)
    assert answer.content.endswith(b"--\r\n")
    assert file.fileno() >= 0
    file.close()


def cold(descriptor: int, offset: int, count: int) -> bytes:
    raise BlockingIOError


def test_parts_that_a_disk_has_to_give_stay_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representation, "read_cached", cold)
    file = opened(path)
    answer = made(path).answer("GET", [(b"range", b"bytes=10-19")], file)
    assert (answer.status, answer.content, answer.file, answer.parts) == (206, b"", file, [(b"", 10, 20)])
    assert file.fileno() >= 0
    file.close()


def test_parts_that_have_gone_meanwhile_are_left_to_who_can_cut_the_connection(path: Path) -> None:
    each, file = made(path), opened(path)
    os.truncate(path, 15)
    answer = each.answer("GET", [(b"range", b"bytes=10-19")], file)
    assert (answer.status, answer.content, answer.file, answer.parts) == (206, b"", file, [(b"", 10, 20)])
    assert answer.fields[1] == (b"content-length", b"10")
    assert file.fileno() >= 0
    file.close()


# Validators


def test_a_fraction_of_a_second_is_cut_off(path: Path) -> None:
    os.utime(path, ns=(0, SECONDS * 10**9 + 999_999_999))
    assert made(path).validators[1:] == (DATE, SECONDS)


def test_a_time_to_come_is_not_later_than_a_date_of_a_second_ago(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representation.time, "time", lambda: SECONDS + 1.9)
    for modified in (SECONDS, SECONDS + 1, SECONDS * 3):
        os.utime(path, (0, modified))
        assert made(path).validators[1:] == (DATE, SECONDS)


@pytest.mark.parametrize("seconds", [0, -1, -SECONDS])
def test_the_epoch_and_before_is_no_time(path: Path, seconds: int) -> None:
    os.utime(path, (0, seconds))
    each = made(path)
    assert each.validators[1:] == (b"", 0)
    names = [name for name, _ in each.answer("GET", [], CONTENT).fields]
    assert b"last-modified" not in names
    assert each.answer("GET", [(b"if-modified-since", DATE)], CONTENT).status == 200


def test_a_tag_is_strong_and_one_of_the_content(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(CONTENT)
    assert made(path).validators.etag == made(other).validators.etag
    assert made(path).validators.etag.startswith(b'"')
    other.write_bytes(CONTENT[::-1])
    os.utime(other, (SECONDS, SECONDS))
    assert made(path).validators.etag != made(other).validators.etag


def test_each_coding_has_a_tag_of_its_own(path: Path) -> None:
    tags = {
        made(path, coding, tag_content=tag).validators.etag
        for coding in ("identity", "br", "gzip", "zstd")
        for tag in (True, False)
    }
    assert len(tags) == 8


def touch(path: Path) -> None:
    os.utime(path, ns=(0, SECONDS * 10**9 + 1))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")
    os.utime(path, (SECONDS, SECONDS))


def replace(path: Path) -> None:
    other = path.with_name("new")
    other.write_bytes(CONTENT)
    os.utime(other, (SECONDS, SECONDS))
    other.replace(path)


def rewrite(path: Path) -> None:
    before = os.stat(path).st_ctime_ns
    # File systems see the time pass in steps of some milliseconds.
    while os.stat(path).st_ctime_ns == before:
        path.write_bytes(CONTENT[::-1])
        os.utime(path, (SECONDS, SECONDS))


@pytest.mark.parametrize("change", [touch, grow, replace, rewrite])
def test_a_tag_without_content_changes_with_the_file(path: Path, change: Callable[[Path], None]) -> None:
    before = made(path, tag_content=False).validators.etag
    status = os.stat(path)
    assert before == f'"{status.st_ino:x}-400-de0b6b3a7640000-{status.st_ctime_ns:x}"'.encode()
    change(path)
    assert made(path, tag_content=False).validators.etag != before


def test_an_identity_tells_states_apart_that_have_the_same_time_and_size(path: Path) -> None:
    before = os.stat(path)
    assert identity(before) == identity(os.stat(path)) == made(path).identity
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:  # until the file system's clock ticks
        path.write_bytes(CONTENT[::-1])
        os.utime(path, (SECONDS, SECONDS))
    after = os.stat(path)
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert identity(after) != identity(before)


def test_the_size_is_that_of_the_content_where_there_is_any(path: Path) -> None:
    rewritten = Representation(os.stat(path), b"page", "identity", b"text/html", [], tag_content=True)
    assert rewritten.size == 4
    assert Representation(os.stat(path), None, "identity", b"text/html", [], tag_content=True).size == 1024


def test_lines_of_one_field_are_one_list() -> None:
    fields = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert [field_value(fields, name) for name in (b"a", b"b", b"c")] == [b"1, 3", b"2", None]
