"""The benchmarks of WebSockets: what clients say, what they take for a right answer; no test here judges a time."""

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import comparison, measure, report, servers, targets, websocket_apps
    from tests.benchmarks import websocket_frames as frames
    from tests.benchmarks.load import LoadFailed, LoadResult
    from tests.benchmarks.probe import WrongAnswer
    from tests.benchmarks.server import Start
    from tests.benchmarks.websocket_load import p99
    from tests.benchmarks.websocket_messages import DISTINCT_MESSAGES, Messages, messages_of
    from tests.benchmarks.websocket_process import WebSocketLoad
    from tests.benchmarks.websocket_session import Session
    from tests.benchmarks.websocket_workloads import DEFLATE_NAME, ECHO_64_NAME, WEBSOCKET_WORKLOADS
    from tests.benchmarks.workload import Family

    WEBSOCKET = [spec for spec in servers.SERVERS if spec.family == Family.WEBSOCKET]

# RFC 6455, section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = b"\x37\xfa\x21\x3d"


def accepting(accept: bytes, *more: bytes) -> bytes:
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    return b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + accept, *more])


# --- messages


@pytest.mark.parametrize("octets", [64, 4096])
def test_messages_are_different_json_documents_of_one_length(octets: int) -> None:
    said = messages_of(Messages(octets))
    assert said == messages_of(Messages(octets))
    assert {len(message.content) for message in said} == {octets}
    assert len({message.content for message in said}) == DISTINCT_MESSAGES
    assert all(isinstance(json.loads(message.content), dict) for message in said)


def test_a_message_s_frame_is_masked_and_its_answer_is_not() -> None:
    for message in messages_of(Messages(64, is_text=False)):
        assert message.answer == b"\x82\x40" + message.content
        assert message.frame[:2] == b"\x82\xc0"
        mask = int.from_bytes(message.frame[2:6] * 16)
        assert (int.from_bytes(message.frame[6:]) ^ mask).to_bytes(64) == message.content


def test_compressed_messages_are_shorter_and_have_no_one_answer() -> None:
    for message in messages_of(Messages(4096, is_compressed=True)):
        assert message.frame[0] == 0xC1
        assert len(message.frame) < 2048
        assert message.answer == b""


# --- the application


def call(path: str, *received: dict[str, Any]) -> list[Any]:
    sent: list[Any] = []
    messages = iter([{"type": "websocket.connect"}, *received, {"type": "websocket.disconnect", "code": 1000}])

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return next(messages)

    asyncio.run(websocket_apps.app({"type": "websocket", "path": path}, receive, send))
    return sent


def test_the_application_echoes_text_and_octets_whatever_the_other_one_is() -> None:
    assert call(
        websocket_apps.ECHO_TARGET,
        {"type": "websocket.receive", "text": "", "bytes": None},
        {"type": "websocket.receive", "bytes": b"b"},
    ) == [
        {"type": "websocket.accept"},
        {"type": "websocket.send", "text": ""},
        {"type": "websocket.send", "bytes": b"b"},
    ]


def test_the_application_tells_those_who_joined_what_another_says_and_forgets_them() -> None:
    join = {"type": "websocket.receive", "text": websocket_apps.JOIN}
    heard: list[list[Any]] = []

    async def run() -> None:
        left = asyncio.Event()

        async def listen(at: int, joined: asyncio.Event) -> None:
            messages = iter([{"type": "websocket.connect"}, join])

            async def receive() -> Any:
                if (message := next(messages, None)) is None:
                    joined.set()
                    await left.wait()
                return message or {"type": "websocket.disconnect", "code": 1000}

            async def send(message: Any) -> None:
                heard[at].append(message.get("text"))

            await websocket_apps.app({"type": "websocket", "path": websocket_apps.BROADCAST_TARGET}, receive, send)

        async with asyncio.TaskGroup() as group:
            for at in range(2):
                heard.append([])
                joined = asyncio.Event()
                group.create_task(listen(at, joined))
                await joined.wait()
            said = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "news"}])

            async def receive() -> Any:
                return next(said, {"type": "websocket.disconnect", "code": 1000})

            async def send(message: Any) -> None:
                assert message == {"type": "websocket.accept"}

            await websocket_apps.app({"type": "websocket", "path": websocket_apps.BROADCAST_TARGET}, receive, send)
            left.set()

    asyncio.run(run())
    assert heard == [[None, "join", "news"], [None, "join", "news"]]
    assert not websocket_apps._listeners


# --- the load, over a network


class Peer:
    """Accepts sessions one after the other, and answers each message of theirs as it is told to."""

    def __init__(self, answer: Callable[[int, bytes], bytes], extensions: bytes = b"") -> None:
        self._answer = answer  # to an opcode and a content
        self._extensions = extensions
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ends: list[bytes] = []  # contents of the clients' close frames
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the end of the test
                return
            with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as reader:
                self._converse(connection, reader)

    def _converse(self, connection: socket.socket, reader: Any) -> None:
        lines = list(iter(reader.readline, b"\r\n"))
        key = next(line for line in lines if line.startswith(b"Sec-WebSocket-Key: ")).split()[1]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        more = [self._extensions] if self._extensions else []
        connection.sendall(accepting(accept, *more) + b"\r\n\r\n")
        while head := reader.read(6):
            octets = head[1] & 0x7F
            mask = int.from_bytes((head[2:] * (octets // 4 + 1))[:octets])
            content = (int.from_bytes(reader.read(octets)) ^ mask).to_bytes(octets)
            if head[0] & 0xF == frames.CLOSE:
                self.ends.append(content)
                return
            connection.sendall(self._answer(head[0] & 0xF, content))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    started: list[Peer] = []
    yield started
    for each in started:
        each.close()


def test_a_session_gives_the_one_answer_to_a_frame(peers: list[Peer]) -> None:
    peers.append(Peer(frames.server_frame))
    session = Session(peers[0].port, "/echo", False)
    with session.socket:
        answer = session.exchange(frames.client_frame(frames.TEXT, b"join", MASK))
    assert answer == frames.Frame(frames.TEXT, True, False, b"join", b"\x81\x04join")


def test_a_session_takes_no_second_answer(peers: list[Peer]) -> None:
    peers.append(Peer(lambda opcode, content: frames.server_frame(opcode, content) + b"\x89"))
    session = Session(peers[0].port, "/echo", False)
    with session.socket, pytest.raises(WrongAnswer, match="1 octets after the only answer"):
        session.exchange(frames.client_frame(frames.TEXT, b"join", MASK))


def test_a_load_counts_one_message_at_least_and_says_goodbye(peers: list[Peer]) -> None:
    peers.append(Peer(frames.server_frame))
    with WebSocketLoad(peers[0].port, Messages(64), 1, is_pinned=False) as load:
        results = [load.run(0.0), load.run(0.0)]
    assert [(result.requests, result.octets) for result in results] == [(1, None), (1, None)]
    assert all(0 < (result.p99_seconds or 0) <= result.seconds for result in results)
    assert peers[0].ends == [b"\x03\xe8"]


def test_a_load_whose_answers_are_wrong_says_what_came(peers: list[Peer]) -> None:
    peers.append(Peer(lambda opcode, content: frames.server_frame(opcode, content.upper())))
    with (
        WebSocketLoad(peers[0].port, Messages(64), 1, is_pinned=False) as load,
        pytest.raises(LoadFailed, match="came instead of"),
    ):
        load.run(0.0)


def test_a_load_fails_whose_sessions_are_not_accepted_as_asked(peers: list[Peer]) -> None:
    peers.append(Peer(frames.server_frame, b"Sec-WebSocket-Extensions: other"))
    with (
        pytest.raises(LoadFailed, match="b'other' was accepted"),
        WebSocketLoad(peers[0].port, Messages(64), 1, is_pinned=False),
    ):
        pass


def test_one_in_a_hundred_takes_longer_than_the_percentile() -> None:
    assert p99([float(number) for number in reversed(range(100))]) == 99.0
    assert p99([float(number) for number in range(1000)]) == 990.0
    assert p99([5.0]) == 5.0


# --- servers and results


def test_every_server_is_told_its_port_and_the_application(tmp_path: Path) -> None:
    for spec in WEBSOCKET:
        command = spec.command(Start(WEBSOCKET_WORKLOADS[0], 8123, tmp_path))
        assert {"8123", "tests.benchmarks.websocket_apps:app"} < set(command)
        assert spec.name.startswith("uvicorn-") == ("--ws" in command)


def test_with_a_server_comes_the_one_it_is_measured_by() -> None:
    assert [spec.name for spec in servers.choose("uvicorn-wsproto")] == ["uvicorn-websockets-sansio", "uvicorn-wsproto"]


def test_who_does_not_compress_is_not_asked_to() -> None:
    able = {spec.name: [workload.name for workload in spec.can(WEBSOCKET_WORKLOADS)] for spec in WEBSOCKET}
    assert [name for name, workloads in able.items() if DEFLATE_NAME not in workloads] == ["granian-websocket"]
    assert all(ECHO_64_NAME in workloads for workloads in able.values())


def test_answers_that_were_looked_at_one_by_one_are_not_measured_by_their_octets() -> None:
    script: Any = None
    measure._check_octets(LoadResult(10, 1.0, None, None), 5.0, script)


def test_what_is_counted_is_messages() -> None:
    compared = comparison.Comparison(WEBSOCKET_WORKLOADS[0])
    compared.rounds = [{"granian-websocket": comparison.Run(100, 1.0, 30.0, None)}]
    header = report.comparison_text(compared).splitlines()[2]
    assert "CPU µs/message" in header
    assert "messages/s" in header


def test_targets_of_websockets_are_compared_with_the_best_uvicorn() -> None:
    costs = {
        "miniasgi-websocket": 9.0,
        "uvicorn-websockets-sansio": 12.0,
        "uvicorn-wsproto": 10.0,
        "granian-websocket": 20.0,
    }
    echo = {
        name: {"cpu_microseconds_per_request": cost, "runs": [{"cpu_microseconds": cost}]}
        for name, cost in costs.items()
    }
    results = {
        "workloads": {ECHO_64_NAME: echo},
        "websocket-memory": {"octets_each": {"miniasgi-websocket": 13 * 1024.0}},
    }
    rows = [line for line in targets.targets_text(results).splitlines() if line.startswith("websocket-")]
    assert [(line.split()[-4], *line.split()[-3:]) for line in rows] == [
        ("uvicorn-wsproto", "0.90", "0.85", "NO"),
        ("granian-websocket", "0.45", "0.50", "yes"),
        ("miniasgi-websocket", "13.00", "12.00", "NO"),
    ]
