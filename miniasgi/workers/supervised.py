"""A supervisor for what is asked for, put together: its sockets, its way to start workers, its loop, its hooks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from ..config import Config
from ..errors import StartupError
from ..observe import logs
from .greeting import greet
from .kinds.process import ProcessWorker, pack
from .kinds.zygote import Preloader
from .rereading import Reread, Rereading
from .serving.hooks import HookContext, Hooks
from .serving.spec import WorkerSpec, leave_seconds
from .supervision.main_loop import MainLoop
from .supervision.member import Handle
from .supervision.places import Places
from .supervision.supervisor import MOST_WORKERS, Supervisor
from .system.cpus import locks_threads, usable_cpus
from .system.exits import count, end_process
from .system.notify import Notifier
from .system.title import set_title, title
from .watching.source_watch import SourceWatch

__all__ = ["run_supervised"]

logger = logging.getLogger("miniasgi.server")

# 1 s: in development, what runs is seldom worth waiting for.
_DEVELOPMENT_SECONDS = 1.0
_YEAR_SECONDS = 365 * 86400.0


class GroupSupervisor(Supervisor):
    """Supervises the one process of worker threads; how many these are is for that process to see to."""

    member_name = "the worker threads"
    threads = 1

    def more(self) -> None:
        if self.threads < MOST_WORKERS:
            self.want(self.threads + 1)

    def fewer(self) -> None:
        if self.threads > 1:
            self.want(self.threads - 1)
        else:
            logger.warning("one worker thread is the least: it stays")

    def want(self, number: int) -> None:
        """So many threads from now on; the process of all of them remains one."""
        self.threads = number
        logger.info("%s wanted now", "1 worker thread is" if number == 1 else f"{number} worker threads are")
        for member in self.members:
            member.handle.tell("want", number=number)


class Current:
    """What a worker that is started now is told to run. Changed when options are read again."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec


def run_supervised(
    spec: WorkerSpec, last: Callable[[], object], notifier: Notifier | None = None, reread: Reread | None = None
) -> int:
    """Serve until a signal says to stop. Returns the exit status. Raises StartupError if the server cannot start.

    *last* is called before the process ends, where it does so without returning; *notifier* learns how the server is.
    *reread* gives the options once more before the application is loaded anew.
    """
    if threading.current_thread() is not threading.main_thread():
        raise StartupError("several workers need the main thread, where signals arrive; Server serves in any")
    notifier = notifier or Notifier()
    asked = spec
    logs.configure(asked.config)
    current = Current(_prepared(asked))
    spec, config, workers = current.spec, current.spec.config, current.spec.config.workers or 1
    grouped = config.worker_class == "thread" and (spec.app is None or isinstance(spec.app, str))
    hooks = Hooks.load(config.hooks, config.app_dir)
    with closing(Places(config, sets=workers if grouped else 1)) as places:
        set_title(title("supervisor", spec.app_name))

        def ready(loop: str) -> None:
            kind = f"worker {config.worker_class}"
            shown = count(workers, kind, "es" if config.worker_class == "process" else "s")
            shown = f"{shown}, supervisor process {os.getpid()}"
            greet(spec.app, config, places.urls, loop, shown)
            notifier.ready(f"{shown} on {' and '.join(places.urls)}")
            if config.worker_class == "thread":
                _explain_threads()

        supervisor_class: type[Supervisor] = Supervisor
        if grouped:
            supervisor_class = GroupSupervisor
        preloader = Preloader(spec) if config.preload else None
        spawn = preloader.spawn if preloader is not None else _spawner(current, lambda: supervisor, grouped=grouped)
        supervisor = supervisor_class(
            _supervisors(config, grouped=grouped),
            places,
            wanted=1 if grouped else workers,
            spawn=spawn,
            clock=time.monotonic,
            ready=ready,
            developing=config.reload,
        )
        if isinstance(supervisor, GroupSupervisor):
            supervisor.threads = workers

        def adopt(before: WorkerSpec, after: WorkerSpec) -> None:
            logs.configure(after.config)
            current.spec = _prepared(after)
            if preloader is not None:
                preloader.spec = current.spec
            supervisor.config = _supervisors(current.spec.config, grouped=grouped)
            # Those that were started before are given the time that they count on.
            supervisor.leave_seconds = max(supervisor.leave_seconds, leave_seconds(supervisor.config))
            # Else it is as many as signals have made it.
            if after.config.workers != before.config.workers:
                supervisor.want(current.spec.config.workers or 1)
            set_title(title("supervisor", after.app_name))

        again = None if reread is None else Rereading(asked, reread, adopt)
        context = HookContext(config, spec.app_name, None, os.getpid())
        ended_by = _supervise(supervisor, preloader, hooks, context, notifier, again)
    if supervisor.failure is not None:
        raise supervisor.failure
    if ended_by or supervisor.members:
        # At once, or with threads that nothing ends, for which the interpreter would wait for ever.
        last()
        end_process(128 + ended_by if ended_by else 0, at_once=bool(ended_by))
    return 0


def _prepared(spec: WorkerSpec) -> WorkerSpec:
    """*spec* as workers get it: how many they are, and what development changes."""
    config = spec.config
    config = replace(config, workers=usable_cpus() if config.workers is None else config.workers)
    if config.reload:
        seconds = min(config.timeout_graceful_shutdown, _DEVELOPMENT_SECONDS)
        # A worker at a breakpoint gives no sign of life either.
        config = replace(config, timeout_graceful_shutdown=seconds, timeout_worker_healthcheck=_YEAR_SECONDS)
    return replace(spec, config=config)


def _supervisors(config: Config, *, grouped: bool) -> Config:
    """*config* as the supervisor gets it: the supervisor of a group of threads sees to some of it itself."""
    return replace(config, limit_max_requests=None, workers_lifetime=None) if grouped else config


def _supervise(
    supervisor: Supervisor,
    preloader: Preloader | None,
    hooks: Hooks,
    context: HookContext,
    notifier: Notifier,
    reread: Rereading | None,
) -> int:
    """Run the supervisor's loop between the hooks. The signal that ended it at once; 0 where none did."""
    hooks.start(context)
    try:
        main_loop = MainLoop(supervisor, preloader=preloader, notifier=notifier)
        main_loop.reread = reread
        if not context.config.reload:
            main_loop.run()
        else:
            watch = _source_watch(context.config, main_loop, supervisor)
            watch.start()
            try:
                main_loop.run()
            finally:
                watch.stop()
        return main_loop.ended_by
    finally:
        hooks.stop(context)


def _spawner(current: Current, supervisor: Callable[[], Supervisor], *, grouped: bool) -> Callable[[int], Handle]:
    if grouped:

        def start_group(number: int) -> Handle:
            group, spec = supervisor(), current.spec
            workers = group.threads if isinstance(group, GroupSupervisor) else spec.config.workers
            return ProcessWorker(replace(spec, config=replace(spec.config, workers=workers)))

        return start_group
    if current.spec.config.worker_class == "thread":
        from .kinds.thread import ThreadWorker
        from .serving.worker import make_pool

        pool = make_pool(current.spec.config)
        return lambda number: ThreadWorker(replace(current.spec, number=number), pool)
    pack(current.spec)  # what cannot be sent is told before anything is started
    return lambda number: ProcessWorker(replace(current.spec, number=number))


def _explain_threads() -> None:
    if locks_threads():
        logger.info(
            "this Python lets one thread run at a time: worker threads take turns on one CPU; worker processes, or a "
            "free-threaded Python, use them all"
        )
    else:
        logger.info("this Python is free-threaded: worker threads run in parallel")


def _source_watch(config: Config, main_loop: MainLoop, supervisor: Supervisor) -> SourceWatch:
    def changed(paths: list[str]) -> None:
        def restart() -> None:
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            logger.info("%s%s changed: starting again", ", ".join(paths[:3]), more)
            supervisor.restart()

        main_loop.soon(restart)

    return SourceWatch(
        config.reload_dir or (config.app_dir or ".",),
        include=config.reload_include,
        exclude=config.reload_exclude,
        delay=config.reload_delay,
        notify=changed,
    )
