"""run_worker with a script as its control: what happens in which order, what cannot start, what may be left behind."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.types import App, Receive, Scope, Send
from miniasgi.workers.serving import worker as module
from miniasgi.workers.serving.hooks import Hooks
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.serving.worker import Worker, run_worker
from tests.server.apps import Gate, answers, hello
from tests.support import Client, descriptors, fetch, until

from .fakes import FakeControl, loggers_kept

Script = Callable[[Worker], Awaitable[None]]


@pytest.fixture(autouse=True)
def own_loggers_and_import_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))  # to which --app-dir adds
    with loggers_kept():
        yield


def run(app: App | str, script: Script | None = None, *, number: int = 1, **options: Any) -> FakeControl:
    """Run a worker until *script* is through, and what its control has learnt."""
    control = FakeControl(script)
    assert run_worker(WorkerSpec(app, config(**options), number), control)
    control.check()
    return control


def config(**options: Any) -> Config:
    # Not uvloop: libuv keeps a descriptor in reserve from the first time on.
    return Config(**{"port": 0, "lifespan": "off", "access_log": False, "loop": "asyncio", **options})


def listening() -> tuple[socket.socket, int]:
    """A socket to give to a worker, and its port."""
    one = socket.create_server(("127.0.0.1", 0))
    return one, int(one.getsockname()[1])


def living(notes: list[str]) -> App:
    """An application with a lifespan that notes how it goes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await hello(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            notes.append(step)
            await send({"type": f"lifespan.{step}.complete"})

    return app


# From its start to its end


def test_a_worker_goes_from_its_start_to_its_end_in_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    control = FakeControl()
    workers: list[Any] = []

    async def hook(context: Any) -> None:
        workers.append((context.worker, context.app))
        control.notes.append("hook")

    hooks = Hooks({"on_worker_start": hook, "on_worker_stop": hook})
    app = living(control.notes)
    assert run_worker(WorkerSpec(app, config(lifespan="on"), 2), control, hooks=hooks)
    assert control.notes == ["started", "hook", "startup", "ready", "beat", "shutdown", "hook"]
    assert workers == [(2, "living.<locals>.app")] * 2
    assert [each.getMessage() for each in caplog.records] == ["stopping"]
    assert control.worker.loop.is_closed()


def test_a_worker_alone_has_no_number_for_its_hooks() -> None:
    found: list[Any] = []
    hooks = Hooks({"on_worker_start": lambda context: found.append(context.worker)})
    assert run_worker(WorkerSpec(hello, config()), FakeControl(), hooks=hooks)
    assert found == [None]


def test_beats_come_again_and_again_and_the_first_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[Config] = []

    def beat_seconds(config: Config) -> float:
        seconds.append(config)
        return 0.001

    async def script(worker: Worker) -> None:
        await until(lambda: control.notes.count("beat") > 3)

    monkeypatch.setattr(module, "beat_seconds", beat_seconds)
    control = FakeControl(script)
    spec = WorkerSpec(hello, config(), 1)
    assert run_worker(spec, control)
    control.check()
    assert control.notes[:3] == ["started", "ready", "beat"]
    assert seconds[0] is spec.config


def test_its_figures_are_those_of_its_server() -> None:
    gate = Gate()
    one, port = listening()

    async def script(worker: Worker) -> None:
        assert worker.vitals() == {"requests": 0, "running": 0, "connections": 0}
        worker.listen(1, [one])
        clients = [await Client.open(port) for _ in range(3)]
        clients[0].send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        clients[1].send(b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: worker.vitals() == {"requests": 2, "running": 2, "connections": 3})
        gate.open("/a")
        await until(lambda: worker.vitals() == {"requests": 2, "running": 1, "connections": 3})
        gate.open("/b")
        for client in clients:
            client.close()

    run(gate, script)


def test_a_report_from_another_thread_has_its_requests_and_where_its_loop_is() -> None:
    gate = Gate()
    one, port = listening()

    async def script(worker: Worker) -> None:
        worker.listen(1, [one])
        client = await Client.open(port)
        client.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: "/slow" in gate.waiting)
        reports = [await asyncio.to_thread(worker.report, all_threads=each) for each in (False, True)]
        for report in reports:
            assert "requests that are running:\n  GET /slow for 0 s\nthe event loop (MainThread) is at:\n" in report
        assert "a thread (" not in reports[0]
        gate.open("/slow")
        client.close()

    run(gate, script)


def test_it_says_which_loop_it_has(loop_name: str) -> None:
    control = run(hello, loop=loop_name)
    assert control.worker.loop_name == loop_name


def test_how_many_are_wanted_is_nothing_to_it() -> None:
    async def script(worker: Worker) -> None:
        worker.want(5)

    run(hello, script)


def test_the_thread_has_no_loop_afterwards() -> None:
    run(hello)
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


# Sockets


def test_without_sockets_from_its_control_it_binds_its_address() -> None:
    async def script(worker: Worker) -> None:
        assert (await fetch(worker.server.port)).endswith(b"hello")

    control = FakeControl(script, gives_sockets=False)
    assert run_worker(WorkerSpec(hello, config()), control)
    control.check()


def test_sockets_are_accepted_from_until_they_are_forgotten() -> None:
    first, one = listening()
    second, other = listening()

    async def script(worker: Worker) -> None:
        assert worker.server.addresses == []
        worker.listen(1, [first])
        worker.listen(2, [second])
        assert (await fetch(one)).endswith(b"hello")
        assert (await fetch(other)).endswith(b"hello")
        worker.forget(1)
        worker.forget(1)
        worker.forget(3)
        await until(lambda: first.fileno() == -1)
        assert (await fetch(other)).endswith(b"hello")

    run(hello, script)
    assert second.fileno() == -1


def test_new_sockets_of_a_place_are_in_the_stead_of_those_before() -> None:
    first, _ = listening()
    second, port = listening()

    async def script(worker: Worker) -> None:
        worker.listen(1, [first])
        worker.listen(1, [second])
        await until(lambda: first.fileno() == -1)
        assert (await fetch(port)).endswith(b"hello")

    run(hello, script)


# What it runs


def test_an_application_that_is_loaded_already_is_not_loaded_again() -> None:
    one, port = listening()

    async def script(worker: Worker) -> None:
        worker.listen(1, [one])
        assert (await fetch(port)).endswith(b"loaded")

    control = FakeControl(script)
    spec = WorkerSpec("no.such:app", config(), 1, loaded=answers(200, (), b"loaded"))
    assert run_worker(spec, control)
    control.check()


def test_an_application_is_loaded_as_its_options_say(tmp_path: Path) -> None:
    text = "from tests.server.apps import answers\ndef make():\n    return answers(200, (), b'made')\n"
    (tmp_path / "made_by_a_worker.py").write_text(text)
    one, port = listening()

    async def script(worker: Worker) -> None:
        worker.listen(1, [one])
        assert (await fetch(port)).endswith(b"made")

    run("made_by_a_worker:make", script, factory=True, app_dir=str(tmp_path))


def test_its_logger_has_its_level_and_its_name_even_if_the_application_switches_loggers_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    monkeypatch.setattr(module.logs, "set_name", names.append)
    # As logging.config.dictConfig does, to all loggers that it finds.
    off = (
        "import logging\nfor name in ('server', 'access'):\n    logging.getLogger(f'miniasgi.{name}').disabled = True\n"
    )
    text = f"{off}from tests.server.apps import hello\n"
    (tmp_path / "switches_loggers_off.py").write_text(text)
    found: list[tuple[int, bool]] = []

    async def script(worker: Worker) -> None:
        logger = logging.getLogger("miniasgi.server")
        found.append((logger.level, logger.disabled))

    run("switches_loggers_off:hello", script, number=4, log_level="debug", app_dir=str(tmp_path))
    assert found == [(logging.DEBUG, False)]
    assert "worker 4" in names


def test_hooks_that_are_given_are_called_instead_of_those_of_the_options() -> None:
    called: list[str] = []
    hooks = Hooks({"on_worker_start": lambda context: called.append("given")})
    control = FakeControl()
    assert run_worker(WorkerSpec(hello, config(hooks="no.such:hooks"), 1), control, hooks=hooks)
    assert called == ["given"]


# What cannot be served


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is on holiday"})


@pytest.mark.parametrize(
    ("app", "options", "message"),
    [
        ("no.such:app", {}, "no.such"),
        (hello, {"hooks": "no.such:hooks"}, "no.such"),
        (hello, {"http": "no.such:parser"}, "no.such"),
        (failing, {"lifespan": "on"}, "application start-up failed: the database is on holiday"),
    ],
    ids=["application", "hooks", "parser", "lifespan"],
)
def test_what_cannot_be_served_is_raised_and_the_worker_is_never_ready(
    app: Any, options: dict[str, Any], message: str
) -> None:
    before = descriptors()
    control = FakeControl()
    with pytest.raises(StartupError, match=message):
        run_worker(WorkerSpec(app, config(**options), 1), control)
    assert "ready" not in control.notes
    assert descriptors() == before


def test_a_parser_that_cannot_be_had_is_told_before_a_loop_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(module, "loop_factory", made.append)
    with pytest.raises(StartupError):
        run_worker(WorkerSpec(hello, config(http="no.such:parser"), 1), FakeControl())
    assert made == []


@pytest.mark.parametrize("fails", ["hook", "application"])
def test_the_hook_of_the_end_is_called_only_if_that_of_the_start_has_been_well(fails: str) -> None:
    notes: list[str] = []

    def start(context: Any) -> None:
        notes.append("start")
        if fails == "hook":
            raise ValueError("rusty")

    hooks = Hooks({"on_worker_start": start, "on_worker_stop": lambda context: notes.append("stop")})
    expected = "hook on_worker_start failed: .*rusty" if fails == "hook" else "start-up failed"
    with pytest.raises(StartupError, match=expected):
        run_worker(WorkerSpec(failing, config(lifespan="on"), 1), FakeControl(), hooks=hooks)
    assert notes == (["start"] if fails == "hook" else ["start", "stop"])


def test_a_thread_that_runs_a_worker_need_not_be_the_main_one() -> None:
    controls: list[FakeControl] = []
    thread = threading.Thread(target=lambda: controls.append(run(hello)))
    thread.start()
    thread.join(20)
    assert controls[0].notes[:2] == ["started", "ready"]
    assert controls[0].worker.thread == thread.ident


def test_all_that_a_worker_has_opened_is_closed_at_its_end() -> None:
    run(hello)
    before = descriptors()
    one, port = listening()

    async def script(worker: Worker) -> None:
        worker.listen(1, [one])
        await fetch(port)

    run(hello, script)
    assert descriptors() == before
