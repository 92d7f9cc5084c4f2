"""What run_supervised puts together, on a stage: its loop is a script, its processes fakes, its sockets real."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.workers import supervised as module
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.supervised import run_supervised
from miniasgi.workers.supervision.supervisor import Supervisor
from miniasgi.workers.system.notify import Notifier

from .fakes import FakeHandle

Script = Callable[["Stage"], object]


class FakeProcess(FakeHandle):
    """A worker that only has what it was started with."""

    def __init__(self, spec: WorkerSpec, pool: object = None) -> None:
        super().__init__(spec.number)
        self.spec = spec
        self.pool = pool


class Ended(BaseException):
    """Instead of the end of the process of the tests."""


class Stage:
    """What is put together, while its loop runs the script of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self.script: Script = lambda stage: None
        self.supervisor: Supervisor  # set when it is put together
        self.options: dict[str, Any] = {}
        self.preloader: Any = None
        self.notifier: Any = None
        self.ended_by = 0
        stage = self

        class FakeLoop:
            def __init__(self, supervisor: Supervisor, *, preloader: Any = None, notifier: Any = None) -> None:
                stage.supervisor, stage.preloader, stage.notifier = supervisor, preloader, notifier

            @property
            def ended_by(self) -> int:
                return stage.ended_by

            def soon(self, call: Callable[[], None]) -> None:
                stage.notes.append("soon")
                call()

            def run(self) -> None:
                stage.notes.append("run")
                stage.script(stage)

        def end(status: int) -> None:
            raise Ended(status)

        monkeypatch.setattr(module, "MainLoop", FakeLoop)
        monkeypatch.setattr(module, "ProcessWorker", FakeProcess)
        monkeypatch.setattr("miniasgi.workers.kinds.thread.ThreadWorker", FakeProcess)
        monkeypatch.setattr(module, "set_title", lambda text: self.notes.append(text))
        monkeypatch.setattr(logging, "shutdown", lambda: None)
        monkeypatch.setattr("atexit._run_exitfuncs", lambda: None)  # those of the tests
        monkeypatch.setattr(os, "_exit", end)

    def run(
        self,
        app: Any = "myapp:app",
        script: Script | None = None,
        notifier: Notifier | None = None,
        **options: Any,
    ) -> int:
        """Serve; *script* is what happens in the loop."""
        if script is not None:
            self.script = script
        config = Config.from_options(**{"port": 0, "workers": 2, **options})
        return run_supervised(WorkerSpec(app, config), lambda: self.notes.append("last"), notifier)

    @property
    def processes(self) -> list[FakeProcess]:
        return [member.handle for member in self.supervisor.members if isinstance(member.handle, FakeProcess)]

    def start(self) -> list[FakeProcess]:
        """Have all workers start and serve."""
        self.supervisor.step()
        for member in self.supervisor.members:
            self.supervisor.heard(member, {"kind": "ready", "loop": "uvloop", "sockets": []})
        self.supervisor.step()
        return self.processes

    def stop(self) -> None:
        """Have all workers end."""
        self.supervisor.stop()
        for member in list(self.supervisor.members):
            self.supervisor.ended(member, "exited with status 0")


def port_of(process: FakeProcess) -> set[int]:
    """The ports that it has been told to accept from."""
    return {each.getsockname()[1] for kind, values in process.told if kind == "listen" for each in values["sockets"]}
