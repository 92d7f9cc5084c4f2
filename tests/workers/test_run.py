"""From options to an exit status: who serves, what is looked at before, and how it is told that it cannot be."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.server.sockets import activation
from miniasgi.server.sockets.binding import bind_all
from miniasgi.workers import alone, role, supervised
from miniasgi.workers import run as module
from miniasgi.workers.run import needs_supervisor, run, run_with_options
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.system.notify import Notifier
from tests.server.apps import hello


class Served:
    """Who has been asked to serve, and what was so meanwhile."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, WorkerSpec]] = []
        self.titles: list[str] = []
        self.last: Callable[[], object] = lambda: None
        self.notifier: Notifier  # set when somebody is asked
        self.meanwhile: Callable[[], object] = lambda: None
        self.status = 0

    def by(self, who: str) -> Callable[..., int]:
        def serve(spec: WorkerSpec, last: Callable[[], object], notifier: Notifier, reread: object = None) -> int:
            self.notes.append((who, spec))
            self.last, self.notifier = last, notifier
            self.meanwhile()
            return self.status

        return serve


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Instead of serving, notes are taken."""
    served = Served()
    monkeypatch.setattr(alone, "run_alone", served.by("alone"))
    monkeypatch.setattr(supervised, "run_supervised", served.by("supervisor"))
    monkeypatch.setattr(module, "set_title", served.titles.append)
    return served


# Who serves


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 2},
        {"workers": None},  # as many as there are CPUs, which may be one
        {"reload": True},
        {"preload": True},
        {"limit_max_requests": 1000},
        {"workers_lifetime": 3600},
        {"workers_max_rss": "1GiB"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_one_process_cannot_do_for_itself_needs_a_supervisor(served: Served, options: dict[str, Any]) -> None:
    config = Config.from_options(**{"workers": 1, **options})
    assert needs_supervisor(config)
    served.status = 5
    assert run(hello, config) == 5
    assert served.notes == [("supervisor", WorkerSpec(hello, config))]
    assert served.titles == []  # which is the supervisor's to set


@pytest.mark.parametrize("options", [{}, {"worker_class": "thread"}, {"pid": ""}, {"hooks": "some:hooks"}])
def test_one_worker_needs_none(served: Served, options: dict[str, Any]) -> None:
    config = Config.from_options(workers=1, **options)
    assert not needs_supervisor(config)
    served.status = 4
    assert run("myapp:app", config) == 4
    assert served.notes == [("alone", WorkerSpec("myapp:app", config))]
    assert served.titles == ["miniasgi: server myapp:app"]


# Twice


def test_a_module_that_is_served_cannot_serve_itself_while_it_is_loaded(served: Served) -> None:
    failures: list[str] = []

    def load() -> None:
        # As run() in Python, which tells whoever imports the module, and does not end the process.
        with pytest.raises(StartupError) as caught:
            run_with_options("myapp:app", port=0)
        failures.append(str(caught.value))

    served.meanwhile = load
    for _ in range(2):  # once it has returned, it may be called again
        run("myapp:app", Config())
    assert len(served.notes) == 2
    assert [("put the call under if __name__" in each) for each in failures] == [True, True]


def test_another_thread_may_serve_beside(served: Served) -> None:
    def beside() -> None:
        served.meanwhile = lambda: None
        thread = threading.Thread(target=lambda: run("other:app", Config()))
        thread.start()
        thread.join(10)

    served.meanwhile = beside
    run("myapp:app", Config())
    assert [spec.app for _, spec in served.notes] == ["myapp:app", "other:app"]


# Before


def test_options_that_contradict_each_other_are_told_before_anything_else(served: Served, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(UsageError, match="--reload: found --workers 2, expected 1"):
        run(hello, Config.from_options(workers=2, reload=True, pid=str(pid)))
    assert served.notes == []
    assert not pid.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_process_is_in_the_file_for_it_while_it_serves(served: Served, tmp_path: Path, workers: int) -> None:
    pid = tmp_path / "pid"
    found: list[str] = []
    served.meanwhile = lambda: found.append(pid.read_text())
    run(hello, Config.from_options(pid=str(pid), workers=workers))
    assert [int(text) for text in found] == [os.getpid()]
    assert not pid.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_file_goes_when_the_process_is_to_end_without_returning(
    served: Served, tmp_path: Path, workers: int
) -> None:
    pid = tmp_path / "pid"
    found: list[bool] = []

    def end() -> None:
        served.last()
        found.append(pid.exists())

    served.meanwhile = end
    run(hello, Config.from_options(pid=str(pid), workers=workers))
    assert found == [False]


def test_a_signal_that_nobody_else_takes_yet_ends_the_process_without_the_file(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        """Instead of the end of the process of the tests."""

    def end(status: int) -> None:
        raise Ended(status, pid.exists())

    pid = tmp_path / "pid"
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    served.meanwhile = lambda: signal.raise_signal(signal.SIGTERM)
    try:
        with pytest.raises(Ended) as caught:
            run(hello, Config.from_options(pid=str(pid)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.args == (143, False)


def test_the_file_goes_when_the_server_cannot_start(served: Served, tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def fail() -> None:
        assert pid.exists()
        raise StartupError("no")

    served.meanwhile = fail
    with pytest.raises(StartupError):
        run(hello, Config.from_options(pid=str(pid)))
    assert not pid.exists()


def test_a_worker_that_would_start_a_server_of_its_own_is_told_where_to_put_the_call(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(role, "is_worker", True)
    with pytest.raises(StartupError) as caught:
        run(hello, Config(pid=str(tmp_path / "pid")))
    assert str(caught.value) == (
        "miniasgi.run() is called by a module that a worker imports: put the call under "
        'if __name__ == "__main__":, so that only the program itself makes it'
    )
    assert served.notes == []


# What the server's process alone is for


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_for_this_process_is_not_in_the_environment_of_those_that_it_starts(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int
) -> None:
    activation._taken.cache_clear()
    variables = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    for name in variables:
        monkeypatch.setenv(name, str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "0")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        found: list[str] = []
        served.meanwhile = lambda: found.extend(set(variables) & os.environ.keys())
        run(hello, Config.from_options(workers=workers))
        assert found == []
        served.notifier.ready("here")
        assert manager.recv(4096) == b"READY=1\nSTATUS=here"
        assert served.notifier.watchdog(0.0) == os.getpid() / 2_000_000
    activation._taken.cache_clear()


@pytest.mark.parametrize("workers", [1, 2])
def test_files_of_sockets_go_when_the_process_is_to_end_without_returning(
    served: Served, tmp_path: Path, workers: int
) -> None:
    config = Config.from_options(uds=str(tmp_path / "a"), workers=workers)
    found: list[bool] = []

    def end() -> None:
        bound = bind_all(config)
        found.append((tmp_path / "a").is_socket())
        served.last()
        found.append((tmp_path / "a").exists())
        bound.close()

    served.meanwhile = end
    run(hello, config)
    assert found == [True, False]


# As a program calls it


def test_options_are_those_of_config(served: Served) -> None:
    run_with_options(hello, port=0, workers=3)
    assert served.notes == [("supervisor", WorkerSpec(hello, Config(port=0, workers=3)))]


@pytest.mark.parametrize("status", [0, 1])
def test_it_returns_when_the_server_has_stopped(served: Served, status: int) -> None:
    served.status = status
    run_with_options(hello)
    assert [who for who, _ in served.notes] == ["alone"]


@pytest.mark.parametrize(
    ("error", "status", "report"),
    [
        (StartupError("no database", "Traceback of theirs\n"), 3, "Traceback of theirs\nminiasgi: no database\n"),
        (UsageError("--port: no"), 2, "miniasgi: --port: no\n"),
    ],
)
def test_why_it_cannot_serve_is_reported_and_the_exit_status(
    served: Served, capsys: pytest.CaptureFixture[str], error: StartupError, status: int, report: str
) -> None:
    def fail() -> None:
        raise error

    served.meanwhile = fail
    with pytest.raises(SystemExit) as caught:
        run_with_options(hello)
    assert caught.value.code == status
    assert capsys.readouterr() == ("", report)


def test_an_option_that_does_not_exist_is_reported_too(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_with_options(hello, wrokers=2)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "miniasgi: wrokers: no such option; did you mean workers?\n"
    assert served.notes == []


def test_in_a_worker_it_is_raised_to_whoever_imports_the_module(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(role, "is_worker", True)
    with pytest.raises(StartupError, match="by a module that a worker imports"):
        run_with_options(hello)
    assert capsys.readouterr().err == ""
