"""HTTP-dates, there and back: the three formats, the century rule, and what is not a date."""

from __future__ import annotations

import calendar
import locale
from random import Random

import pytest

from miniasgi.dates import http_date, parse_http_date

# Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7
EXAMPLE = 784_111_777
# Mon, 23 Nov 2026 12:00:00 GMT
NOW = 1_795_435_200


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (EXAMPLE, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (EXAMPLE + 0.999, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, b"Tue, 29 Feb 2000 00:00:00 GMT"),
        (253_402_300_799, b"Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_a_date_is_written_as_an_imf_fixdate(seconds: float, expected: bytes) -> None:
    assert http_date(seconds) == expected


@pytest.mark.parametrize(
    "value",
    [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
)
def test_each_of_the_three_formats_is_read(value: bytes) -> None:
    assert parse_http_date(value, now=NOW) == EXAMPLE


def test_what_is_written_is_read_back() -> None:
    random = Random(5567)
    for _ in range(500):
        seconds = random.randrange(-62_135_596_800, 253_402_300_800)
        assert parse_http_date(http_date(seconds)) == seconds


@pytest.mark.parametrize("day", ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
def test_the_name_of_the_day_must_be_one_but_need_not_be_that_day_s(day: str) -> None:
    short = day[:3]
    assert parse_http_date(f"{short}, 06 Nov 1994 08:49:37 GMT".encode()) == EXAMPLE
    assert parse_http_date(f"{day}, 06-Nov-94 08:49:37 GMT".encode(), now=NOW) == EXAMPLE
    assert parse_http_date(f"{short} Nov  6 08:49:37 1994".encode()) == EXAMPLE


@pytest.mark.parametrize(
    ("month", "name"),
    [*enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)],
)
def test_each_month_has_its_name(month: int, name: str) -> None:
    expected = calendar.timegm((2023, month, 15, 1, 2, 3))
    assert parse_http_date(f"Mon, 15 {name} 2023 01:02:03 GMT".encode()) == expected
    assert parse_http_date(f"Mon {name} 15 01:02:03 2023".encode()) == expected


@pytest.mark.parametrize(
    ("value", "same"),
    [
        # Fifty years ahead to the second is still the future.
        (b"Monday, 23-Nov-76 12:00:00 GMT", b"Mon, 23 Nov 2076 12:00:00 GMT"),
        (b"Monday, 23-Nov-76 12:00:01 GMT", b"Mon, 23 Nov 1976 12:00:01 GMT"),
        (b"Monday, 01-Jan-77 00:00:00 GMT", b"Sat, 01 Jan 1977 00:00:00 GMT"),
        (b"Monday, 31-Dec-99 23:59:59 GMT", b"Fri, 31 Dec 1999 23:59:59 GMT"),
        (b"Monday, 01-Jan-00 00:00:00 GMT", b"Sat, 01 Jan 2000 00:00:00 GMT"),
        (b"Monday, 29-Feb-72 00:00:00 GMT", b"Mon, 29 Feb 2072 00:00:00 GMT"),
    ],
)
def test_a_year_of_two_digits_is_at_most_fifty_years_ahead(value: bytes, same: bytes) -> None:
    assert parse_http_date(value, now=NOW) == parse_http_date(same)


def test_the_clock_says_which_century_it_is() -> None:
    assert parse_http_date(b"Sunday, 06-Nov-94 08:49:37 GMT", now=0) == EXAMPLE
    assert parse_http_date(b"Sunday, 06-Nov-94 08:49:37 GMT", now=EXAMPLE + 30) == EXAMPLE
    assert parse_http_date(b"Saturday, 01-Jan-00 00:00:00 GMT") is not None


def test_a_leap_second_is_the_second_after_it() -> None:
    assert parse_http_date(b"Sat, 31 Dec 2016 23:59:60 GMT") == parse_http_date(b"Sun, 01 Jan 2017 00:00:00 GMT")


def test_dates_before_1970_are_negative() -> None:
    assert parse_http_date(b"Wed, 31 Dec 1969 23:59:59 GMT") == -1
    assert parse_http_date(b"Mon, 01 Jan 0001 00:00:00 GMT") == -62_135_596_800


@pytest.mark.parametrize(
    "value",
    [
        b"Mon, 00 Nov 1994 08:49:37 GMT",
        b"Mon, 31 Nov 1994 08:49:37 GMT",
        b"Wed, 29 Feb 2023 08:49:37 GMT",
        b"Thu, 29 Feb 1900 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:00 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Wednesday, 30-Feb-94 08:49:37 GMT",
        b"Sun Nov  0 08:49:37 1994",
        b"Sun Nov 31 08:49:37 1994",
    ],
)
def test_a_date_that_no_calendar_has_is_none(value: bytes) -> None:
    assert parse_http_date(value, now=NOW) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"784111777",
        b"not a date",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 gmt",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"Sun, 06 Nov 1994 08:49:37 GMT ",
        b" Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        b"Sun, 06 Nov 1994 08:49:37 GMT; length=10",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun,06 Nov 1994 08:49:37 GMT",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06  Nov 1994 08:49:37 GMT",
        b"Sun, 06 nov 1994 08:49:37 GMT",
        b"sun, 06 Nov 1994 08:49:37 GMT",
        b"Son, 06 Nov 1994 08:49:37 GMT",
        b"06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 06 Nov 01994 08:49:37 GMT",
        b"Sun, 06 Nov 10000 08:49:37 GMT",
        b"Sun, 06 Nov -994 08:49:37 GMT",
        b"Sun, +6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49 GMT",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"Sunday, 06-Nov-1994 08:49:37 GMT",
        b"Sunday, 06 Nov 1994 08:49:37 GMT",
        b"Sun Nov 6 08:49:37 1994",
        b"Sun Nov  6 08:49:37 1994 GMT",
        b"Sun Nov  6 08:49:37 94",
        b"1994-11-06T08:49:37Z",
        "Sun, 0٦ Nov 1994 08:49:37 GMT".encode(),
        b"Sun, 06 Nov 1994 08:49:37 GMT" * 10_000,
        b"S" * 1_000_000,
        b"0" * 1_000_000,
    ],
    ids=lambda value: ascii(value[:60]),
)
def test_what_is_spelled_otherwise_is_none(value: bytes) -> None:
    assert parse_http_date(value, now=NOW) is None


def test_no_locale_changes_a_date() -> None:
    before = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8", "C.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        try:
            assert http_date(EXAMPLE) == b"Sun, 06 Nov 1994 08:49:37 GMT"
            assert parse_http_date(b"Sun, 06 Nov 1994 08:49:37 GMT") == EXAMPLE
        finally:
            locale.setlocale(locale.LC_ALL, before)
