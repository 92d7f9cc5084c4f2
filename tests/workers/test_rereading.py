"""Options that are read again: what is adopted, what needs a restart, and what becomes of a mistake."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from miniasgi.config import OPTIONS, Config
from miniasgi.errors import StartupError, UsageError
from miniasgi.workers import supervised
from miniasgi.workers.rereading import NEEDS_RESTART, Rereading
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.supervised import run_supervised
from miniasgi.workers.supervision.main_loop import MainLoop

from .fakes import loggers_kept
from .loop_stage import MakeStage, send
from .stage import Script, Stage

BEFORE = WorkerSpec("a:b", Config(workers=2, port=80))


class Book:
    """What is read next, and what has been adopted."""

    def __init__(self) -> None:
        self.next: Callable[[], tuple[str | None, Config]] = lambda: ("a:b", BEFORE.config)
        self.adopted: list[tuple[WorkerSpec, WorkerSpec]] = []
        self.refusal: StartupError | None = None
        self.reread = Rereading(BEFORE, lambda: self.next(), self.adopt)

    def adopt(self, before: WorkerSpec, after: WorkerSpec) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.adopted.append((before, after))

    def says(self, app: str | None = "a:b", **options: Any) -> None:
        config = Config.from_options(**{"workers": 2, "port": 80, **options})
        self.next = lambda: (app, config)


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    with loggers_kept():
        yield


@pytest.fixture
def book(caplog: pytest.LogCaptureFixture) -> Book:
    caplog.set_level(logging.INFO, "miniasgi.server")
    return Book()


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


def test_what_has_not_changed_is_adopted_without_a_word(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    assert book.reread()
    assert book.adopted == [(BEFORE, BEFORE)]
    assert logged(caplog) == []


def test_what_has_changed_is_for_new_workers_and_its_names_are_logged(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    book.says("c:d", workers=3, ssl_certfile="c", ssl_keyfile_password="secret")
    after = WorkerSpec("c:d", Config(workers=3, port=80, ssl_certfile="c", ssl_keyfile_password="secret"))
    assert book.reread()
    assert book.adopted == [(BEFORE, after)]
    names = "APP, --ssl-certfile, --ssl-keyfile-password, --workers"
    assert logged(caplog) == [("INFO", f"changed for new workers: {names}")]
    # From now on, that is what there is.
    assert book.reread()
    assert book.adopted[1:] == [(after, after)]
    assert logged(caplog) == []


def test_what_the_supervisor_has_used_up_stays_and_is_told_each_time(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    book.says(port=81, preload=True, access_log=False)
    for changed in ([("INFO", "changed for new workers: --access-log")], []):
        assert book.reread()
        assert book.adopted[-1][1] == WorkerSpec("a:b", Config(workers=2, port=80, access_log=False))
        assert logged(caplog) == [
            ("WARNING", "--port needs a restart: it stays as it was"),
            ("WARNING", "--preload needs a restart: it stays as it was"),
            *changed,
        ]


def fail(error: StartupError) -> tuple[str | None, Config]:
    raise error


def test_a_file_that_has_become_wrong_changes_nothing(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.next = lambda: fail(UsageError("my.toml: prot: no such option"))
    assert not book.reread()
    assert book.adopted == []
    message = "nothing is loaded anew, and all stays as it was: my.toml: prot: no such option"
    assert logged(caplog) == [("ERROR", message)]


def test_options_that_contradict_each_other_change_nothing(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.says(limit_max_requests_jitter=5, port=81)
    assert not book.reread()
    assert book.adopted == []
    ((level, message),) = logged(caplog)
    assert (level, "found no --limit-max-requests" in message) == ("ERROR", True)


def test_what_cannot_be_adopted_changes_nothing(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.refusal = StartupError("no such log")
    book.says(access_log=False)
    assert not book.reread()
    assert logged(caplog) == [("ERROR", "nothing is loaded anew, and all stays as it was: no such log")]
    # It is compared with what runs, which is what it was.
    book.refusal = None
    assert book.reread()
    assert book.adopted[0][0] == BEFORE


def test_what_needs_a_restart_are_options() -> None:
    assert {option.name for option in OPTIONS} > NEEDS_RESTART


# What a supervisor does with it


class RereadingStage(Stage):
    """A stage on which the options can be read again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        stage = self

        class Loop(supervised.MainLoop):
            def run(self) -> None:
                stage.reread = self.reread
                super().run()

        self.reread: Callable[[], bool] | None = None
        monkeypatch.setattr(supervised, "MainLoop", Loop)

    def play(self, script: Script, after: Config, **before: Any) -> None:
        """Serve with the options *before*; when *script* rereads, they are *after*."""
        self.script = script
        config = Config.from_options(**{"port": 0, "workers": 2, **before})
        spec = WorkerSpec("myapp:app", config)
        run_supervised(spec, lambda: None, None, lambda: ("other:app", after))

    def read_again(self) -> None:
        assert self.reread is not None
        assert self.reread()
        self.supervisor.reload()
        self.supervisor.step()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> RereadingStage:
    return RereadingStage(monkeypatch)


def test_workers_that_are_started_later_have_the_new_options(stage: RereadingStage) -> None:
    def script(_: Stage) -> None:
        old = stage.start()
        stage.read_again()
        new = [process for process in stage.processes if process not in old]
        assert [(each.spec.app, each.spec.config.timeout_graceful_shutdown) for each in new] == [
            ("other:app", 60.0)
        ] * 3
        assert stage.supervisor.config.timeout_graceful_shutdown == 60.0
        assert stage.supervisor.leave_seconds == 130.0
        assert stage.notes[-1].endswith("supervisor other:app")
        stage.stop()

    stage.play(script, Config(port=0, workers=3, timeout_graceful_shutdown=60.0))


def test_those_that_run_keep_the_time_that_they_count_on(stage: RereadingStage) -> None:
    def script(_: Stage) -> None:
        stage.start()
        stage.read_again()
        assert stage.supervisor.leave_seconds == 130.0
        stage.stop()

    stage.play(script, Config(port=0, workers=2), timeout_graceful_shutdown=60)


def test_a_process_of_threads_has_as_many_as_the_file_says(stage: RereadingStage) -> None:
    def script(_: Stage) -> None:
        (old,) = stage.start()
        stage.read_again()
        (new,) = [process for process in stage.processes if process is not old]
        assert new.spec.config.workers == 5
        assert ("want", {"number": 5}) in [(kind, values) for kind, values in old.told]
        assert stage.supervisor.config.limit_max_requests is None  # for the threads' own supervisor
        assert new.spec.config.limit_max_requests == 7
        stage.stop()

    after = Config(port=0, workers=5, worker_class="thread", limit_max_requests=7)
    stage.play(script, after, worker_class="thread")


def test_a_zygote_that_is_started_later_has_the_new_options(stage: RereadingStage) -> None:
    def script(_: Stage) -> None:
        assert stage.reread is not None
        assert stage.reread()
        assert (stage.preloader.spec.app, stage.preloader.spec.config.access_log) == ("other:app", False)

    stage.play(script, Config(port=0, workers=2, preload=True, access_log=False), preload=True)
    assert stage.preloader.zygotes == []


def test_who_cannot_read_again_reloads_as_ever(stage: RereadingStage) -> None:
    stage.run(script=lambda _: None)
    assert stage.reread is None


# When it does so


@pytest.mark.parametrize(("answer", "started"), [(True, 2), (False, 1)])
def test_a_signal_reloads_only_what_can_be_read_again(stages: MakeStage, answer: bool, started: int) -> None:
    asked = []

    def reread() -> bool:
        asked.append(len(stage.workers))
        return answer

    stage = stages()
    loop = MainLoop(stage.supervisor)
    loop.reread = reread
    stage.script.extend([send("SIGHUP"), send("SIGTERM")])
    stage.run_loop(loop)
    assert asked == [1]
    assert len(stage.workers) == started
