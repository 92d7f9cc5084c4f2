"""Workers that hang: found, explained in the log and replaced, while everybody else is served."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from tests.support import ask, read_all
from tests.workers.load import Load
from tests.workers.processes import WorkersProcess, content, needs_linux, request, watch

pytestmark = [pytest.mark.slow, needs_linux]

HASTY = ("--timeout-worker-healthcheck", "1", "--timeout-graceful-shutdown", "0.5")
HUNG = r"has given no sign of life for \d+ s \(--timeout-worker-healthcheck is 1 s\), and is replaced"


@pytest.mark.parametrize(
    ("target", "place"),
    [("/sleep?now", "in sleep"), ("/spin?now", "in spin"), ("/deadlock?now", "in deadlock"),
     ("/backtrack?now", "in backtrack")],
)  # fmt: skip
def test_a_worker_that_hangs_is_explained_and_replaced_while_others_answer(target: str, place: str) -> None:
    with WorkersProcess("--workers", "2", "--reuse-port", *HASTY) as server, server.connect() as client:
        request(client, target)
        hung = int(server.wait_for("begin /").split()[2])
        # Half of the new connections are queued at the socket of the worker that hangs; nobody else reads there yet.
        with Load(server.port, 8, pause=0.02) as load, ExitStack() as stack, watch([hung]) as watched:
            waiting = [stack.enter_context(server.connect()) for _ in range(20)]
            for each in waiting:
                request(each, "/pid")
            server.wait_for(rf"process {hung}\) {HUNG}")
            assert all(int(content(read_all(each))) != hung for each in waiting)
            load.wait(100)
            if "backtrack" in target:
                server.wait_for_each("native code holds its interpreter", place)
            else:
                server.wait_for(rf"process {hung}\) hangs:", 5)
                server.wait_for("requests that are running:")
                server.wait_for(rf"GET {target[:-4]}\?now for \d+ s")
                server.wait_for("the event loop .* is at:")
                server.wait_for(place)
            watched.wait(10)  # SIGTERM, and what does not take it, SIGKILL
            assert read_all(client) == b""
            assert hung not in server.wait_for_workers(2)
        assert not load.failures
        assert len(server.lines("no sign of life")) == 1


def test_a_worker_that_is_busy_in_short_steps_is_left_alone() -> None:
    with WorkersProcess("--workers", "2", *HASTY) as server:
        assert int(content(ask(server.port, "/busy"))) in server.processes()
        assert len(server.lines(":")) == 1


def test_the_connections_of_a_place_whose_worker_hangs_are_shared_before_it_is_given_up() -> None:
    options = ("--workers", "2", "--reuse-port", "--timeout-graceful-shutdown", "0.5")
    with WorkersProcess(*options) as server, server.connect() as client:
        request(client, "/sleep")
        hung = int(server.wait_for("begin /").split()[2])
        for _ in range(20):
            assert int(content(ask(server.port, "/pid"))) != hung
        assert not server.lines("no sign of life")
        os.kill(hung, signal.SIGKILL)  # which the server would do as well when it stops, but only after a while


def test_threads_that_hang_are_replaced_and_after_four_their_process_is() -> None:
    with WorkersProcess("--workers", "2", "-k", "thread", *HASTY) as server, ExitStack() as stack:
        (process,) = server.processes()
        with watch([process]) as watched:
            for number in range(4):
                client = stack.enter_context(server.connect())
                request(client, "/sleep")
                server.wait_for("begin /sleep")
                server.wait_for(HUNG)
                server.wait_for("GET /sleep for")
                server.wait_for("in sleep")
                server.wait_for("does not end, and nothing else ends a thread: it is left", 15)
                if number < 3:
                    assert content(ask(server.port, "/thread")).startswith(f"{process} ")
            server.wait_for("4 threads hang; no others are started in their places")
            server.wait_for("is replaced: 4 of its threads hang")
            watched.wait(15)
        assert process not in server.wait_for_workers(1)
