"""Sends every message back as it came: text as text, bytes as bytes.

    miniasgi tests.websocket.echo_app:app --ws-max-size 64m

For clients that judge a server, as Autobahn's test suite does. Ordinary requests get 426.
"""

from __future__ import annotations

from typing import Any

CONTENT = b"a WebSocket is expected here\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        headers = [(b"upgrade", b"websocket"), (b"content-length", b"%d" % len(CONTENT))]
        await send({"type": "http.response.start", "status": 426, "headers": headers})
        await send({"type": "http.response.body", "body": CONTENT})
    elif scope["type"] == "websocket":
        await echo(receive, send)


async def echo(receive: Any, send: Any) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")  # ASGI lets a server leave out what is None
        content = {"bytes": message["bytes"]} if text is None else {"text": text}
        try:
            await send({"type": "websocket.send", **content})
        except OSError:
            return  # the client has left in the middle
