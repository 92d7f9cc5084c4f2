"""Content through nginx and HAProxy, with the files of docs/proxies: large, piece by piece, on kept connections."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.proxies.apps import PIECE
from tests.proxies.clients import ADDRESS, ask, connection, told
from tests.proxies.conftest import APP, OPTIONS, Run
from tests.proxies.programs import Front
from tests.support import ServerProcess

pytestmark = pytest.mark.slow

CONTENT = PIECE * 160  # 10 MiB


@pytest.mark.parametrize("target", ["/upload", "/api/upload"])
def test_a_large_upload_arrives_whole(front: Front, target: str) -> None:
    answer = ask(front.tls_port, target, content=CONTENT)
    assert (answer.status, answer.content) == (200, hashlib.sha256(CONTENT).hexdigest().encode())


def test_an_upload_is_passed_on_while_it_comes(front: Front) -> None:
    with closing(connection(front.tls_port)) as client:
        client.putrequest("POST", "/upload/first")
        client.putheader("Content-Length", str(len(CONTENT)))
        client.endheaders(PIECE)
        response = client.getresponse()
        assert response.status == 200
        assert 0 < int(response.read()) <= len(PIECE)


def test_a_large_download_arrives_whole(front: Front) -> None:
    answer = ask(front.tls_port, "/download")
    assert answer.status == 200
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize("target", ["/events", "/stream?unbuffered"])
def test_events_arrive_when_they_are_sent(front: Front, target: str) -> None:
    with closing(connection(front.tls_port)) as client:
        client.request("GET", target)
        response = client.getresponse()
        assert response.readline() == b"data: 1\n"
        assert response.readline() == b"\n"
        # The second is sent only now.
        assert ask(front.tls_port, "/next").status == 200
        assert response.read() == b"data: 2\n\n"


@pytest.fixture(scope="module")
def watcher() -> Iterator[ServerProcess]:
    """A server that takes the proxy itself for the client."""
    with ServerProcess(APP, "--port", "0", "--no-access-log", "--no-proxy-headers") as server:
        yield server


def test_connections_to_the_server_are_kept(run: Run, watcher: ServerProcess, tmp_path: Path) -> None:
    with run(tmp_path, f"127.0.0.1:{watcher.port}") as front, closing(connection(front.tls_port)) as client:
        seen = set()
        for _ in range(5):
            client.request("GET", "/scope")
            seen.add(client.getresponse().read().partition(b', "server"')[0])
        assert len(seen) == 1


def test_a_unix_domain_socket_is_trusted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    # The port is for the test, which waits for it.
    server = ServerProcess(APP, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--no-access-log", *OPTIONS)
    with server, run(tmp_path, str(path)) as front:
        scope = told(front.tls_port, "/api/scope", [("X-Forwarded-For", "203.0.113.66")])
        assert scope["client"] == [ADDRESS, 0]
        assert scope["server"] == ["example.org", front.tls_port]
        assert (scope["scheme"], scope["root_path"], scope["path"]) == ("https", "/api", "/api/scope")
