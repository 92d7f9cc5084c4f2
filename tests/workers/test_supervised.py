"""A supervisor put together for what is asked for: which workers it has, with which options and sockets."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterator

import pytest

from miniasgi.workers import supervised as module
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.supervised import GroupSupervisor
from miniasgi.workers.supervision.supervisor import MOST_WORKERS
from miniasgi.workers.system.notify import Notifier
from tests.server.apps import hello

from .fakes import loggers_kept
from .stage import FakeProcess, Stage, port_of


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with loggers_kept():
        yield Stage(monkeypatch)


# What a service manager is told


def test_a_service_manager_is_told_once_when_all_workers_are_ready(stage: Stage) -> None:
    class Told(Notifier):
        def _say(self, *lines: str) -> None:
            stage.notes.append(lines[-1])

    def script(stage: Stage) -> None:
        stage.start()
        url = f"http://127.0.0.1:{port_of(stage.processes[0]).pop()}"
        assert stage.notes[2:] == [f"STATUS=2 worker processes, supervisor process {os.getpid()} on {url}"]
        assert isinstance(stage.notifier, Told)
        stage.stop()

    assert stage.run(script=script, notifier=Told()) == 0


# Which workers


def test_each_worker_process_has_the_options_and_its_number(stage: Stage) -> None:
    def script(stage: Stage) -> None:
        first, second = stage.start()
        assert (first.spec.number, second.spec.number) == (1, 2)
        assert first.spec == dataclasses.replace(second.spec, number=1)
        assert (first.spec.app, first.spec.config.port, first.spec.config.workers) == ("myapp:app", 0, 2)
        assert not isinstance(stage.supervisor, GroupSupervisor)
        assert len(port_of(first) | port_of(second)) == 1
        stage.stop()

    assert stage.run(script=script) == 0
    assert stage.notes == ["miniasgi: supervisor myapp:app", "run"]


def test_there_are_as_many_as_cpus_where_nobody_says(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cpus", lambda: 3)

    def script(stage: Stage) -> None:
        assert [each.spec.config.workers for each in stage.start()] == [3, 3, 3]
        stage.stop()

    assert stage.run(workers=None, script=script) == 0


def test_threads_of_an_application_that_is_an_object_are_threads_of_this_process(stage: Stage) -> None:
    def script(stage: Stage) -> None:
        first, second = stage.start()
        assert (first.spec.number, second.spec.number) == (1, 2)
        assert first.spec.app is second.spec.app is hello
        assert first.pool is second.pool is not None
        stage.stop()

    assert stage.run(hello, script, worker_class="thread") == 0


@pytest.mark.parametrize("app", ["myapp:app", None])
def test_threads_of_what_can_be_loaded_anew_are_a_process_of_their_own(stage: Stage, app: str | None) -> None:
    def script(stage: Stage) -> None:
        (process,) = stage.start()
        assert (process.spec.number, process.pool) == (0, None)
        config = process.spec.config
        assert (config.workers, config.limit_max_requests, config.workers_lifetime) == (3, 5, 7)
        # Which its own supervisor sees to, for each thread.
        config = stage.supervisor.config
        assert (config.limit_max_requests, config.workers_lifetime, config.workers_max_rss) == (None, None, 1 << 30)
        assert [len(values["sockets"]) for kind, values in process.told if kind == "listen"] == [3]
        stage.stop()

    options = {"limit_max_requests": 5, "workers_lifetime": 7, "workers_max_rss": "1GiB"}
    assert stage.run(app, script, worker_class="thread", workers=3, static=["."], **options) == 0


def test_more_and_fewer_of_them_is_a_matter_for_their_process_and_for_the_next_one(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")

    def script(stage: Stage) -> None:
        (process,) = stage.start()
        process.forget_told()
        caplog.clear()
        stage.supervisor.more()
        for _ in range(4):
            stage.supervisor.fewer()
        numbers = [values["number"] for kind, values in process.told if kind == "want"]
        assert numbers == [3, 2, 1]
        assert [each.getMessage() for each in caplog.records] == [
            "3 worker threads are wanted now",
            "2 worker threads are wanted now",
            "1 worker thread is wanted now",
            *["one worker thread is the least: it stays"] * 2,
        ]
        stage.supervisor.more()
        stage.supervisor.more()
        stage.supervisor.reload()
        stage.supervisor.step()
        assert [each.spec.config.workers for each in stage.processes] == [2, 3]
        stage.supervisor.more()
        assert [each.commands[-1] for each in stage.processes] == ["want", "want"]
        stage.supervisor.want(MOST_WORKERS)
        told = [len(each.told) for each in stage.processes]
        stage.supervisor.more()
        assert [len(each.told) for each in stage.processes] == told
        stage.stop()

    assert stage.run(script=script, worker_class="thread") == 0


def test_workers_are_forked_where_the_application_is_to_be_loaded_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FakePreloader:
        def __init__(self, spec: WorkerSpec) -> None:
            self.spec = spec

        def spawn(self, number: int) -> FakeProcess:
            return FakeProcess(dataclasses.replace(self.spec, number=number))

    monkeypatch.setattr(module, "Preloader", FakePreloader)

    def script(stage: Stage) -> None:
        assert isinstance(stage.preloader, FakePreloader)
        assert (stage.preloader.spec.app, stage.preloader.spec.config.workers) == ("myapp:app", 2)
        assert [each.spec.number for each in stage.start()] == [1, 2]
        stage.stop()

    assert stage.run(script=script, preload=True) == 0
