"""What a supervisor decides about workers that are to stop, and about those that hang."""

from __future__ import annotations

import logging
import signal

import pytest

from miniasgi.workers.supervision.member import State

from .fakes import House, up

# Stopping


def test_a_stop_lets_all_drain_and_starts_nobody() -> None:
    house = up(2)
    house.supervisor.stop()
    house.settle()
    assert house.shown() == {1: "1l", 2: "2l"}
    assert [each.commands for each in house.handles] == [["stop"], ["stop"]]
    assert house.sockets.closed
    house.end(1)
    assert not house.supervisor.finished
    house.end(2, "was killed by SIGSEGV")
    assert house.supervisor.finished
    assert len(house.handles) == 2
    assert house.settle() is None


def test_a_stop_while_workers_start_reaches_them_too() -> None:
    house = House(2)
    house.settle()
    house.ready(1)
    house.supervisor.stop()
    house.ready(2)  # it had said so before it was told
    assert house.shown() == {1: "1l", 2: "2l"}
    assert house.greetings == []
    house.end(2, "exited with status 3")
    house.end(1)
    assert house.supervisor.finished
    assert house.supervisor.failure is None


def test_a_worker_that_does_not_drain_is_forced_in_the_end() -> None:
    house = up(timeout_graceful_shutdown=10)
    house.supervisor.stop()
    house.run(29.9)
    assert house.handles[0].signals == []
    house.run(0.2)
    assert house.handles[0].signals == [signal.SIGTERM]
    house.run(5)
    assert house.handles[0].signals == [signal.SIGTERM, signal.SIGKILL]
    assert house.settle() is None
    house.end(1, "was killed by SIGKILL; perhaps for lack of memory")
    assert house.supervisor.finished


def test_a_second_stop_forces_and_further_ones_do_not_put_that_off() -> None:
    house = up(2)
    house.supervisor.stop()
    for _ in range(20):
        house.supervisor.stop(force=True)
        house.run(0.5)
    assert house.handles[0].commands[:2] == ["stop", "stop force"]
    assert house.handles[0].signals[:2] == [signal.SIGTERM, signal.SIGKILL]


def test_a_stop_reaches_those_that_had_been_given_time_for_their_clients() -> None:
    house = up(2)
    house.supervisor.fewer()
    house.settle()
    house.supervisor.stop()
    assert [each.commands for each in house.handles] == [["listen 2", "stop"], ["stop patient", "stop"]]
    patient = up(2)
    patient.supervisor.fewer()
    patient.settle()
    patient.supervisor.stop(patient=True)
    assert [each.commands for each in patient.handles] == [["listen 2", "stop patient"], ["stop patient"]]


def test_what_comes_after_a_stop_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    house = up()
    house.supervisor.stop()
    caplog.clear()
    caplog.set_level(logging.INFO, "miniasgi.server")
    house.supervisor.reload()
    house.supervisor.restart()
    house.settle()
    assert house.handles[0].commands == ["stop"]
    assert caplog.records == []


def test_a_forced_stop_of_a_worker_that_hangs() -> None:
    house = up(timeout_worker_healthcheck=5)
    house.handles[0].beats = False
    house.run(5.5)
    assert house.shown() == {1: "1h"}
    house.supervisor.stop(force=True)
    house.run(6.5)
    assert house.handles[0].signals == [signal.SIGTERM, signal.SIGKILL]


# Hanging


def test_a_worker_that_hangs_is_replaced_when_it_has_said_where() -> None:
    house = up(2, timeout_worker_healthcheck=30)
    house.handles[0].beats = False
    house.run(4)
    assert house.handles[1].commands == ["listen 1"]
    house.run(26.5)
    assert house.shown() == {1: "1h", 2: "2S"}
    assert house.handles[0].commands == ["report"]
    house.say(1, "report", text="in time.sleep")
    house.settle()
    assert house.shown() == {1: "1l 3s", 2: "2S"}
    house.ready(3)
    assert house.handles[2].commands == ["listen 1"]
    assert house.handles[1].commands == ["listen 1", "forget 1"]
    house.run(6)
    assert house.handles[0].signals == [signal.SIGTERM, signal.SIGKILL]


def test_silence_is_noticed_when_it_has_lasted_long_enough_and_not_at_some_beat_of_others() -> None:
    house = up(timeout_worker_healthcheck=5.3)
    heard_at = house.clock.now
    while house.in_state(State.SERVING):
        due = house.settle()
        assert due is not None
        house.clock.now = due
    assert house.clock.now - heard_at == pytest.approx(7.3)  # two more seconds, in which it can report
    assert house.handles[0].commands == ["report"]


def test_a_worker_whose_beats_resume_before_its_report_is_replaced_all_the_same() -> None:
    house = up(timeout_worker_healthcheck=30)
    house.handles[0].beats = False
    house.run(30.5)
    house.beat(1)
    house.settle()
    assert house.shown() == {1: "1h"}
    house.say(1, "report", text="in the loop")
    house.settle()
    assert house.shown() == {1: "1l 2s"}


def test_a_worker_whose_beats_resume_in_time_serves_alone_again() -> None:
    house = up(2, timeout_worker_healthcheck=30)
    house.handles[0].beats = False
    house.run(29)
    house.handles[0].beats = True
    house.run(60)
    assert house.shown() == {1: "1S", 2: "2S"}
    assert house.handles[0].commands == []
    assert house.handles[1].commands == ["listen 1", "forget 1"]


def test_a_worker_that_dies_while_it_hangs_is_replaced() -> None:
    house = up(timeout_worker_healthcheck=5)
    house.handles[0].beats = False
    house.run(5.5)
    house.end(1)
    assert house.shown() == {1: "2s"}


def test_a_worker_that_hangs_while_it_is_replaced_is_not_asked_to_drain() -> None:
    house = up(timeout_worker_healthcheck=5, limit_max_requests=1)
    house.beat(1, requests=1)
    house.handles[0].beats = False
    house.run(5.5)
    house.ready(2)
    assert house.shown() == {1: "1h 2S"}
    house.run(2)
    assert house.shown() == {1: "1l 2S"}
    assert house.handles[0].commands[:2] == ["report", "stop force"]


def test_silence_while_nobody_listened_is_excused() -> None:
    house = up(2, timeout_worker_healthcheck=30)
    leaving = up(timeout_graceful_shutdown=10)
    leaving.supervisor.stop()
    for each in (house, leaving):
        each.clock.now += 3600
        each.supervisor.excuse(3600)
        each.settle()
    assert house.shown() == {1: "1S", 2: "2S"}
    assert leaving.handles[0].signals == []


def test_a_thread_that_hangs_is_left_and_replaced() -> None:
    house = up(threads=True, timeout_worker_healthcheck=5)
    house.handles[0].beats = False
    house.run(10)
    assert house.shown() == {1: "1l 2s"}
    assert house.member(1).stuck
    house.ready(2)
    house.supervisor.stop()
    house.end(2)
    assert house.supervisor.finished  # for the thread nobody waits
    assert house.settle() is None


def test_when_many_threads_hang_no_more_are_started_and_it_is_said_once() -> None:
    told: list[str] = []
    house = up(5, threads=True, timeout_worker_healthcheck=5, exhausted=told.append)
    for each in house.handles[:4]:
        each.beats = False
    house.run(7.4)
    house.ready()
    house.run(30)
    assert (len(house.handles), told) == (9, [])  # each has been replaced
    for number in (5, 6):
        house.end(number)
        house.run(30)
    assert (len(house.handles), told) == (9, ["4 of its threads hang"])
    house.end(1)  # it does end after all
    assert len(house.handles) == 11


# What else it is told


def test_log_files_are_opened_anew_by_all() -> None:
    house = up(2)
    house.supervisor.reopen_files()
    assert [each.commands for each in house.handles] == [["reopen"], ["reopen"]]


def test_other_sockets_are_listened_to_when_they_come() -> None:
    house = up(2)
    house.supervisor.listen_again()
    assert [each.commands for each in house.handles] == [["forget 1", "listen 1"], ["forget 2", "listen 2"]]
    house.supervisor.want(1)
    house.settle()
    assert house.shown() == {1: "1S", 2: "2l"}
