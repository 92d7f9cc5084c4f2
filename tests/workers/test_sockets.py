"""Sockets of every kind, and a service manager, as real servers have them: one process, and several of each kind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support import ask, read_all

from .processes import APP, KINDS, WorkersProcess, content, needs_linux

pytestmark = pytest.mark.slow

LAUNCHER = Path(__file__).with_name("socket_launcher.py")
EACH_KIND = {"alone": (), **KINDS}

each_kind = pytest.mark.parametrize("kind", EACH_KIND)


class Server(WorkersProcess):
    """A server with whatever sockets its options name; *started* is its first line."""

    started = ""

    def __enter__(self) -> Server:
        try:
            self.started = self.wait_for("Ctrl-C stops it")
            match = re.search(r"http://127\.0\.0\.1:(\d+)", self.started)
            self.port = int(match[1]) if match else 0
        except BaseException:
            self.__exit__()
            raise
        return self


def serve(kind: str, *options: str, sockets: tuple[str, ...] = (), environ: dict[str, str] | None = None) -> Server:
    """A server of the *kind*, started by a process that has opened *sockets* for it."""
    arguments = [APP, "--no-access-log", *EACH_KIND[kind], *options]
    told = {"TESTS_SOCKETS": json.dumps(sockets), "TESTS_ARGUMENTS": json.dumps(arguments)}
    return Server(script=LAUNCHER, environ={**told, **(environ or {})})


def ask_unix(path: Path, target: str = "/pid") -> str:
    """The content of the response to a request over the socket *path*."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        return content(read_all(client))


# Unix domain sockets


@each_kind
def test_a_unix_socket_is_served_with_its_permissions_and_removed_in_the_end(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, "--uds", str(path), "--uds-mode", "600") as server:
        assert f" on unix:{path} (" in server.started
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert int(ask_unix(path)) in {server.pid, *server.processes()}
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["alone", "process"])
def test_its_file_goes_even_when_the_server_ends_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, "--uds", str(path)) as server:
        server.signal(signal.SIGQUIT)
        assert server.exit_status() == 131
    assert list(tmp_path.iterdir()) == []


@needs_linux
@pytest.mark.parametrize("kind", ["alone", "process"])
def test_the_socket_of_a_server_that_was_killed_is_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, "--uds", str(path)) as killed:
        killed.signal(signal.SIGKILL)
        killed.wait_until_gone(20)
        assert path.is_socket()
    with serve(kind, "--uds", str(path)) as server:
        assert ask_unix(path)
        assert server.lines("replaced: ")


@each_kind
def test_a_second_server_does_not_take_the_socket_of_the_first(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, "--uds", str(path)) as server:
        second = serve(kind, "--uds", str(path))
        with second.starting():
            assert second.exit_status() == 3
            assert second.errors == [f"miniasgi: cannot listen on unix:{path}: another server listens there"]
        assert ask_unix(path)
        assert path.is_socket()
        assert server.lines(" error ") == []


# Several addresses


@each_kind
def test_all_addresses_are_served_and_stay_through_a_reload(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    options = ("-b", "127.0.0.1:0", "-b", f"unix:{path}", "-b", "127.0.0.2:0")
    with serve(kind, *options) as server:
        match = re.search(
            rf" on http://127\.0\.0\.1:\d+ and unix:{path} and http://127\.0\.0\.2:(\d+) ", server.started
        )
        assert match is not None, server.started
        inode = path.stat().st_ino

        def all_answer() -> None:
            assert ask_unix(path)
            assert content(ask(server.port, "/pid"))
            with socket.create_connection(("127.0.0.2", int(match[1])), 10) as client:
                client.sendall(b"GET /pid HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                assert content(read_all(client))

        all_answer()
        server.signal(signal.SIGHUP)
        server.wait_for("SIGHUP" if kind == "alone" else "has been loaded anew")
        all_answer()
        assert path.stat().st_ino == inode
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
    assert list(tmp_path.iterdir()) == []


@needs_linux
@pytest.mark.parametrize("kind", ["process", "preload", "thread"])
def test_every_worker_accepts_from_a_unix_socket(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, "--uds", str(path)) as server:
        who: set[str] = set()
        for _ in range(2000):
            who.add(ask_unix(path, "/thread"))
            if len(who) == 2:
                break
        assert len(who) == 2
        assert server.lines("Traceback") == []


# Sockets that systemd has opened


@each_kind
def test_sockets_of_systemd_are_served_in_the_place_of_host_and_port(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, sockets=("tcp", f"unix:{path}")) as server:
        assert re.search(rf" on http://127\.0\.0\.1:\d+ and unix:{path} ", server.started)
        assert content(ask(server.port, "/pid"))
        assert ask_unix(path)
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert server.lines("not used") == []
    assert path.is_socket()  # which is systemd's


@needs_linux
@pytest.mark.parametrize("kind", KINDS)
def test_workers_do_not_find_in_the_environment_what_is_for_their_supervisor(tmp_path: Path, kind: str) -> None:
    with manager(tmp_path) as told:
        environ = {"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "60000000", "LISTEN_FDNAMES": "web"}
        with serve(kind, sockets=("tcp",), environ=environ) as server:
            workers = server.processes()
            assert workers
            for pid in workers:
                names = {each.partition(b"=")[0] for each in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
                assert [name for name in names if name.startswith((b"LISTEN_", b"NOTIFY_", b"WATCHDOG_"))] == []


@pytest.mark.parametrize("kind", ["alone", "process"])
def test_a_socket_of_systemd_can_be_named_and_what_is_not_named_is_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    with serve(kind, "--bind", "fd://3", "--port", "80", sockets=(f"unix:{path}", "tcp")) as server:
        assert ask_unix(path)
        assert [line[20:] for line in server.lines("not used")] == [
            "warning not used: --port 80, because --bind, --uds or --fd says where to listen",
            "warning not used: fd://4 (without a name), passed by systemd; --bind, --uds and --fd name others",
        ]


@needs_linux
def test_sockets_that_a_shell_in_between_has_got_are_said() -> None:
    with serve("alone", "--port", "0", sockets=("shell", "tcp")) as server:
        (line,) = server.lines("not used")
        assert f"sockets that systemd has passed to process {server.pid}, which has started this one" in line
        (child,) = server.processes()
        os.kill(child, signal.SIGTERM)
        server.wait_until_gone(20)


# The service manager


class Manager:
    """A service manager that hears."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(10)

    def hear(self, *, signs_of_life: bool = False) -> list[str]:
        """The next thing that it is told; signs of life are passed over, or waited for."""
        while True:
            said = self._socket.recv(4096).decode().split("\n")
            if (said == ["WATCHDOG=1"]) == signs_of_life:
                return said

    def close(self) -> None:
        self._socket.close()


@contextmanager
def manager(directory: Path) -> Iterator[Manager]:
    with closing(Manager(str(directory / "notify"))) as told:
        yield told


@each_kind
def test_a_service_manager_hears_of_the_start_of_reloads_and_of_the_end(tmp_path: Path, kind: str) -> None:
    with manager(tmp_path) as told:
        environ = {"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "400000"}
        with serve(kind, "--port", "0", environ=environ) as server:
            ready, status = told.hear()
            assert ready == "READY=1"
            assert re.fullmatch(rf"STATUS=.*process {server.pid} on http://127\.0\.0\.1:{server.port}", status)
            server.signal(signal.SIGHUP)
            reloading, when, _ = told.hear()
            assert reloading == "RELOADING=1"
            assert re.fullmatch(r"MONOTONIC_USEC=[0-9]+", when)
            assert told.hear() == [ready, status]
            for _ in range(3):
                told.hear(signs_of_life=True)
            server.signal(signal.SIGTERM)
            assert told.hear()[0] == "STOPPING=1"
            assert server.exit_status() == 0


@pytest.mark.parametrize("kind", ["alone", "process"])
def test_a_service_manager_who_has_gone_stops_nobody(tmp_path: Path, kind: str) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "100000"}
    with serve(kind, "--port", "0", environ=environ) as server:
        assert content(ask(server.port, "/pid"))
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert len(server.lines("cannot tell the service manager")) == 1
