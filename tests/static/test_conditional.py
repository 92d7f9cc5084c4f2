"""When a precondition stops a request, and when it is passed over."""

from __future__ import annotations

import re
from itertools import product, takewhile
from random import Random

import pytest

from miniasgi.static.conditional import Validators, evaluate, range_applies
from miniasgi.types import Fields

DATE = b"Thu, 29 Feb 2024 12:34:56 GMT"
BEFORE = b"Thu, 29 Feb 2024 12:34:55 GMT"
AFTER = b"Thu, 29 Feb 2024 12:34:57 GMT"
RFC850 = b"Thursday, 29-Feb-24 12:34:56 GMT"
ASCTIME = b"Thu Feb 29 12:34:56 2024"
STRONG = Validators(b'"abc"', DATE, 1_709_210_096)
WEAK = Validators(b'W/"abc"', DATE, 1_709_210_096)
UNDATED = Validators(b'"abc"', b"", 0)
BARE = Validators(b"", b"", 0)
NOT_DATES = [
    b"",
    b"not a date",
    b"0",
    b"Thu, 29 Feb 2024 12:34:56",
    b"Fri, 31 Dec 99999 23:59:59 GMT",
    DATE + b", " + DATE,
]


def fields(**values: bytes) -> Fields:
    return [(b"host", b"x"), *((name.replace("_", "-").encode(), value) for name, value in values.items())]


def test_a_request_without_preconditions_goes_on() -> None:
    assert evaluate("GET", [], STRONG) == 200
    assert evaluate("GET", fields(range=b"bytes=0-9", if_range=b'"other"'), STRONG) == 200


# Lists of entity-tags, and whether they have "abc" by the strong and by the weak comparison.
LISTS = [
    (b'"abc"', True, True),
    (b'W/"abc"', False, True),
    (b"*", True, True),
    (b" *\t", True, True),
    (b'"foo","abc","bar"', True, True),
    (b'"foo" \t,\t "abc"', True, True),
    (b', ,"abc",,', True, True),
    (b'"foo", W/"abc"', False, True),
    (b'"a,b", "abc"', True, True),
    (b'"x\\", "abc"', True, True),
    (b'"\x80\xff!#~", "abc"', True, True),
    (b'"", "abc"', True, True),
    (b'"abc", foo', True, True),
    (b'"abc", *', True, True),
    (b'"abc", "unfinished', True, True),
    (b"", False, False),
    (b",", False, False),
    (b'"foo"', False, False),
    (b'"ab"', False, False),
    (b'"abcd"', False, False),
    (b'"ABC"', False, False),
    (b'"foo,"abc"', False, False),
    (b'"foo, abc, bar"', False, False),
    (b'","abc"', False, False),
    (b"abc", False, False),
    (b'"abc', False, False),
    (b'abc"', False, False),
    (b"'abc'", False, False),
    (b'w/"abc"', False, False),
    (b'W/ "abc"', False, False),
    (b"W/abc", False, False),
    (b'W/W/"abc"', False, False),
    (b'foo, "abc"', False, False),
    (b'*, "abc"', False, False),
    (b'"foo" "abc"', False, False),
    (b'"abc" "foo"', False, False),
    (b'"abc";"foo"', False, False),
    (b'"a b", "abc"', False, False),
    (b'"a\x7f", "abc"', False, False),
    (b'"abc"\n', False, False),
    (b'"abc"\x0b', False, False),
]


@pytest.mark.parametrize(("tags", "strong", "weak"), LISTS, ids=[ascii(tags) for tags, _, _ in LISTS])
def test_a_list_of_entity_tags_is_read_up_to_its_fault(tags: bytes, strong: bool, weak: bool) -> None:
    assert evaluate("GET", fields(if_match=tags), STRONG) == (200 if strong else 412)
    assert evaluate("GET", fields(if_none_match=tags), STRONG) == (304 if weak else 200)


@pytest.mark.parametrize("tags", [b'"abc"', b'W/"abc"', b'"foo", "abc"', b'W/"foo", W/"abc"'])
def test_a_weak_validator_never_matches_strongly(tags: bytes) -> None:
    assert evaluate("GET", fields(if_match=tags), WEAK) == 412
    assert evaluate("GET", fields(if_none_match=tags), WEAK) == 304
    assert evaluate("GET", fields(if_match=b"*"), WEAK) == 200


@pytest.mark.parametrize("tags", [b"", b'""', b'"abc"', b"W/", b'W/""'])
def test_what_has_no_entity_tag_matches_a_star_alone(tags: bytes) -> None:
    assert evaluate("GET", fields(if_match=tags), BARE) == 412
    assert evaluate("GET", fields(if_none_match=tags), BARE) == 200
    assert evaluate("GET", fields(if_match=b"*"), BARE) == 200
    assert evaluate("GET", fields(if_none_match=b"*"), BARE) == 304


def test_lines_of_one_name_are_one_list() -> None:
    lines = [(b'"foo"', b'"abc"'), (b'"abc"', b'"foo"'), (b"", b'"abc"')]
    for first, second in lines:
        assert evaluate("GET", [(b"if-none-match", first), (b"x", b"y"), (b"if-none-match", second)], STRONG) == 304
        assert evaluate("GET", [(b"if-match", first), (b"if-match", second)], STRONG) == 200
    # A quote that is open at the end of a line is not closed in the next.
    assert evaluate("GET", [(b"if-none-match", b'"foo'), (b"if-none-match", b'"abc"')], STRONG) == 200
    assert evaluate("GET", [(b"if-modified-since", DATE), (b"if-modified-since", DATE)], STRONG) == 200


def test_only_reading_is_answered_with_not_modified() -> None:
    assert evaluate("GET", fields(if_none_match=b'"abc"'), STRONG) == 304
    assert evaluate("HEAD", fields(if_none_match=b'"abc"'), STRONG) == 304
    assert evaluate("PUT", fields(if_none_match=b'"abc"'), STRONG) == 412
    assert evaluate("get", fields(if_none_match=b"*"), STRONG) == 412
    assert evaluate("HEAD", fields(if_modified_since=DATE), STRONG) == 304
    assert evaluate("PUT", fields(if_modified_since=DATE), STRONG) == 200
    assert evaluate("PUT", fields(if_unmodified_since=BEFORE), STRONG) == 412


@pytest.mark.parametrize(
    ("date", "since", "unmodified"),
    [
        (DATE, 304, 200),
        (RFC850, 304, 200),
        (ASCTIME, 304, 200),
        (BEFORE, 200, 412),
        (AFTER, 304, 200),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", 304, 200),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 200, 412),
        (b"Mon, 01 Jan 0001 00:00:00 GMT", 200, 412),
    ],
)
def test_dates_are_compared_in_whole_seconds(date: bytes, since: int, unmodified: int) -> None:
    assert evaluate("GET", fields(if_modified_since=date), STRONG) == since
    assert evaluate("GET", fields(if_unmodified_since=date), STRONG) == unmodified


@pytest.mark.parametrize("value", NOT_DATES)
def test_what_is_not_a_date_is_ignored(value: bytes) -> None:
    assert evaluate("GET", fields(if_modified_since=value), STRONG) == 200
    assert evaluate("GET", fields(if_unmodified_since=value), STRONG) == 200


@pytest.mark.parametrize("value", [DATE, BEFORE, AFTER, b""])
def test_what_has_no_date_ignores_dates(value: bytes) -> None:
    assert evaluate("GET", fields(if_modified_since=value), UNDATED) == 200
    assert evaluate("GET", fields(if_unmodified_since=value), UNDATED) == 200


def test_preconditions_are_taken_in_their_order() -> None:
    # RFC 9110 §13.2.2, said again in the fewest words, for all combinations of what holds, what does not and nothing.
    tags, dates = (None, b'"abc"', b'"foo"'), (None, AFTER, BEFORE)
    for match, unmodified, none_match, modified in product(tags, dates, tags, dates):
        named = {
            "if_match": match,
            "if_unmodified_since": unmodified,
            "if_none_match": none_match,
            "if_modified_since": modified,
        }
        if match == b'"foo"' or (match is None and unmodified == BEFORE):
            expected = 412
        elif none_match == b'"abc"' or (none_match is None and modified == AFTER):
            expected = 304
        else:
            expected = 200
        present = {name: value for name, value in named.items() if value is not None}
        assert evaluate("GET", fields(**present), STRONG) == expected, present
        assert evaluate("GET", fields(**present)[::-1], STRONG) == expected, present


@pytest.mark.parametrize("tags", [b"", b"foo", b'"foo'])
def test_a_malformed_list_still_hides_the_date(tags: bytes) -> None:
    assert evaluate("GET", fields(if_none_match=tags, if_modified_since=DATE), STRONG) == 200
    assert evaluate("GET", fields(if_match=tags, if_unmodified_since=DATE), STRONG) == 412


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [
        (b'"abc"', True),
        (b'W/"abc"', False),
        (b'"foo"', False),
        (b'"foo", "abc"', False),
        (b'"abc" ', False),
        (b"abc", False),
        (b"*", False),
        (DATE, True),
        (RFC850, True),
        (ASCTIME, True),
        (BEFORE, False),
        (AFTER, False),
        *((value, False) for value in NOT_DATES),
    ],
)
def test_a_range_applies_if_nothing_has_changed(if_range: bytes, expected: bool) -> None:
    assert range_applies(if_range, STRONG) is expected


@pytest.mark.parametrize("if_range", [b'"abc"', b'W/"abc"'])
def test_a_range_never_applies_to_a_weak_validator(if_range: bytes) -> None:
    assert range_applies(if_range, WEAK) is False


@pytest.mark.parametrize("if_range", [b"", b'""', b'W/""', DATE, b"Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_range_never_applies_where_there_is_nothing_to_compare(if_range: bytes) -> None:
    assert range_applies(if_range, BARE) is False


@pytest.mark.parametrize(
    "piece", [b'"', b'"",', b'W/"', b"W/", b",", b" ", b'"x', b'"x" ', b'W/"abd" ,', b'"\xff"abc"', b"\x80"]
)
def test_a_long_list_without_the_entity_tag_does_not_match(piece: bytes) -> None:
    tags = piece * 100_000
    assert evaluate("GET", fields(if_match=tags), STRONG) == 412
    assert evaluate("GET", fields(if_none_match=b'"' + tags), STRONG) == 200


def reference(tags: str) -> list[str]:
    """The members before the first fault, by splitting octet by octet at the commas outside quotes."""
    members, quoted = [""], False
    for octet in tags:
        quoted ^= octet == '"'
        if octet == "," and not quoted:
            members.append("")
        else:
            members[-1] += octet
    stripped = [member for text in members if (member := text.strip(" \t"))]
    return list(takewhile(lambda member: re.fullmatch(r'(W/)?"[^"\x00-\x20\x7f]*"', member), stripped))


def test_it_agrees_with_a_slow_reference() -> None:
    random = Random(881)
    pieces = ['"abc"', '"a"', 'W/"abc"', '"a,b"', ",", ",", ",", " ", "\t", '"', "W/", "x", "*", "\x80", '"\xff"']
    outcomes = set()
    for _ in range(5000):
        tags = "".join(random.choices(pieces, k=random.randrange(1, 9)))
        members = reference(tags)
        star = tags.strip(" \t") == "*"
        strong, weak = star or '"abc"' in members, star or bool({'"abc"', 'W/"abc"'} & set(members))
        assert evaluate("GET", fields(if_match=tags.encode("latin-1")), STRONG) == (200 if strong else 412), tags
        assert evaluate("GET", fields(if_none_match=tags.encode("latin-1")), STRONG) == (304 if weak else 200), tags
        outcomes.add((len(members), strong, weak))
    assert {(0, False, False), (1, True, True), (1, False, True), (2, True, True), (3, False, False)} <= outcomes
