"""One worker as the whole of a process, without a supervisor: its signals, and what it says."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from ..errors import StartupError
from ..observe import logs
from .greeting import greet
from .serving.hooks import HookContext, Hooks
from .serving.spec import WorkerSpec
from .serving.worker import Worker, run_worker
from .system.exits import end_process
from .system.notify import Notifier
from .system.signals import ENDING, GENTLE, give_back

__all__ = ["Alone", "run_alone"]

logger = logging.getLogger("miniasgi.server")

_SUPERVISED = {"SIGHUP": "loads the application anew", "SIGTTIN": "adds a worker", "SIGTTOU": "takes a worker away"}


def run_alone(spec: WorkerSpec, last: Callable[[], object], notifier: Notifier | None = None) -> int:
    """Serve until a signal says to stop. Returns the exit status: 0. Raises StartupError if that cannot be.

    *last* is called before the process ends, where it does so without returning; *notifier* learns how the server is.
    """
    if _is_loop_running():
        raise StartupError(
            "an event loop runs in this thread already, as in a notebook: serve in it with 'async with miniasgi.Server"
            "(app, miniasgi.Config(port=8000)):', or call run() in another thread"
        )
    control = Alone(last, notifier)
    logs.configure(spec.config)
    hooks = Hooks.load(spec.config.hooks, spec.config.app_dir)
    context = HookContext(spec.config, spec.app_name, None, os.getpid())
    hooks.start(context)
    try:
        ended = run_worker(spec, control, hooks=hooks)
    finally:
        control.restore()
        hooks.stop(context)
    if not ended:
        # The interpreter would wait for such threads and tasks for ever; everything of ours has been done.
        last()
        end_process(0)
    return 0


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Alone:
    """The signals of a process that is one worker: the first SIGINT or SIGTERM stops, the second ends."""

    gives_sockets = False

    def __init__(self, last: Callable[[], object], notifier: Notifier | None = None) -> None:
        self._last = last
        self._notifier = notifier or Notifier()
        self._before: dict[int, Any] = {}
        self._received = 0
        self._worker: Worker  # set by started()

    def started(self, worker: Worker) -> None:
        self._worker = worker
        for name in (*ENDING, *GENTLE):
            # AttributeError: not a POSIX system. ValueError: not in the main thread, where whoever started it has to
            # stop it.
            with suppress(AttributeError, ValueError):
                number = getattr(signal, name)
                self._before[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        give_back(self._before)

    def ready(self, worker: Worker) -> None:
        server = worker.server
        process = f"process {os.getpid()}"
        greet(worker.spec.app, server.config, server.urls, worker.loop_name, process)
        self._notifier.ready(f"{process} on {' and '.join(server.urls)}")
        self._watch()

    def beat(self, worker: Worker) -> None:
        """Nobody wants to know; a service manager may want to more often."""

    def _watch(self) -> None:
        """Have the service manager hear, as often as it wants to, that the loop turns."""
        now = self._worker.loop.time()
        due = self._notifier.watchdog(now)
        if due is not None:
            self._worker.loop.call_later(due - now, self._watch)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGUSR1":
            self._soon(logs.reopen_files)
        elif name == "SIGHUP":
            self._soon(self._renew)
        elif name in _SUPERVISED:
            self._soon(_explain, name)
        else:
            self._received += 1
            if self._received == 1 and name != "SIGQUIT":
                self._soon(self._notifier.stopping)
                self._worker.stop()
            else:
                # From here and not from the loop, which an application may have blocked.
                self._worker.server.flush()
                self._last()
                end_process(128 + number, at_once=True)

    def _soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Have *call* called by the loop: what a signal interrupts may hold the lock of a log."""
        with suppress(RuntimeError):  # the loop is closed: the process is about to end
            self._worker.loop.call_soon_threadsafe(call, *arguments)

    def _renew(self) -> None:
        """Do of a reload what needs no other process: read certificates again, and open log files."""
        self._notifier.reloading()
        logs.reopen_files()
        self._worker.server.reload_certificates()
        _explain("SIGHUP")
        self._notifier.reloaded()


def _explain(name: str) -> None:
    logger.warning("%s %s only where there is a supervisor, as with --workers 2", name, _SUPERVISED[name])
