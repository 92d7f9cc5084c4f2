"""Uploads of any size in constant memory: ASGI without a framework.

    miniasgi examples.upload:app
    curl -T some-large-file http://127.0.0.1:8000/

Each piece of the content is hashed and forgotten. While the application is busy with one, the server stops reading
from that client, so a fast client fills nobody's memory.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return  # no lifespan, no WebSocket
    if scope["method"] not in ("POST", "PUT"):
        await answer(send, 405, {"error": "send a file with POST or PUT"}, (b"allow", b"POST, PUT"))
        return
    octets, digest = 0, hashlib.sha256()
    while True:
        # The first call is also what makes the server send "100 Continue" to a client that waits for it.
        message = await receive()
        if message["type"] == "http.disconnect":
            return  # the client has gone: nobody is there to answer
        octets += len(message["body"])
        digest.update(message["body"])
        if not message["more_body"]:
            break
    await answer(send, 200, {"octets": octets, "sha256": digest.hexdigest()})


async def answer(send: Any, status: int, content: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
    body = json.dumps(content).encode() + b"\n"
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})
