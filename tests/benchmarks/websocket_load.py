"""The load of WebSockets, a process of its own because wrk knows none.

    python -m tests.benchmarks.websocket_load --port 8000 --connections 32 --messages '{"octets": 64}'

It opens all sessions and says so on standard output. Then it reads lines with seconds from standard input, lets every
client speak for that long, at least once, and answers what it has counted. At the end of its input it closes the
sessions. All that it says is a JSON object on a line, after one with an `error` nothing more.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from .load import p99
from .probe import WrongAnswer
from .websocket_apps import BROADCAST_TARGET, ECHO_TARGET, JOIN
from .websocket_clients import Broadcaster, Client, EchoClient, Listener, Load, Speaker, close
from .websocket_frames import TEXT, client_frame, server_frame
from .websocket_messages import Messages, messages_of
from .websocket_session import Session

_JOIN_MASK = b"\x21\x43\x65\x07"

C = TypeVar("C", bound=Client)


class Clients:
    """All sessions of a load."""

    def __init__(self, port: int, messages: Messages) -> None:
        self._port = port
        self._messages = messages
        self._load = Load()
        self._speakers: list[Speaker] = []
        self._all: list[Client] = []

    async def open(self, connections: int) -> None:
        """Open them, and one more where that one speaks to all others.

        Raises:
            WrongAnswer, OSError: a session was not accepted as it was asked to.
        """
        texts = messages_of(self._messages)
        if not self._messages.is_broadcast:
            for _ in range(connections):
                echo = EchoClient(self._load, texts, self._messages.is_compressed)
                self._speakers.append(await self._add(self._session(ECHO_TARGET), echo))
            return
        listeners = [await self._add(self._joined(), Listener(self._load)) for _ in range(connections)]
        speaker = Broadcaster(self._load, texts, listeners)
        self._speakers.append(await self._add(self._session(BROADCAST_TARGET), speaker))

    async def run(self, seconds: float) -> dict[str, float]:
        """What was counted while all spoke.

        Raises:
            WrongAnswer: an answer was wrong, or missing, or a session ended.
        """
        taken = await self._load.run(self._speakers, seconds)
        latencies = self._load.latencies
        return {"messages": len(latencies), "seconds": taken, "p99_seconds": p99(latencies)}

    async def close(self) -> None:
        """End all of them."""
        await close(self._load, self._all)

    def _session(self, target: str) -> Session:
        return Session(self._port, target, self._messages.is_compressed)

    def _joined(self) -> Session:
        session = self._session(BROADCAST_TARGET)
        answer = session.exchange(client_frame(TEXT, JOIN.encode(), _JOIN_MASK))
        if answer.octets != server_frame(TEXT, JOIN.encode()):
            raise WrongAnswer(f"{answer.octets[:80]!r} came instead of {JOIN!r}")
        return session

    async def _add(self, session: Session, client: C) -> C:
        session.socket.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: client, sock=session.socket)
        self._all.append(client)
        return client


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _say(what: Mapping[str, object]) -> None:
    print(json.dumps(what), flush=True)


def main() -> int:
    """Do what the command line and standard input say; 1 after an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.websocket_load")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--messages", type=json.loads, required=True, help="the fields of Messages, as JSON")
    options = parser.parse_args()
    clients = Clients(options.port, Messages(**options.messages))
    # While a line is waited for the loop stands still: between runs the load costs nothing.
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(clients.open(options.connections))
            _say({"sessions": options.connections})
            for line in sys.stdin:
                _say(runner.run(clients.run(float(line))))
        except (WrongAnswer, OSError) as error:
            _say({"error": str(error)})
            return 1
        runner.run(clients.close())
    return 0


if __name__ == "__main__":
    sys.exit(main())
