"""A chat: one page, one WebSocket for each reader, and everybody hears everybody. ASGI without a framework.

    miniasgi examples.chat:app --ws-max-size 16k

Then open http://127.0.0.1:8000/ in two windows. The room is in the memory of one process, so run one worker.

Whoever reads too slowly holds nobody up: what is to be sent to each waits in a queue of its own, and who lets it fill
up has to go. When the server stops, everybody is told, and the pages come back by themselves.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

NAME_CHARACTERS = 32
TEXT_CHARACTERS = 2000
WAITING_MESSAGES = 64
# More than ten messages a second nobody types. Those of a program wait in its own network's buffers.
MESSAGE_SECONDS = 0.1
# How long a client that reads nothing may take to hear that it has to go.
CLOSE_SECONDS = 2.0

# As text, so that lines end as browsers see them, whatever the file has.
PAGE = Path(__file__).with_name("chat.html").read_text(encoding="utf-8").encode()


def inline(element: str) -> str:
    """How a policy names what stands inside *element* in the page."""
    found = re.search(rf"<{element}>(.*?)</{element}>".encode(), PAGE, re.DOTALL)
    assert found
    return f"'sha256-{b64encode(sha256(found[1]).digest()).decode()}'"


# The page's own script and style run, nothing else does, and it speaks with this server alone.
POLICY = (
    f"default-src 'none'; script-src {inline('script')}; style-src {inline('style')}; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
PAGE_FIELDS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]


class Member:
    """Somebody who is there: what waits to be sent to them, and whether that has become too much."""

    def __init__(self) -> None:
        self.name = ""
        self.waiting: asyncio.Queue[str] = asyncio.Queue(WAITING_MESSAGES)
        self.behind: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(self, text: str) -> None:
        """Have *text* sent; never waits."""
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            if not self.behind.done():
                self.behind.set_result(None)


class Room:
    """Those who are there, by name."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}

    def enter(self, member: Member, wanted: str) -> None:
        """Under the name that *member* has *wanted*; where somebody has it, with a number behind."""
        name, number = wanted, 1
        while name in self.members:
            number += 1
            name = f"{wanted} {number}"
        member.name = name
        self.tell_all(event("joined", name=name))
        self.members[name] = member
        member.tell(event("welcome", name=name, people=list(self.members)))

    def leave(self, member: Member) -> None:
        if self.members.pop(member.name, None):
            self.tell_all(event("left", name=member.name))

    def tell_all(self, text: str) -> None:
        for member in self.members.values():
            member.tell(text)


def event(kind: str, **values: Any) -> str:
    """What has happened, as pages are told."""
    return json.dumps({"type": kind, **values})


room = Room()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await show(scope, send)
    elif scope["type"] == "websocket":
        await receive()  # websocket.connect
        if scope["path"] == "/chat" and is_from_here(scope):
            await send({"type": "websocket.accept"})
            await chat(scope, receive, send)
        else:
            await send({"type": "websocket.close"})  # before it is accepted, this answers 403


async def show(scope: dict[str, Any], send: Any) -> None:
    """The page."""
    status, content, fields = 200, PAGE, PAGE_FIELDS
    if scope["path"] != "/":
        status, content, fields = 404, b"not found\n", [(b"content-type", b"text/plain")]
    elif scope["method"] not in ("GET", "HEAD"):
        status, content, fields = 405, b"only GET\n", [(b"content-type", b"text/plain"), (b"allow", b"GET, HEAD")]
    fields = [*fields, (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def is_from_here(scope: dict[str, Any]) -> bool:
    """Whether the page that wants to connect is ours, if it is a page.

    Any page of the web may open a WebSocket to any server; browsers leave the judgement to the server. A proxy in front
    must pass Host on as it has come.
    """
    fields = dict(scope["headers"])
    origin = fields.get(b"origin")
    return origin is None or origin.partition(b"://")[2] == fields.get(b"host")


async def chat(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One client, from its name to its end, which is the first of four: it leaves, we do not want what it says, it
    reads too slowly, the server stops."""
    member = Member()
    reading = asyncio.ensure_future(read(member, receive))
    writing = asyncio.ensure_future(write(member, send))
    stopping = asyncio.ensure_future(draining(scope).wait())
    tasks = (reading, writing, stopping)
    try:
        await asyncio.wait((*tasks, member.behind), return_when=asyncio.FIRST_COMPLETED)
    finally:
        room.leave(member)
        for task in tasks:
            task.cancel()
    await asyncio.wait(tasks)  # until nobody else sends or receives
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            if not stopping.cancelled():
                await send({"type": "websocket.send", "text": event("goodbye")})
                await close(send, 1012, "the server stops")
            elif member.behind.done():
                await close(send, 1013, "you read too slowly")
            elif not reading.cancelled() and (objection := reading.result()):
                await close(send, 1008, objection)
            elif not writing.cancelled():
                writing.result()
    except (OSError, TimeoutError):
        pass  # it has left, or reads nothing at all: nobody is there to hear it


async def read(member: Member, receive: Any) -> str:
    """What we object to in what the client has said; nothing if it has left."""
    while (message := await receive())["type"] != "websocket.disconnect":
        try:
            said = json.loads(message.get("text") or "")
        except (ValueError, RecursionError):
            return "expected JSON, as text"
        key, most = ("text", TEXT_CHARACTERS) if member.name else ("name", NAME_CHARACTERS)
        value = said.get(key) if isinstance(said, dict) else None
        if not isinstance(value, str) or not 0 < len(value.strip()) <= most:
            return f'expected an object with "{key}", a string of 1 to {most} characters'
        if member.name:
            room.tell_all(event("said", name=member.name, text=value.strip()))
        else:
            room.enter(member, " ".join(value.split()))
        # As long as we do not ask for more, the server soon does not read more.
        await asyncio.sleep(MESSAGE_SECONDS)
    return ""


async def write(member: Member, send: Any) -> None:
    """Send what waits; while the client is slow, send() waits for it, and nobody else does."""
    while True:
        await send({"type": "websocket.send", "text": await member.waiting.get()})


async def close(send: Any, code: int, reason: str) -> None:
    await send({"type": "websocket.close", "code": code, "reason": reason})


def draining(scope: dict[str, Any]) -> asyncio.Event:
    """What is set when the server begins to stop; under a server that does not tell, it never is."""
    extension = (scope.get("extensions") or {}).get("miniasgi.draining")
    return extension["event"] if extension else asyncio.Event()
