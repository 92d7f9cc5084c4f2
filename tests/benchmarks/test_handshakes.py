"""The load of handshakes, against a server that answers as it is told to."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .certificates import KeyKind, authority_in, certificate_in, client_context, key_in, write_certificate
from .exchange import Exchange, request
from .handshakes import run_handshakes, shake_hands
from .load import LoadFailed
from .probe import Client, WrongAnswer, probe
from .script import Script

pytest.importorskip("trustme")

EXCHANGE = Exchange(request("GET", "/", "Connection: close"), b"ok")
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """Answers one request on each connection, and closes it; accepts one at a time."""

    def __init__(self, folder: Path) -> None:
        self.answer = ANSWER
        self.requests: list[bytes] = []
        self.resumed: list[bool | None] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate_in(folder), key_in(folder))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # the end of the test
                return
            with contextlib.suppress(OSError), self._context.wrap_socket(accepted, server_side=True) as connection:
                self.resumed.append(connection.session_reused)
                self.requests.append(connection.recv(1024))
                connection.sendall(self.answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    write_certificate(KeyKind.P256, made)
    return made


@pytest.fixture
def peer(folder: Path) -> Iterator[Peer]:
    peer = Peer(folder)
    yield peer
    peer.close()


def script(folder: Path, clients: int = 1) -> Script:
    return Script([EXCHANGE], clients, folder / "replay", is_pinned=False, authority=authority_in(folder))


def test_every_client_makes_a_full_handshake_and_asks_once_at_least(peer: Peer, folder: Path) -> None:
    counted = run_handshakes(peer.port, script(folder, clients=3), 0.0)
    assert counted.requests == 3
    assert counted.octets is None  # every answer was looked at
    assert 0 < (counted.p99_seconds or 0) <= counted.seconds
    assert peer.requests == [EXCHANGE.write] * 3
    assert peer.resumed == [False] * 3


def test_a_wrong_answer_ends_the_load_with_what_came(peer: Peer, folder: Path) -> None:
    peer.answer = ANSWER.replace(b"ok", b"no")
    with pytest.raises(LoadFailed, match="b'no'…, instead of 2, b'ok'"):
        run_handshakes(peer.port, script(folder), 0.0)


def test_a_server_nobody_can_connect_to_ends_the_load(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(LoadFailed, match="refused"):
        run_handshakes(port, script(folder), 0.0)


def test_a_resumed_session_is_no_handshake(peer: Peer, folder: Path) -> None:
    context = client_context(authority_in(folder))
    with Client(peer.port, context=context) as client:
        client.check(EXCHANGE)
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session

    class Resuming:
        def wrap_socket(self, plain: socket.socket, **options: Any) -> ssl.SSLSocket:
            return context.wrap_socket(plain, session=session, **options)

    resuming: Any = Resuming()
    with pytest.raises(WrongAnswer, match="resumed"):
        shake_hands(peer.port, resuming, EXCHANGE, 0.0)


def test_a_client_sees_whether_its_connection_is_closed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Client(listener.getsockname()[1], timeout_seconds=0.05) as client,
    ):
        accepted, _ = listener.accept()
        with pytest.raises(WrongAnswer, match="kept open"):
            client.check_end()
        with accepted:
            accepted.sendall(b"!")
            with pytest.raises(WrongAnswer, match="after the last answer"):
                client.check_end()
        client.check_end()


def test_octets_of_an_answer_are_counted_as_they_are_inside_of_tls(peer: Peer, folder: Path) -> None:
    assert probe(peer.port, EXCHANGE, client_context(authority_in(folder))) == len(ANSWER)
