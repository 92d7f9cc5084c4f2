"""Whatever happens, in whatever order, a supervisor comes to rest with as many workers as are wanted."""

from __future__ import annotations

import random

import pytest

from miniasgi.workers.supervision.member import State

from .fakes import House


@pytest.mark.parametrize("seed", range(150))
def test_whatever_happens_it_comes_to_rest_with_as_many_workers_as_are_wanted(seed: int) -> None:
    chance = random.Random(seed)
    house = House(
        chance.randint(1, 3),
        developing=chance.random() < 0.3,
        shared=chance.random() < 0.3,
        threads=chance.random() < 0.2,
        timeout_worker_healthcheck=20,
        limit_max_requests=chance.choice([None, 50]),
        workers_lifetime=chance.choice([None, 40]),
    )
    house.settle()
    house.ready()
    for _ in range(60):
        happen(house, chance)
        house.settle()
        check(house)
    house.refusal = ""
    house.supervisor.restart()  # for those that wait for a change
    for _ in range(60):
        house.bury()
        house.run(1)
        house.ready()
    serving = house.in_state(State.SERVING)
    if sum(member.stuck for member in house.supervisor.members) < 4:
        assert sorted(member.place.number for member in serving) == list(range(1, house.supervisor.wanted + 1))
    house.supervisor.stop()
    house.run(100)
    house.bury()
    assert house.supervisor.finished


def happen(house: House, chance: random.Random) -> None:
    """Something, to somebody."""
    supervisor = house.supervisor
    member = chance.choice(supervisor.members) if supervisor.members else None
    what = chance.randrange(12)
    if what == 0:
        supervisor.reload()
    elif what == 1 and supervisor.wanted < 5:
        supervisor.more()
    elif what == 2:
        supervisor.fewer()
    elif what == 3:
        house.refusal = chance.choice(["", "no memory"])
    elif what == 4:
        supervisor.restart()
    elif what < 7:
        house.run(chance.choice([0.3, 3, 25]))
    elif member is not None:
        number = house.handles.index(member.handle) + 1  # type: ignore[arg-type]
        if what == 7:
            house.end(number)
        elif what == 8 and member.state is State.STARTING:
            house.fail(number)
        elif what == 9:
            house.say(number, "report", text="somewhere")
        elif what == 10:
            house.handles[number - 1].beats = False
        else:
            house.ready()


def check(house: House) -> None:
    """What holds at any time."""
    assert house.supervisor.failure is None
    assert not house.sockets.closed
    for number in house.shown():
        here = [each for each in house.supervisor.members if each.place.number == number]
        assert sum(each.state in (State.SERVING, State.HUNG) for each in here) <= 2
        assert sum(each.state in (State.STARTING, State.READY) for each in here) <= 1
    attentive = [each for each in house.in_state(State.SERVING) if house.clock.now < each.heard_at + 3]
    if attentive:
        heard = set().union(*(each.listens for each in attentive))
        assert heard == house.sockets.given, "connections wait where nobody accepts them"
