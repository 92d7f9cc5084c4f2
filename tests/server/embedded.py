"""Servers as a program embeds them, with nothing in their answers that changes from run to run."""

from __future__ import annotations

from typing import Any

from miniasgi import Config, Server
from miniasgi.types import App

__all__ = ["GET", "serving"]


GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def serving(app: App, **options: Any) -> Server:
    """A server of *app* on a port of its own; *options* of Config in place of those here."""
    defaults = {
        "port": 0,
        "lifespan": "off",
        "access_log": False,
        "timeout_graceful_shutdown": 5,
        "date_header": False,
        "server_header": False,
    }
    return Server(app, Config(**{**defaults, **options}))
