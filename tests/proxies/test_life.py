"""A server that is reloaded, killed and started again behind a proxy; and what its access log shows meanwhile."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.proxies.clients import ADDRESS, Load, ask
from tests.proxies.conftest import APP, OPTIONS, Run, needs
from tests.proxies.programs import run_nginx
from tests.support import ServerProcess

pytestmark = pytest.mark.slow


def test_a_reload_under_load_fails_no_request(run: Run, tmp_path: Path) -> None:
    with (
        ServerProcess(APP, "--port", "0", "--workers", "2", "--no-access-log", *OPTIONS) as server,
        run(tmp_path, f"127.0.0.1:{server.port}") as front,
        Load(front.tls_port) as load,
    ):
        old = load.wait_for(1)
        for _ in range(2):
            server.signal(signal.SIGHUP)
            server.wait_for("has been loaded anew by 2 workers")
            old = load.wait_for(1, beside=old) | old
    assert load.failures == []


def test_a_server_that_is_killed_is_a_502_until_it_is_back(tmp_path: Path) -> None:
    needs("nginx")
    with (
        ServerProcess(APP, "--port", "0", "--no-access-log", *OPTIONS) as server,
        run_nginx(tmp_path, f"127.0.0.1:{server.port}") as front,
    ):
        assert ask(front.tls_port, "/pid").status == 200
        server.signal(signal.SIGKILL)
        server.exit_status()
        assert [ask(front.tls_port, "/pid").status for _ in range(3)] == [502] * 3
        with ServerProcess(APP, "--port", str(server.port), "--no-access-log", *OPTIONS):
            assert [ask(front.tls_port, "/pid").status for _ in range(3)] == [200] * 3


def test_the_access_log_shows_the_client_and_not_the_proxy(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = ServerProcess(APP, "--port", "0", "--access-logfile", str(log), *OPTIONS)
    with server, run(tmp_path, f"127.0.0.1:{server.port}") as front:
        ask(front.tls_port, "/api/scope")
    (line,) = log.read_text().splitlines()
    assert f' {ADDRESS}:0 "GET /scope HTTP/1.1" 200 ' in line
