"""What is made of a worker that did not start, or died: words, and a delay."""

from __future__ import annotations

import pytest

from miniasgi.errors import StartupError
from miniasgi.workers.supervision.failures import delay, note_death, shown, start_failure
from miniasgi.workers.supervision.member import Member, Place

from .fakes import FakeHandle


@pytest.fixture
def member() -> Member:
    return Member(Place(4, "worker 4"), FakeHandle(1), 1, started_at=100.0, served_at=110.0, running=2)


def test_delays_double_from_the_second_failure_on_up_to_a_bound() -> None:
    place = Place(1, "worker 1")
    delays = [delay(place, 50.0) for _ in range(9)]
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert (place.failures, place.not_before) == (9, 80.0)
    place.failures = 5000
    assert delay(place, 50.0) == 30


def test_a_delay_may_have_a_least() -> None:
    place = Place(1, "worker 1")
    assert [delay(place, 7.0, least=0.5) for _ in range(3)] == [0.5, 0.5, 1]
    assert place.not_before == 8.0


def test_what_a_worker_has_said_is_why_it_did_not_start(member: Member) -> None:
    member.failure = {"kind": "failed", "message": "no app", "details": "a traceback", "status": 2}
    failure = start_failure(member, "exited with status 2")
    assert (str(failure), failure.details, failure.exit_status) == ("no app", "a traceback", 2)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("exited with status 1", "a worker exited with status 1 while it started"),
        ("was killed by SIGBUS; native code", "a worker was killed by SIGBUS while it started (native code)"),
    ],
)
def test_a_worker_that_has_said_nothing_did_not_start_because_it_ended(member: Member, how: str, expected: str) -> None:
    failure = start_failure(member, how)
    assert (str(failure), failure.details, failure.exit_status) == (expected, "", 3)


@pytest.mark.parametrize(("details", "expected"), [("", "no app"), ("line 1\nline 2\n", "no app\nline 1\nline 2")])
def test_a_failure_is_shown_with_its_traceback_if_there_is_one(details: str, expected: str) -> None:
    assert shown(StartupError("no app", details)) == expected


@pytest.mark.parametrize(
    ("now", "failures", "wanted", "expected", "counted"),
    [
        (119.9, 0, True, "after 20 s, with 2 requests running; it is replaced", 1),
        (119.9, 3, True, "after 20 s, with 2 requests running; it is replaced in 2 s", 4),
        (120.0, 3, True, "after 20 s, with 2 requests running; it is replaced", 1),
        (119.9, 3, False, "after 20 s, with 2 requests running", 3),
    ],
)
def test_a_death_is_counted_and_told(
    caplog: pytest.LogCaptureFixture,
    member: Member,
    now: float,
    failures: int,
    wanted: bool,
    expected: str,
    counted: int,
) -> None:
    member.place.failures = failures
    note_death(member, "exited with status 1", now, wanted=wanted)
    assert caplog.messages == [f"worker 4 (fake 1) exited with status 1 {expected}"]
    assert member.place.failures == counted
