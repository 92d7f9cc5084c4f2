"""What a service manager is told: its datagrams, when they are due, and that one who does not listen stops nobody."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniasgi.workers.system.notify import Notifier


class Manager:
    """A service manager that hears."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """What it has been told since the last time."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """One behind a path, and one behind a name that is in no directory."""
    if request.param == "abstract" and not Path("/proc/sys/kernel").is_dir():
        pytest.skip("only Linux has abstract sockets")
    manager = Manager(str(tmp_path / "notify") if request.param == "file" else f"@miniasgi/{os.getpid()}/{id(request)}")
    yield manager
    manager.close()


# What is said


def test_a_service_manager_is_told_how_the_server_is(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    notifier.ready("2 workers on http://h:1")
    assert manager.heard() == ["READY=1\nSTATUS=2 workers on http://h:1"]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    (said,) = manager.heard()
    match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=([0-9]+)\nSTATUS=reloading", said)
    assert match is not None, said
    assert before <= int(match[1]) <= after
    assert notifier.is_reloading
    notifier.reloaded()
    assert manager.heard() == ["READY=1\nSTATUS=2 workers on http://h:1"]
    assert not notifier.is_reloading
    notifier.stopping()
    assert manager.heard() == ["STOPPING=1\nSTATUS=stopping"]


def test_the_end_of_a_reload_that_has_not_begun_is_nothing_to_tell(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    notifier.reloaded()
    notifier.ready("here")
    notifier.reloaded()
    assert manager.heard() == ["READY=1\nSTATUS=here"]


def test_a_reload_before_the_server_is_ready_is_a_part_of_its_start(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    notifier.reloading()
    notifier.reloaded()
    assert manager.heard() == []


def test_a_server_that_stops_says_so_once_and_nothing_else_any_more(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    notifier.ready("here")
    notifier.reloading()
    manager.heard()
    notifier.stopping()
    notifier.stopping()
    notifier.reloaded()
    notifier.reloading()
    assert manager.heard() == ["STOPPING=1\nSTATUS=stopping"]


# The watchdog


def test_signs_of_life_are_given_twice_in_the_time_that_the_manager_waits(manager: Manager) -> None:
    notifier = Notifier(manager.address, watchdog_seconds=30)
    assert notifier.watchdog(1000.0) == 1015.0
    assert notifier.watchdog(1014.9) == 1015.0
    assert manager.heard() == ["WATCHDOG=1"]
    assert notifier.watchdog(1015.5) == 1030.5
    assert manager.heard() == ["WATCHDOG=1"]


def test_they_go_on_while_the_server_stops(manager: Manager) -> None:
    notifier = Notifier(manager.address, watchdog_seconds=30)
    notifier.stopping()
    manager.heard()
    notifier.watchdog(1000.0)
    assert manager.heard() == ["WATCHDOG=1"]


def test_where_nobody_waits_for_them_none_are_given(manager: Manager) -> None:
    assert Notifier(manager.address).watchdog(1000.0) is None
    assert Notifier("", watchdog_seconds=30).watchdog(1000.0) is None
    assert manager.heard() == []


# The environment


@pytest.mark.parametrize(
    ("variables", "due"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "12"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "13"}, None),  # somebody else's
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_the_environment_says_who_listens_and_says_it_once(
    manager: Manager, variables: dict[str, str], due: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "PATH": "/bin", **variables}
    notifier = Notifier.take(environ, 12)
    assert environ == {"PATH": "/bin"}
    assert notifier.watchdog(0.0) == due
    notifier.ready("here")
    assert manager.heard()[-1] == "READY=1\nSTATUS=here"


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"WATCHDOG_USEC": "3000000"}
    notifier = Notifier.take(environ, 12)
    assert environ == {}
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("there is nobody to tell"))
    notifier.ready("here")
    notifier.reloading()
    notifier.reloaded()
    assert notifier.watchdog(0.0) is None
    notifier.stopping()


# One who does not listen


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("/nowhere/notify", "No such file or directory"),
        ("@nobody/miniasgi", "Connection refused"),
        ("/" + "x" * 200, "AF_UNIX path too long"),
    ],
)
def test_a_manager_that_cannot_be_told_is_one_line_and_no_error(
    caplog: pytest.LogCaptureFixture, address: str, problem: str
) -> None:
    caplog.set_level(logging.DEBUG)
    notifier = Notifier(address, watchdog_seconds=1)
    notifier.ready("here")
    notifier.stopping()
    notifier.watchdog(0.0)
    assert caplog.messages == [f"cannot tell the service manager at {address}: {problem}"]
    assert caplog.records[0].levelname == "WARNING"


def test_a_manager_with_a_full_queue_is_not_waited_for_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("miniasgi.workers.system.notify._SEND_SECONDS", 0.01)
    manager = Manager(str(tmp_path / "notify"))
    notifier = Notifier(manager.address)
    for _ in range(10_000):
        notifier.ready("x" * 1000)
        if caplog.messages:
            break
    assert caplog.messages == [f"cannot tell the service manager at {manager.address}: timed out"]
    assert len(manager.heard()) > 1
    caplog.clear()
    notifier.stopping()  # there is room again
    assert manager.heard() == ["STOPPING=1\nSTATUS=stopping"]
    manager.close()
