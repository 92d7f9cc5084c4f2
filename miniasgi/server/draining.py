"""How a server's requests and connections end when it stops: given time, told, cancelled, cut. Each step is bounded.

Knows the books of a server (service). Does not know listeners: nothing new comes any more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..asgi.exchange import Exchange
from .service import Service

__all__ = ["drain", "hurry"]

logger = logging.getLogger("miniasgi.server")

# 1 s: after a hang-up, how long applications have to end by themselves, and after that, to take their cancellation.
_LAST_SECONDS = 1.0


async def drain(service: Service, forced: asyncio.Event) -> None:
    """Let running requests finish for ``timeout_graceful_shutdown``, or until *forced*; then end them."""
    for connection in list(service.connections):
        connection.stop()
    if not service.lets_ask:
        # To wait for the end of a handshake is to let whoever has begun one hold the server up, and for nothing.
        service.arriving.hurry(begun=not service.lets_new_ask)
    if await _quiet(service, forced, service.config.timeout_graceful_shutdown):
        return
    hurry(service)
    if not service.running and await _quiet(service, forced, _LAST_SECONDS):
        return
    left = len(service.running)
    if left:
        logger.warning("still running, and told now that their client has gone: %d", left)
    for connection in list(service.connections):
        connection.cut()
    for exchange in list(service.running):
        exchange.hang_up()
    if await _quiet(service, forced, _LAST_SECONDS, connections=False):
        await _close_all(service, forced)
        return
    stuck: list[Exchange] = list(service.running)
    for exchange in stuck:
        if exchange.task is not None:
            exchange.task.cancel()
    if not await _quiet(service, forced, _LAST_SECONDS, connections=False):
        for exchange in service.running:
            logger.error("%s: does not end even when cancelled, and is left", exchange.label)
    await _close_all(service, forced)


def hurry(service: Service) -> None:
    """Leave no idle connection open any longer."""
    service.arriving.hurry(begun=True)
    if service.lets_ask or service.lets_new_ask:
        service.lets_ask = service.lets_new_ask = False
        for connection in list(service.connections):
            connection.stop()


async def _close_all(service: Service, forced: asyncio.Event) -> None:
    """Give the last responses a moment to leave, then cut what is still open."""
    if not await _quiet(service, forced, _LAST_SECONDS):
        for connection in list(service.connections):
            connection.transport.abort()
        service.arriving.abandon()
        await _quiet(service, forced, _LAST_SECONDS)


async def _quiet(service: Service, forced: asyncio.Event, seconds: float, *, connections: bool = True) -> bool:
    """Wait until no request is running and, with *connections*, none of those is open. False if time ran out."""
    quiet = service.quiet(connections=connections)
    if quiet.done():
        return True
    at_once = asyncio.ensure_future(forced.wait())
    try:
        waited: list[asyncio.Future[Any]] = [quiet, at_once]
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        at_once.cancel()
    return quiet.done()
