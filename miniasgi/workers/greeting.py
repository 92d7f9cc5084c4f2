"""What the log says when a server has started, and the browser that --open opens."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from urllib.parse import quote

from .._version import __version__
from ..config import Config
from ..types import App

__all__ = ["greet"]

logger = logging.getLogger("miniasgi.server")


def greet(app: App | str | None, config: Config, urls: Sequence[str], loop: str, workers: str) -> None:
    """Say where the server can be reached, on which *loop* and with which *workers*; open it if that is asked for."""
    if config.loop == "auto" and loop == "asyncio":
        missing = [name for name in ("uvloop", "httptools", "h11") if not _is_installed(name)]
        if "uvloop" in missing:
            logger.info("not installed: %s; serving on asyncio with the hand-written parser", ", ".join(missing))
    parser = "handwritten" if config.http == "auto" else config.http
    logger.info(
        "miniasgi %s on %s (%s, %s parser, Python %s, %s); Ctrl-C stops it",
        __version__,
        " and ".join(urls),
        loop,
        parser,
        ".".join(map(str, sys.version_info[:3])),
        workers,
    )
    for directory, mount in config.static:
        logger.info("serving %s at %s/", os.path.abspath(directory), mount)
    if config.open:
        shown = next((url for url in urls if url.startswith("http")), "")
        if shown:
            _open_browser(shown + _first_path(app, config))
        else:
            logger.warning("--open: no browser can be shown %s, expected an address of TCP", " or ".join(urls))


def _first_path(app: App | str | None, config: Config) -> str:
    """Where a browser has something to see: at the top, unless there are only folders elsewhere."""
    mounts = [mount for _, mount in config.static]
    return "/" if app is not None or "" in mounts else quote(mounts[0]) + "/"


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
