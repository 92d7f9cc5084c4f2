"""Running one server as the whole of a process: its loop, its signals, its logs, its exit status."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from types import FrameType
from typing import Any
from urllib.parse import quote

from .. import importer
from .._version import __version__
from ..config import Config
from ..errors import StartupError
from ..observe import logs
from ..types import App
from .loops import loop_factory
from .server import Server, parser_factory

__all__ = ["run"]

logger = logging.getLogger("miniasgi.server")

# 1 s: how long each kind of what an application leaves behind has to end.
_LAST_SECONDS = 1.0


def run(app: App | str | None, config: Config) -> int:
    """Serve *app*, and the folders of *config*, until a signal says to stop. Returns the exit status: 0.

    SIGINT and SIGTERM stop gracefully, a second one at once. Raises StartupError if the server cannot start.
    """
    if isinstance(app, str):
        app = importer.load(app, factory=config.factory, app_dir=config.app_dir)
    # After the import, because an application's own logging configuration switches off the loggers that it finds; but
    # before the folders are opened, which may have something to say.
    logs.configure(config.log_level)
    server = Server(app, config)
    parser_factory(config.http)  # a parser that cannot be had is told before anything is opened
    loop = loop_factory(config.loop)()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(server, _first_path(app, config)))
    finally:
        ended = _close(loop)
        asyncio.set_event_loop(None)
        if not ended and sys.exc_info()[0] is None:
            # The interpreter would wait for such threads and tasks for ever; everything of ours has been done.
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0)


def _close(loop: asyncio.AbstractEventLoop) -> bool:
    """End what the application has left in the loop, and close it. False if something does not end.

    What asyncio.Runner does, but bounded: a task that takes no cancellation must not hold the process up.
    """
    leavings = [
        _cancel_tasks(asyncio.all_tasks(loop)),
        loop.shutdown_asyncgens(),
        loop.shutdown_default_executor(),
    ]
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


def _first_path(app: App | None, config: Config) -> str:
    """Where a browser has something to see: at the top, unless there are only folders elsewhere."""
    mounts = [mount for _, mount in config.static]
    return "/" if app is not None or "" in mounts else quote(mounts[0]) + "/"


async def _serve(server: Server, first_path: str) -> int:
    signals = _Signals(server)
    signals.install()
    try:
        async with server:
            signals.starting = None
            _greet(server)
            if server.config.open:
                _open_browser(server.urls[0] + first_path)
            await server.wait()
            logger.info("stopping")
    except asyncio.CancelledError:
        if not signals.received:
            raise
    finally:
        signals.restore()
    return 0


def _greet(server: Server) -> None:
    config = server.config
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    if config.loop == "auto" and loop == "asyncio":
        missing = [name for name in ("uvloop", "httptools", "h11") if not _is_installed(name)]
        if "uvloop" in missing:
            logger.info("not installed: %s; serving on asyncio with the hand-written parser", ", ".join(missing))
    parser = "handwritten" if config.http == "auto" else config.http
    logger.info(
        "miniasgi %s on %s (%s, %s parser, Python %s, process %d); Ctrl-C stops it",
        __version__,
        " and ".join(server.urls),
        loop,
        parser,
        ".".join(map(str, sys.version_info[:3])),
        os.getpid(),
    )
    for directory, mount in config.static:
        logger.info("serving %s at %s/", os.path.abspath(directory), mount)


def _open_browser(url: str) -> None:
    """Show *url* in the user's browser; in a thread, because some browsers keep whoever starts them waiting."""
    # What listens to every interface is reached through this machine's own.
    url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

    def show() -> None:
        import webbrowser  # nobody else needs it

        if not webbrowser.open(url):
            logger.warning("no browser was found to open %s", url)

    threading.Thread(target=show, name="miniasgi-open", daemon=True).start()


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # somebody's import hook refuses it
        return False


class _Signals:
    """SIGINT and SIGTERM: the first stops, the second ends."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._before: dict[int, Any] = {}
        self.received = 0
        #: The task to cancel while the server is still starting.
        self.starting = asyncio.current_task()

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            # ValueError: not in the main thread, where whoever started it has to stop it.
            with suppress(ValueError):
                self._before[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received += 1
        if self.received == 1:
            self._loop.call_soon_threadsafe(self._stop)
        else:
            # From here and not from the loop, which an application may have blocked.
            self._server.flush()
            sys.stderr.flush()
            os._exit(128 + number)

    def _stop(self) -> None:
        if self.starting is not None:
            self.starting.cancel()
        self._server.stop()


def run_with_options(app: App | str | None, **options: Any) -> None:
    """See miniasgi.run."""
    try:
        run(app, Config.from_options(**options))
    except StartupError as error:
        print(error.report(), file=sys.stderr)
        raise SystemExit(error.exit_status) from None
