"""Workers come and go under constant load, and nobody notices: every request is answered."""

from __future__ import annotations

import os
import random
import signal

import pytest

from tests.workers.load import Load
from tests.workers.processes import WorkersProcess, needs_linux

pytestmark = [pytest.mark.slow, needs_linux]

PID = "tests.workers.apps:pid"
SOCKETS = pytest.mark.parametrize("sockets", ["--reuse-port", "--no-reuse-port"])


def reload(server: WorkersProcess, load: Load, times: int) -> None:
    for _ in range(times):
        server.signal(signal.SIGHUP)
        server.wait_for("has been loaded anew")
        load.wait(200)


@SOCKETS
def test_five_reloads_cost_no_request(sockets: str) -> None:
    with WorkersProcess("--workers", "2", sockets, app=PID) as server, Load(server.port) as load:
        before = set(server.processes())
        reload(server, load, 5)
        assert not load.wait_for_servers(1) & before
    assert not load.failures and not load.refused


@pytest.mark.parametrize("options", [("-k", "thread"), ("--preload",)], ids=["thread", "preload"])
def test_reloads_of_threads_and_forks_cost_no_request(options: tuple[str, ...]) -> None:
    with WorkersProcess("--workers", "2", *options, app=PID) as server, Load(server.port) as load:
        before = set(server.processes())
        reload(server, load, 3)
        assert not load.wait_for_servers(1) & before
    assert not load.failures and not load.refused


def test_a_client_that_thinks_between_requests_loses_none_to_a_reload() -> None:
    with WorkersProcess("--workers", "2", app=PID) as server, Load(server.port, 50, pause=0.02) as load:
        reload(server, load, 3)
    assert not load.failures and not load.refused


@SOCKETS
def test_more_and_fewer_workers_cost_no_request(sockets: str) -> None:
    options = ("--workers", "2", "--log-level", "debug", sockets)
    with WorkersProcess(*options, app=PID) as server, Load(server.port) as load:
        for wanted in (3, 4):
            server.signal(signal.SIGTTIN)
            server.wait_for(rf"worker {wanted} \(.*is ready")
            load.wait(200)
        for unwanted in (4, 3):
            server.signal(signal.SIGTTOU)
            server.wait_for(rf"worker {unwanted} \(.*has ended")
            load.wait(200)
    assert not load.failures and not load.refused


@SOCKETS
def test_recycling_costs_no_request(sockets: str) -> None:
    options = ("--workers", "2", "--limit-max-requests", "500", sockets)
    with WorkersProcess(*options, app=PID) as server, Load(server.port) as load:
        for _ in range(4):
            server.wait_for("is replaced: it has taken")
        load.wait(200)
    assert not load.failures and not load.refused


@SOCKETS
def test_killed_workers_lose_only_their_own_requests(sockets: str) -> None:
    seed = random.randrange(1 << 32)
    print("seed:", seed)
    dice = random.Random(seed)
    killed = set()
    connections = 16
    with WorkersProcess("--workers", "4", sockets, app=PID) as server, Load(server.port, connections) as load:
        for _ in range(10):
            victim = dice.choice(sorted(load.wait_for_servers(1)))
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
            server.wait_for(f"process {victim}\\) was killed by SIGKILL")
            load.wait(200)
    # 0: the connection had been accepted, but nothing had come back on it yet.
    assert {each.server for each in load.failures} <= killed | {0}
    assert len(load.failures) <= 10 * connections
    assert not load.refused
