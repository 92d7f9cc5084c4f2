"""The application that servers of WebSockets are measured with: one for all, so that they can run side by side.

What a session does is told by its path. Knows the ASGI specification and nothing of any server.
"""

from . import apps
from .apps import Message, Receive, Send

ECHO_TARGET = "/echo"
BROADCAST_TARGET = "/broadcast"
# What a session says that wants to hear the others.
JOIN = "join"

_listeners: set[Send] = set()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Echo what each session says, or say it to all who have joined; without WebSockets, say hello."""
    if scope["type"] != "websocket":
        return await apps.hello(scope, receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == ECHO_TARGET:
        return await _echo(receive, send)
    try:
        return await _broadcast(receive, send)
    finally:
        _listeners.discard(send)


async def _echo(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        await send(_outgoing(message))


async def _broadcast(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        outgoing = _outgoing(message)
        if message.get("text") == JOIN:
            _listeners.add(send)
            await send(outgoing)
        else:
            for listener in tuple(_listeners):
                await listener(outgoing)


def _outgoing(message: Message) -> Message:
    # Of text and bytes a server may leave out the one that is not, or say None.
    text = message.get("text")
    if text is not None:
        return {"type": "websocket.send", "text": text}
    return {"type": "websocket.send", "bytes": message["bytes"]}
