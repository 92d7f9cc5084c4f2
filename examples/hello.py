"""The smallest useful ASGI application: it answers every request with the same text.

    miniasgi examples.hello:app

It needs nothing but the server.
"""

from __future__ import annotations

from typing import Any

BODY = b"Hello, world!\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return  # no lifespan, no WebSocket
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(BODY))],
        }
    )
    await send({"type": "http.response.body", "body": BODY})
