"""What a supervisor decides: who is started, replaced and stopped, in whatever order things happen.

House.shown() is what is compared: of each place its workers by number, S those that serve, s those that start, R those
that are ready and wait for others, h those that hang, l those that leave.
"""

from __future__ import annotations

import logging

import pytest

from .fakes import House, up


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# The first start


def test_each_worker_serves_as_soon_as_it_is_ready_and_all_are_greeted_once() -> None:
    house = House(3)
    house.settle()
    assert house.shown() == {1: "1s", 2: "2s", 3: "3s"}
    house.ready(2)
    assert house.shown() == {1: "1s", 2: "2S", 3: "3s"}
    assert house.handles[1].commands == ["listen 2"]
    assert house.greetings == []
    house.ready(1, 3)
    assert house.shown() == {1: "1S", 2: "2S", 3: "3S"}
    assert house.greetings == ["asyncio"]
    house.end(1)
    house.ready(4)
    assert house.greetings == ["asyncio"]


def test_a_first_worker_that_says_why_it_cannot_start_ends_the_server_with_its_words_and_status() -> None:
    house = House(3)
    house.settle()
    house.ready(1)
    house.fail(2, "no attribute app", "a traceback", 2)
    failure = house.supervisor.failure
    assert failure is not None
    assert (str(failure), failure.details, failure.exit_status) == ("no attribute app", "a traceback", 2)
    assert house.shown() == {1: "1l", 3: "3l"}
    assert "stop force" in house.handles[0].commands
    assert house.handles[2].commands == ["stop force"]
    assert not house.supervisor.finished
    house.fail(3, "something else")
    house.end(1)
    assert house.supervisor.finished
    assert house.supervisor.failure is failure


def test_a_first_worker_that_ends_without_a_word_ends_the_server_and_the_hint_is_kept() -> None:
    house = House()
    house.settle()
    house.end(1, "was killed by SIGKILL; perhaps for lack of memory")
    assert house.supervisor.finished
    failure = house.supervisor.failure
    assert failure is not None
    assert str(failure) == "a worker was killed by SIGKILL while it started (perhaps for lack of memory)"
    assert failure.exit_status == 3


def test_a_first_worker_that_cannot_even_be_started_ends_the_server_and_nobody_else_is_tried() -> None:
    house = House(3)
    house.room = 1
    house.settle()
    assert str(house.supervisor.failure) == "there is no room for more workers"
    assert house.refused == [2]
    assert house.shown() == {1: "1l"}
    assert house.handles[0].commands == ["stop force"]
    house.bury()
    assert house.supervisor.finished


def test_a_worker_that_dies_while_others_start_for_the_first_time_is_replaced() -> None:
    house = House(2)
    house.settle()
    house.ready(1)
    house.end(1)
    assert house.shown() == {2: "2s", 1: "3s"} and house.supervisor.failure is None
    house.ready()
    assert house.greetings == ["asyncio"]


# Death and back-off


def test_the_first_death_is_made_good_at_once_and_the_socket_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    house = up(2)
    house.beat(1, requests=7, running=1)
    house.run(12)
    house.end(1, "was killed by SIGSEGV; native code has crashed")
    assert house.shown() == {1: "3s", 2: "2S"}
    assert house.handles[0].closed
    house.ready(3)
    assert house.handles[2].commands == ["listen 1"]
    assert errors(caplog) == [
        "worker 1 (fake 1) was killed by SIGSEGV after 12 s, with 1 request running (native code has crashed); it is "
        "replaced"
    ]


def test_a_place_whose_workers_keep_dying_waits_longer_each_time() -> None:
    house = up()
    delays = []
    for number in range(1, 11):
        died_at = house.clock.now
        house.end(number)
        while len(house.handles) == number:
            due = house.settle()
            assert due is not None
            house.clock.now = due
            house.settle()
        delays.append(round(house.clock.now - died_at, 6))
        house.ready()
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_after_ten_seconds_of_service_a_death_is_a_first_one_again() -> None:
    house = up()
    for number, served, expected in ((1, 1.0, "2s"), (2, 9.0, ""), (3, 10.5, "4s")):
        house.run(served)
        house.end(number)
        assert house.shown().get(1, "") == expected
        house.run(0.5)
        house.ready()


def test_in_place_of_a_worker_that_was_being_replaced_no_second_one_is_started() -> None:
    house = up(limit_max_requests=5)
    house.beat(1, requests=5)
    house.settle()
    assert house.shown() == {1: "1S 2s"}
    house.end(1)
    assert house.shown() == {1: "2s"}
    house.ready(2)
    house.end(2)  # which is the first to leave the place empty
    assert house.shown() == {1: "3s"}


def test_a_worker_that_cannot_be_started_is_tried_again_though_nothing_else_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = up()
    house.refusal = "cannot start a worker process: no memory"
    house.end(1)
    assert house.shown() == {}
    due = house.settle()
    assert due == pytest.approx(house.clock.now + 0.5)
    house.refusal = ""
    house.run(0.6)
    assert house.shown() == {1: "2s"}
    assert errors(caplog)[-1] == "worker 1 did not start: cannot start a worker process: no memory"


def test_a_replacement_that_does_not_start_leaves_the_old_one_serving(caplog: pytest.LogCaptureFixture) -> None:
    house = up(workers_lifetime=100)
    house.run(101)
    assert house.shown() == {1: "1S 2s"}
    house.fail(2, "no database", "a traceback")
    assert errors(caplog) == ["worker 1 (fake 2) did not start: no database\na traceback"]
    house.run(0.5)
    assert house.shown() == {1: "1S 3s"}
    house.ready(3)
    assert house.shown() == {1: "1l 3S"}
    assert house.handles[0].commands == ["stop patient"]


# Limits


def test_a_worker_is_replaced_only_when_the_other_one_listens() -> None:
    house = up(limit_max_requests=1000)
    house.beat(1, requests=999)
    house.settle()
    assert house.shown() == {1: "1S"}
    house.beat(1, requests=1000)
    house.settle()
    assert (house.shown(), house.handles[0].commands) == ({1: "1S 2s"}, [])
    house.ready(2)
    assert (house.handles[0].commands, house.handles[1].commands) == (["stop patient"], ["listen 1"])


def test_a_worker_may_ask_to_be_replaced() -> None:
    house = up()
    house.say(1, "recycle", reason="4 of its threads hang")
    house.settle()
    assert house.shown() == {1: "1S 2s"}


# More and fewer


def test_more_and_fewer_workers_and_sockets_are_never_lost() -> None:
    house = up()
    house.supervisor.more()
    house.settle()
    house.ready()
    house.supervisor.fewer()
    house.settle()
    assert house.shown() == {1: "1S", 2: "2l"}
    assert house.handles[0].commands == ["listen 2"]  # for those who have connected there
    assert house.handles[1].commands == ["listen 2", "stop patient"]
    house.bury()
    house.supervisor.fewer()
    assert house.supervisor.wanted == 1
    house.supervisor.more()
    house.settle()
    house.ready()
    assert house.handles[2].commands == ["listen 2"]
    assert house.handles[0].commands == ["listen 2", "forget 2"]
    assert not house.sockets.closed


def test_a_place_that_has_never_served_leaves_nothing_behind() -> None:
    house = up()
    house.supervisor.more()
    house.settle()
    house.supervisor.fewer()
    house.settle()
    assert house.shown() == {1: "1S", 2: "2l"}
    assert house.handles[0].commands == []
    assert house.sockets.given == {1}


def test_there_is_a_most_of_workers() -> None:
    house = House(1024)
    house.supervisor.more()
    assert house.supervisor.wanted == 1024
