"""What a supervisor keeps of a worker."""

from __future__ import annotations

from miniasgi.config import Config
from miniasgi.workers.supervision.member import Member, Place

from .fakes import FakeHandle


def member() -> Member:
    return Member(Place(3, "worker 3"), FakeHandle(9), 1, 0.0)


def test_a_member_is_called_by_its_place_and_what_runs_it() -> None:
    assert member().name == "worker 3 (fake 9)"


def test_two_members_are_never_the_same() -> None:
    place, handle = Place(1, "worker 1"), FakeHandle(1)
    assert Member(place, handle, 1, 0.0) != Member(place, handle, 1, 0.0)
    assert Place(1, "worker 1") != Place(1, "worker 1")
    assert len({Member(place, handle, 1, 0.0), Member(place, handle, 1, 0.0)}) == 2


def test_without_limits_nothing_is_too_much() -> None:
    drawn = member()
    drawn.draw_limits(Config())
    assert (drawn.most_requests, drawn.most_seconds) == (float("inf"), float("inf"))


def test_limits_without_jitter_are_exact() -> None:
    drawn = member()
    drawn.draw_limits(Config(limit_max_requests=100, workers_lifetime=60.0))
    assert (drawn.most_requests, drawn.most_seconds) == (100, 60.0)


def test_jitter_is_added_and_different_for_each() -> None:
    config = Config(
        limit_max_requests=100, limit_max_requests_jitter=10, workers_lifetime=60.0, workers_lifetime_jitter=5.0
    )
    drawn = [member() for _ in range(300)]
    for each in drawn:
        each.draw_limits(config)
    # Of 300 draws among eleven numbers, one is missing once in 10 to the 11th times.
    assert {each.most_requests for each in drawn} == set(range(100, 111))
    assert all(60.0 <= each.most_seconds <= 65.0 for each in drawn)
    assert len({each.most_seconds for each in drawn}) > 200
