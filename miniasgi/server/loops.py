"""Event loops by name. The only file that imports uvloop."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable

from ..errors import StartupError
from ..importer import load

__all__ = ["loop_factory"]


def loop_factory(name: str) -> Callable[[], AbstractEventLoop]:
    """What makes the event loop called *name*: "auto", "asyncio", "uvloop" or "module:callable".

    "auto" is uvloop where it is installed. Raises StartupError where what was asked for cannot be had.
    """
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    if name in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError as error:
            if name == "auto":
                return asyncio.SelectorEventLoop
            raise StartupError("--loop uvloop: the package uvloop is not installed") from error
        return uvloop.new_event_loop
    return load(name, what="event loop factory")
