"""The servers with several workers to compare: as many processes as the workload says, otherwise as they come.

Those of miniasgi differ in one option each, and are measured where it matters.
"""

from .server import ServerSpec, Start, granian_command, gunicorn_command, module, uvicorn_command
from .workers_workloads import HELLO_NAME, IDLE_NAME, KILL_NAME, MEMORY_NAME, RELOAD_NAME, SPREAD_NAME
from .workload import Family

ONE_WORKER = "miniasgi-one-worker"
MINIASGI_WORKERS = "miniasgi-workers"
UVICORN_WORKERS = "uvicorn-workers"
GRANIAN_WORKERS = "granian-workers"
_REQUIRED_BY_GUNICORN = ("gunicorn.workers.gasgi", "uvloop")


def _miniasgi(name: str, only: tuple[str, ...], *options: str, workers: int | None = None) -> ServerSpec:
    def command(start: Start) -> list[str]:
        count = start.workload.workers if workers is None else workers
        common = ["--port", str(start.port), "--workers", str(count), "--no-access-log"]
        return module("miniasgi", start.workload.app, *common, *options)

    return ServerSpec(name, ("miniasgi.__main__", "uvloop"), command, Family.WORKERS, only=only, workers=workers)


def _uvicorn(start: Start) -> list[str]:
    workers = str(start.workload.workers)
    return uvicorn_command(start.workload.app, start, "httptools", "uvloop", "--workers", workers)


def _granian(start: Start) -> list[str]:
    # Without this it ends when a worker does.
    return granian_command(start, "--respawn-failed-workers")


def _gunicorn_preloading(start: Start) -> list[str]:
    return gunicorn_command(start, "--preload")


WORKERS_SERVERS: tuple[ServerSpec, ...] = (
    _miniasgi(ONE_WORKER, (HELLO_NAME,), workers=1),
    _miniasgi(MINIASGI_WORKERS, (HELLO_NAME, MEMORY_NAME, RELOAD_NAME, KILL_NAME, IDLE_NAME)),
    _miniasgi("miniasgi-workers-reuse-port", (SPREAD_NAME,), "--reuse-port"),
    _miniasgi("miniasgi-workers-no-reuse-port", (SPREAD_NAME,), "--no-reuse-port"),
    _miniasgi("miniasgi-workers-preload", (MEMORY_NAME,), "--preload"),
    ServerSpec(UVICORN_WORKERS, ("uvicorn", "httptools", "uvloop"), _uvicorn, Family.WORKERS),
    ServerSpec(GRANIAN_WORKERS, ("granian", "uvloop"), _granian, Family.WORKERS),
    ServerSpec("gunicorn-workers", _REQUIRED_BY_GUNICORN, gunicorn_command, Family.WORKERS),
    ServerSpec(
        "gunicorn-workers-preload", _REQUIRED_BY_GUNICORN, _gunicorn_preloading, Family.WORKERS, only=(MEMORY_NAME,)
    ),
)
