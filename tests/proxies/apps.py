"""The application behind the proxies of these tests, in a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os

from miniasgi.types import Receive, Scope, Send

PIECE = bytes(range(256)) * 256  # 64 KiB

_wanted = asyncio.Event()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers by the last word of the path."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await _echo(scope, receive, send)
    else:
        await _ANSWERS[scope["path"].rpartition("/")[2]](scope, receive, send)


async def _answer(send: Send, content: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


def _told(scope: Scope) -> bytes:
    """What a test looks at, as JSON."""
    told = {name: scope[name] for name in ("client", "server", "scheme", "root_path", "path")}
    told["fields"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    told["request_id"] = scope["extensions"].get("miniasgi.request_id", {}).get("id", "")
    return json.dumps(told).encode()


async def _scope(scope: Scope, receive: Receive, send: Send) -> None:
    await _answer(send, _told(scope))


async def _pid(scope: Scope, receive: Receive, send: Send) -> None:
    await _answer(send, b"%d" % os.getpid())


async def _upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads piece by piece, and answers with the sum of it."""
    digest = hashlib.sha256()
    message = await receive()
    while message["type"] == "http.request":
        digest.update(message.get("body", b""))
        if not message.get("more_body"):
            break
        message = await receive()
    await _answer(send, digest.hexdigest().encode())


async def _first_of_upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers as soon as anything has come."""
    message = await receive()
    await _answer(send, b"%d" % len(message["body"]))


async def _download(scope: Scope, receive: Receive, send: Send) -> None:
    """160 pieces, which are 10 MiB."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(160):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body"})


async def _events(scope: Scope, receive: Receive, send: Send) -> None:
    """One event, and another one when somebody has asked for /next; silence in between."""
    fields = [(b"content-type", b"text/event-stream")]
    if scope["query_string"] == b"unbuffered":
        fields.append((b"x-accel-buffering", b"no"))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for number in (1, 2):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        if number == 1:
            await _wanted.wait()
            _wanted.clear()
    await send({"type": "http.response.body"})


async def _next(scope: Scope, receive: Receive, send: Send) -> None:
    _wanted.set()
    await _answer(send, b"")


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what the scope is, and then what it hears."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": _told(scope).decode()})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


_ANSWERS = {
    "scope": _scope,
    "pid": _pid,
    "upload": _upload,
    "first": _first_of_upload,
    "download": _download,
    "events": _events,
    "stream": _events,
    "next": _next,
}
