"""How a worker ends: stopped before it is ready, too late, with tasks and threads that stay, and with a shared pool."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.server.server import Server
from miniasgi.types import Receive, Scope, Send
from miniasgi.workers.serving import worker as module
from miniasgi.workers.serving.hooks import Hooks
from miniasgi.workers.serving.spec import WorkerSpec
from miniasgi.workers.serving.worker import Worker, make_pool, run_worker
from tests.server.apps import hello
from tests.support import until

from .fakes import FakeControl, loggers_kept

SPEC = WorkerSpec(hello, Config(port=0, lifespan="off", access_log=False), 1)


@pytest.fixture(autouse=True)
def own_loggers() -> Iterator[None]:
    with loggers_kept():
        yield


# Before it is ready, and after its end


def test_a_way_to_stop_is_passed_on_to_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, bool]] = []
    stop = Server.stop

    def note(self: Server, **options: bool) -> None:
        told.append(options)
        stop(self, **options)

    monkeypatch.setattr(Server, "stop", note)

    async def script(worker: Worker) -> None:
        worker.stop(patient=True)
        worker.stop(force=True)

    assert run_worker(SPEC, FakeControl(script))
    assert told[:2] == [{"force": False, "patient": True}, {"force": True, "patient": False}]


class StoppedAtOnce(FakeControl):
    """Has the worker stop as soon as it can."""

    def started(self, worker: Worker) -> None:
        super().started(worker)
        worker.stop()


def test_a_worker_that_is_stopped_in_its_hook_starts_no_application() -> None:
    control = StoppedAtOnce()

    async def start(context: Any) -> None:
        control.notes.append("hook")
        await asyncio.Event().wait()

    hooks = Hooks({"on_worker_start": start, "on_worker_stop": lambda context: control.notes.append("stop hook")})
    assert run_worker(SPEC, control, hooks=hooks)
    assert control.notes == ["started", "hook"]


def test_a_worker_that_is_stopped_while_its_application_starts_calls_the_hook_of_the_end() -> None:
    notes: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        notes.append("startup")
        control.worker.stop()
        await asyncio.Event().wait()

    control = FakeControl()
    hooks = Hooks({"on_worker_stop": lambda context: notes.append("stop hook")})
    spec = WorkerSpec(slow, Config(port=0, lifespan="on", access_log=False), 1)
    assert run_worker(spec, control, hooks=hooks)
    assert notes == ["startup", "stop hook"]
    assert control.notes == ["started"]


def test_a_second_stop_while_the_hook_of_the_end_runs_is_no_failure() -> None:
    notes: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        control.worker.stop()
        await asyncio.Event().wait()

    async def stop(context: Any) -> None:
        control.worker.stop(force=True)
        await asyncio.sleep(0.01)
        notes.append("stop hook")

    control = FakeControl()
    spec = WorkerSpec(slow, Config(port=0, lifespan="on", access_log=False), 1)
    try:
        assert run_worker(spec, control, hooks=Hooks({"on_worker_stop": stop}))
    except asyncio.CancelledError:
        notes.append("raised")
    assert notes == ["stop hook"]


def test_a_second_stop_while_the_hook_of_the_start_runs_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    control = StoppedAtOnce()

    async def start(context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            control.worker.stop(force=True)
            await asyncio.sleep(0)

    assert run_worker(SPEC, control, hooks=Hooks({"on_worker_start": start}))
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_a_cancellation_that_is_nobodys_stop_is_raised() -> None:
    async def cancel_all(worker: Worker) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    with pytest.raises(asyncio.CancelledError):
        run_worker(SPEC, FakeControl(cancel_all))


def test_what_comes_when_its_loop_is_closed_is_too_late(caplog: pytest.LogCaptureFixture) -> None:
    control = FakeControl()
    assert run_worker(SPEC, control)
    logging.getLogger("miniasgi.server").setLevel(logging.DEBUG)
    caplog.clear()
    control.worker.stop()
    control.worker.forget(1)
    assert [each.getMessage() for each in caplog.records] == ["too late for _stop", "too late for _forget"]


def test_no_beat_comes_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "beat_seconds", lambda config: 0)
    beats: list[int] = []

    async def stop(context: Any) -> None:
        beats.append(control.notes.count("beat"))
        for _ in range(5):
            await asyncio.sleep(0)
        beats.append(control.notes.count("beat"))

    control = FakeControl()
    assert run_worker(SPEC, control, hooks=Hooks({"on_worker_stop": stop}))
    assert beats[0] == beats[1] > 0


# What is left behind


def test_tasks_that_are_left_are_cancelled_and_generators_are_closed() -> None:
    notes: list[str] = []
    left: list[Any] = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.append("cancelled")
            raise

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            notes.append("closed")

    async def script(worker: Worker) -> None:
        left.append(asyncio.create_task(wait_for_ever()))
        left.append(numbers())
        assert await anext(left[1]) == 1

    control = FakeControl(script)
    assert run_worker(SPEC, control)
    control.check()
    assert notes == ["cancelled", "closed"]


def test_a_task_that_does_not_end_is_left_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LAST_SECONDS", 0.05)
    left: list[asyncio.Task[None]] = []
    goes = asyncio.Event()

    async def stay() -> None:
        while not goes.is_set():
            try:
                await goes.wait()
            except asyncio.CancelledError:
                continue

    async def script(worker: Worker) -> None:
        left.append(asyncio.create_task(stay()))
        await asyncio.sleep(0)

    control = FakeControl(script)
    assert not run_worker(SPEC, control)
    control.check()
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert (record.levelname, record.getMessage()) == (
        "ERROR",
        "the application has left tasks or threads that do not end; the process ends without them",
    )
    loop = control.worker.loop
    assert not loop.is_closed()
    goes.set()
    loop.run_until_complete(asyncio.gather(*left, *asyncio.all_tasks(loop)))
    loop.close()


def test_a_job_of_its_pool_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAST_SECONDS", 0.05)
    begun, goes = threading.Event(), threading.Event()
    jobs: list[Any] = []

    def stay() -> None:
        begun.set()
        goes.wait(20)

    async def script(worker: Worker) -> None:
        jobs.append(worker.loop.run_in_executor(None, stay))
        await until(begun.is_set)

    control = FakeControl(script)
    assert not run_worker(SPEC, control)
    control.check()
    loop = control.worker.loop
    goes.set()
    loop.run_until_complete(asyncio.gather(*jobs, *asyncio.all_tasks(loop)))
    loop.close()


# Pools


async def note_thread(names: list[str]) -> None:
    names.append(await asyncio.to_thread(lambda: threading.current_thread().name))


def test_what_blocks_goes_to_a_pool_of_its_own_that_ends_with_it() -> None:
    names: list[str] = []
    assert run_worker(SPEC, FakeControl(lambda worker: note_thread(names)))
    assert [name.rpartition("_")[0] for name in names] == ["miniasgi-executor"]
    assert not [each for each in threading.enumerate() if each.name.startswith("miniasgi-executor")]


def test_what_blocks_goes_to_the_pool_that_is_given() -> None:
    names: list[str] = []
    with ThreadPoolExecutor(1, "given") as pool:
        assert run_worker(SPEC, FakeControl(lambda worker: note_thread(names)), pool=pool)
    assert names == ["given_0"]


def test_a_pool_that_others_use_as_well_is_left_as_it_is(loop_name: str) -> None:
    spec = WorkerSpec(hello, Config(port=0, lifespan="off", access_log=False, loop=loop_name, executor_threads=1), 1)
    pool = make_pool(spec.config)
    assert run_worker(spec, FakeControl(), pool=pool)
    assert pool.submit(lambda: "done").result(10) == "done"
    ThreadPoolExecutor.shutdown(pool)


def test_a_pool_has_as_many_threads_as_the_options_say_or_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cpus", lambda: 3)
    monkeypatch.setattr(module, "executor_threads", lambda cpus: cpus + 4)
    assert make_pool(Config(executor_threads=5))._max_workers == 5
    assert make_pool(Config())._max_workers == 7
