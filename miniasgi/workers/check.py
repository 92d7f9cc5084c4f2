"""Which options for workers and sockets contradict each other, or ask for what this system does not have.

Knows Config and errors. Each option's own value has been checked before (config); here they meet. Starts nothing.
"""

from __future__ import annotations

import os

from miniasgi.config import OPTIONS, Config
from miniasgi.config.addresses import UnixAddress
from miniasgi.errors import UsageError

__all__ = ["check"]

STATM = "/proc/self/statm"  # proc(5): the process's pages, the resident ones second

_BY_NAME = {option.name: option for option in OPTIONS}


def check(config: Config, *, statm: str = STATM) -> None:
    """Return if the options of *config* for workers and sockets go together, and if *statm*, the system's file, exists
    where it is needed.

    Raises UsageError: one line for the first that do not, under their flags.
    """
    if config.reload and config.workers != 1:
        raise UsageError(
            f"--reload: found {_shown(config, 'workers')}, expected 1 (the other may come from WEB_CONCURRENCY or "
            "MINIASGI_WORKERS)"
        )
    if config.preload and config.reload:
        raise UsageError("--preload: found --reload, too, expected one of them: what is loaded once cannot change")
    if config.preload and config.worker_class == "thread":
        raise UsageError(
            f"--preload: found {_shown(config, 'worker_class')}, expected process: threads load the application once "
            "anyway"
        )
    for name in ("workers_lifetime", "limit_max_requests"):
        if getattr(config, f"{name}_jitter") and getattr(config, name) is None:
            jitter = _BY_NAME[f"{name}_jitter"].flag
            raise UsageError(f"{jitter}: found no {_BY_NAME[name].flag}, expected one to add it to")
    if not config.uds and not any(isinstance(each, UnixAddress) for each in config.bind):
        for name in ("uds_mode", "uds_owner"):
            if getattr(config, name) != _BY_NAME[name].default:
                raise UsageError(f"{_BY_NAME[name].flag}: found no --uds and no --bind unix:PATH, expected one of them")
    if config.workers_max_rss is not None and not os.path.exists(statm):
        raise UsageError(
            f"--workers-max-rss: found no {statm}, expected a system that says there how much memory a process has"
        )


def _shown(config: Config, name: str) -> str:
    """The option *name* as it would be typed."""
    option = _BY_NAME[name]
    return f"{option.flag} {option.kind.show(getattr(config, name))}"
