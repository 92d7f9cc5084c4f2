"""miniasgi: an HTTP server for ASGI applications.

    miniasgi.run("myapp:app", port=8000)                    # the whole of a process
    async with miniasgi.Server(app, miniasgi.Config()):     # inside a running loop

Names are imported when they are first used, so that ``miniasgi --help`` does not pay for an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .config import Config
    from .server.server import Server
    from .static import StaticFiles
    from .types import App

__all__ = ["Config", "Server", "StaticFiles", "__version__", "run"]


def run(app: App | str | None = None, **options: Any) -> None:
    """Serve *app*, an ASGI application or "module:attribute", until SIGINT or SIGTERM.

    It may be left out where there are folders to serve: ``run(static="www")``. *options* are Config's fields. Where the
    server cannot start, says why in one line on standard error and exits with status 3, or 2 for a bad option.
    """
    from .workers.run import run_with_options

    run_with_options(app, **options)


def __getattr__(name: str) -> Any:
    if name == "Config":
        from .config import Config

        return Config
    if name == "Server":
        from .server.server import Server

        return Server
    if name == "StaticFiles":
        from .static import StaticFiles

        return StaticFiles
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
