"""Clients of WebSockets without a network: what they say and when, and what they take for a right answer."""

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import websocket_clients
    from tests.benchmarks import websocket_frames as frames
    from tests.benchmarks.probe import WrongAnswer
    from tests.benchmarks.websocket_clients import Broadcaster, EchoClient, Listener, Load
    from tests.benchmarks.websocket_messages import Messages, messages_of


class Wire:
    """The transport of a client, for whose frames the pieces of answers are there beforehand."""

    def __init__(self, answers: list[list[bytes]]) -> None:
        self.written: list[bytes] = []
        self._answers = iter(answers)

    def connect(self, client: Any) -> Any:
        self._client = client
        client.connection_made(self)
        return client

    def write(self, data: bytes) -> None:
        self.written.append(data)
        for piece in next(self._answers, []):
            asyncio.get_running_loop().call_soon(self._client.data_received, piece)


def echo(messages: "Messages", *answers: list[bytes], clock: Iterator[float] | None = None) -> tuple[int, list[bytes]]:
    """How many answers an echoing client counts, and what it writes."""

    async def run() -> tuple[int, list[bytes]]:
        load, wire = Load(), Wire(list(answers))
        client = wire.connect(EchoClient(load, messages_of(messages), messages.is_compressed))
        await load.run([client], 10.0 if clock else 0.0)
        return len(load.latencies), wire.written

    with pytest.MonkeyPatch.context() as patch:
        if clock:
            patch.setattr(websocket_clients, "now", lambda: next(clock))
        return asyncio.run(run())


def test_a_client_says_the_next_message_after_each_right_answer_until_the_time_is_over() -> None:
    said = messages_of(Messages(64))
    # Read at the start; then when a message is said and when it is answered; then at the end.
    clock = iter([0.0, 1.0, 2.0, 2.0, 9.0, 9.0, 10.0, 10.0])
    answers = [[said[0].answer], [said[1].answer[:1], said[1].answer[1:]], [said[2].answer]]
    assert echo(Messages(64), *answers, clock=clock) == (3, [message.frame for message in said[:3]])


def test_a_ping_is_answered_and_is_no_answer() -> None:
    message = messages_of(Messages(64))[0]
    count, written = echo(Messages(64), [b"\x89\x01p" + message.answer[:9], message.answer[9:]])
    assert (count, len(written), written[1][:2]) == (1, 2, b"\x8a\x81")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda answer: answer[:-1] + b"?", "came instead of"),
        (lambda answer: b"\x82" + answer[1:], "came instead of"),
        (lambda answer: answer + answer, "came instead of None"),
        (lambda answer: b"\x88\x04\x03\xf3ow", "closed a session with 1011, b'ow'"),
        (lambda answer: b"", "1 of 1 clients still had no answer"),
    ],
)
def test_another_answer_fails_the_run(
    change: Callable[[bytes], bytes], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = change(messages_of(Messages(64))[0].answer)
    if not answer:
        monkeypatch.setattr(websocket_clients, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(WrongAnswer, match=complaint):
        echo(Messages(64), [answer] if answer else [])


def test_every_compressed_answer_is_inflated_and_compared() -> None:
    messages = Messages(64, is_compressed=True)
    # One compressor for both: the second message may point into the first.
    compressor = zlib.compressobj(wbits=-15)
    answers = []
    for message in messages_of(messages)[:2]:
        content = compressor.compress(message.content) + compressor.flush(zlib.Z_SYNC_FLUSH)
        answers.append([frames.server_frame(0x40 | frames.TEXT, content.removesuffix(frames.FLUSH_END))])
    assert echo(messages, *answers, clock=iter([0.0, 1.0, 2.0, 2.0, 10.0, 10.0]))[0] == 2
    for wrong in (answers[1], [b"\xc1\x01\xff"], [messages_of(Messages(64))[0].answer]):
        with pytest.raises(WrongAnswer, match="came instead of"):
            echo(messages, wrong)


def test_a_broadcast_is_over_when_all_listeners_have_heard_it() -> None:
    message = messages_of(Messages(64))[0]

    async def run() -> int:
        load = Load()
        listeners = [Wire([]).connect(Listener(load)) for _ in range(3)]
        speaker = Wire([]).connect(Broadcaster(load, messages_of(Messages(64)), listeners))
        running = asyncio.create_task(load.run([speaker], 0.0))
        await asyncio.sleep(0)
        for listener in listeners:
            assert not running.done()
            listener.data_received(message.answer)
        await running
        # What comes when nobody has said anything fails the next run.
        listeners[0].data_received(message.answer)
        with pytest.raises(WrongAnswer, match="came instead of None"):
            await load.run([speaker], 0.0)
        return len(load.latencies)

    assert asyncio.run(run()) == 0
