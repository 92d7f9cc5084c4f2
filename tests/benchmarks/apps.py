"""The ASGI applications that every server is measured with.

Each does as little as its workload allows, so that what is measured is the server. They know the
ASGI specification and nothing of any server.
"""

import asyncio
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
# Of requests that came through a proxy: by which of them a server that believes it is asked, and one that does not.
FORWARDED_TARGET = "/forwarded"
IMMEDIATE_TARGET = "/immediate"
# Followed by how many requests may run at once, in a server that has a limit.
AT_MOST_TARGET = "/at-most-"
CLIENT_PREFIX = "198.18."  # of networks that are there for benchmarks (RFC 2544, appendix C)


_running = 0  # requests of waiting


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    """Answer thirteen octets without looking at the request."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return await send({"type": "http.response.body", "body": HELLO})


async def forwarded(scope: Message, receive: Receive, send: Send) -> None:
    """Answer as hello does, if the scope names the client and the scheme as the target says that it must."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    is_client_s = scope["client"][0].startswith(CLIENT_PREFIX) and scope["scheme"] == "https"
    content = HELLO if is_client_s == (scope["path"] == FORWARDED_TARGET) else b"wrong client!"
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return await send({"type": "http.response.body", "body": content})


async def waiting(scope: Message, receive: Receive, send: Send) -> None:
    """Answer as hello does, but in the loop's next turn, if no more requests run at once than the target allows."""
    global _running
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    most = scope["path"].partition(AT_MOST_TARGET)[2]
    _running += 1
    content = b"so many tasks" if most and _running > int(most) else HELLO
    try:
        await asyncio.sleep(0)
    finally:
        _running -= 1
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return await send({"type": "http.response.body", "body": content})


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
