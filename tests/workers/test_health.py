"""What is done about workers that give no sign of life, and which are replaced though they do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from miniasgi.config import Config
from miniasgi.workers.kinds.process import REPORT_SIGNAL
from miniasgi.workers.supervision import health
from miniasgi.workers.supervision.health import check_health, why_replace
from miniasgi.workers.supervision.leaving import end_by_force
from miniasgi.workers.supervision.member import Member, Place, State

from .fakes import FakeHandle

CONFIG = Config(timeout_worker_healthcheck=30.0)


@pytest.fixture
def handle() -> FakeHandle:
    return FakeHandle(1)


@pytest.fixture
def member(handle: FakeHandle) -> Member:
    place = Place(1, "worker 1")
    place.current = Member(place, handle, 1, 0.0, state=State.SERVING, served_at=90.0, heard_at=100.0)
    return place.current


@pytest.mark.parametrize(("now", "state"), [(129.9, State.SERVING), (130.0, State.HUNG)])
def test_silence_is_borne_for_as_long_as_is_configured(
    caplog: pytest.LogCaptureFixture, member: Member, handle: FakeHandle, now: float, state: State
) -> None:
    check_health(member, CONFIG, now)
    assert member.state is state
    assert (handle.commands, member.deadline) == ((["report"], 132.0) if state is State.HUNG else ([], None))
    assert caplog.messages == (
        ["worker 1 (fake 1) has given no sign of life for 30 s (--timeout-worker-healthcheck is 30 s), and is replaced"]
        if state is State.HUNG
        else []
    )


@pytest.mark.parametrize("heard_at", [0.1, 0.7, 1.1, 1000.1, 4321.7, 86400.3])
def test_at_the_time_for_which_the_supervisor_waits_it_is_due(member: Member, heard_at: float) -> None:
    member.heard_at = heard_at
    check_health(member, CONFIG, heard_at + 30.0)
    assert member.state is State.HUNG


def test_of_one_that_has_never_been_ready_only_the_end_by_force_is_news(
    caplog: pytest.LogCaptureFixture, member: Member, handle: FakeHandle
) -> None:
    member.state, member.served_at = State.LEAVING, 0.0
    end_by_force(member, 101.0)
    caplog.set_level("INFO", "miniasgi.server")
    check_health(member, CONFIG, 101.0)
    assert (handle.signals, caplog.messages) == ([signal.SIGTERM], [])
    check_health(member, CONFIG, 106.0)
    assert handle.signals == [signal.SIGTERM, signal.SIGKILL]
    assert caplog.messages == ["worker 1 (fake 1) is sent SIGKILL: it has not ended"]


@pytest.mark.parametrize("state", [State.STARTING, State.READY, State.LEAVING])
def test_only_those_that_serve_have_to_give_signs_of_life(member: Member, handle: FakeHandle, state: State) -> None:
    member.state = state
    check_health(member, CONFIG, 1000.0)
    assert (member.state, handle.told, handle.signals) == (state, [], [])


def test_one_that_does_not_report_has_its_stacks_written_and_is_ended(
    caplog: pytest.LogCaptureFixture, member: Member, handle: FakeHandle
) -> None:
    check_health(member, CONFIG, 130.0)
    check_health(member, CONFIG, 131.9)
    assert (member.state, handle.signals) == (State.HUNG, [])
    expected = [REPORT_SIGNAL, signal.SIGTERM, signal.SIGKILL]
    for count, now in enumerate((132.0, 132.5, 137.5), 1):
        check_health(member, CONFIG, now - 0.1)
        assert len(handle.signals) == count - 1
        check_health(member, CONFIG, now)
        assert handle.signals == expected[:count]
        assert member.state is State.LEAVING
        assert member.place.current is None
        # What a signal asks for may still be gentle: a service manager sends it to all processes at once.
        assert handle.told[-1] == ("stop", {"force": True, "patient": False})
    check_health(member, CONFIG, 1000.0)
    assert (handle.signals, member.deadline, member.stuck) == (expected, None, False)
    assert "does not even say where it hangs" in caplog.messages[1]
    assert caplog.messages[2:] == [
        "worker 1 (fake 1) is sent SIGTERM: it has not ended",
        "worker 1 (fake 1) is sent SIGKILL: it has not ended",
    ]


def test_what_takes_no_signal_is_left(caplog: pytest.LogCaptureFixture, member: Member, handle: FakeHandle) -> None:
    handle.has_signals = False
    end_by_force(member, 150.0)
    member.state = State.LEAVING
    check_health(member, CONFIG, 150.0)
    assert (member.stuck, member.deadline) == (True, None)
    assert caplog.messages == ["worker 1 (fake 1) does not end, and nothing else ends a thread: it is left"]
    check_health(member, CONFIG, 500.0)
    assert len(handle.signals) == 1


# Replacing those that are well


@pytest.mark.parametrize(
    ("requests", "now", "expected"),
    [
        (9, 149.9, ""),
        (10, 149.9, "it has taken 10 requests"),
        (9, 150.0, "it has served for 60 s"),
    ],
)
def test_limits(member: Member, requests: int, now: float, expected: str) -> None:
    member.requests, member.most_requests, member.most_seconds = requests, 10, 60
    assert why_replace(member, CONFIG, now) == expected


@pytest.mark.parametrize("state", [each for each in State if each is not State.SERVING])
def test_only_those_that_serve_are_replaced(member: Member, state: State) -> None:
    member.state, member.requests, member.most_requests = state, 10, 10
    assert why_replace(member, CONFIG, 100.0) == ""


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(100 << 20, ""), (300 << 20, "its memory is 300 MiB, and at most 100 are allowed"), (None, "")],
)
def test_memory(
    monkeypatch: pytest.MonkeyPatch, member: Member, handle: FakeHandle, octets: int | None, expected: str
) -> None:
    asked: list[int] = []

    def resident(pid: int) -> int | None:
        asked.append(pid)
        return octets

    monkeypatch.setattr(health, "resident_octets", resident)
    config = Config(workers_max_rss=100 << 20)
    assert why_replace(member, config, 100.0) == ""
    assert asked == []  # a thread has no memory of its own
    handle.pid = 77
    assert why_replace(member, CONFIG, 100.0) == ""
    assert asked == []  # and nobody asks without a limit
    assert why_replace(member, config, 100.0) == expected
    assert asked == [77]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system has no /proc/PID/statm")
def test_memory_is_that_of_the_worker_s_process(member: Member, handle: FakeHandle) -> None:
    handle.pid = os.getpid()
    assert why_replace(member, Config(workers_max_rss=1 << 20), 100.0).startswith("its memory is ")
