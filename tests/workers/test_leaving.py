"""How a worker is made to go."""

from __future__ import annotations

import signal

import pytest

from miniasgi.workers.supervision.leaving import drop, end_by_force, give_up, leave, let_go, vacate
from miniasgi.workers.supervision.member import Member, Place, State

from .fakes import FakeHandle


@pytest.fixture
def handle() -> FakeHandle:
    return FakeHandle(1)


@pytest.fixture
def member(handle: FakeHandle) -> Member:
    place = Place(1, "worker 1")
    place.current = Member(place, handle, 1, 0.0, state=State.SERVING, listens={1, 2})
    return place.current


@pytest.mark.parametrize(("patient", "told"), [(True, "stop patient"), (False, "stop")])
def test_a_worker_that_is_let_go_drains_and_has_a_deadline(
    member: Member, handle: FakeHandle, patient: bool, told: str
) -> None:
    let_go(member, 100.0, 30.0, patient=patient)
    assert handle.commands == [told]
    assert (member.state, member.deadline, member.listens) == (State.LEAVING, 130.0, set())
    assert member.steps == [signal.SIGTERM, signal.SIGKILL]
    assert member.place.current is None


@pytest.mark.parametrize("state", [State.LEAVING, State.HUNG])
def test_one_that_goes_already_or_cannot_hear_is_not_told(member: Member, handle: FakeHandle, state: State) -> None:
    member.state = state
    let_go(member, 100.0, 30.0, patient=True)
    assert (handle.told, member.state, member.deadline) == ([], state, None)


def test_one_that_is_dropped_ends_at_once(member: Member, handle: FakeHandle) -> None:
    drop(member, 100.0)
    assert handle.commands == ["stop force"]
    assert (member.state, member.deadline) == (State.LEAVING, 102.0)


def test_force_that_is_under_way_can_come_nearer_and_not_be_put_off(member: Member) -> None:
    end_by_force(member, 50.0)
    end_by_force(member, 40.0)
    assert member.deadline == 40.0
    del member.steps[0]
    end_by_force(member, 60.0)
    assert (member.deadline, member.steps) == (40.0, [signal.SIGKILL])


def test_force_that_has_been_tried_in_vain_can_be_tried_again(member: Member) -> None:
    member.deadline, member.steps = None, []
    end_by_force(member, 60.0)
    assert member.deadline == 60.0
    assert member.steps == [signal.SIGTERM, signal.SIGKILL]


def test_the_deadline_of_a_report_is_replaced(member: Member) -> None:
    member.state, member.deadline = State.HUNG, 40.0
    end_by_force(member, 60.0)
    assert (member.deadline, member.steps) == (60.0, [signal.SIGTERM, signal.SIGKILL])


def test_one_that_leaves_takes_nobody_else_out_of_the_place(member: Member, handle: FakeHandle) -> None:
    place = member.place
    other = Member(place, handle, 2, 0.0)
    place.next = other
    leave(member)
    assert (place.current, place.next) == (None, other)
    vacate(member)
    assert place.next is other
    vacate(other)
    assert place.next is None
    assert other.state is State.STARTING


def test_one_that_hangs_and_is_given_up_is_told_to_end_in_case_it_comes_to_itself(
    member: Member, handle: FakeHandle
) -> None:
    member.state, member.deadline = State.HUNG, 90.0
    give_up(member, 100.0)
    assert handle.commands == ["stop force"]
    assert (member.state, member.deadline, member.place.current) == (State.LEAVING, 100.0, None)
