"""A task that runs at once is a task like any other, on both loops."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from miniasgi.server.tasks import task_spawner
from tests.support import run_on

Work = Callable[[], Coroutine[Any, Any, None]]
number: ContextVar[int] = ContextVar("number", default=0)


async def spawned(work: Work, after: Callable[[asyncio.Task[None]], None] = lambda task: None) -> asyncio.Task[None]:
    """The task of *work*, spawned from a callback of the loop; *after* is called before anything else runs."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Task[None]] = loop.create_future()
    spawn = task_spawner(loop)

    def callback() -> None:
        try:
            task = spawn(work())
            after(task)
        except BaseException as error:
            made.set_exception(error)
        else:
            made.set_result(task)

    loop.call_soon(callback)
    return await made


def check(loop_name: str, work: Work) -> None:
    """Run *work* as a spawned task to its end."""

    async def run() -> None:
        await (await spawned(work))

    run_on(loop_name, run())


def test_a_task_runs_up_to_its_first_wait_before_spawn_returns(loop_name: str) -> None:
    async def run() -> None:
        steps: list[str] = []
        go = asyncio.Event()

        async def work() -> None:
            steps.append("first")
            await go.wait()
            steps.append("second")

        def after(task: asyncio.Task[None]) -> None:
            steps.append("spawned")
            assert not task.done()

        task = await spawned(work, after)
        assert steps == ["first", "spawned"]
        go.set()
        await task
        assert steps == ["first", "spawned", "second"]

    run_on(loop_name, run())


def test_a_coroutine_that_waits_for_nothing_is_over_before_spawn_returns(loop_name: str) -> None:
    async def run() -> None:
        done: list[bool] = []

        async def work() -> None:
            done.append(True)

        task = await spawned(work, lambda task: done.append(True))
        assert done == [True, True]
        await task
        assert (task.done(), task.result()) == (True, None)

    run_on(loop_name, run())


def test_the_current_task_is_right_inside_before_and_after_a_wait_and_between(loop_name: str) -> None:
    async def run() -> None:
        inside: list[asyncio.Task[Any] | None] = []
        outside: list[asyncio.Task[Any] | None] = []

        async def work() -> None:
            inside.append(asyncio.current_task())
            assert asyncio.current_task() in asyncio.all_tasks()
            await asyncio.sleep(0)
            inside.append(asyncio.current_task())

        task = await spawned(work, lambda task: outside.append(asyncio.current_task()))
        assert asyncio.current_task() is not task
        await task
        assert inside == [task, task]
        assert outside == [None]

    run_on(loop_name, run())


def test_each_task_has_a_context_of_its_own(loop_name: str) -> None:
    async def run() -> None:
        seen: list[int] = []

        async def work() -> None:
            seen.append(number.get())
            number.set(number.get() + 1)
            await asyncio.sleep(0)
            seen.append(number.get())

        for _ in range(2):
            await (await spawned(work, lambda task: seen.append(number.get())))
        assert seen == [0, 0, 1, 0, 0, 1]
        assert number.get() == 0

    run_on(loop_name, run())


def test_an_exception_in_the_first_step_is_the_tasks(loop_name: str) -> None:
    async def run() -> None:
        async def work() -> None:
            raise ValueError("broken")

        after: list[bool] = []
        task = await spawned(work, lambda task: after.append(True))
        with pytest.raises(ValueError, match="broken"):
            await task
        assert after == [True]

    run_on(loop_name, run())


def test_a_cancellation_in_the_first_step_is_the_tasks(loop_name: str) -> None:
    async def run() -> None:
        async def work() -> None:
            raise asyncio.CancelledError

        task = await spawned(work)
        await asyncio.wait([task])
        assert task.cancelled()

    run_on(loop_name, run())


def test_a_task_can_be_cancelled_while_it_waits(loop_name: str) -> None:
    async def run() -> None:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("ended")

        task = await spawned(work)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["ended"]

    run_on(loop_name, run())


def test_a_task_that_cancels_itself_in_its_first_step_is_cancelled_at_its_first_wait(loop_name: str) -> None:
    async def run() -> None:
        reached: list[int] = []

        async def work() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            reached.append(1)
            await asyncio.sleep(0)
            reached.append(2)

        task = await spawned(work)
        await asyncio.wait([task])
        assert (task.cancelled(), reached) == (True, [1])

    run_on(loop_name, run())


def test_tasks_made_in_the_first_step_are_ordinary_ones(loop_name: str) -> None:
    async def run() -> None:
        steps: list[str] = []

        async def child(name: str) -> str:
            steps.append(name)
            await asyncio.sleep(0)
            return name

        async def work() -> None:
            first = asyncio.create_task(child("first"))
            second = asyncio.ensure_future(child("second"))
            asyncio.get_running_loop().call_soon(steps.append, "called")
            steps.append("made")
            assert [await first, await second] == ["first", "second"]

        await (await spawned(work))
        assert steps == ["made", "first", "second", "called"]

    run_on(loop_name, run())


def test_the_loop_calls_as_before_afterwards(loop_name: str) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        before = dict(vars(loop)) if hasattr(loop, "__dict__") else {}

        async def work() -> None:
            raise ValueError

        task = await spawned(work)
        assert isinstance(task.exception(), ValueError)
        assert ("call_soon" in vars(loop)) == ("call_soon" in before)

    run_on(loop_name, run())


def test_timeouts_work_inside(loop_name: str) -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.001)
        async with asyncio.timeout(10):
            await asyncio.sleep(0)

    check(loop_name, work)


def test_task_groups_work_inside(loop_name: str) -> None:
    async def work() -> None:
        async def fails() -> None:
            raise ValueError("broken")

        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                group.create_task(asyncio.sleep(60))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, "result"))
        assert task.result() == "result"

    check(loop_name, work)


def test_anyio_works_inside(loop_name: str) -> None:
    anyio = pytest.importorskip("anyio", reason="the package anyio is not installed")

    async def work() -> None:
        seen: list[str] = []
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            seen.append("started")
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep(60)
        assert scope.cancelled_caught
        assert await anyio.to_thread.run_sync(lambda: 7) == 7
        assert seen == ["started"]

    check(loop_name, work)


def test_a_task_that_ends_the_process_in_its_first_step_does_so(loop_name: str) -> None:
    async def run() -> None:
        async def work() -> None:
            raise SystemExit(7)

        with pytest.raises(SystemExit):
            await spawned(work)
        await asyncio.create_task(asyncio.sleep(0))  # the loop still works

    run_on(loop_name, run())
    gc.collect()
