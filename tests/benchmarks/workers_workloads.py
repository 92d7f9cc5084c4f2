"""What is asked of servers with several workers. All of the applications also tell the process that answers."""

import dataclasses
from collections.abc import Sequence

from . import apps
from .exchange import Exchange, request
from .workload import Family, Workload

HELLO_NAME = "workers-hello"
SPREAD_NAME = "workers-spread"
MEMORY_NAME = "workers-memory"
RELOAD_NAME = "workers-reload"
KILL_NAME = "workers-kill"
IDLE_NAME = "workers-idle"


def _hello(_prefix: str) -> Sequence[Exchange]:
    return [Exchange(request("GET", "/"), apps.HELLO)]


WORKERS_HELLO = Workload(
    HELLO_NAME,
    "hello, 2 workers, cores shared with the load",
    _hello,
    Family.WORKERS,
    app="tests.benchmarks.apps:process_number",
    workers=2,
    is_pinned=False,
)
RELOAD = dataclasses.replace(WORKERS_HELLO, name=RELOAD_NAME, title="replacing 2 workers on SIGHUP")
KILL = dataclasses.replace(WORKERS_HELLO, name=KILL_NAME, title="one of 2 workers killed")
_MEMORY = dataclasses.replace(
    WORKERS_HELLO,
    name=MEMORY_NAME,
    title="memory of idle workers with FastAPI",
    app="tests.benchmarks.fastapi_app:app",
    requires="fastapi",
)


def spread(workers: int) -> Workload:
    """Connections to so many workers."""
    title = f"connections among {workers} workers"
    return dataclasses.replace(WORKERS_HELLO, name=SPREAD_NAME, title=title, workers=workers)


def memory(workers: int) -> Workload:
    """So many idle workers with an application of usual size."""
    return dataclasses.replace(_MEMORY, workers=workers)


def idle(workers: int) -> Workload:
    """So many workers that nobody asks anything."""
    return dataclasses.replace(WORKERS_HELLO, name=IDLE_NAME, title="idle workers", workers=workers)
