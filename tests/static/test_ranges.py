"""What Range asks for, and several parts as octets."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

import pytest

from miniasgi.static.ranges import Multipart, parse_ranges

KIB = 1024


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-0", (0, 1)),
        (b"bytes=0-999", (0, 1000)),
        (b"bytes=0-", (0, 1000)),
        (b"bytes=500-", (500, 1000)),
        (b"bytes=999-", (999, 1000)),
        (b"bytes=999-999", (999, 1000)),
        (b"bytes=990-5000", (990, 1000)),
        (b"bytes=-1", (999, 1000)),
        (b"bytes=-1000", (0, 1000)),
        (b"bytes=-5000", (0, 1000)),
        (b"BYTES=0-9", (0, 10)),
        (b"bYtEs=0-9", (0, 10)),
        (b"bytes=000-0009", (0, 10)),
        (b"bytes=0-9,", (0, 10)),
        (b"bytes=,0-9", (0, 10)),
        (b"bytes= , ,\t0-9\t,", (0, 10)),
        (b"bytes= 0-9 ", (0, 10)),
        # Longer than any number of octets is past the end; zeros in front are not length.
        (b"bytes=0-" + b"9" * 18, (0, 1000)),
        (b"bytes=0-" + b"9" * 19, (0, 1000)),
        (b"bytes=0-" + b"9" * 10_000, (0, 1000)),
        (b"bytes=-" + b"9" * 10_000, (0, 1000)),
        (b"bytes=" + b"0" * 10_000 + b"-" + b"0" * 10_000 + b"9", (0, 10)),
    ],
    ids=lambda value: ascii(value[:40]),
)
def test_one_range_is_one_part(value: bytes, expected: tuple[int, int]) -> None:
    assert parse_ranges(value, 1000) == [expected]


@pytest.mark.parametrize(
    "value",
    [
        b"bytes=1000-",
        b"bytes=1000-1000",
        b"bytes=5000-6000",
        b"bytes=-0",
        b"bytes=-000",
        b"bytes=1000-,-0,2000-3000",
        b"bytes=" + b"9" * 19 + b"-",
        b"bytes=" + b"9" * 10_000 + b"-" + b"9" * 10_000,
    ],
    ids=lambda value: ascii(value[:40]),
)
def test_what_cannot_be_satisfied_is_an_empty_list(value: bytes) -> None:
    assert parse_ranges(value, 1000) == []


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=   ",
        b"bytes=,,,",
        b"bytes= , ,",
        b"bytes=-",
        b"bytes=--",
        b"bytes=--5",
        b"bytes=5",
        b"bytes=9-0",
        b"bytes=0-9,9-0",
        b"bytes=2000-1999",
        b"bytes=" + b"9" * 10_000 + b"-5",
        b"bytes=0-9-",
        b"bytes=0-9-10",
        b"bytes=a-",
        b"bytes=10-alpha",
        b"bytes=0-9,a-b",
        b"bytes=a-b,0-9",
        b"bytes=0x01-0x02",
        b"bytes=1.0-2.0",
        b"bytes=+1-2",
        b"bytes=1-+2",
        b"bytes=1_0-2_0",
        b"bytes=1 -2",
        b"bytes=1- 2",
        b"bytes=- 5",
        b"bytes=0-9 10-19",
        b"bytes=0-9;10-19",
        b"bytes=0-9\x0b",
        b"bytes=0-9\xa0",
        "bytes=٠-٩".encode(),
        b"bytes==0-9",
        b"bytes:0-9",
        b"bytes 0-9",
        b"bytes =0-9",
        b" bytes=0-9",
        b"=0-9",
        b"items=0-5",
        b"byte=0-5",
        b"bytess=0-5",
        b"none=0-5",
    ],
    ids=lambda value: ascii(value[:40]),
)
def test_what_is_malformed_or_of_another_unit_is_ignored(value: bytes) -> None:
    assert parse_ranges(value, 1000) is None


@pytest.mark.parametrize("value", [b"bytes=0-", b"bytes=0-0", b"bytes=-1", b"bytes=-0", b"bytes=5-"])
def test_an_empty_file_has_no_ranges(value: bytes) -> None:
    assert parse_ranges(value, 0) is None


def test_a_file_of_one_octet_has_one() -> None:
    for value in (b"bytes=0-0", b"bytes=0-", b"bytes=-1", b"bytes=-5", b"bytes=0-5"):
        assert parse_ranges(value, 1) == [(0, 1)]
    assert parse_ranges(b"bytes=1-", 1) == []


def test_positions_beyond_four_gibibytes_are_exact() -> None:
    assert parse_ranges(b"bytes=4294967296-4294967300", 5_000_000_000) == [(4_294_967_296, 4_294_967_301)]
    assert parse_ranges(b"bytes=-1", (1 << 63) - 1) == [((1 << 63) - 2, (1 << 63) - 1)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-9,500-509", [(0, 10), (500, 510)]),
        (b"bytes=500-509,0-9", [(500, 510), (0, 10)]),
        (b"bytes=0-9 ,\t500-509,,-10", [(0, 10), (500, 510), (990, 1000)]),
        (b"bytes=-10,0-9,500-509", [(990, 1000), (0, 10), (500, 510)]),
    ],
)
def test_parts_come_in_the_order_in_which_they_were_asked_for(value: bytes, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(value, 1000) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-9,0-9", [(0, 10)]),
        (b"bytes=0-9,5-19", [(0, 20)]),
        (b"bytes=5-19,0-9", [(0, 20)]),
        (b"bytes=0-99,10-19", [(0, 100)]),
        (b"bytes=10-19,0-99", [(0, 100)]),
        (b"bytes=0-9,10-19", [(0, 20)]),
        (b"bytes=0-9,89-99", [(0, 100)]),
        (b"bytes=0-9,90-99", [(0, 10), (90, 100)]),
        (b"bytes=0-9,50-59,100-109", [(0, 110)]),
        # What joins three of them comes last, and stands where the first of them stood.
        (b"bytes=200-209,900-909,0-9,60-149", [(0, 210), (900, 910)]),
        (b"bytes=900-909,200-209,0-9,60-149", [(900, 910), (0, 210)]),
    ],
)
def test_ranges_that_overlap_or_nearly_touch_are_one(value: bytes, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(value, 1000) == expected


def test_ranges_that_cannot_be_satisfied_are_left_out() -> None:
    assert parse_ranges(b"bytes=0-9,5000-6000", 1000) == [(0, 10)]
    assert parse_ranges(b"bytes=5000-,0-9,-0,500-509", 1000) == [(0, 10), (500, 510)]


@pytest.mark.parametrize("value", [b"bytes=0-,0-,0-", b"bytes=0-,1-,2-,3-,4-", b"bytes=0-,-1000", b"bytes=-1000,5-"])
def test_a_wasteful_set_that_is_one_part_is_sent_once(value: bytes) -> None:
    assert parse_ranges(value, 1000) == [(0, 1000)]


def test_a_set_that_asks_for_more_than_there_is_is_ignored() -> None:
    assert parse_ranges(b"bytes=0-399,0-399,600-799", 1000) == [(0, 400), (600, 800)]
    assert parse_ranges(b"bytes=0-399,0-399,600-800", 1000) is None


def test_at_most_64_members_are_read() -> None:
    ranges = [(number * 1000, number * 1000 + 10) for number in range(64)]
    value = b"bytes=" + b",".join(b"%d-%d" % (start, stop - 1) for start, stop in ranges)
    assert parse_ranges(value, 64 * KIB) == ranges
    assert parse_ranges(value + b",64000-64001", 64 * KIB) is None
    assert parse_ranges(value + b",", 64 * KIB) is None
    assert parse_ranges(b"bytes=" + b"0-0," * 64, 64 * KIB) is None
    assert parse_ranges(b"bytes=0-0" + b"," * 1_000_000, 64 * KIB) is None


def test_a_small_file_is_not_cut_into_many_parts() -> None:
    def value(count: int) -> bytes:
        return b"bytes=" + b",".join(b"%d-%d" % (number * 100, number * 100) for number in range(count))

    assert parse_ranges(value(16), 64 * KIB - 1) == [(number * 100, number * 100 + 1) for number in range(16)]
    assert parse_ranges(value(17), 64 * KIB - 1) is None
    assert parse_ranges(value(17), 64 * KIB) == [(number * 100, number * 100 + 1) for number in range(17)]


def reference(value: str, size: int) -> list[tuple[int, int]] | None:
    """parse_ranges() by regular expressions and by marking every octet."""
    found = re.fullmatch(r"(?i:bytes)=(.*)", value)
    if not found or not size:
        return None
    members = found[1].split(",")
    specs = [member.strip(" \t") for member in members if member.strip(" \t")]
    if not specs or len(members) > 64:
        return None
    wanted = []
    for spec in specs:
        if match := re.fullmatch(r"([0-9]+)-([0-9]*)", spec):
            if match[2] and int(match[2]) < int(match[1]):
                return None
            octets = range(int(match[1]), min(size, int(match[2] or size) + 1))
        elif match := re.fullmatch(r"-([0-9]+)", spec):
            octets = range(max(0, size - int(match[1])), size)
        else:
            return None
        if octets:
            wanted.append(octets)
    octets_to_send = {octet for octets in wanted for octet in octets}
    for octet, following in pairwise(sorted(octets_to_send)):
        if following - octet <= 80:
            octets_to_send.update(range(octet, following))
    parts = []
    for octets in wanted:
        if not any(start <= octets[0] < stop for start, stop in parts):
            start = stop = octets[0]
            while start - 1 in octets_to_send:
                start -= 1
            while stop in octets_to_send:
                stop += 1
            parts.append((start, stop))
    if len(parts) > 1 and sum(map(len, wanted)) > size:
        return None
    return None if len(parts) > 16 else parts


def test_it_agrees_with_a_slow_reference() -> None:
    random = Random(14)
    outcomes = []
    for _ in range(500):
        size = random.choice([0, 1, 10, 300, 1000, 1000, 1000])
        specs = []
        for _ in range(random.choice([1, 2, 3, 5, 8, 12, 63, 65])):
            first = random.randrange(size + size // 10 + 2)
            last = first + random.choice([0, 0, 1, 5, 50, 90, 300])
            kinds = [f"{first}-{last}", f"{first}-", f"-{last}", "", f"{last + 1}-{first}", f"{first}"]
            specs.append(random.choices(kinds, [80, 1, 2, 2, 0.5, 0.5])[0])
        unit = random.choice(["bytes=", "bytes=", "bytes=", "Bytes=", "byte="])
        value = unit + random.choice([",", " ,\t"]).join(specs)
        expected = reference(value, size)
        assert parse_ranges(value.encode(), size) == expected, (value, size)
        outcomes.append(None if expected is None else len(expected))
    assert {None, 0, 1, 2, 3, 4, 5} <= set(outcomes)


def test_several_parts_are_written_as_rfc_2046_says() -> None:
    multipart = Multipart([(0, 10), (500, 510)], 1000, b"text/plain; charset=utf-8", b"THIS_STRING_SEPARATES")
    content = b"".join(before + b"<%d>" % (stop - start) for before, start, stop in multipart.parts) + multipart.end
    assert content == (
        b"--THIS_STRING_SEPARATES\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Range: bytes 0-9/1000\r\n"
        b"\r\n"
        b"<10>\r\n"
        b"--THIS_STRING_SEPARATES\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Range: bytes 500-509/1000\r\n"
        b"\r\n"
        b"<10>\r\n"
        b"--THIS_STRING_SEPARATES--\r\n"
    )
    assert [(start, stop) for _, start, stop in multipart.parts] == [(0, 10), (500, 510)]
    assert multipart.content_type == b"multipart/byteranges; boundary=THIS_STRING_SEPARATES"


def test_the_length_is_that_of_what_is_sent() -> None:
    file = bytes(range(256)) * 40
    for ranges in ([(0, 1)], [(9000, 10_240), (0, 10)], [(number * 100, number * 101 + 1) for number in range(64)]):
        multipart = Multipart(ranges, len(file), b"application/octet-stream")
        content = b"".join(before + file[start:stop] for before, start, stop in multipart.parts) + multipart.end
        assert multipart.length == len(content)


def test_a_boundary_is_random_and_needs_no_quotes() -> None:
    boundaries = {Multipart([(0, 1), (500, 501)], 1000, b"text/plain").boundary for _ in range(20)}
    assert len(boundaries) == 20
    assert {bool(re.fullmatch(rb"[0-9a-f]{32}", boundary)) for boundary in boundaries} == {True}
