"""A worker's end of the channel, with a test as its supervisor: what it passes on, what it says, and when it ends."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from miniasgi.errors import StartupError, UsageError
from miniasgi.workers.kinds import remote as module
from miniasgi.workers.kinds.channel import Channel
from miniasgi.workers.kinds.remote import Remote

from .fakes import FakeWorker, hear

# 20,000: beats of more than a hundred octets each; no pair of sockets holds so much.
MORE_BEATS_THAN_FIT = 20_000


class Ends:
    """A Remote, the supervisor's end of its channel, and what it calls when it is left alone."""

    def __init__(self, *, is_thread: bool = False) -> None:
        self.supervisor, self.theirs = Channel.pair()
        self.calls: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.remote = Remote(
            self.theirs,
            lost=lambda: self.calls.put("lost"),
            ended=lambda: self.calls.put("ended"),
            is_thread=is_thread,
        )
        self.worker = FakeWorker()

    def begin(self, *, start: bool = True) -> Ends:
        """Have it read; with *start*, for a worker that has started."""
        self.remote.begin("test listens")
        if start:
            self.remote.started(self.worker)
        return self

    def next_call(self) -> str:
        return self.calls.get(timeout=10)

    def hang_up(self) -> None:
        """The supervisor goes, and that is noticed."""
        self.supervisor.close()
        assert self.next_call() == "lost"


@pytest.fixture
def make_ends() -> Iterator[Callable[..., Ends]]:
    """Makes ends; both of each are closed after the test."""
    made: list[Ends] = []

    def make(**options: bool) -> Ends:
        made.append(Ends(**options))
        return made[-1]

    yield make
    for ends in made:
        ends.supervisor.close()
        ends.theirs.close()


@pytest.fixture
def ends(make_ends: Callable[..., Ends]) -> Ends:
    return make_ends()


def reading_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "test listens"]


# What the worker says


def test_a_worker_is_ready_with_the_name_of_its_loop(ends: Ends) -> None:
    ends.remote.ready(ends.worker)
    assert ends.supervisor.receive() == [{"kind": "ready", "loop": "fakeloop", "sockets": []}]


def test_a_beat_has_the_workers_figures(ends: Ends) -> None:
    ends.remote.beat(ends.worker)
    (said,) = ends.supervisor.receive()
    assert said == {"kind": "beat", "vitals": {"requests": 7, "running": 2, "connections": 3}, "sockets": []}


def test_a_supervisor_that_does_not_read_holds_no_beat_up(ends: Ends) -> None:
    def beat() -> None:
        for _ in range(MORE_BEATS_THAN_FIT):
            ends.remote.beat(ends.worker)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_what_is_said_to_a_supervisor_that_has_gone_is_lost_without_a_word(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    ends.supervisor.close()
    ends.remote.ready(ends.worker)
    ends.remote.beat(ends.worker)
    ends.remote.recycle("it is old")
    ends.remote.failed(StartupError("no"))
    assert not caplog.records


@pytest.mark.parametrize(("error", "status"), [(StartupError("no app", "Traceback"), 3), (UsageError("no", ""), 2)])
def test_why_it_cannot_start_is_said_with_its_details_and_status(ends: Ends, error: StartupError, status: int) -> None:
    ends.remote.failed(error)
    (said,) = ends.supervisor.receive()
    message, details = str(error), error.details
    assert said == {"kind": "failed", "message": message, "details": details, "status": status, "sockets": []}


def test_of_details_that_are_too_long_the_end_is_said(ends: Ends) -> None:
    sent = threading.Thread(target=ends.remote.failed, args=(StartupError("deep", "a" * 300_000 + "b" * 99_999 + "!"),))
    sent.start()
    said = hear(ends.supervisor, "failed")
    sent.join()
    assert said["details"] == "b" * 99_999 + "!"


def test_a_wish_to_be_replaced_has_its_reason(ends: Ends) -> None:
    ends.remote.recycle("4 of its threads hang")
    assert ends.supervisor.receive() == [{"kind": "recycle", "reason": "4 of its threads hang", "sockets": []}]


# What it is told


def test_sockets_are_passed_on_with_their_place(ends: Ends) -> None:
    ends.begin()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ends.supervisor.send("listen", [one, other], place=3)
        kind, place, sockets = ends.worker.next()
        assert (kind, place) == ("listen", 3)
        assert [each.getsockname() for each in sockets] == [one.getsockname(), other.getsockname()]
        assert {each.fileno() for each in sockets}.isdisjoint({one.fileno(), other.fileno()})
        for each in sockets:
            each.close()


def test_what_is_to_be_forgotten_and_how_many_are_wanted_is_passed_on(ends: Ends) -> None:
    ends.begin()
    ends.supervisor.send("forget", place=2)
    ends.supervisor.send("want", number=5)
    assert [ends.worker.next(), ends.worker.next()] == [("forget", 2), ("want", 5)]


@pytest.mark.parametrize("is_thread", [False, True])
def test_a_report_is_about_all_threads_unless_they_are_other_workers(
    make_ends: Callable[..., Ends], is_thread: bool
) -> None:
    ends = make_ends(is_thread=is_thread).begin()
    ends.supervisor.send("report")
    said = hear(ends.supervisor, "report")
    assert said["text"] == f"here it stands, all threads: {not is_thread}"


@pytest.mark.parametrize("early", [False, True])
def test_log_files_are_opened_anew_even_before_there_is_a_worker(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    monkeypatch.setattr(module.logs, "reopen_files", lambda: ends.calls.put("reopened"))
    ends.begin(start=not early)
    ends.supervisor.send("reopen")
    assert ends.next_call() == "reopened"


@pytest.mark.parametrize(
    ("force", "patient"), [(False, False), (False, True), (True, False)], ids=["plain", "patient", "force"]
)
def test_the_way_to_stop_is_passed_on(ends: Ends, force: bool, patient: bool) -> None:
    ends.begin()
    ends.supervisor.send("stop", force=force, patient=patient)
    assert ends.worker.next() == ("stop", {"force": force, "patient": patient})
    ends.hang_up()
    assert ends.calls.empty()


def test_each_of_several_stops_is_passed_on(ends: Ends) -> None:
    ends.begin()
    ends.supervisor.send("stop", force=False, patient=True)
    ends.supervisor.send("stop", force=False, patient=False)
    ends.supervisor.send("stop", force=True, patient=False)
    told = [ends.worker.next()[1] for _ in range(3)]
    assert told == [
        {"force": False, "patient": True},
        {"force": False, "patient": False},
        {"force": True, "patient": False},
    ]


@pytest.mark.parametrize("force", [False, True])
def test_a_stop_before_there_is_a_worker_ends_it_and_stops_one_that_starts_all_the_same(
    ends: Ends, force: bool
) -> None:
    ends.begin(start=False)
    ends.supervisor.send("stop", force=force, patient=False)
    assert ends.next_call() == "ended"
    ends.remote.started(ends.worker)
    assert ends.worker.next() == ("stop", {"force": False, "patient": False})


def test_a_worker_that_nobody_has_stopped_starts_undisturbed(ends: Ends) -> None:
    ends.begin()
    ends.supervisor.send("want", number=1)
    assert ends.worker.next() == ("want", 1)  # and nothing before


@pytest.mark.parametrize(
    ("kind", "values"), [("listen", {"place": 1}), ("forget", {"place": 1}), ("want", {"number": 2}), ("report", {})]
)
def test_what_comes_before_there_is_a_worker_is_passed_over(
    ends: Ends, caplog: pytest.LogCaptureFixture, kind: str, values: dict[str, int]
) -> None:
    caplog.set_level(logging.DEBUG, "miniasgi.server")
    ends.begin(start=False)
    ends.supervisor.send(kind, **values)
    ends.supervisor.send("stop", force=False, patient=False)
    assert ends.next_call() == "ended"  # it has gone on reading
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [("DEBUG", f"told to {kind} too early")]


# SIGTERM


def test_asked_to_leave_it_asks_to_be_replaced_and_the_second_time_it_stops(ends: Ends) -> None:
    ends.begin()
    ends.remote.leave()
    assert ends.supervisor.receive() == [{"kind": "recycle", "reason": "it was sent SIGTERM", "sockets": []}]
    assert ends.worker.told.empty()
    ends.remote.leave()
    assert ends.worker.next() == ("stop", {"force": False, "patient": False})


def test_asked_to_leave_before_there_is_a_worker_it_ends(ends: Ends) -> None:
    ends.remote.leave()
    assert ends.next_call() == "ended"


# The end


@pytest.mark.parametrize("start", [False, True])
def test_that_the_supervisor_has_gone_is_noticed_once(ends: Ends, start: bool) -> None:
    ends.begin(start=start)
    ends.hang_up()
    assert ends.calls.empty()


def test_what_the_supervisor_has_said_last_is_heard_before_its_end(ends: Ends) -> None:
    ends.supervisor.send("want", number=1)
    ends.supervisor.send("want", number=2)
    ends.supervisor.close()
    ends.remote.started(ends.worker)
    ends.begin(start=False)
    assert [ends.worker.next(), ends.worker.next()] == [("want", 1), ("want", 2)]
    assert ends.next_call() == "lost"


@pytest.mark.parametrize(
    "octets", [b"hello\n", b"[]\n", b"{}\n", b'{"sockets": 0}\n', b'{"kind": "listen", "sockets": 0}\n']
)
def test_a_supervisor_that_cannot_be_understood_is_as_one_that_has_gone(
    ends: Ends, caplog: pytest.LogCaptureFixture, octets: bytes
) -> None:
    ends.begin()
    ends.supervisor.socket.sendall(octets)
    assert ends.next_call() == "lost"
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "the supervisor cannot be understood")
    assert record.exc_info is not None


def test_the_supervisor_is_listened_to_in_a_thread_that_keeps_no_process(ends: Ends) -> None:
    ends.begin()
    (thread,) = [each for each in threading.enumerate() if each.name == "test listens"]
    assert thread.daemon
    ends.hang_up()
    thread.join(10)
    assert reading_threads() == []
