"""A group of worker threads, with a test as the supervisor outside: one worker to it, however many threads serve."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.types import App, Receive, Scope, Send
from miniasgi.workers import thread_group as module
from miniasgi.workers.kinds.remote import Remote
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.supervision.main_loop import MainLoop
from miniasgi.workers.supervision.supervisor import Supervisor
from miniasgi.workers.thread_group import GivenSockets, ThreadGroup
from tests.server.apps import body, hello, start
from tests.support import ask

from .fakes import loggers_kept


def listening(number: int = 1, address: str = "127.0.0.1") -> list[socket.socket]:
    """Sockets of one address, of which the system gives each connection to one."""
    found: list[socket.socket] = []
    for _ in range(number):
        port = found[0].getsockname()[1] if found else 0
        found.append(socket.create_server((address, port), reuse_port=True))
    return found


def port_of(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


# Sockets


def test_each_thread_has_a_set_of_sockets_as_far_as_there_are_so_many() -> None:
    given = GivenSockets()
    sockets = listening(3)
    given.give(sockets)
    assert [given.key(place) for place in (1, 2, 3, 4, 5, 7)] == [1, 2, 3, 1, 2, 1]
    assert [list(given.sockets(key)) for key in (1, 2, 3)] == [[each] for each in sockets]
    assert given.opened == {1, 2, 3}
    given.close()


def test_a_set_has_a_socket_of_each_address() -> None:
    given = GivenSockets()
    one, other = listening(2), listening(2)
    given.give([one[0], other[0], one[1], other[1]])
    assert list(given.sockets(1)) == [one[0], other[0]]
    assert list(given.sockets(2)) == [one[1], other[1]]
    given.close()


def test_one_set_is_shared_by_all_threads() -> None:
    given = GivenSockets()
    sockets = listening()
    given.give(sockets)
    assert [given.key(place) for place in (1, 2, 3)] == [0, 0, 0]
    assert list(given.sockets(0)) == sockets
    assert given.opened == {0}
    given.close()
    assert given.opened == set()


def test_before_there_are_any_there_are_none() -> None:
    given = GivenSockets()
    assert (given.key(2), list(given.sockets(0))) == (0, [])
    given.give([])
    assert (given.key(2), list(given.sockets(0))) == (0, [])


def test_those_that_are_given_take_the_place_of_those_before_which_are_closed() -> None:
    given = GivenSockets()
    before, after = listening(2), listening()
    given.give(before)
    given.give(after)
    assert [each.fileno() for each in before] == [-1, -1]
    assert list(given.sockets(given.key(2))) == after
    given.close()
    assert after[0].fileno() == -1
    assert list(given.sockets(0)) == []


# The group


class Control(Remote):
    """Has a channel to nobody: what it would say is noted."""

    def __init__(self) -> None:
        self.said: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def started(self, worker: Any) -> None:
        self.said.put(("started", worker))

    def ready(self, worker: Any) -> None:
        self.said.put(("ready", worker.loop_name))

    def beat(self, worker: Any) -> None:
        self.said.put(("beat", worker.vitals()))

    def recycle(self, reason: str) -> None:
        self.said.put(("recycle", reason))

    def next(self, kind: str) -> Any:
        """What is said next of that kind."""
        while True:
            found, value = self.said.get(timeout=10)
            if found == kind:
                return value


class Running:
    """A group that runs in a thread."""

    def __init__(self, app: App, workers: int = 2, **options: Any) -> None:
        self.control = Control()
        config = Config(**{"lifespan": "off", "access_log": False, "loop": "asyncio", **options, "workers": workers})
        self.group = ThreadGroup(WorkerSpec(app, config, 1), self.control)
        self.error: StartupError | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.group.run()
        except StartupError as error:
            self.error = error

    def end(self) -> None:
        self.group.stop(force=True)
        self.thread.join(10)
        assert not self.thread.is_alive()


RunGroup = Callable[..., Running]


@pytest.fixture
def run_group() -> Iterator[RunGroup]:
    """Runs groups, which are ended after the test."""
    made: list[Running] = []

    def run(*arguments: Any, **options: Any) -> Running:
        made.append(Running(*arguments, **options))
        return made[-1]

    with loggers_kept():
        yield run
        for each in made:
            each.end()


async def tells_thread(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, threading.current_thread().name.encode())


def answered_by(port: int) -> str:
    return ask(port).rpartition(b"\r\n")[2].decode()


def asked_until(port: int, threads: set[str]) -> None:
    """Ask until each of *threads* has answered, and nobody else; a port that nobody attends to has no answer."""
    found: set[str] = set()
    for _ in range(1000):
        found.add(answered_by(port))
        if found >= threads:
            break
    assert found == threads


def wait_until_refused(port: int) -> None:
    """Ask until nobody listens there any more; what waits in a queue at that moment is reset."""
    with pytest.raises(ConnectionRefusedError):
        while True:
            with suppress(ConnectionResetError):
                ask(port)


def test_a_group_is_one_worker_that_is_ready_when_all_its_threads_are(run_group: RunGroup) -> None:
    gate = threading.Event()
    began: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        began.put(threading.current_thread().name)
        if threading.current_thread().name == "miniasgi worker 2":
            assert gate.wait(10)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    running = run_group(slow, lifespan="on")
    assert running.control.next("started") is running.group
    assert {began.get(timeout=10), began.get(timeout=10)} == {"miniasgi worker 1", "miniasgi worker 2"}
    said: list[tuple[str, Any]] = [running.control.said.get(timeout=10)]
    while not running.control.said.empty():
        said.append(running.control.said.get())
    assert {kind for kind, _ in said} == {"beat"}
    gate.set()
    assert running.control.next("ready") == "asyncio"
    running.end()
    assert running.error is None
    while not running.control.said.empty():
        assert running.control.said.get()[0] == "beat"


def test_sockets_that_are_given_are_served_by_all_threads_until_they_are_forgotten(run_group: RunGroup) -> None:
    running = run_group(tells_thread)
    running.control.next("ready")
    sockets = listening(2)
    port = port_of(sockets)
    running.group.listen(1, sockets)
    asked_until(port, {"miniasgi worker 1", "miniasgi worker 2"})
    running.group.forget(1)
    wait_until_refused(port)
    assert [each.fileno() for each in sockets] == [-1, -1]


def test_other_sockets_take_the_place_of_those_before(run_group: RunGroup) -> None:
    running = run_group(tells_thread, 1)
    running.control.next("ready")
    before, after = listening(), listening()
    port = port_of(before)
    other = port_of(after)
    running.group.listen(1, before)
    assert answered_by(port) == "miniasgi worker 1"
    running.group.listen(1, after)
    assert answered_by(other) == "miniasgi worker 1"
    wait_until_refused(port)


def test_as_many_threads_serve_as_are_wanted(run_group: RunGroup) -> None:
    running = run_group(tells_thread, 1)
    running.control.next("ready")
    sockets = listening(2)
    port = port_of(sockets)
    running.group.listen(1, sockets)
    running.group.want(2)
    while answered_by(port) != "miniasgi worker 2":
        pass
    thread = next(each for each in threading.enumerate() if each.name == "miniasgi worker 2")
    running.group.want(1)
    thread.join(10)
    assert not thread.is_alive()
    assert {answered_by(port) for _ in range(20)} == {"miniasgi worker 1"}


def test_sockets_that_come_when_it_stops_are_closed(run_group: RunGroup) -> None:
    running = run_group(hello)
    running.control.next("ready")
    late = listening()

    def stop_and_listen() -> None:
        # In one turn of its loop: between two, it might have come to its end.
        running.group.stop()
        running.group.listen(1, late)

    running.group._loop.soon(stop_and_listen)
    running.thread.join(10)
    assert not running.thread.is_alive()
    assert late[0].fileno() == -1


def test_beats_have_the_figures_of_all_threads_together(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("supervision.main_loop", "serving.worker"):
        monkeypatch.setattr(f"miniasgi.workers.{name}.beat_seconds", lambda config: 0.01)
    running = run_group(hello)
    assert running.control.next("beat") == {"requests": 0, "running": 0, "connections": 0}
    running.control.next("ready")
    sockets = listening(2)
    port = port_of(sockets)
    running.group.listen(1, sockets)
    for _ in range(20):
        ask(port)
    while running.control.next("beat")["requests"] < 20:
        pass


def test_a_report_has_the_stacks_of_all_threads(run_group: RunGroup) -> None:
    running = run_group(hello)
    running.control.next("ready")
    report = running.group.report(all_threads=False)
    for number in (1, 2):
        assert f"a thread (miniasgi worker {number}) is at:\n" in report


def test_an_application_that_cannot_start_is_raised(run_group: RunGroup) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is on holiday"})

    running = run_group(failing, lifespan="on")
    running.thread.join(10)
    assert str(running.error) == "application start-up failed: the database is on holiday"
    assert "ready" not in {running.control.said.get()[0] for _ in range(running.control.said.qsize())}


# How it is put together


def test_its_supervisor_has_its_options_but_for_those_of_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Config, dict[str, Any]]] = []
    loops: list[dict[str, Any]] = []
    threads: list[tuple[WorkerSpec, Any]] = []

    class Noting(Supervisor):
        def __init__(self, config: Config, places: Any, **options: Any) -> None:
            made.append((config, options))
            super().__init__(config, places, **options)

    class NotingLoop(MainLoop):
        def __init__(self, supervisor: Supervisor, **options: Any) -> None:
            loops.append(options)

    monkeypatch.setattr(module, "Supervisor", Noting)
    monkeypatch.setattr(module, "MainLoop", NotingLoop)
    monkeypatch.setattr(module, "ThreadWorker", lambda spec, pool: threads.append((spec, pool)))
    control = Control()
    config = Config(workers=3, workers_max_rss=1 << 30, limit_max_requests=5)
    ThreadGroup(WorkerSpec("app:app", config, 1), control)
    ((kept, options),) = made
    assert (kept.workers_max_rss, kept.limit_max_requests, options["wanted"]) == (None, 5, 3)
    assert loops[0]["signals"] == ()  # which are the process's
    options["exhausted"]("4 of its threads hang")
    assert control.said.get() == ("recycle", "4 of its threads hang")
    for number in (1, 2):
        options["spawn"](number)
    assert [(spec.number, spec.app, spec.config) for spec, _ in threads] == [(1, "app:app", kept), (2, "app:app", kept)]
    assert threads[0][1] is threads[1][1]
