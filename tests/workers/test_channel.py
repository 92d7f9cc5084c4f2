"""Channels: messages arrive whole, in order and with their sockets, or the channel is at its end; nothing is leaked."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Iterator

import pytest

from miniasgi.errors import StartupError
from miniasgi.workers.kinds import channel as module
from miniasgi.workers.kinds.channel import Channel, Closed, Said
from tests.support import descriptors


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    """Two ends, closed after the test, after which as many files are open as before."""
    before = descriptors()
    one, other = Channel.pair()
    yield one, other
    one.close()
    other.close()
    assert descriptors() == before


Pair = tuple[Channel, Channel]


def line(kind: str, sockets: int = 0) -> bytes:
    return json.dumps({"kind": kind, "sockets": sockets}).encode() + b"\n"


def names(said: list[Said]) -> list[str]:
    return [each["kind"] for each in said]


def collect(end: Channel, count: int) -> list[Said]:
    found: list[Said] = []
    while len(found) < count:
        found += end.receive()
    return found


# Messages


def test_a_message_arrives_with_what_it_says(pair: Pair) -> None:
    one, other = pair
    assert one.send("beat", requests=3, text="a\nb é \ud800")
    assert other.receive() == [{"kind": "beat", "requests": 3, "text": "a\nb é \ud800", "sockets": []}]


def test_both_ends_speak(pair: Pair) -> None:
    one, other = pair
    one.send("there")
    other.send("back")
    assert (names(other.receive()), names(one.receive())) == (["there"], ["back"])


def test_messages_that_come_together_are_given_in_order(pair: Pair) -> None:
    one, other = pair
    for number in range(5):
        one.send("beat", number=number)
    assert [each["number"] for each in other.receive()] == [0, 1, 2, 3, 4]


def test_messages_may_be_cut_anywhere(pair: Pair) -> None:
    one, other = pair
    octets = line("first") + line("second")
    for cut in range(1, len(octets)):
        one.socket.sendall(octets[:cut])
        before = other.receive(wait=False)
        one.socket.sendall(octets[cut:])
        after = other.receive(wait=False)
        assert names(before) == (["first"] if cut >= len(line("first")) else [])
        assert names(before + after) == ["first", "second"]


def test_a_message_may_come_octet_by_octet(pair: Pair) -> None:
    one, other = pair
    for octet in line("slow"):
        assert other.receive(wait=False) == []
        one.socket.sendall(bytes([octet]))
    assert names(other.receive(wait=False)) == ["slow"]


def test_a_long_message_arrives_whole_while_others_are_sent(pair: Pair) -> None:
    one, other = pair
    text = "x" * 900_000  # more than fits into the buffers of any pair of sockets
    threads = [threading.Thread(target=one.send, args=(name,), kwargs={"text": text}) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    said = collect(other, 2)
    for thread in threads:
        thread.join()
    assert sorted(names(said)) == ["a", "b"]
    assert all(each["text"] == text for each in said)


def test_the_first_message_can_be_had_alone(pair: Pair) -> None:
    one, other = pair
    for kind in ("first", "second", "third"):
        one.send(kind)
    assert other.receive_first()["kind"] == "first"
    assert names(other.receive(wait=False)) == ["second", "third"]
    assert other.receive(wait=False) == []


def test_silence_is_no_end_whatever_timeout_an_application_has_set() -> None:
    socket.setdefaulttimeout(0.01)
    try:
        one, other = Channel.pair()
    finally:
        socket.setdefaulttimeout(None)
    try:
        assert one.socket.gettimeout() is None
        assert os.get_blocking(other.fileno())
    finally:
        one.close()
        other.close()


# Sockets


def test_a_socket_arrives_as_the_same_socket(pair: Pair) -> None:
    one, other = pair
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one.send("listen", [listener])
        (said,) = other.receive()
        (found,) = said["sockets"]
        with found:
            assert found.getsockname() == listener.getsockname()
            assert found.fileno() != listener.fileno()
            assert (found.family, found.type) == (listener.family, listener.type)


@pytest.mark.parametrize("flag", [module._CLOSE_ON_EXEC, 0], ids=["at once", "afterwards"])
def test_what_an_application_starts_does_not_get_the_sockets(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, flag: int
) -> None:
    monkeypatch.setattr(module, "_CLOSE_ON_EXEC", flag)
    one, other = pair
    with socket.socket() as given:
        given.set_inheritable(True)
        one.send("listen", [given])
    (said,) = other.receive()
    (found,) = said["sockets"]
    with found:
        assert not found.get_inheritable()
    assert not one.socket.get_inheritable()
    assert not other.socket.get_inheritable()


def test_sockets_belong_to_the_message_that_they_came_with(pair: Pair) -> None:
    one, other = pair
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        one.send("nothing")
        one.send("both", [first, second])
        one.send("nothing")
        one.send("second", [second])
        said = collect(other, 4)
        try:
            assert [[each.getsockname() for each in message["sockets"]] for message in said] == [
                [],
                [first.getsockname(), second.getsockname()],
                [],
                [second.getsockname()],
            ]
        finally:
            for message in said:
                for each in message["sockets"]:
                    each.close()


def test_sockets_that_come_before_the_end_of_their_message_wait_for_it(pair: Pair) -> None:
    one, other = pair
    octets = line("listen", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.send_fds(one.socket, [line("before") + octets[:5]], [listener.fileno()])
        (before,) = other.receive()
        assert (before["kind"], before["sockets"]) == ("before", [])
        one.socket.sendall(octets[5:])
        (said,) = other.receive()
        assert [each.getsockname() for each in said["sockets"]] == [listener.getsockname()]
        for each in said["sockets"]:
            each.close()


def test_sockets_whose_message_never_ends_are_not_leaked(pair: Pair) -> None:
    one, other = pair
    with socket.socket() as given:
        socket.send_fds(one.socket, [line("listen", 1)[:5]], [given.fileno()] * 3)
    assert other.receive(wait=False) == []
    one.close()
    with pytest.raises(Closed):
        other.receive()


def test_sockets_for_which_no_descriptor_is_left_end_the_channel(pair: Pair) -> None:
    one, other = pair
    with socket.socket() as given:
        one.send("listen", [given, given])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    # One may be had, the next one not.
    with open(os.devnull) as free:
        lowest = free.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, limits[1]))
    try:
        with pytest.raises(Closed):
            other.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_closed_socket_cannot_be_sent(pair: Pair) -> None:
    one, other = pair
    given = socket.socket()
    given.close()
    assert not one.send("listen", [given])
    assert other.receive(wait=False) == []


# Who does not read


def test_without_waiting_a_full_channel_loses_a_message_and_no_part_of_one(pair: Pair) -> None:
    one, other = pair
    sent = 0
    while one.send("beat", wait=False, number=sent):
        sent += 1
    assert not one.send("beat", wait=False, number=-1)
    said = collect(other, sent)
    assert [each["number"] for each in said] == list(range(sent))
    assert one.send("beat", wait=False, number=sent)
    assert [each["number"] for each in other.receive()] == [sent]


def test_who_does_not_wait_is_not_held_up_by_who_does(pair: Pair) -> None:
    one, other = pair
    begun = threading.Event()

    def send_long() -> None:
        begun.set()
        one.send("report", text="x" * 900_000)

    sender = threading.Thread(target=send_long)
    sender.start()
    begun.wait()
    while one.send("beat", wait=False):
        pass
    before = list(iter(lambda: other.receive_first()["kind"], "report"))
    sender.join()
    assert set(before) <= {"beat"}


# The end


def test_the_last_words_are_heard_before_the_end(pair: Pair) -> None:
    one, other = pair
    one.send("failed")
    one.close()
    assert names(other.receive(wait=False)) == ["failed"]
    for _ in range(2):
        with pytest.raises(Closed):
            other.receive(wait=False)
    assert other.fileno() == -1


def test_half_a_message_is_none(pair: Pair) -> None:
    one, other = pair
    one.socket.sendall(line("failed")[:-1])
    one.close()
    with pytest.raises(Closed):
        other.receive()


def test_nothing_can_be_sent_to_who_has_gone(pair: Pair) -> None:
    one, other = pair
    other.close()
    assert not one.send("stop")
    assert not one.send("stop", wait=False)
    assert not other.send("beat")


def test_who_goes_without_having_read_is_gone(pair: Pair) -> None:
    one, other = pair
    one.send("stop")
    other.send("failed")
    other.close()
    assert names(one.receive()) == ["failed"]
    with pytest.raises(Closed):
        one.receive()


@pytest.mark.slow
def test_what_goes_on_without_a_line_end_is_none_of_ours(pair: Pair) -> None:
    one, other = pair

    def send() -> None:
        try:
            while True:
                one.socket.sendall(bytes(65536))
        except OSError:
            pass

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(Closed):
        other.receive()
    sender.join()
    assert other.fileno() == -1


def test_closing_wakes_a_thread_that_reads(pair: Pair) -> None:
    one, _ = pair
    reading = threading.Event()
    ends: list[str] = []

    def read() -> None:
        reading.set()
        try:
            one.receive()
        except Closed:
            ends.append("closed")

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    one.close()
    reader.join(10)
    assert ends == ["closed"]


def test_closing_ends_the_channel_for_whoever_still_holds_it(pair: Pair) -> None:
    # As a call does in which a thread waits, which cannot be seen from here to have begun.
    one, other = pair
    with one.socket.dup() as held:
        held.setblocking(False)
        one.close()
        assert held.recv(1) == b""
        with pytest.raises(Closed):
            other.receive(wait=False)


def test_closing_twice_is_once(pair: Pair) -> None:
    one, _ = pair
    one.close()
    one.close()


def test_without_descriptors_there_is_no_channel_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("socket.socketpair", fail)
    with pytest.raises(StartupError, match="no channel for a worker: Too many open files"):
        Channel.pair()
