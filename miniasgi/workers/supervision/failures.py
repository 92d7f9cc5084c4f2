"""What is made of a worker that did not start, or that died: an error in words, and how long its place has to wait.

Knows what a member has said and how it has ended. Does not know what the supervisor does about it.
"""

from __future__ import annotations

import logging

from ...errors import StartupError
from ..system.exits import count
from .member import Member, Place

__all__ = ["FIRST_DELAY", "delay", "note_death", "shown", "start_failure"]

logger = logging.getLogger("miniasgi.server")

# 10 s: a worker that has served for so long did not die of its start, and the next one need not wait.
_YOUNG_SECONDS = 10.0
#: 0.5 s, doubled each time, up to 30 s: between two starts in a place whose workers keep dying.
FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


def delay(place: Place, now: float, *, least: float = 0.0) -> float:
    """Let a place whose members keep dying wait a little longer each time; the first one is replaced at once."""
    place.failures += 1
    seconds = min(FIRST_DELAY * 2 ** min(place.failures - 2, 10), _LONGEST_DELAY) if place.failures > 1 else 0.0
    seconds = max(seconds, least)
    place.not_before = now + seconds
    return seconds


def start_failure(member: Member, how: str) -> StartupError:
    """Why a worker has not come up: what it said, or else *how* it has ended."""
    said = member.failure
    if said is None:
        return StartupError(f"a worker {_with_hint(how, ' while it started')}")
    failure = StartupError(said["message"], said["details"])
    failure.exit_status = said["status"]
    return failure


def shown(failure: StartupError) -> str:
    """The line that says what is wrong, and the user's traceback below it."""
    return f"{failure}\n{failure.details}".rstrip()


def note_death(member: Member, how: str, now: float, *, wanted: bool) -> None:
    """Log that a worker has died that was up, and if one is still *wanted* in its place, after which delay."""
    place = member.place
    if now - member.served_at >= _YOUNG_SECONDS:
        place.failures = 0
    seconds = delay(place, now) if wanted and place.next is None else 0.0
    after = f" after {now - member.started_at:.0f} s, with {count(member.running, 'request')} running"
    replaced = "; it is replaced" if wanted else ""
    logger.error("%s %s%s%s", member.name, _with_hint(how, after), replaced, f" in {seconds:g} s" if seconds else "")


def _with_hint(how: str, more: str) -> str:
    """*how* as exits.describe() says it, with *more* before its guess at the reason."""
    what, _, hint = how.partition("; ")
    return f"{what}{more} ({hint})" if hint else f"{what}{more}"
