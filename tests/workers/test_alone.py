"""A worker that is the whole of a process: what each signal does, to one that takes notes and to a real one."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.workers import alone as module
from miniasgi.workers.alone import Alone, run_alone
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.system.notify import Notifier
from tests.server.apps import hello
from tests.support import ServerProcess, ask

APP = "tests.server.apps:bad_days"
HANDLED = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGHUP", "SIGTTIN", "SIGTTOU")


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """The server's loggers as they are: what a worker alone does to them is undone."""
    above = logging.getLogger("miniasgi")
    below = [logging.getLogger(name) for name in ("miniasgi.server", "miniasgi.access")]
    levels = [logger.level for logger in below]
    handler = logging.NullHandler()
    above.addHandler(handler)  # so that none is added
    yield
    above.removeHandler(handler)
    for logger, level in zip(below, levels, strict=True):
        logger.setLevel(level)


def nothing() -> None:
    """What is called last, where nobody cares."""


class Ended(BaseException):
    """Instead of the end of the process of the tests."""


class FakeWorker:
    """Takes notes of what it is told to do."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.loop = self
        self.server = self
        self.config = Config()
        self.spec = WorkerSpec(hello, self.config)
        self.urls = ["http://h:1", "unix:/run/a"]
        self.loop_name = "fakeloop"
        self.now = 1000.0
        self.later: list[tuple[float, Callable[[], object]]] = []
        self.closed = False

    def stop(self) -> None:
        self.notes.append("stop")

    def flush(self) -> None:
        self.notes.append("flush")

    def reload_certificates(self) -> None:
        self.notes.append("certificates")

    def call_soon_threadsafe(self, call: Callable[..., object], *arguments: object) -> None:
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.notes.append("soon")
        call(*arguments)

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        self.later.append((seconds, call))


class Told(Notifier):
    """Notes what a service manager would be told."""

    def __init__(self, watchdog_seconds: float = 0.0) -> None:
        super().__init__("somewhere", watchdog_seconds)
        self.said: list[str] = []

    def _say(self, *lines: str) -> None:
        self.said += [each for each in lines if not each.startswith("MONOTONIC_USEC=")]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorker]:
    """A worker that has started, under the signals of Alone; the process's own are back after the test."""

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(logging, "shutdown", nothing)
    monkeypatch.setattr(os, "_exit", end)
    before = handlers()
    fake = FakeWorker()
    control = Alone(lambda: fake.notes.append("last"))
    control.started(fake)  # type: ignore[arg-type]  # all that it is asked for
    yield fake
    control.restore()
    assert handlers() == before


def handlers() -> list[Any]:
    return [signal.getsignal(getattr(signal, name)) for name in HANDLED]


def exit_status(name: str) -> int:
    """With what status the process would end at the signal *name*."""
    with pytest.raises(Ended) as caught:
        signal.raise_signal(getattr(signal, name))
    return int(caught.value.args[0])


# What each signal does


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(("second", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGQUIT", 131)])
def test_the_first_signal_stops_and_the_second_ends_with_its_number(
    worker: FakeWorker, name: str, second: str, status: int
) -> None:
    signal.raise_signal(getattr(signal, name))
    assert worker.notes == ["soon", "stop"]
    assert exit_status(second) == status
    assert worker.notes == ["soon", "stop", "flush", "last"]


def test_sigquit_ends_at_once(worker: FakeWorker) -> None:
    assert exit_status("SIGQUIT") == 131
    assert worker.notes == ["flush", "last"]


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("SIGTTIN", "adds a worker"),
        ("SIGTTOU", "takes a worker away"),
    ],
)
def test_what_only_a_supervisor_can_do_is_one_line_and_does_not_count(
    worker: FakeWorker, caplog: pytest.LogCaptureFixture, name: str, does: str
) -> None:
    signal.raise_signal(getattr(signal, name))
    assert worker.notes == ["soon"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == f"{name} {does} only where there is a supervisor, as with --workers 2"
    signal.raise_signal(signal.SIGINT)
    assert worker.notes == ["soon", "soon", "stop"]


def test_sighup_renews_what_needs_no_supervisor_and_says_in_a_line_what_does(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module.logs, "reopen_files", lambda: worker.notes.append("reopened"))
    signal.raise_signal(signal.SIGHUP)
    assert worker.notes == ["soon", "reopened", "certificates"]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "SIGHUP loads the application anew only where there is a supervisor, as with --workers 2")
    ]


def test_a_service_manager_is_told_of_the_start_a_reload_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.logs, "reopen_files", nothing)
    told, fake = Told(), FakeWorker()
    control = Alone(nothing, told)
    control.started(fake)  # type: ignore[arg-type]  # all that it is asked for
    try:
        control.ready(fake)  # type: ignore[arg-type]
        status = f"STATUS=process {os.getpid()} on http://h:1 and unix:/run/a"
        assert told.said == ["READY=1", status]
        signal.raise_signal(signal.SIGHUP)
        assert told.said[2:] == ["RELOADING=1", "STATUS=reloading", "READY=1", status]
        signal.raise_signal(signal.SIGTERM)
        assert told.said[6:] == ["STOPPING=1", "STATUS=stopping"]
    finally:
        control.restore()
    assert fake.later == []


def test_signs_of_life_are_those_of_the_event_loop() -> None:
    told, fake = Told(watchdog_seconds=3), FakeWorker()
    control = Alone(nothing, told)
    control.started(fake)  # type: ignore[arg-type]  # all that it is asked for
    try:
        control.ready(fake)  # type: ignore[arg-type]
        for _ in range(2):
            ((seconds, call),) = fake.later
            assert seconds == 1.5
            fake.later.clear()
            fake.now += seconds
            call()
    finally:
        control.restore()
    assert told.said[2:] == ["WATCHDOG=1"] * 3


def test_sigusr1_opens_log_files_again(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.logs, "reopen_files", lambda: worker.notes.append("reopened"))
    signal.raise_signal(signal.SIGUSR1)
    assert worker.notes == ["soon", "reopened"]


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGHUP"])
def test_a_signal_that_comes_when_the_loop_is_closed_is_too_late(worker: FakeWorker, name: str) -> None:
    worker.closed = True
    signal.raise_signal(getattr(signal, name))
    assert worker.notes == []


def test_a_handler_that_is_not_pythons_is_left_to_its_owner(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Alone(nothing)
    control._before = {signal.SIGUSR1: None}  # as signal.signal() has it of one that a library has set
    before = handlers()
    control.restore()
    assert handlers() == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = handlers()
    control = Alone(nothing)
    done: list[str] = []

    def start() -> None:
        control.started(FakeWorker())  # type: ignore[arg-type]  # all that it is asked for
        control.restore()
        done.append("done")

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert done == ["done"]
    assert handlers() == before


# The whole


def test_what_cannot_be_served_is_raised_and_the_signals_are_given_back() -> None:
    before = handlers()
    with pytest.raises(StartupError, match="start-up failed: no"):
        run_alone(WorkerSpec(fails, Config(port=0, lifespan="on")), nothing)
    assert handlers() == before


async def fails(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})


def test_a_worker_alone_serves_until_it_is_told_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    before = handlers()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            # The server listens in the loop's next turns.
            asyncio.get_running_loop().call_later(0, signal.raise_signal, signal.SIGTERM)
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    assert run_alone(WorkerSpec(app, Config(port=0, lifespan="on")), nothing) == 0
    assert handlers() == before
    messages = [record.getMessage() for record in caplog.records]
    assert f"process {os.getpid()}); Ctrl-C stops it" in messages[0]
    assert messages[-1] == "stopping"


@pytest.mark.parametrize("ended", [True, False])
def test_what_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch, ended: bool) -> None:
    notes: list[object] = []
    monkeypatch.setattr(module, "run_worker", lambda *arguments, **options: ended)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    monkeypatch.setattr(os, "_exit", notes.append)
    assert run_alone(WorkerSpec(hello, Config()), lambda: notes.append("last")) == 0
    assert notes == ([] if ended else ["last", 0])


# As a process


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTTIN", "SIGTTOU"])
def test_a_process_goes_on_serving_after_signals_that_are_not_for_it(name: str) -> None:
    with ServerProcess(APP, "--port", "0") as server:
        server.signal(getattr(signal, name))
        assert server.wait_for(name)[20:].startswith(f"warning {name} ")
        assert ask(server.port).endswith(b"hello")
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert len(server.errors) == 3


@pytest.mark.slow
def test_sigquit_ends_a_process_at_once_whatever_runs() -> None:
    with ServerProcess(APP, "--port", "0") as server, server.connect() as client:
        client.sendall(b"GET /block HTTP/1.1\r\nHost: h\r\n\r\n")
        server.wait_for("begin /block")
        server.signal(signal.SIGQUIT)
        assert server.exit_status() == 131
        assert not any("Traceback" in line for line in server.errors)


@pytest.mark.slow
def test_a_process_writes_to_a_new_log_file_after_sigusr1(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    before = (
        "import logging; handler = logging.FileHandler(sys.argv.pop()); "
        "logging.getLogger('miniasgi.access').addHandler(handler); "
        "import miniasgi.observe.logs as logs; reopen = logs.reopen_files; "
        "logs.reopen_files = lambda: print('reopened', reopen(), file=sys.stderr, flush=True)"
    )
    with ServerProcess(APP, "--port", "0", str(log), before=before) as server:
        log.rename(tmp_path / "access.log.1")
        server.signal(signal.SIGUSR1)
        assert server.wait_for("reopened") == f"reopened ['{log}']\n"
        ask(server.port, "/after")
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
    assert "/after" in log.read_text()
    assert (tmp_path / "access.log.1").read_text() == ""
