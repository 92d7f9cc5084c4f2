"""From an application and options to an exit status: one worker in this process, or several and their supervisor."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from typing import Any

from ..config import Config
from ..errors import StartupError
from ..server.sockets import activation, binding
from ..types import App
from . import role
from .check import check
from .rereading import Reread
from .serving.spec import WorkerSpec
from .system.notify import Notifier
from .system.pidfile import PidFile
from .system.signals import bridge_signals
from .system.streams import open_standard_streams, say
from .system.title import set_title, title

__all__ = ["run", "run_with_options"]


class _Here(threading.local):
    """Whether this thread serves already."""

    is_serving = False


_here = _Here()


def run(app: App | str | None, config: Config, reread: Reread | None = None) -> int:
    """Serve *app*, and the folders of *config*, until a signal says to stop. Returns the exit status: 0.

    *reread*, where there is a supervisor, is asked for both again before the application is loaded anew.

    SIGINT and SIGTERM stop gracefully, a second one at once. Raises StartupError if the server cannot start.
    """
    if role.is_worker or _here.is_serving:
        raise StartupError(
            "miniasgi.run() is called by a module that a worker imports: put the call under "
            'if __name__ == "__main__":, so that only the program itself makes it'
        )
    check(config)
    open_standard_streams()
    # Before anything else is started: both take out of the environment what is for this process alone.
    activation.passed()
    notifier = Notifier.take(os.environ, os.getpid())
    spec = WorkerSpec(app, config)
    with ExitStack() as stack, bridge_signals(stack.close):
        stack.callback(setattr, _here, "is_serving", False)
        _here.is_serving = True
        stack.callback(binding.remove_files)
        if config.pid:
            stack.enter_context(PidFile(config.pid))
        # Imported here, because a supervisor has no use for a server, nor one worker for a supervisor.
        if needs_supervisor(config):
            from .supervised import run_supervised

            return run_supervised(spec, stack.close, notifier, reread)
        from .alone import run_alone

        set_title(title("server", spec.app_name))
        return run_alone(spec, stack.close, notifier)


def needs_supervisor(config: Config) -> bool:
    """Whether something is asked for that one process cannot do for itself."""
    return (
        config.workers != 1
        or config.reload
        or config.preload
        or config.limit_max_requests is not None
        or config.workers_lifetime is not None
        or config.workers_max_rss is not None
    )


def run_with_options(app: App | str | None, **options: Any) -> None:
    """See miniasgi.run."""
    try:
        run(app, Config.from_options(**options))
    except StartupError as error:
        if role.is_worker or _here.is_serving:
            raise  # to whoever imports the module that has called this
        say(error.report())
        raise SystemExit(error.exit_status) from None
