"""Servers with workers that stop: what clients see of it, how soon it is over, and with which exit status."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from tests.support import connect, read_all
from tests.workers.processes import (
    KINDS,
    WorkersProcess,
    answered_by,
    can_be_bound,
    content,
    needs_linux,
    request,
    watch,
)

pytestmark = [pytest.mark.slow, needs_linux]

ALL_KINDS = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
GRACE = ("--timeout-graceful-shutdown", "0.5")
BOUND = 2 * 0.5 + 10


def wait_until_bound(port: int, seconds: float = 5.0) -> None:
    """Wait until the address has been given back, which nobody tells."""
    end = time.monotonic() + seconds
    while not can_be_bound(port):
        assert time.monotonic() < end, f"somebody still listens at port {port} after {seconds} s"
        time.sleep(0.01)


def open_stream(server: WorkersProcess) -> socket.socket:
    client = connect(server.port)
    request(client, "/stream")
    received = b""
    while b"data: hello" not in received:
        received += client.recv(4096)
    return client


@ALL_KINDS
def test_an_endless_stream_is_told_of_the_end_and_does_not_hold_it_up(options: tuple[str, ...]) -> None:
    with WorkersProcess(*options, *GRACE) as server, open_stream(server) as client:
        server.signal(signal.SIGTERM)
        assert b"data: draining\n\n" in read_all(client)
        assert server.exit_status(BOUND) == 0
        assert not server.lines("it has not ended|Traceback")
        server.wait_until_gone(1)
        assert can_be_bound(server.port)


@ALL_KINDS
def test_an_endless_stream_ends_with_its_worker_while_the_new_one_serves(options: tuple[str, ...]) -> None:
    with WorkersProcess(*options, *GRACE) as server, open_stream(server) as client:
        old = [answered_by(server.port)]
        with watch(old) as watched:
            server.signal(signal.SIGHUP)
            server.wait_for("has been loaded anew")
            assert b"data: draining\n\n" in read_all(client)
            assert answered_by(server.port) in server.processes()
            watched.wait(BOUND)
        assert answered_by(server.port) not in old
        assert not server.lines("it has not ended|Traceback")


@ALL_KINDS
def test_a_request_that_does_not_end_is_cut_after_its_time(options: tuple[str, ...]) -> None:
    with WorkersProcess(*options, *GRACE) as server, server.connect() as client:
        request(client, "/wait")
        server.wait_for("begin /wait")
        server.signal(signal.SIGTERM)
        wait_until_bound(server.port)  # others may have it before the last request has ended
        assert not read_all(client).startswith(b"HTTP/1.1 200")
        assert server.exit_status(BOUND) == 0
        assert not server.lines("it has not ended|Traceback")


@ALL_KINDS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_that_reaches_all_processes_lets_running_requests_end(
    options: tuple[str, ...], number: signal.Signals
) -> None:
    # As of a terminal, or of a service manager that is not told otherwise.
    with WorkersProcess(*options) as server, server.connect() as client:
        request(client, "/last")
        server.wait_for("begin /last")
        for pid in [*server.processes(), server.pid]:
            os.kill(pid, number)
        assert content(read_all(client)) == "the last one"
        assert server.exit_status() == 0
        assert not server.lines("it has not ended|Traceback")


ENDS: dict[str, tuple[tuple[signal.Signals, ...], int]] = {
    "TERM": ((signal.SIGTERM,), 0),
    "INT-INT": ((signal.SIGINT, signal.SIGINT), 130),
    "QUIT": ((signal.SIGQUIT,), 131),
}
MORE_ENDS: dict[str, tuple[tuple[signal.Signals, ...], int]] = {
    "INT": ((signal.SIGINT,), 0),
    "INT-TERM": ((signal.SIGINT, signal.SIGTERM), 143),
    "TERM-QUIT": ((signal.SIGTERM, signal.SIGQUIT), 131),
}


@pytest.mark.parametrize(
    ("kind", "numbers", "status"),
    [
        pytest.param(kind, *ends, id=f"{kind}-{name}")
        for kind in KINDS
        for name, ends in (ENDS | (MORE_ENDS if kind == "process" else {})).items()
    ],
)
def test_the_exit_status_says_how_it_has_ended(kind: str, numbers: tuple[signal.Signals, ...], status: int) -> None:
    with WorkersProcess(*KINDS[kind]) as server, server.connect() as client:
        if status:  # what keeps it from ending before the second signal
            request(client, "/wait")
            server.wait_for("begin /wait")
        for number in numbers:
            server.signal(number)
            server.wait_for(f"{number.name}: stopping")
        # Less than the ten seconds that the request would have.
        assert server.exit_status(5) == status
        server.wait_until_gone(1)
        assert can_be_bound(server.port)
        assert not server.lines("it has not ended|Traceback")


def test_a_second_signal_ends_a_worker_that_hangs_as_well() -> None:
    # Of those kinds whose workers are processes the one with a process in between.
    with WorkersProcess(*KINDS["preload"]) as server, server.connect() as client:
        request(client, "/sleep")
        hung = int(server.wait_for("begin /sleep").split()[2])
        for _ in range(2):
            server.signal(signal.SIGINT)
            server.wait_for("SIGINT: stopping")
        for name in ("SIGTERM", "SIGKILL"):
            server.wait_for(rf"process {hung}\) is sent {name}: it has not ended")
        assert server.exit_status() == 130
        server.wait_until_gone(1)
