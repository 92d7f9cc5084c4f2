"""What a supervisor decides when code has changed: loading it anew while the old one serves, and starting over."""

from __future__ import annotations

import logging

import pytest

from .fakes import House, up


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# Loading anew


def test_a_reload_takes_over_all_at_once() -> None:
    house = up(2)
    house.supervisor.reload()
    house.settle()
    house.ready(3)
    assert house.shown() == {1: "1S 3R", 2: "2S 4s"}
    house.run(100)  # however long
    assert house.shown() == {1: "1S 3R", 2: "2S 4s"}
    house.ready(4)
    assert house.shown() == {1: "1l 3S", 2: "2l 4S"}
    assert [house.handles[2].commands, house.handles[3].commands] == [["listen 1"], ["listen 2"]]
    house.bury()
    house.run(100)
    assert house.shown() == {1: "3S", 2: "4S"}


def test_a_second_reload_begins_again_with_the_newest_code() -> None:
    house = up(2)
    house.supervisor.reload()
    house.settle()
    house.ready(3)
    house.supervisor.reload()
    house.settle()
    assert house.shown() == {1: "1S 3l 5s", 2: "2S 4l 6s"}
    assert house.handles[2].commands == ["stop force"]
    house.ready(5, 6)
    assert house.shown() == {1: "1l 3l 5S", 2: "2l 4l 6S"}


def test_a_worker_that_dies_during_a_reload_is_followed_by_the_new_one_and_its_socket_is_shared() -> None:
    house = up(2)
    house.supervisor.reload()
    house.settle()
    house.end(1)
    assert house.shown() == {1: "3s", 2: "2S 4s"}
    assert house.handles[1].commands == ["listen 1"]
    house.ready(3)
    assert house.shown() == {1: "3R", 2: "2S 4s"}
    house.ready(4)
    assert house.shown() == {1: "3S", 2: "2l 4S"}


def test_more_and_fewer_workers_during_a_reload() -> None:
    house = up(2)
    house.supervisor.reload()
    house.settle()
    house.supervisor.more()
    house.settle()
    assert house.shown() == {1: "1S 3s", 2: "2S 4s", 3: "5s"}
    house.ready(3, 4)
    assert house.shown() == {1: "1S 3R", 2: "2S 4R", 3: "5s"}
    house.supervisor.fewer()
    house.settle()
    assert house.shown() == {1: "1l 3S", 2: "2l 4S", 3: "5l"}


def test_workers_of_which_there_are_to_be_fewer_serve_until_a_reload_is_done() -> None:
    house = up(3)
    house.supervisor.want(1)
    house.supervisor.reload()
    house.settle()
    assert house.shown() == {1: "1S 4s", 2: "2S", 3: "3S"}
    house.ready(4)
    assert house.shown() == {1: "1l 4S", 2: "2l", 3: "3l"}
    house.bury()
    assert house.shown() == {1: "4S"}


def test_a_reload_whose_code_says_that_it_does_not_work_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    house = up(2)
    house.supervisor.reload()
    house.settle()
    house.ready(3)
    house.fail(4, "SyntaxError", "a traceback")
    assert house.shown() == {1: "1S 3l", 2: "2S"}
    assert house.handles[0].commands == house.handles[1].commands == []
    assert errors(caplog) == [
        "the application could not be loaded anew, and the old one stays: SyntaxError\na traceback"
    ]
    house.bury()
    house.run(100)
    assert house.shown() == {1: "1S", 2: "2S"}
    house.supervisor.reload()
    house.settle()
    house.ready()
    assert house.shown() == {1: "1l 5S", 2: "2l 6S"}


def test_a_reload_whose_workers_die_without_a_word_is_abandoned_after_the_fourth() -> None:
    house = up()
    house.supervisor.reload()
    house.settle()
    for number in (2, 3, 4, 5):
        assert house.shown() == {1: f"1S {number}s"}
        house.end(number)
        house.run(2.5)
    assert house.shown() == {1: "1S"}


def test_an_abandoned_reload_that_leaves_nobody_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    house = up()
    house.supervisor.reload()
    house.settle()
    house.end(1)
    house.fail(2, "SyntaxError")
    assert errors(caplog)[-1] == "the application could not be loaded anew, and none is left: SyntaxError"
    assert house.shown() == {}
    house.run(1)
    house.ready()
    assert house.shown() == {1: "3S"}


def test_a_reload_during_the_first_start_begins_it_again() -> None:
    house = House(2)
    house.settle()
    house.ready(1)
    house.supervisor.reload()
    house.settle()
    assert house.shown() == {1: "1S 3s", 2: "2l 4s"}
    house.end(2)
    assert house.supervisor.failure is None
    house.ready()
    assert house.greetings == ["asyncio"]


# Development


def test_in_development_the_first_failure_waits_for_the_next_change(caplog: pytest.LogCaptureFixture) -> None:
    house = House(3, developing=True)
    house.settle()
    house.fail(1, "SyntaxError", "a traceback")
    assert [record.getMessage() for record in caplog.records] == [
        "SyntaxError\na traceback\nwaiting for the next change"
    ]
    assert house.shown() == {2: "2l", 3: "3l"}  # which would say the same
    house.bury()
    assert house.settle() is None  # nothing, not even infinity
    house.supervisor.restart()
    house.settle()
    house.ready()
    assert house.shown() == {1: "4S", 2: "5S", 3: "6S"}
    assert house.greetings == ["asyncio"]


def test_in_development_a_worker_that_cannot_be_started_waits_for_the_next_change_too() -> None:
    house = House(developing=True)
    house.refusal = "no memory"
    assert house.settle() is None
    house.refusal = ""
    house.supervisor.restart()
    house.settle()
    assert house.shown() == {1: "1s"}


@pytest.mark.parametrize("command", ["restart", "reload"])
def test_in_development_the_next_worker_waits_for_the_end_of_the_one_before(command: str) -> None:
    house = up(2, developing=True)
    getattr(house.supervisor, command)()
    house.settle()
    assert house.shown() == {1: "1l", 2: "2l"}
    house.end(2)
    assert house.shown() == {1: "1l", 2: "3s"}
    getattr(house.supervisor, command)()
    house.settle()
    assert house.shown() == {1: "1l", 2: "3l"}
    assert house.handles[2].commands == ["stop force"]
    house.bury()
    house.ready(5)  # and serves: nobody sees the old code any more
    assert house.shown() == {1: "4s", 2: "5S"}


def test_in_development_a_worker_at_its_limit_goes_before_the_next_one_comes() -> None:
    house = up(developing=True, limit_max_requests=5)
    house.beat(1, requests=5)
    house.settle()
    assert house.shown() == {1: "1l"}
    house.bury()
    assert house.shown() == {1: "2s"}


def test_in_development_a_thread_that_nothing_ends_is_not_waited_for() -> None:
    house = up(developing=True, threads=True)
    house.supervisor.restart()
    house.run(100)
    assert house.member(1).stuck
    assert house.shown() == {1: "1l 2s"}


def test_in_development_a_death_is_made_good_without_a_change() -> None:
    house = up(developing=True)
    house.end(1)
    assert house.shown() == {1: "2s"}
