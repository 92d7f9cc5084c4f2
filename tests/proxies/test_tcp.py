"""The PROXY protocol as HAProxy speaks it, with the file of docs/proxies."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.certificates import leaf, write_pair
from tests.proxies.clients import ADDRESS, connection, converse, told
from tests.proxies.conftest import APP, needs
from tests.proxies.programs import Front, options, run_haproxy
from tests.support import ServerProcess, read_all

pytestmark = pytest.mark.slow

FILE = "haproxy-tcp.cfg"
OPTIONS = options(FILE)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(APP, "--port", "0", "--no-access-log", *OPTIONS) as server:
        yield server


@pytest.fixture(scope="module")
def front(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    needs("haproxy")
    with run_haproxy(tmp_path_factory.mktemp("proxy"), f"127.0.0.1:{server.port}", FILE) as front:
        yield front


@pytest.mark.parametrize(
    ("port", "scheme"),
    [pytest.param(443, "https", id="version 2, TLS"), pytest.param(80, "http", id="version 2"), (8080, "http")],
)
def test_the_client_and_what_it_has_connected_to_arrive(front: Front, port: int, scheme: str) -> None:
    with closing(connection(front.ports[port], tls=scheme == "https")) as client:
        for _ in range(2):  # it holds for the connection
            client.request("GET", "/scope", headers={"X-Forwarded-For": "203.0.113.66"})
            scope = json.loads(client.getresponse().read())
            assert scope["client"] == list(client.sock.getsockname())
            assert scope["client"][0] == ADDRESS
            assert scope["server"] == ["127.0.0.1", front.ports[port]]
            assert scope["scheme"] == scheme


def test_a_websocket_goes_through(front: Front) -> None:
    scope, client, answers = converse(front.tls_port, "/", ["hello"])
    assert scope["client"] == client
    assert scope["scheme"] == "wss"
    assert answers == ["hello"]


def test_a_unix_domain_socket(tmp_path: Path) -> None:
    needs("haproxy")
    path = tmp_path / "http.sock"
    server = ServerProcess(APP, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--no-access-log", *OPTIONS)
    with server, run_haproxy(tmp_path, str(path), FILE) as front:
        assert told(front.tls_port, "/scope")["client"][0] == ADDRESS


def test_tls_that_the_server_ends_begins_behind_it(tmp_path: Path) -> None:
    needs("haproxy")
    certificate, key = write_pair(tmp_path, leaf("127.0.0.1"))
    tls = ("--ssl-certfile", certificate, "--ssl-keyfile", key)
    server = ServerProcess(APP, "--port", "0", "--no-access-log", *OPTIONS, *tls)
    server.port = int(server.wait_for("https://").partition("https://127.0.0.1:")[2].split()[0])
    try:
        with run_haproxy(tmp_path, f"127.0.0.1:{server.port}", FILE) as front:
            scope = told(front.ports[80], "/scope")
            assert (scope["client"][0], scope["scheme"]) == (ADDRESS, "https")
    finally:
        server.__exit__()


def test_a_trusted_peer_without_it_is_refused_and_others_are_taken_as_they_are(server: ServerProcess) -> None:
    request = b"GET /scope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answers = {}
    for address in ("127.0.0.1", ADDRESS):
        with socket.create_connection(("127.0.0.1", server.port), 10, (address, 0)) as client:
            client.sendall(request)
            answers[address] = read_all(client)
    assert answers["127.0.0.1"].startswith(b"HTTP/1.1 400 ")
    assert answers[ADDRESS].startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", server.port), 10, (ADDRESS, 0)) as client:
        client.sendall(b"PROXY TCP4 203.0.113.66 127.0.0.1 1 2\r\n" + request)
        assert read_all(client).startswith(b"HTTP/1.1 400 ")
