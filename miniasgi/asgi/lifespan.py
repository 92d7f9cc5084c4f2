"""The lifespan protocol: start-up before the first request, shutdown after the last (ASGI lifespan 2.0)."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

from ..errors import ApplicationError, StartupError
from ..types import App, Message
from .messages import untyped

__all__ = ["Lifespan"]

logger = logging.getLogger("miniasgi.server")

# 10 s: after that, whoever waits for the server wants to know what it waits for.
_NOTICE_SECONDS = 10.0
_NOTICE = "the application has been starting for %g s: nothing is served before its lifespan.startup.complete"


class Lifespan:
    """One application's lifespan.

    *mode* is "on", "off" or "auto", which takes an application that raises at once for one without a lifespan. One that
    exits at once has failed.
    *draining* is what the application is given to see that the server begins to stop; without one given, it never does.
    """

    def __init__(self, app: App, mode: str, draining: asyncio.Event | None = None) -> None:
        self._app = app
        self._mode = mode
        self._draining = draining or asyncio.Event()
        #: What the application stores for its requests; each gets a shallow copy.
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[str | None]  # set by start_up(): None, or what failed
        self._stopped: asyncio.Future[str | None]  # set by start_up()
        self._error: BaseException | None = None
        # Whether the application has said itself that its start-up failed.
        self._start_failed = False

    async def start_up(self) -> None:
        """Wait until the application is ready. Raises StartupError with the application's message if it is not."""
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._started = loop.create_future()
        self._stopped = loop.create_future()
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run())
        notice = loop.call_later(_NOTICE_SECONDS, logger.warning, _NOTICE, _NOTICE_SECONDS)
        try:
            failure = await self._started
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        finally:
            notice.cancel()
        if failure is not None:
            await asyncio.wait([self._task], timeout=1)
            self._task.cancel()
            self._task = None
            # Frameworks send a whole traceback as their message; its last line is what was wrong.
            *before, last = failure.rstrip().splitlines() or ["it gave no reason"]
            details = self._traceback() or (failure if before else "")
            raise StartupError(f"application start-up failed: {last}", details) from self._error

    def _traceback(self) -> str:
        """The application's own part of what it has raised, if it has."""
        error = self._error
        if error is None or self._start_failed:
            return ""
        frames = error.__traceback__ and error.__traceback__.tb_next  # without the frame of this file
        return "".join(traceback.format_exception(type(error), error, frames)).rstrip()

    async def shut_down(self, seconds: float) -> None:
        """Tell the application to shut down, and wait for it no longer than *seconds*."""
        task = self._task
        if task is None or task.done():
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        waited: list[asyncio.Future[Any]] = [self._stopped, task]
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._stopped.done():
            failure = self._stopped.result()
            if failure is not None:
                logger.error("application shutdown failed: %s", failure)
        elif not task.done():
            logger.error("the application's lifespan shutdown took longer than %g s and is cancelled", seconds)
        # What comes after shutdown.complete is clean-up, and may take its moment too.
        await asyncio.wait([task], timeout=1 if self._stopped.done() else 0)
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=1)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
            "extensions": {"miniasgi.draining": {"event": self._draining}},
        }
        try:
            await self._app(scope, self._messages.get, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error
            # Cancelled: the server has been stopped before the application was up, and what it says is too late.
            if self._start_failed or self._started.cancelled():
                logger.debug("the application's lifespan ended with %r", error)
            elif self._started.done():
                # Exits and interrupts asked for in there must not end the loop before it has been drained.
                logger.error("the application's lifespan failed", exc_info=error)
            elif self._mode == "on" or isinstance(error, (SystemExit, KeyboardInterrupt)):
                # Whoever exits knows the event, and does not want to be served. Not logged: of several workers that
                # fail alike, one is heard.
                self._started.set_result(repr(error))
            else:
                logger.debug("the application has no lifespan: %r", error)
        finally:
            if not self._started.done():
                self._started.set_result(self._unanswered())

    def _unanswered(self) -> str | None:
        """What it means that the application has left without an answer to the start-up event."""
        if self._mode == "on" and self._error is None:
            return "it returned from its lifespan before 'lifespan.startup.complete'"
        return None

    async def _send(self, message: Message) -> None:
        try:
            kind = message["type"]
        except (KeyError, TypeError):
            raise untyped(message) from None
        if kind in ("lifespan.startup.complete", "lifespan.startup.failed"):
            if self._started.cancelled():
                return
            if self._started.done():
                raise ApplicationError(f"{kind!r} sent twice, expected 'lifespan.shutdown.complete' or '.failed'")
            failure = _failure(message)
            self._start_failed = failure is not None
            self._started.set_result(failure)
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            if not self._started.done() or self._stopped.done():
                raise ApplicationError(f"{kind!r} sent out of order")
            self._stopped.set_result(_failure(message))
        else:
            raise ApplicationError(f"{kind!r} sent, expected a lifespan.startup or lifespan.shutdown message")


def _failure(message: Message) -> str | None:
    """What a "failed" message says, which may be nothing; None for a "complete" one."""
    return str(message.get("message") or "") if message["type"].endswith("failed") else None
