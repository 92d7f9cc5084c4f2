"""A user's own functions, called when the server and its workers start and stop.

Knows how such functions are found, checked and called, and what it means that one fails. Does not know when they are
called: the supervisor has no event loop, so on_start and on_stop are plain functions; the others run in a worker's.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ... import importer
from ...config import Config
from ...errors import StartupError

__all__ = ["HookContext", "Hooks"]

logger = logging.getLogger("miniasgi.server")

NAMES = ("on_start", "on_worker_start", "on_worker_stop", "on_stop")
PLAIN = ("on_start", "on_stop")


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a hook is told, as its only argument.

    Attributes:
        config: all options.
        app: the application as it was named, such as "myapp:app"; the name that it has itself where it was given as an
            object; the folders where there is none.
        worker: which one starts or stops; None for the whole server.
        process: the number of the process that calls the hook.
    """

    config: Config
    app: str
    worker: int | None
    process: int


Hook = Callable[[HookContext], object]


class Hooks:
    """The functions that the user has given; where there is none of a name, nothing is done."""

    def __init__(self, functions: Mapping[str, Hook]) -> None:
        self._functions = functions

    @classmethod
    def load(cls, reference: str, app_dir: str) -> Hooks:
        """The hooks of the object, module or class that *reference* names; none if it is empty.

        A class is made an object of first, without arguments, each time that it is loaded.

        Raises StartupError: nothing can be found there, or no hooks, or hooks that could not be called.
        """
        if not reference:
            return cls({})
        who = f"hooks {reference!r}"
        found = importer.load_object(reference, what="hooks", app_dir=app_dir)
        if inspect.isclass(found):
            found = _make(found, who)
        functions = _functions(found, who)
        if not functions:
            raise StartupError(f"{who}: {_lacks(found)}")
        for name, function in functions.items():
            reason = _unfit(name, function)
            if reason:
                raise StartupError(f"{who}: {name} {reason}")
        return cls(functions)

    def start(self, context: HookContext) -> None:
        """Call on_start. Raises StartupError if it fails."""
        try:
            self._call("on_start", context)
        except (Exception, SystemExit) as error:
            raise _failed("on_start", error) from error

    async def worker_start(self, context: HookContext) -> None:
        """Call on_worker_start, and wait for it. Raises StartupError if it fails."""
        try:
            await self._call_in_loop("on_worker_start", context)
        except (Exception, SystemExit) as error:
            raise _failed("on_worker_start", error) from error

    async def worker_stop(self, context: HookContext) -> None:
        """Call on_worker_stop, and wait for it; that it fails is only logged."""
        try:
            await self._call_in_loop("on_worker_stop", context)
        except (Exception, SystemExit) as error:
            logger.error("hook on_worker_stop failed", exc_info=error)

    def stop(self, context: HookContext) -> None:
        """Call on_stop; that it fails is only logged."""
        try:
            self._call("on_stop", context)
        except (Exception, SystemExit) as error:
            logger.error("hook on_stop failed", exc_info=error)

    def _call(self, name: str, context: HookContext) -> None:
        result = self._functions[name](context) if name in self._functions else None
        if inspect.isawaitable(result):  # by a function that does not look like a coroutine function
            if inspect.iscoroutine(result):
                result.close()  # else Python warns that it was never awaited
            raise TypeError("it returned an awaitable, and there is no event loop to run it")

    async def _call_in_loop(self, name: str, context: HookContext) -> None:
        result = self._functions[name](context) if name in self._functions else None
        if inspect.isawaitable(result):
            await result


def _make(kind: type, who: str) -> object:
    if importer.takes(kind, 0) is False:
        raise StartupError(f"{who}: class {kind.__name__} needs arguments, expected one that can be made without")
    try:
        return kind()
    except (Exception, SystemExit) as error:
        raise StartupError(f"{who}: making one failed: {importer.brief(error)}", _details(error)) from error


def _functions(found: object, who: str) -> dict[str, Hook]:
    functions: dict[str, Hook] = {}
    for name in NAMES:
        try:
            value = getattr(found, name)
        except AttributeError:
            continue
        except (Exception, SystemExit) as error:
            message = f"{who}: reading {name} failed: {importer.brief(error)}"
            raise StartupError(message, _details(error)) from error
        if not callable(value):
            raise StartupError(f"{who}: {name} is an object of type {type(value).__name__}, expected a function")
        functions[name] = value
    return functions


def _lacks(found: object) -> str:
    """That *found* has no hooks, and what it has that may have been meant to be some."""
    similar = [name for name in dir(found) if name.lower().startswith(("on_", "worker_", "start", "stop"))]
    has = f", but {', '.join(similar[:5])}" if similar else ""
    return f"an object of type {type(found).__name__}, expected one with any of {', '.join(NAMES)}; it has none{has}"


def _unfit(name: str, function: Hook) -> str:
    """Why *function* cannot be called as the hook *name*; empty if it can be.

    Said now because on_stop would else be found out only when the server stops.
    """
    # What an object is called by, if it is no function itself.
    called = (function, getattr(function, "__call__", function))  # noqa: B004
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in called):
        return "is a generator function, of which a call would run nothing; expected a function without yield"
    if name in PLAIN and any(inspect.iscoroutinefunction(each) for each in called):
        return "is a coroutine function, expected a plain one: where it is called, no event loop runs"
    if importer.takes(function, 1) is False:
        return f"takes {inspect.signature(function, follow_wrapped=False)}, expected one argument, the context"
    return ""


def _failed(name: str, error: BaseException) -> StartupError:
    return StartupError(f"hook {name} failed: {importer.brief(error)}", _details(error))


def _details(error: BaseException) -> str:
    """The user's part of the traceback: without the frames of this module, through which it was called."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return importer.user_traceback(error.with_traceback(frames))
