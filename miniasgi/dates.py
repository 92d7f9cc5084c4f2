"""HTTP-date (RFC 9110 §5.6.7): seconds since 1970 to octets and back.

Knows the calendar and three formats. Never asks for the locale, and asks the clock for nothing but the century of a
date that leaves it out.
"""

from __future__ import annotations

import re
import time
from datetime import date

__all__ = ["http_date", "parse_http_date"]

_DAYS = b"MonTueWedThuFriSatSun"
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
# date.toordinal() of the first of January 1970
_EPOCH_DAY = 719_163

_DAY_NAME = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY_NAME = rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# Nothing in them repeats without a bound, so that a long line costs no more than a short one.
_FORMATS = [
    # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
    re.compile(_DAY_NAME + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT"),
    # rfc850-date: Sunday, 06-Nov-94 08:49:37 GMT
    re.compile(_LONG_DAY_NAME + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT"),
    # asctime-date: Sun Nov  6 08:49:37 1994
    re.compile(_DAY_NAME + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _TIME + rb" (?P<year>[0-9]{4})"),
]


def http_date(seconds: float) -> bytes:
    """*seconds* since 1970 as an IMF-fixdate (RFC 9110 §5.6.7), whatever the process's locale is."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[weekday * 3 : weekday * 3 + 3],
        day,
        _MONTHS[month * 3 - 3 : month * 3],
        year,
        hour,
        minute,
        second,
    )


def parse_http_date(value: bytes, *, now: float | None = None) -> int | None:
    """The seconds since 1970 that an HTTP-date states, or None if *value* is not one.

    All three formats of RFC 9110 §5.6.7 are taken, in their exact spelling; a date that no calendar has is none. The
    name of the day is not compared with the date. *now*, in seconds since 1970, is for tests: the clock's time is used
    without it, and only for a year of two digits.
    """
    for form in _FORMATS:
        if found := form.fullmatch(value):
            break
    else:
        return None
    year, day, hour, minute, second = (int(found[name]) for name in ("year", "day", "hour", "minute", "second"))
    month = _MONTHS.index(found["month"]) // 3 + 1
    if len(found["year"]) == 2:
        # RFC 9110 §5.6.7: what appears to be more than 50 years in the future is the most recent such year of the past.
        this_year, *rest = time.gmtime(now)[:6]
        year += this_year - this_year % 100
        if (year, month, day, hour, minute, second) > (this_year + 50, *rest):
            year -= 100
    # A second 60 is a leap second, and counts as the one after it.
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return days * 86_400 + hour * 3600 + minute * 60 + second
