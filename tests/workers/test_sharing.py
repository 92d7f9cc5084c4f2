"""Who is told to accept from which sockets."""

from __future__ import annotations

import pytest

from miniasgi.workers.supervision.member import Member, Place, State
from miniasgi.workers.supervision.sharing import share_sockets, tell_listen

from .fakes import FakeHandle, FakeSockets

NOW = 100.0


def opened(*keys: int) -> FakeSockets:
    """Sockets that clients may have connected to."""
    sockets = FakeSockets()
    sockets.given.update(keys)
    return sockets


def serving(number: int, heard_at: float = NOW) -> tuple[Place, FakeHandle]:
    """A place whose worker serves."""
    place, handle = Place(number, f"worker {number}"), FakeHandle(number)
    place.current = Member(place, handle, 1, 0.0, state=State.SERVING, heard_at=heard_at, listens={number})
    return place, handle


def test_each_serves_its_own_while_all_are_well() -> None:
    places = [serving(1), serving(2)]
    share_sockets([place for place, _ in places], opened(1, 2), NOW)
    assert [handle.told for _, handle in places] == [[], []]


@pytest.mark.parametrize("why", ["empty", "silent", "hung"])
def test_what_nobody_attends_to_is_shared_by_all_others_and_given_back(why: str) -> None:
    (first, one), (second, two), (third, three) = serving(1), serving(2), serving(3)
    gone = second.current
    assert gone is not None
    if why == "empty":
        second.current = None
    elif why == "silent":
        gone.heard_at = NOW - 3.0
    else:
        gone.state = State.HUNG
    places, sockets = [first, second, third], opened(1, 2, 3)
    share_sockets(places, sockets, NOW)
    share_sockets(places, sockets, NOW)
    assert (one.commands, two.commands, three.commands) == (["listen 2"], [], ["listen 2"])
    assert one.told[0][1]["sockets"] == ["socket 2"]
    second.current, gone.heard_at, gone.state = gone, NOW, State.SERVING
    share_sockets(places, sockets, NOW)
    share_sockets(places, sockets, NOW)
    assert one.commands == three.commands == ["listen 2", "forget 2"]
    assert two.commands == []


def test_those_that_are_silent_share_nothing_until_they_are_heard_again() -> None:
    (first, one), (second, two) = serving(1, NOW - 2.9), serving(2, NOW - 3)
    third = Place(3, "worker 3")
    share_sockets([first, second, third], opened(1, 2, 3), NOW)
    assert (one.commands, two.commands) == (["listen 2", "listen 3"], [])
    assert second.current is not None
    second.current.heard_at = NOW
    share_sockets([first, second, third], opened(1, 2, 3), NOW)
    assert (one.commands, two.commands) == (["listen 2", "listen 3", "forget 2"], ["listen 3"])


def test_a_place_that_never_listened_has_nothing_to_share() -> None:
    (first, one) = serving(1)
    sockets = opened(1)
    share_sockets([first, Place(2, "worker 2")], sockets, NOW)
    assert (one.told, sockets.given) == ([], {1})


def test_sockets_without_a_place_are_shared() -> None:
    (first, one) = serving(1)
    share_sockets([first], opened(1, 2), NOW)
    assert one.commands == ["listen 2"]


def test_one_socket_for_all_has_one_key() -> None:
    sockets = FakeSockets(shared=True)
    (first, one) = serving(1)
    assert first.current is not None
    first.current.listens = set()
    tell_listen(first.current, sockets, sockets.key(1))
    share_sockets([first, Place(2, "worker 2")], sockets, NOW)
    assert one.commands == ["listen 0"]
    assert first.current.listens == {0}


def test_sockets_that_cannot_be_had_are_told_and_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    (first, one) = serving(1)
    assert first.current is not None
    sockets = FakeSockets()
    sockets.refused.add(2)
    tell_listen(first.current, sockets, 2)
    assert (one.told, first.current.listens) == ([], {1})
    assert caplog.messages == ["worker 1 (fake 1) has no socket of its own: cannot listen: too many open files"]
