"""A moment, as each kind of log writes it."""

from __future__ import annotations

import locale
from collections.abc import Callable

import pytest

from miniasgi.observe import times

# Of 2026, each in UTC.
NOVEMBER = 1795514400.0  # the 24th, 10:00
JULY = 1783036805.25  # the 3rd, 00:00:05


def test_local_time_is_that_of_the_time_zone(time_zone: Callable[[str], None]) -> None:
    time_zone("UTC0")
    assert times.local(NOVEMBER) == "2026-11-24 10:00:00"
    time_zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert (times.local(NOVEMBER), times.local(JULY)) == ("2026-11-24 11:00:00", "2026-07-03 02:00:05")


def test_iso_8601_is_utc_wherever_one_is(time_zone: Callable[[str], None]) -> None:
    for zone in ("UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "XXX+9:30"):
        time_zone(zone)
        assert times.iso(NOVEMBER) == "2026-11-24T10:00:00Z"
        assert times.iso(JULY) == "2026-07-03T00:00:05Z"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(JULY, "05.250Z"), (NOVEMBER, "00.000Z"), (NOVEMBER + 0.999999, "00.999Z"), (NOVEMBER + 0.0625, "00.062Z")],
)
def test_milliseconds_are_cut_and_never_a_thousand(seconds: float, expected: str) -> None:
    assert times.iso(seconds, fraction=True).endswith(f":{expected}")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC0", "24/Nov/2026:10:00:00 +0000"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "24/Nov/2026:11:00:00 +0100"),
        ("IST-5:30", "24/Nov/2026:15:30:00 +0530"),
        ("XXX+9:30", "24/Nov/2026:00:30:00 -0930"),
    ],
)
def test_the_common_format_has_the_distance_from_utc(
    time_zone: Callable[[str], None], zone: str, expected: str
) -> None:
    time_zone(zone)
    assert times.common(NOVEMBER) == expected


def test_a_day_of_one_digit_has_two(time_zone: Callable[[str], None]) -> None:
    time_zone("UTC0")
    assert times.common(JULY) == "03/Jul/2026:00:00:05 +0000"


def test_the_months_names_are_english_whatever_the_locale(
    time_zone: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = locale.setlocale(locale.LC_TIME)
    time_zone("UTC0")
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C"):
        try:
            locale.setlocale(locale.LC_TIME, name)
        except locale.Error:
            continue  # not on this machine
        try:
            months = [times.common(NOVEMBER + 31 * 86400 * number)[3:6] for number in range(12)]
        finally:
            locale.setlocale(locale.LC_TIME, before)
        assert " ".join(months) == "Nov Dec Jan Feb Mar Apr May Jun Jul Aug Sep Oct"
