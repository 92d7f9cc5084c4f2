"""The ASGI applications that every server is measured with.

Each does as little as its workload allows, so that what is measured is the server. They know the
ASGI specification and nothing of any server.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HELLO = b"Hello, world!"
CHUNK = b"0123456789abcdef" * 64
CHUNK_COUNT = 100
PROCESS_TARGET = "/process"


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    """Answer thirteen octets without looking at the request."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return await send({"type": "http.response.body", "body": HELLO})


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Read the whole content, then answer it back with its length declared."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    pieces: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    content = b"".join(pieces)
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return await send({"type": "http.response.body", "body": content})


async def chunks(scope: Message, receive: Receive, send: Send) -> None:
    """Stream a hundred pieces of 1 KiB whose total length is not declared."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    fields = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for _ in range(CHUNK_COUNT - 1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    return await send({"type": "http.response.body", "body": CHUNK})


async def process_number(scope: Message, receive: Receive, send: Send) -> None:
    """Answer as hello does; but to one target with the number of the process that answers."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    content = HELLO if scope["path"] != PROCESS_TARGET else b"%d" % os.getpid()
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return await send({"type": "http.response.body", "body": content})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
