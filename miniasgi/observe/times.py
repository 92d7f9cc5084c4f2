"""A moment as logs write it, from seconds since the epoch. Knows the time zone; asks no clock."""

from __future__ import annotations

import time

__all__ = ["common", "iso", "local"]

# Not strftime's %b, which an application changes that sets its locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def local(seconds: float) -> str:
    """Local time, as in "2026-11-24 10:00:00"."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def iso(seconds: float, *, fraction: bool = False) -> str:
    """ISO 8601 in UTC, as in "2026-11-24T10:00:00Z", or with its milliseconds "2026-11-24T10:00:00.250Z"."""
    shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{shown}.{int(seconds % 1 * 1000):03d}Z" if fraction else f"{shown}Z"


def common(seconds: float) -> str:
    """Local time and its distance from UTC, as Apache writes it: "24/Nov/2026:10:00:00 +0000"."""
    now = time.localtime(seconds)
    sign, minutes = ("-" if now.tm_gmtoff < 0 else "+"), abs(now.tm_gmtoff) // 60
    clock = f"{now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
    date = f"{now.tm_mday:02d}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year:04d}"
    return f"{date}:{clock} {sign}{minutes // 60:02d}{minutes % 60:02d}"
