"""Supervisors that are killed: their workers end by themselves, and the port is free for the next one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support import read_all
from tests.workers.load import Load
from tests.workers.processes import KINDS, WorkersProcess, can_be_bound, needs_linux, request

pytestmark = [pytest.mark.slow, needs_linux]

ALL_KINDS = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)

SLOW = """
import sys, time
sys.stderr.write("importing\\n")
time.sleep(60)
"""


@ALL_KINDS
def test_workers_under_load_end_when_their_supervisor_is_killed(options: tuple[str, ...]) -> None:
    with WorkersProcess(*options) as server, Load(server.port, 8) as load:
        load.wait(50)
        server.signal(signal.SIGKILL)
        server.wait_until_gone(5)
        assert can_be_bound(server.port)
        assert server.exit_status() == -signal.SIGKILL
        assert len(server.lines("the supervisor has gone; stopping")) == (1 if "thread" in options else 2)


@ALL_KINDS
def test_neither_waiting_nor_hanging_requests_keep_a_worker_whose_supervisor_is_killed(
    options: tuple[str, ...],
) -> None:
    with WorkersProcess(*options) as server, server.connect() as waiting, server.connect() as hanging:
        for client, target in ((waiting, "/wait"), (hanging, "/sleep")):
            request(client, target)
            server.wait_for(f"begin {target}")
        server.signal(signal.SIGKILL)
        server.wait_until_gone(5)
        assert can_be_bound(server.port)
        assert read_all(waiting) == read_all(hanging) == b""


@ALL_KINDS
def test_workers_that_import_end_when_their_supervisor_is_killed(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    server = WorkersProcess(*options, "--app-dir", str(tmp_path), app="slow:app")
    with server.starting():
        for _ in range(2 if options == KINDS["process"] else 1):
            server.wait_for("importing")
        server.signal(signal.SIGKILL)
        server.wait_until_gone(5)
