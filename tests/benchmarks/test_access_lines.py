"""What a log must hold for a server's figures to count."""

from pathlib import Path

import pytest

from .access_lines import Written, complaint, read_log
from .workload import AccessLines


@pytest.mark.parametrize(
    ("log", "written", "kind"),
    [
        (b"", Written(0), AccessLines.NONE),
        (b"GET / 200\nGET /a 200\n", Written(2, b"GET /a 200"), AccessLines.TEXT),
        (b'{"a": 1}\n{"a": 2}\n', Written(2, b'{"a": 2}'), AccessLines.JSON),
        (b'{"a": 1}\n{"a"', Written(1, b'{"a": 1}'), AccessLines.JSON),
        (b'{"a"', Written(0), AccessLines.NONE),
        (b'"GET"\n', Written(1, b'"GET"'), AccessLines.TEXT),
        (b"\xff\n", Written(1, b"\xff"), AccessLines.TEXT),
        (b"x" * 200 + b"\n" + b"line\n" * 30_000, Written(30_001, b"line"), AccessLines.TEXT),
    ],
)
def test_whole_lines_are_counted_and_the_last_one_tells_their_kind(
    tmp_path: Path, log: bytes, written: Written, kind: AccessLines
) -> None:
    (tmp_path / "log").write_bytes(log)
    found = read_log(tmp_path / "log")
    assert found == written
    assert found.kind == kind


@pytest.mark.parametrize(
    ("written", "expected", "requests", "wrong"),
    [
        (Written(10, b"{}"), AccessLines.JSON, 10, None),
        (Written(11, b"GET"), AccessLines.TEXT, 10, None),
        (Written(0), AccessLines.NONE, 10, None),
        (Written(9, b"GET"), AccessLines.TEXT, 10, "9 access lines for 10 requests"),
        (
            *(Written(10, b"GET"), AccessLines.JSON, 10),
            "it wrote a line of text about each request, not a line that is a JSON object: b'GET'",
        ),
        (
            *(Written(1, b"GET"), AccessLines.NONE, 10),
            "it wrote a line of text about each request, not nothing: b'GET'",
        ),
        (
            *(Written(0), AccessLines.TEXT, 10),
            "it wrote nothing about each request, not a line of text: b''",
        ),
    ],
)
def test_a_log_is_wrong_that_is_of_another_kind_or_too_short(
    written: Written, expected: AccessLines, requests: int, wrong: str | None
) -> None:
    assert complaint(written, expected, requests) == wrong
