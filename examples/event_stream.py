"""Events for browsers, one a second, and a goodbye when the server stops: ASGI without a framework.

    miniasgi examples.event_stream:app
    curl -N http://127.0.0.1:8000/

Such a stream has no end of its own, so it must see two others: the client leaves, or the server stops. Of the second,
miniasgi tells it in time; under other servers it is cut, and a browser comes back all the same.
"""

from __future__ import annotations

import asyncio
from typing import Any

EVENT_SECONDS = 1.0
HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return  # no lifespan, no WebSocket
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    client_leaves = asyncio.ensure_future(disconnected(receive))
    server_stops = asyncio.ensure_future(draining(scope).wait())
    try:
        number = 0
        while not client_leaves.done() and not server_stops.done():
            number += 1
            await send_events(send, f"event: tick\ndata: {number}\n\n")
            ends = (client_leaves, server_stops)
            await asyncio.wait(ends, timeout=EVENT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if server_stops.done():
            # A browser tries again after "retry" milliseconds, and finds the server that comes next.
            await send_events(send, "event: goodbye\ndata: the server stops\nretry: 500\n\n", more=False)
    finally:
        client_leaves.cancel()
        server_stops.cancel()


def draining(scope: dict[str, Any]) -> asyncio.Event:
    """What is set when the server begins to stop; under a server that does not tell, it never is."""
    extension = (scope.get("extensions") or {}).get("miniasgi.draining")
    return extension["event"] if extension else asyncio.Event()


async def disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_events(send: Any, events: str, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": events.encode(), "more_body": more})
