"""A supervisor put together: what it says, watches and calls, and how it ends; and what cannot be supervised."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.workers import supervised as module
from miniasgi.workers.serving.hooks import Hooks
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.supervised import run_supervised
from tests.server.apps import hello
from tests.support import descriptors

from .fakes import loggers_kept
from .stage import Ended, Stage, port_of

A_DAY = 86400


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with loggers_kept():
        yield Stage(monkeypatch)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records]


# Development


def test_in_development_nothing_is_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watched(stage, monkeypatch)

    def script(stage: Stage) -> None:
        (process,) = stage.start()
        for config in (process.spec.config, stage.supervisor.config):
            assert config.timeout_graceful_shutdown == 1
            assert config.timeout_worker_healthcheck > A_DAY  # a worker at a breakpoint is silent
        stage.supervisor.restart()
        stage.supervisor.step()
        assert len(stage.processes) == 1  # in development, one comes after the other
        stage.stop()

    assert stage.run(script=script, workers=1, reload=True, timeout_graceful_shutdown=30) == 0
    assert stage.notes[1:] == ["watch", "run", "watch no more"]
    assert watch == {"directories": (".",), "include": (), "exclude": (), "delay": 0.25}


def test_a_time_that_is_shorter_stays(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(stage, monkeypatch)

    def script(stage: Stage) -> None:
        assert stage.supervisor.config.timeout_graceful_shutdown == 0.5

    stage.run(script=script, workers=1, reload=True, timeout_graceful_shutdown=0.5)


@pytest.mark.parametrize(
    ("paths", "line"),
    [
        (["a.py"], "a.py changed: starting again"),
        (["a.py", "b.py", "c.py"], "a.py, b.py, c.py changed: starting again"),
        (["a.py", "b.py", "c.py", "d.py"], "a.py, b.py, c.py and 1 more changed: starting again"),
    ],
)
def test_a_change_of_the_code_has_it_start_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, paths: list[str], line: str
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    watch = watched(stage, monkeypatch)

    def script(stage: Stage) -> None:
        (process,) = stage.start()
        caplog.clear()
        process.forget_told()
        watch["notify"](paths)
        assert stage.notes[-1] == "soon"  # it is called in a thread of its own
        assert process.commands == ["stop"]
        assert lines(caplog) == [line]
        stage.stop()

    stage.run(script=script, workers=1, reload=True, reload_delay=2, reload_dir=["tests"], app_dir="docs")
    assert (watch["directories"], watch["delay"]) == (("tests",), 2)


def test_what_is_looked_at_is_what_the_options_say(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watched(stage, monkeypatch)
    stage.run(workers=1, reload=True, reload_include=["*.html"], reload_exclude=["old*"], app_dir="docs")
    assert watch == {"directories": ("docs",), "include": ("*.html",), "exclude": ("old*",), "delay": 0.25}


def watched(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a watch over the code has been made with; it notes when it begins and ends."""
    found: dict[str, Any] = {}

    class FakeWatch:
        def __init__(self, directories: Any, *, notify: Any, **options: Any) -> None:
            found.update(directories=directories, **options)
            self._notify = notify

        def start(self) -> None:
            stage.notes.append("watch")
            found["notify"] = self._notify

        def stop(self) -> None:
            stage.notes.append("watch no more")
            found.pop("notify")

    monkeypatch.setattr(module, "SourceWatch", FakeWatch)
    return found


# What it says


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"workers": 1}, "1 worker process"),
        ({"workers": 3}, "3 worker processes"),
        ({"workers": 1, "worker_class": "thread"}, "1 worker thread"),
        ({"workers": 3, "worker_class": "thread"}, "3 worker threads"),
    ],
)
def test_it_says_once_that_all_are_ready_and_where(
    stage: Stage, caplog: pytest.LogCaptureFixture, options: dict[str, Any], shown: str
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")

    def script(stage: Stage) -> None:
        stage.supervisor.step()
        assert lines(caplog) == []
        (port,) = port_of(stage.start()[0])
        assert f" on http://127.0.0.1:{port} (uvloop, " in lines(caplog)[0]
        assert f", {shown}, supervisor process {os.getpid()}); Ctrl-C stops it" in lines(caplog)[0]
        caplog.clear()
        stage.start()
        assert lines(caplog) == []
        stage.stop()

    assert stage.run(script=script, **options) == 0


@pytest.mark.parametrize(
    ("locks", "line"),
    [
        (
            True,
            "this Python lets one thread run at a time: worker threads take turns on one CPU; worker processes, or a "
            "free-threaded Python, use them all",
        ),
        (False, "this Python is free-threaded: worker threads run in parallel"),
    ],
)
def test_it_says_what_threads_are_good_for(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, locks: bool, line: str
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    monkeypatch.setattr(module, "locks_threads", lambda: locks)

    def script(stage: Stage) -> None:
        stage.start()
        assert lines(caplog)[-1] == line
        stage.stop()

    assert stage.run(script=script, worker_class="thread") == 0


# Hooks and sockets


@pytest.fixture
def hooks(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions that are loaded as hooks, which note when they are called."""

    def note(name: str) -> Any:
        def hook(context: Any) -> None:
            assert (context.worker, context.app, context.process) == (None, "myapp:app", os.getpid())
            stage.notes.append(name)

        return hook

    functions = {name: note(name) for name in ("on_start", "on_stop")}
    monkeypatch.setattr(Hooks, "load", lambda reference, directory: Hooks(functions))
    return functions


def test_hooks_are_called_around_all_workers(stage: Stage, hooks: dict[str, Any]) -> None:
    assert stage.run() == 0
    assert stage.notes[1:] == ["on_start", "run", "on_stop"]


class Failed(Exception):
    """Something that nobody expects."""


def test_whatever_happens_in_the_loop_the_last_hook_is_called_and_the_address_given_back(
    stage: Stage, hooks: dict[str, Any]
) -> None:
    ports: list[int] = []

    def script(stage: Stage) -> None:
        stage.start()
        ports.extend(port_of(stage.processes[0]))
        raise Failed

    before = descriptors()
    with pytest.raises(Failed):
        stage.run(script=script)
    assert stage.notes[1:] == ["on_start", "run", "on_stop"]
    assert descriptors() == before
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", ports[0]))


def test_where_the_first_hook_fails_nothing_is_started_and_the_last_is_not_called(
    stage: Stage, hooks: dict[str, Any]
) -> None:
    def fail(context: Any) -> None:
        raise ValueError("rusty")

    hooks["on_start"] = fail
    with pytest.raises(StartupError, match=r"hook on_start failed: .*rusty"):
        stage.run()
    assert stage.notes[1:] == []


@pytest.mark.parametrize("refused", ["application", "hook"])
def test_the_address_is_given_back_when_nothing_can_be_started(
    stage: Stage, hooks: dict[str, Any], refused: str
) -> None:
    def fail(context: Any) -> None:
        raise ValueError("rusty")

    hooks["on_start"] = fail
    before = descriptors()
    with pytest.raises(StartupError) as caught:
        stage.run(hello if refused == "application" else "myapp:app")
    assert descriptors() == before, caught


# The end


def test_why_the_first_workers_do_not_come_up_is_raised(stage: Stage, hooks: dict[str, Any]) -> None:
    def script(stage: Stage) -> None:
        stage.supervisor.step()
        said = {"kind": "failed", "message": "no module myapp", "details": "Traceback", "status": 3, "sockets": []}
        first, *_ = stage.supervisor.members
        stage.supervisor.heard(first, said)
        for member in list(stage.supervisor.members):
            stage.supervisor.ended(member, "exited with status 3")

    with pytest.raises(StartupError, match="no module myapp") as caught:
        stage.run(script=script)
    assert caught.value.details == "Traceback"
    assert stage.notes[-1] == "on_stop"


@pytest.mark.parametrize(("number", "status"), [(2, 130), (15, 143)])
def test_at_once_is_with_the_number_of_the_signal(
    stage: Stage, hooks: dict[str, Any], number: int, status: int
) -> None:
    stage.ended_by = number
    with pytest.raises(Ended) as caught:
        stage.run()
    assert caught.value.args == (status,)
    assert stage.notes[-2:] == ["on_stop", "last"]


def test_threads_that_nothing_ends_do_not_keep_the_process(stage: Stage) -> None:
    with pytest.raises(Ended) as caught:
        stage.run(hello, lambda stage: stage.start(), worker_class="thread")
    assert caught.value.args == (0,)
    assert stage.notes[-1] == "last"


# What cannot be


def test_outside_the_main_thread_it_is_refused() -> None:
    errors: list[StartupError] = []

    def run() -> None:
        try:
            run_supervised(WorkerSpec("myapp:app", Config(port=0)), lambda: None)
        except StartupError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == [
        "several workers need the main thread, where signals arrive; Server serves in any"
    ]


def test_an_application_that_no_process_can_be_sent_is_refused_before_anything_is_started(stage: Stage) -> None:
    with pytest.raises(StartupError, match="worker processes load the application themselves"):
        stage.run(hello)
    assert "run" not in stage.notes


def test_an_address_that_is_taken_is_refused_before_anything_is_started(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{port}"):
            stage.run(port=port)
    assert stage.notes == []


def test_hooks_that_cannot_be_loaded_are_refused_before_anything_is_started(stage: Stage) -> None:
    with pytest.raises(StartupError, match=r"no\.such"):
        stage.run(hooks="no.such:hooks")
    assert stage.notes == []


def test_a_supervisor_loads_neither_a_server_nor_an_event_loop() -> None:
    script = (
        "import sys, miniasgi.workers.supervised; "
        "print([name for name in sys.modules if name in ('asyncio', 'uvloop', 'h11', 'httptools') "
        "or name.startswith(('miniasgi.server.server', 'miniasgi.asgi', 'miniasgi.http1'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
