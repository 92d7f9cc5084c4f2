"""What every worker does, be it the whole of a process, one process of several, or a thread: one loop, one server.

Knows the server and the loop. Does not know who looks after it: that is its control, which passes on what it is told,
and is told how it goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from ... import importer
from ...config import Config
from ...observe import logs
from ...server.loops import loop_factory
from ...server.server import Server, parser_factory
from ...server.sockets.listeners import Listener
from ..system.cpus import executor_threads, usable_cpus
from .hooks import HookContext, Hooks
from .spec import WorkerSpec, beat_seconds
from .stacks import report

__all__ = ["Control", "Worker", "make_pool", "run_worker"]

logger = logging.getLogger("miniasgi.server")

# 1 s: how long each kind of what an application leaves behind has to end.
_LAST_SECONDS = 1.0


class Control(Protocol):
    """Who looks after a worker, as the worker sees it. All is called in the worker's thread."""

    #: Whether the worker is told where to listen; else it binds the address of its configuration itself.
    gives_sockets: bool

    def started(self, worker: Worker) -> None:
        """Learn that the loop runs: from now on the worker's methods may be called, from any thread."""

    def ready(self, worker: Worker) -> None:
        """Learn that the application has started."""

    def beat(self, worker: Worker) -> None:
        """Learn, each second, that the loop turns."""


class SharedPool(ThreadPoolExecutor):
    """Threads for several loops, each of which would shut them down at its end, as if they were its own."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing: they end with the process."""


class Worker:
    """One server in its loop. Its methods may be called from any thread."""

    def __init__(self, spec: WorkerSpec, server: Server, hooks: Hooks, control: Control) -> None:
        self.spec = spec
        self.server = server
        #: The thread whose stack is that of the event loop.
        self.thread = threading.get_ident()
        self.loop = asyncio.get_running_loop()
        self._hooks = hooks
        self._control = control
        self._context = HookContext(spec.config, spec.app_name, spec.number or None, os.getpid())
        self._listeners: dict[int, list[Listener]] = {}
        self._starting = asyncio.current_task()
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None

    # From any thread

    def stop(self, *, force: bool = False, patient: bool = False) -> None:
        """Drain and end; with *force*, end what runs; *patient*, let clients that are idle ask once more."""
        self._soon(self._stop, force, patient)

    def listen(self, place: int, sockets: Sequence[Any]) -> None:
        """Accept connections from *sockets* too, until forget(*place*)."""
        self._soon(self._listen, place, sockets)

    def forget(self, place: int) -> None:
        """Accept no more from the sockets of *place*."""
        self._soon(self._forget, place)

    def want(self, number: int) -> None:
        """How many there should be is a matter for groups; this is one."""

    def report(self, *, all_threads: bool) -> str:
        """What it is doing right now, for the log."""
        return report(self.server, self.thread, all_threads=all_threads)

    def vitals(self) -> dict[str, int]:
        """The figures of a beat."""
        server = self.server
        return {"requests": server.requests, "running": server.running, "connections": server.connections}

    @property
    def loop_name(self) -> str:
        """The event loop's name, such as "uvloop"."""
        return type(self.loop).__module__.partition(".")[0]

    def _soon(self, call: Any, *arguments: Any) -> None:
        try:
            self.loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop is closed: everything has been done
            logger.debug("too late for %s", call.__name__)

    # In its own

    def _stop(self, force: bool, patient: bool) -> None:
        self._stopped = True
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
        self.server.stop(force=force, patient=patient)

    def _listen(self, place: int, sockets: Sequence[Any]) -> None:
        self._forget(place)
        self._listeners[place] = self.server.listen(sockets)

    def _forget(self, place: int) -> None:
        self.server.forget(self._listeners.pop(place, ()))

    def _beat(self) -> None:
        self._timer = self.loop.call_later(beat_seconds(self.spec.config), self._beat)
        self._control.beat(self)

    async def run(self) -> None:
        """Serve until stop(). Raises StartupError."""
        self._control.started(self)
        hooked = False
        try:
            await self._hooks.worker_start(self._context)
            hooked = True
            async with self.server:
                self._starting = None
                self._control.ready(self)
                self._beat()
                await self.server.wait()
                logger.info("stopping")
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if hooked:
                await self._hooks.worker_stop(self._context)


def make_pool(config: Config, kind: type[ThreadPoolExecutor] = SharedPool) -> ThreadPoolExecutor:
    """The threads of a process for what blocks, with one queue of jobs."""
    size = config.executor_threads or executor_threads(usable_cpus())
    return kind(size, "miniasgi-executor")


def run_worker(
    spec: WorkerSpec, control: Control, *, pool: ThreadPoolExecutor | None = None, hooks: Hooks | None = None
) -> bool:
    """Load the application and serve it until *control* says to stop. Raises StartupError if it cannot be served.

    *pool*, which others use as well, is a SharedPool; else the worker has one of its own. *hooks*, if they have been
    loaded already, are called instead of those of the configuration. False if the application has
    left tasks or threads that do not end.
    """
    config = spec.config
    app = spec.app if spec.loaded is None else spec.loaded
    if isinstance(app, str):
        # Before the import, so that what the application says of its logs wins over --log-config.
        logs.configure(config, spec.name)
        app = importer.load(app, factory=config.factory, app_dir=config.app_dir)
    # After the import, because an application's own logging configuration switches off the loggers that it finds; but
    # before the folders are opened, which may have something to say.
    logs.configure(config, spec.name)
    hooks = hooks or Hooks.load(config.hooks, config.app_dir)
    server = Server(app, config, sockets=() if control.gives_sockets else None)
    parser_factory(config.http)  # a parser that cannot be had is told before anything is opened
    loop = loop_factory(config.loop)()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(pool or make_pool(config, ThreadPoolExecutor))

    async def serve() -> None:
        await Worker(spec, server, hooks, control).run()

    ended = False
    try:
        loop.run_until_complete(serve())
    finally:
        ended = _close(loop, with_pool=pool is None)
        asyncio.set_event_loop(None)
    return ended


def _close(loop: asyncio.AbstractEventLoop, *, with_pool: bool) -> bool:
    """End what the application has left in the loop, and close it. False if something does not end.

    What asyncio.Runner does, but bounded: a task that takes no cancellation must not hold the process up.
    """
    leavings = [_cancel_tasks(asyncio.all_tasks(loop)), loop.shutdown_asyncgens()]
    if with_pool:
        leavings.append(loop.shutdown_default_executor())
    ended = True
    for leaving in leavings:
        task = loop.create_task(leaving)
        loop.run_until_complete(asyncio.wait([task], timeout=_LAST_SECONDS))
        if task.done():
            task.exception()  # looked at, so that asyncio does not complain
        else:
            ended = False
    if ended:
        loop.close()
    else:
        logger.error("the application has left tasks or threads that do not end; the process ends without them")
    return ended


async def _cancel_tasks(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
