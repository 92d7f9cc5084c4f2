"""Options that are read again while a server with a supervisor runs: what new workers get, and what needs a restart.

Knows which options the supervisor has used up when it started. Does not know where options come from, nor what a
supervisor does with those that are new: that is done by *adopt*.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from ..config import OPTIONS, Config
from ..config.options import Option
from ..errors import StartupError
from .check import check
from .serving.spec import WorkerSpec

__all__ = ["NEEDS_RESTART", "Reread", "Rereading"]

logger = logging.getLogger("miniasgi.server")

#: APP and all options, as they are now. Raises StartupError.
Reread: TypeAlias = Callable[[], tuple[str | None, Config]]

#: Options of the supervisor's own, which it has acted upon before there were workers.
NEEDS_RESTART = frozenset(
    {
        *("host", "port", "bind", "uds", "uds_mode", "uds_owner", "fd", "backlog", "reuse_port"),
        *("worker_class", "preload", "pid", "hooks"),
        *("reload", "reload_dir", "reload_include", "reload_exclude", "reload_delay", "open"),
        # The workers there are give their signs of life as often as the old one asks for.
        "timeout_worker_healthcheck",
    }
)


class Rereading:
    """Reads the options again whenever it is called."""

    def __init__(self, spec: WorkerSpec, read: Reread, adopt: Callable[[WorkerSpec, WorkerSpec], None]) -> None:
        """*spec* is what runs. *adopt* is given what ran, and what new workers are to run; it may raise StartupError,
        and must then have done nothing.
        """
        self._spec = spec
        self._read = read
        self._adopt = adopt

    def __call__(self) -> bool:
        """Whether workers may be started with what has been read; if not, all stays as it was, and the log says why."""
        before = self._spec
        try:
            app, config = self._read()
            kept = [each for each in _changed(before.config, config) if each.name in NEEDS_RESTART]
            config = replace(config, **{each.name: getattr(before.config, each.name) for each in kept})
            check(config)
            after = replace(before, app=app, config=config)
            self._adopt(before, after)
        except StartupError as error:
            logger.error("nothing is loaded anew, and all stays as it was: %s", error)
            return False
        for option in kept:
            logger.warning("%s needs a restart: it stays as it was", option.flag)
        changed = [each.flag for each in _changed(before.config, config)]
        if app != before.app:
            changed.insert(0, "APP")
        if changed:
            logger.info("changed for new workers: %s", ", ".join(changed))
        self._spec = after
        return True


def _changed(one: Config, other: Config) -> list[Option]:
    return [each for each in OPTIONS if getattr(one, each.name) != getattr(other, each.name)]
