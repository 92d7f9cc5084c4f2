"""The example's chat without a server: who reads too slowly, who speaks too fast, who says what nobody understands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from examples import chat
from tests.support import until

PATIENCE_SECONDS = 10.0


class Client:
    """A client of the application, whose messages it takes when it is told to."""

    def __init__(self, *blocked: str) -> None:
        self._blocked = blocked  # types of messages that it never takes
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.draining = asyncio.Event()
        self._waiting.put_nowait({"type": "websocket.connect"})
        extensions = {"miniasgi.draining": {"event": self.draining}}
        scope = {"type": "websocket", "path": "/chat", "headers": [], "extensions": extensions}
        self.task = asyncio.ensure_future(chat.app(scope, self._waiting.get, self._take))

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] in self._blocked:
            await asyncio.Event().wait()
        self.sent.append(message)

    def say(self, **values: Any) -> None:
        self._waiting.put_nowait({"type": "websocket.receive", "text": json.dumps(values)})

    def say_raw(self, **content: Any) -> None:
        self._waiting.put_nowait({"type": "websocket.receive", **content})

    async def enter(self, name: str) -> None:
        self.say(name=name)
        await until(lambda: name in chat.room.members)

    async def leave(self) -> None:
        self._waiting.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await self.task

    @property
    def unread(self) -> int:
        """How many of its messages the application has not asked for."""
        return self._waiting.qsize()

    @property
    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]

    @property
    def end(self) -> Any:
        """Code and reason of the application's close."""
        last = self.sent[-1]
        assert last["type"] == "websocket.close"
        return last["code"], last["reason"]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), PATIENCE_SECONDS)
        assert not chat.room.members
        assert asyncio.all_tasks() == {asyncio.current_task()}, "the chat has left tasks behind"

    asyncio.run(bounded())


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty room, in which nobody has to speak slowly."""
    monkeypatch.setattr(chat, "room", chat.Room())
    monkeypatch.setattr(chat, "MESSAGE_SECONDS", 0.0)
    monkeypatch.setattr(chat, "CLOSE_SECONDS", 0.01)


@pytest.mark.parametrize("blocked", [("websocket.send",), ("websocket.send", "websocket.close")])
def test_who_reads_nothing_has_to_go_and_holds_nobody_up(blocked: tuple[str, ...]) -> None:
    async def test() -> None:
        slow, speaker = Client(*blocked), Client()
        await slow.enter("Slow")
        await speaker.enter("Speaker")
        # One is being sent, the queue is full of others, and "Speaker has come" is before them.
        texts = [f"line {number}" for number in range(chat.WAITING_MESSAGES)]
        for text in texts:
            speaker.say(text=text)
        await slow.task
        await until(lambda: {"type": "left", "name": "Slow"} in speaker.heard)
        await speaker.leave()
        assert [each["text"] for each in speaker.heard if each["type"] == "said"] == texts
        if "websocket.close" not in blocked:
            assert slow.end == (1013, "you read too slowly")

    run(test)


def test_who_is_slow_and_catches_up_may_stay() -> None:
    async def test() -> None:
        client, speaker = Client(), Client()
        await client.enter("Client")
        await speaker.enter("Speaker")
        for number in range(3 * chat.WAITING_MESSAGES):
            speaker.say(text=f"line {number}")
        await until(lambda: len(client.heard) == 2 + 3 * chat.WAITING_MESSAGES)
        await client.leave()
        await speaker.leave()

    run(test)


def test_who_speaks_too_fast_is_not_read_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MESSAGE_SECONDS", 3600.0)

    async def test() -> None:
        client = Client()
        client.say(name="Fast")
        client.say(text="first")
        client.say(text="second")
        await until(lambda: client.heard)
        assert client.unread == 2
        client.draining.set()
        await client.task
        assert client.unread == 2

    run(test)


@pytest.mark.parametrize(
    "content",
    [
        {"bytes": b'{"name": "Ada"}'},
        {"text": None, "bytes": b""},
        {"text": "Ada"},
        {"text": "[" * 10_000},
        {"text": '["Ada"]'},
        {"text": '{"text": "Hello!"}'},
        {"text": '{"name": 1}'},
        {"text": '{"name": " "}'},
        {"text": json.dumps({"name": "x" * (chat.NAME_CHARACTERS + 1)})},
    ],
    ids=lambda content: str(content)[:30],
)
def test_what_is_no_name_ends_the_session(content: dict[str, Any]) -> None:
    async def test() -> None:
        client = Client()
        client.say_raw(**content)
        await client.task
        code, reason = client.end
        assert code == 1008
        assert reason.startswith("expected ")
        assert len(reason) <= 123  # what a close frame has room for (RFC 6455 §5.5)

    run(test)


def test_a_text_that_is_too_long_ends_the_session_and_nobody_hears_it() -> None:
    async def test() -> None:
        client, other = Client(), Client()
        await other.enter("Other")
        await client.enter("Client")
        client.say(text="x" * chat.TEXT_CHARACTERS)
        client.say(text="x" * (chat.TEXT_CHARACTERS + 1))
        await client.task
        assert client.end[0] == 1008
        await until(lambda: other.heard[-1] == {"type": "left", "name": "Client"})
        assert [len(each["text"]) for each in other.heard if each["type"] == "said"] == [chat.TEXT_CHARACTERS]
        await other.leave()

    run(test)


def test_two_with_the_same_name_can_be_told_apart() -> None:
    async def test() -> None:
        clients = [Client(), Client(), Client()]
        for client, name in zip(clients, ("Ada", "Ada 2", "Ada 3"), strict=True):
            client.say(name=" Ada ")
            await until(lambda name=name: name in chat.room.members)
        for client in clients:
            await client.leave()

    run(test)


def test_a_goodbye_is_the_last_that_is_said() -> None:
    async def test() -> None:
        clients = [Client(), Client()]
        await clients[0].enter("Ada")
        await clients[1].enter("Grace")
        await until(lambda: len(clients[0].heard) == 2)
        for client in clients:
            client.draining.set()
        for client in clients:
            await client.task
            assert client.end == (1012, "the server stops")
        # Nobody "has left": all do, and will be back.
        assert [each["type"] for each in clients[0].heard] == ["welcome", "joined", "goodbye"]
        assert [each["type"] for each in clients[1].heard] == ["welcome", "goodbye"]

    run(test)
