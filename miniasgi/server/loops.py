"""Event loops by name. The only file that imports uvloop."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable
from functools import partial

from ..errors import StartupError
from ..importer import brief, load_factory, user_traceback

__all__ = ["loop_factory"]


def loop_factory(name: str) -> Callable[[], AbstractEventLoop]:
    """What makes the event loop called *name*: "auto", "asyncio", "uvloop" or "module:callable".

    "auto" is uvloop where it is installed. Raises StartupError where what was asked for cannot be had; and so does what
    is returned, where what makes the user's own loop fails.
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
    return partial(_own_loop, name, load_factory(name, what="event loop factory", count=0))


def _own_loop(name: str, factory: Callable[[], object]) -> AbstractEventLoop:
    who = f"event loop factory {name!r}"
    try:
        loop = factory()
    except Exception as error:
        raise StartupError(f"{who}: failed: {brief(error)}", user_traceback(error)) from error
    if not isinstance(loop, AbstractEventLoop):
        raise StartupError(f"{who}: returned an object of type {type(loop).__name__}, expected an event loop")
    return loop
