"""What a server says of WebSockets where the package that speaks them is not installed."""

from __future__ import annotations

import signal

import pytest

from tests.support import ServerProcess, connect, read_all
from tests.websocket.frames import upgrade

APP = "tests.websocket.echo_app:app"
WITHOUT = "sys.modules['websockets'] = None"


@pytest.mark.slow
def test_a_client_gets_a_501_and_the_log_names_the_package_once() -> None:
    with ServerProcess(APP, "--port", "0", "--no-access-log", before=WITHOUT) as server:
        for _ in range(2):
            with connect(server.port) as client:
                client.sendall(upgrade("/", b"Connection: close"))
                head, _, content = read_all(client).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
                assert content == b"WebSockets are not available\n"
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0  # and all that it has said has been read
        assert len([line for line in server.errors if "pip install 'websockets" in line]) == 1


@pytest.mark.slow
def test_a_server_that_is_told_to_use_it_does_not_start() -> None:
    server = ServerProcess(APP, "--port", "0", "--ws", "websockets", before=WITHOUT)
    assert server.exit_status() == 3
    (line,) = server.errors
    assert line.startswith(
        "miniasgi: --ws websockets: expected the package websockets, 16.1 or later (pip install 'websockets>=16.1'): "
    )
