"""Signals at random moments: no order of them makes a server hang, lose its address, or leave processes behind."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.support import ask
from tests.workers.processes import KINDS, WorkersProcess, can_be_bound, content, needs_linux

pytestmark = [pytest.mark.slow, needs_linux]

GENTLE = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
LATE = GENTLE + ENDING
OPTIONS = ("--timeout-graceful-shutdown", "0.5")
# Draining, shutdown and what they need to give up; then SIGTERM, and SIGKILL five seconds later.
BOUND = 2 * 0.5 + 10 + 5

ROUNDS = 2


@pytest.fixture
def dice() -> random.Random:
    seed = random.randrange(1 << 32)
    print("seed:", seed)
    return random.Random(seed)


def pause(dice: random.Random, most: float) -> None:
    """Go on at a random moment; there is no event to wait for, because any moment will do."""
    time.sleep(dice.uniform(0, most))


def wait_until_one_starts(server: WorkersProcess) -> None:
    """Wait for the first worker process: from then on signals have their meaning."""
    end = time.monotonic() + 10
    while not server.processes():
        assert time.monotonic() < end, "no worker starts"
        time.sleep(0.001)


def disturb(server: WorkersProcess, dice: random.Random) -> None:
    number = dice.choice(GENTLE)
    print(number.name)
    server.signal(number)


def end(server: WorkersProcess, dice: random.Random) -> None:
    """End *server* by a random number of signals, some of which do not mean that; see that nothing is left of it."""
    sent = [dice.choice(ENDING)]
    print(sent[0].name)
    server.signal(sent[0])
    for _ in range(dice.randrange(4)):
        pause(dice, 0.05)
        number = dice.choice(LATE)
        print(number.name)
        server.signal(number)
        sent.append(number)
    status = server.exit_status(BOUND)
    # A shell shows both in the same way; Python has the second one where nobody takes the signal any more.
    at_once = {status for number in sent if number in ENDING for status in (128 + number, -number)}
    assert status in {0} | at_once, server.errors
    assert status or signal.SIGQUIT not in sent[:1]
    server.wait_until_gone(1)
    assert not server.lines("Traceback| error "), server.errors
    if server.port:
        assert can_be_bound(server.port)


@pytest.mark.parametrize(
    "options", [*KINDS.values(), ("--workers", "2", "--no-reuse-port")], ids=[*KINDS, "one socket"]
)
def test_signals_at_any_moment_are_obeyed(options: tuple[str, ...], dice: random.Random) -> None:
    for _ in range(ROUNDS):
        server = WorkersProcess(*options, *OPTIONS)
        with server.starting():
            wait_until_one_starts(server)
            for _ in range(dice.randrange(4)):
                pause(dice, 0.1)
                disturb(server, dice)
            with server:  # which waits for the start-up line
                for _ in range(dice.randrange(8)):
                    pause(dice, 0.15)
                    disturb(server, dice)
                    assert int(content(ask(server.port, "/pid"))) > 1
                end(server, dice)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_start_may_be_ended_at_any_moment(options: tuple[str, ...], dice: random.Random) -> None:
    for _ in range(2 * ROUNDS):
        server = WorkersProcess(*options, *OPTIONS)
        with server.starting():
            wait_until_one_starts(server)
            pause(dice, 0.15)
            end(server, dice)


@pytest.mark.parametrize("number", GENTLE, ids=lambda number: number.name)
@pytest.mark.parametrize("options", [(), KINDS["process"]], ids=["alone", "process"])
def test_signals_that_come_while_a_server_ends_do_no_harm(
    options: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    more = ("--pid", str(file), "--hooks", "tests.workers.apps:LateHooks")
    server = WorkersProcess(*options, *more, environ={"TESTS_LATE": number.name})
    with server.starting():
        server.wait_for("http://")
        server.signal(signal.SIGTERM)
        server.wait_for("on_stop begins")
        try:
            server.wait_for("on_stop has ended", 2)
            assert server.exit_status() == 0
            assert not file.exists()
        finally:
            server.signal(signal.SIGKILL)  # the system has stopped it, so that it takes no other
