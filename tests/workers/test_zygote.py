"""Workers that a zygote forks, from outside: a test is the zygote's process, and says what that would say."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.workers.kinds.channel import Channel, Closed, Said
from miniasgi.workers.kinds.process import PythonProcess
from miniasgi.workers.kinds.zygote import ForkedWorker, Preloader, Zygote
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.system.exits import UNKNOWN

SPEC = WorkerSpec("myapp:app", Config(preload=True))


class Inside:
    """The other side of a zygote."""

    def __init__(self, channel: Channel, spec: WorkerSpec, role: str) -> None:
        self.channel = channel
        self.spec = spec
        self.role = role
        self.signals: list[int] = []
        self.workers: list[Channel] = []

    def told(self) -> list[Said]:
        """What it has been told since the last time; of the workers to fork, the channels are kept."""
        found: list[Said] = []
        while some := self.channel.receive(wait=False):  # what comes with sockets comes alone
            found += some
        for said in found:
            self.workers += [Channel(each) for each in said.pop("sockets")]
        return found


@pytest.fixture
def insides(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Inside]]:
    """The other sides of all zygotes, in the order in which they were started; no process is."""
    made: list[Inside] = []

    def start(self: PythonProcess, spec: WorkerSpec, role: str) -> None:
        self.channel, theirs = Channel.pair()
        made.append(Inside(theirs, spec, role))
        self.pid = 1000 + len(made)
        self.name = f"process {self.pid}"
        self.signal = lambda number: bool(inside.signals.append(number)) or True  # type: ignore[method-assign]
        inside = made[-1]

    monkeypatch.setattr(PythonProcess, "__init__", start)
    yield made
    for inside in made:
        for channel in (inside.channel, *inside.workers):
            channel.close()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which processes have been sent which signals; none is."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def say(zygote: Zygote, inside: Inside, kind: str, **values: Any) -> None:
    """Have a zygote say something, and hear it."""
    inside.channel.send(kind, **values)
    assert zygote.hear()


def one(insides: list[Inside], number: int = 1) -> tuple[Zygote, Inside, ForkedWorker]:
    """A zygote, its other side, and a worker that it is to fork."""
    zygote = Zygote(SPEC)
    return zygote, insides[-1], ForkedWorker(zygote, number)


# A worker's life


def test_a_zygote_is_a_python_process_in_a_role_of_its_own(insides: list[Inside]) -> None:
    zygote = Zygote(SPEC)
    assert (insides[0].spec, insides[0].role) == (SPEC, "zygote")
    assert (zygote.has_loaded, zygote.has_workers) == (False, False)


def test_a_worker_is_asked_for_with_its_number_and_its_end_of_a_channel(insides: list[Inside]) -> None:
    _, inside, worker = one(insides, 3)
    (said,) = inside.told()
    assert said == {"kind": "fork", "number": 3, "token": 1}
    assert (worker.name, worker.pid, worker.exit_status()) == ("process not forked yet", 0, None)
    assert worker.fileno() == worker.channel.fileno()
    (theirs,) = inside.workers
    theirs.send("ready", loop="asyncio")
    assert worker.receive() == [{"kind": "ready", "loop": "asyncio", "sockets": []}]
    assert worker.receive() == []  # it waits for nothing


def test_only_the_zygote_has_the_workers_end_of_the_channel(insides: list[Inside]) -> None:
    _, inside, worker = one(insides)
    inside.told()
    inside.workers[0].close()
    with pytest.raises(Closed):
        worker.receive()


def test_a_forked_worker_has_a_name_a_number_and_signals(insides: list[Inside], killed: list[Any]) -> None:
    zygote, inside, worker = one(insides)
    assert worker.signal(signal.SIGTERM)  # in vain: there is nobody yet
    say(zygote, inside, "loaded")
    say(zygote, inside, "forked", token=1, pid=4711)
    assert (zygote.has_loaded, worker.pid, worker.exit_status()) == (True, 4711, None)
    assert worker.name == "process 4711"
    assert worker.signal(signal.SIGTERM)
    assert killed == [(4711, signal.SIGTERM)]


def test_sockets_reach_a_worker(insides: list[Inside]) -> None:
    zygote, inside, worker = one(insides)
    inside.told()
    say(zygote, inside, "forked", token=1, pid=4711)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker.tell("listen", [listener], place=1)
        (said,) = inside.workers[0].receive()
        (got,) = said["sockets"]
        assert (said["kind"], said["place"], got.getsockname()) == ("listen", 1, listener.getsockname())
        got.close()


@pytest.mark.parametrize("status", [0, 3, -9])
def test_its_end_is_what_the_zygote_has_seen_and_no_signal_is_sent_after_it(
    insides: list[Inside], killed: list[Any], status: int
) -> None:
    zygote, inside, worker = one(insides)
    say(zygote, inside, "forked", token=1, pid=4711)
    assert zygote.has_workers
    say(zygote, inside, "exited", token=1, status=status)
    assert (worker.exit_status(), zygote.has_workers) == (status, False)
    assert worker.signal(signal.SIGKILL)  # the number may be somebody else's by now
    assert killed == []


def test_each_worker_hears_of_its_own_end(insides: list[Inside]) -> None:
    zygote, inside, first = one(insides)
    second = ForkedWorker(zygote, 2)
    assert [said["token"] for said in inside.told()] == [1, 2]
    say(zygote, inside, "forked", token=1, pid=4711)
    say(zygote, inside, "forked", token=2, pid=4712)
    say(zygote, inside, "exited", token=2, status=1)
    assert (first.exit_status(), second.exit_status()) == (None, 1)


# One that is thought better of


def test_a_stop_before_it_is_forked_is_its_end(insides: list[Inside]) -> None:
    zygote, _, worker = one(insides)
    worker.tell("stop", force=False, patient=False)
    assert worker.exit_status() == 0
    assert not zygote.has_workers
    worker.tell("stop", force=True, patient=False)  # nor does another one do any harm


def test_one_that_is_being_forked_just_then_is_told_to_end_before_it_is_left_alone(insides: list[Inside]) -> None:
    _, inside, worker = one(insides)
    inside.told()
    worker.tell("stop", force=False, patient=True)
    worker.close()
    assert inside.workers[0].receive() == [{"kind": "stop", "force": True, "patient": False, "sockets": []}]
    with pytest.raises(Closed):
        inside.workers[0].receive()


def test_one_that_is_forked_too_late_is_killed(insides: list[Inside], killed: list[Any]) -> None:
    zygote, inside, worker = one(insides)
    worker.tell("stop", force=False, patient=False)
    say(zygote, inside, "forked", token=1, pid=4711)
    assert killed == [(4711, signal.SIGKILL)]
    assert worker.pid == 0
    say(zygote, inside, "exited", token=1, status=-9)
    assert worker.exit_status() == 0


def test_a_stop_of_one_that_runs_is_for_it_to_obey(insides: list[Inside]) -> None:
    zygote, inside, worker = one(insides)
    inside.told()
    say(zygote, inside, "forked", token=1, pid=4711)
    worker.tell("stop", force=False, patient=True)
    assert inside.workers[0].receive() == [{"kind": "stop", "force": False, "patient": True, "sockets": []}]
    assert worker.exit_status() is None


# Failures


def test_why_the_application_cannot_be_loaded_is_said_by_each_worker_once(
    insides: list[Inside], caplog: pytest.LogCaptureFixture
) -> None:
    zygote, inside, first = one(insides)
    second = ForkedWorker(zygote, 2)
    say(zygote, inside, "failed", message="no module myapp", details="Traceback", status=3)
    for worker in (first, second):
        (said,) = worker.receive()
        assert (said["kind"], said["message"], said["details"]) == ("failed", "no module myapp", "Traceback")
        assert worker.exit_status() == 3
        assert worker.receive() == []
    assert not zygote.has_workers
    zygote.ended("exited with status 0")
    assert not caplog.records


def test_a_zygote_that_ends_before_it_has_forked_is_a_failure_of_its_workers(
    insides: list[Inside], caplog: pytest.LogCaptureFixture
) -> None:
    zygote, _, worker = one(insides)
    zygote.ended("was killed by SIGSEGV")
    (said,) = worker.receive()
    message = "the process that preloads the application was killed by SIGSEGV"
    assert said == {"kind": "failed", "message": message, "details": "", "status": 3}
    assert worker.exit_status() == 3
    assert [each.getMessage() for each in caplog.records] == [
        "the process that preloads the application (process 1001) was killed by SIGSEGV"
    ]
    assert zygote.fileno() == -1


def test_workers_outlive_their_zygote_and_nobody_knows_how_they_end(insides: list[Inside]) -> None:
    zygote, inside, worker = one(insides)
    inside.told()
    say(zygote, inside, "forked", token=1, pid=4711)
    zygote.ended("was killed by SIGKILL")
    assert worker.receive() == []
    assert worker.exit_status() is None
    inside.workers[0].close()
    assert worker.exit_status() is None  # what it has said last is still to be read
    with pytest.raises(Closed):
        worker.receive()
    assert worker.exit_status() == UNKNOWN


def test_a_worker_whose_channel_is_closed_has_not_ended_while_its_zygote_can_tell(insides: list[Inside]) -> None:
    zygote, inside, worker = one(insides)
    inside.told()
    say(zygote, inside, "forked", token=1, pid=4711)
    inside.workers[0].close()
    with pytest.raises(Closed):
        worker.receive()
    assert worker.exit_status() is None
    say(zygote, inside, "exited", token=1, status=1)
    assert worker.exit_status() == 1


# The end of a zygote


def test_one_that_has_loaded_is_told_to_end_once(insides: list[Inside], caplog: pytest.LogCaptureFixture) -> None:
    zygote = Zygote(SPEC)
    say(zygote, insides[0], "loaded")
    zygote.retire()
    zygote.retire()
    assert insides[0].told() == [{"kind": "stop", "force": False, "patient": False}]
    assert insides[0].signals == []
    zygote.ended("exited with status 0")
    assert (caplog.records, zygote.has_ended) == ([], True)


def test_one_that_still_loads_would_not_hear_and_is_killed(insides: list[Inside]) -> None:
    zygote = Zygote(SPEC)
    zygote.retire()
    assert insides[0].signals == [signal.SIGKILL]


def test_nothing_said_is_nothing_heard_and_its_end_is_raised(insides: list[Inside]) -> None:
    zygote = Zygote(SPEC)
    assert zygote.hear() is False
    insides[0].channel.close()
    with pytest.raises(Closed):
        zygote.hear()


# The preloader


def test_all_workers_come_from_one_zygote_until_the_code_is_loaded_anew(insides: list[Inside]) -> None:
    preloader = Preloader(SPEC)
    assert insides == []
    preloader.spawn(1)
    preloader.spawn(2)
    assert len(insides) == 1
    preloader.renew()
    assert len(insides) == 1  # and no sooner than somebody needs it
    preloader.spawn(1)
    preloader.spawn(2)
    assert [[said["number"] for said in inside.told()] for inside in insides] == [[1, 2], [1, 2]]
    assert [each.pid for each in preloader.zygotes] == [1001, 1002]


def test_a_zygote_that_has_gone_is_followed_by_another(insides: list[Inside]) -> None:
    preloader = Preloader(SPEC)
    worker = preloader.spawn(1)
    preloader.ended(preloader.zygotes[0], "was killed by SIGKILL")
    assert preloader.zygotes == []
    assert worker.exit_status() == 3
    preloader.spawn(1)
    assert len(insides) == 2


def test_an_old_zygote_ends_when_the_new_one_has_loaded_and_its_workers_have_gone(insides: list[Inside]) -> None:
    preloader = Preloader(SPEC)
    preloader.spawn(1)
    old = preloader.zygotes[0]
    say(old, insides[0], "loaded")
    say(old, insides[0], "forked", token=1, pid=4711)
    preloader.renew()
    preloader.spawn(1)
    new = preloader.zygotes[1]
    insides[0].told()

    preloader.tidy(stopping=False)
    say(new, insides[1], "loaded")
    preloader.tidy(stopping=False)
    assert insides[0].told() == []  # its worker still serves
    say(old, insides[0], "exited", token=1, status=0)
    preloader.tidy(stopping=False)
    assert [said["kind"] for said in insides[0].told()] == ["stop"]
    assert [said["kind"] for said in insides[1].told()] == ["fork"]


def test_an_old_zygote_stays_while_the_new_one_may_still_fail(insides: list[Inside]) -> None:
    preloader = Preloader(SPEC)
    preloader.spawn(1).tell("stop", force=False, patient=False)
    say(preloader.zygotes[0], insides[0], "loaded")
    preloader.renew()
    preloader.spawn(1)
    preloader.tidy(stopping=False)
    assert [said["kind"] for said in insides[0].told()] == ["fork"]


def test_when_the_server_stops_each_zygote_ends_after_its_workers(insides: list[Inside]) -> None:
    preloader = Preloader(SPEC)
    preloader.spawn(1)
    (zygote,) = preloader.zygotes
    say(zygote, insides[0], "loaded")
    say(zygote, insides[0], "forked", token=1, pid=4711)
    insides[0].told()
    preloader.tidy(stopping=True)
    assert insides[0].told() == []
    say(zygote, insides[0], "exited", token=1, status=0)
    preloader.tidy(stopping=False)
    assert insides[0].told() == []
    preloader.tidy(stopping=True)
    assert [said["kind"] for said in insides[0].told()] == ["stop"]
