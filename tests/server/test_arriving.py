"""What comes before HTTP: the PROXY protocol's header and TLS, in time and octet by octet; on both loops."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
import threading
from math import inf
from pathlib import Path
from typing import Any

import pytest

from miniasgi import Config, Server
from miniasgi.server.connections.connection import HttpConnection
from miniasgi.server.connections.ending import State
from miniasgi.server.sockets import arriving
from miniasgi.server.sockets.proxy_protocol import read_proxy_header
from miniasgi.server.tls.context import SHAKING
from miniasgi.types import App, Receive, Scope, Send
from tests.server.apps import body, hello, start
from tests.server.embedded import GET, serving
from tests.support import Client, connect, read_pieces, run_on, until

trustme = pytest.importorskip("trustme")

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 50000 443\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 9, 198, 51, 100, 1]) + b"\xc3\x50" + b"\x01\xbb"


class Noting:
    """Answers hello, and writes down what it was called with."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await hello(scope, receive, send)


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def trusting(authority: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def secure(client: Client, context: ssl.SSLContext) -> Client:
    """*client*, from now on with TLS."""
    await client.writer.start_tls(context, server_hostname="localhost")
    return client


# The PROXY protocol


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_proxy_says_who_connects(loop_name: str, header: bytes, size: int) -> None:
    async def main() -> None:
        app = Noting()
        async with serving(app, proxy_protocol=True) as server:
            client = await Client.open(server.port)
            octets = header + GET + GET
            for at in range(0, len(octets), size):
                client.send(octets[at : at + size])
                await client.writer.drain()
                await asyncio.sleep(0)
            for _ in range(2):
                assert (await client.response())[1] == b"hello"
            assert [(scope["client"], scope["server"]) for scope in app.scopes] == [
                (("203.0.113.9", 50000), ("198.51.100.1", 443))
            ] * 2
            client.close()

    run_on(loop_name, main())


def test_a_part_of_a_header_wakes_nobody_twice(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []

    def look(data: bytes) -> object:
        looked.append(data)
        return read_proxy_header(data)

    monkeypatch.setattr(arriving, "read_proxy_header", look)

    async def main() -> None:
        async with serving(hello, proxy_protocol=True) as server:
            client = await Client.open(server.port)
            client.send(V1[:20])
            await until(lambda: looked)
            for _ in range(100):
                await asyncio.sleep(0.0001)
            assert looked == [V1[:20]]
            client.send(V1[20:] + GET)
            assert (await client.response())[1] == b"hello"
            client.close()

    run_on(loop_name, main())


def test_the_word_of_a_stranger_is_taken_for_a_malformed_request(loop_name: str) -> None:
    async def main() -> None:
        app = Noting()
        async with serving(app, proxy_protocol=True, forwarded_allow_ips="10.0.0.1") as server:
            client = await Client.open(server.port)
            client.send(V1 + GET)
            assert (await client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
            client.close()
            client = await Client.open(server.port)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            client.close()
        assert [scope["client"][0] for scope in app.scopes] == ["127.0.0.1"]

    run_on(loop_name, main())


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"PROXY TCP4 1.2.3.4 nonsense\r\n", b"\r\n\r\n\x00\r\nQUIX"])
def test_a_proxy_that_does_not_say_so_properly_gets_400(
    loop_name: str, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, proxy_protocol=True) as server:
            client = await Client.open(server.port)
            client.send(octets)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert answer.endswith(b"\r\n\r\nBad Request\n")
            client.close()
            await until(lambda: not server._arriving.count)
            assert server.connections == 0

    run_on(loop_name, main())
    assert [message for message in caplog.messages if ": refused with 400: " in message]


@pytest.mark.slow
def test_a_proxy_that_says_nothing_is_closed_in_time(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, proxy_protocol=True, timeout_request_header=0.3) as server:
            silent, half = await Client.open(server.port), await Client.open(server.port)
            half.send(V1[:10])
            assert await silent.rest() == b""
            assert await half.rest() == b""
            gone = await Client.open(server.port)
            await until(lambda: server._arriving.count)
            gone.close()
            await until(lambda: not server._arriving.count)
            for client in (silent, half):
                client.close()

    run_on(loop_name, main())
    assert [message.partition(": ")[2] for message in caplog.messages if "too slow" in message] == [
        "closed: too slow to begin"
    ] * 2


@pytest.mark.parametrize(
    ("header", "believed"),
    [
        (V2[:12] + b"\x20\x00\x00\x00", True),  # LOCAL: the proxy's own words
        (V2[:12] + b"\x21\x00\x00\x00", False),
        (b"PROXY UNKNOWN\r\n", False),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 443\r\n", True),  # another proxy that is trusted
        (V1, False),
    ],
)
def test_fields_of_a_client_whom_the_proxy_does_not_know_are_not_believed(
    loop_name: str, header: bytes, believed: bool
) -> None:
    async def main() -> None:
        app = Noting()
        async with serving(app, proxy_protocol=True) as server:
            client = await Client.open(server.port)
            client.send(header + b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.66\r\n\r\n")
            assert (await client.response())[1] == b"hello"
            client.close()
        (scope,) = app.scopes
        assert (scope["client"] == ("203.0.113.66", 0)) is believed
        assert scope["client"][0] in ("203.0.113.66", "203.0.113.9", "127.0.0.1")

    run_on(loop_name, main())


# Clients that have gone before they are accepted


SPOOFED = b"POST / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.66\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("peers", ["unix:", "*", "none"])
@pytest.mark.parametrize("proxied", [False, True])
def test_a_client_that_has_gone_with_a_reset_does_not_ask_without_a_name(
    loop_name: str, peers: str, proxied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        app = Noting()
        async with serving(app, forwarded_allow_ips=peers, proxy_protocol=proxied) as server:
            for _ in range(3):
                # The loop has no turn until it has gone; the kernel has what it sent, but nobody's name.
                with socket.create_connection(("127.0.0.1", server.port)) as client:
                    client.sendall(SPOOFED)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            other = await Client.open(server.port)
            if proxied and peers == "*":
                other.send(V1)
            other.send(GET)
            assert (await other.response())[1] == b"hello"
            other.close()
            await until(lambda: not server._arriving.count and not server.connections)
        (scope,) = app.scopes
        assert scope["method"] == "GET"

    run_on(loop_name, main())
    assert caplog.messages == []


def test_a_client_of_a_unix_socket_that_has_gone_is_still_heard(loop_name: str, tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    async def main() -> None:
        app = Noting()
        async with serving(app, uds=path, forwarded_allow_ips="unix:"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(SPOOFED)
            await until(lambda: app.scopes)
        assert app.scopes[0]["client"] == ("203.0.113.66", 0)

    run_on(loop_name, main())


# Where HTTP is expected


@pytest.mark.parametrize("parser", ["handwritten", "httptools", "h11"])
@pytest.mark.parametrize(
    ("first", "hint"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "looks like TLS"),
        (V1 + GET, "looks like the PROXY protocol"),
        (V2 + GET, "looks like the PROXY protocol"),
        (b"PROXY / HTTP/1.1\r\n\r\n", ""),
        (b"\x17\x03\x01", ""),
    ],
)
def test_what_can_only_come_before_http_is_named_in_the_log(
    parser: str, first: bytes, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, http=parser) as server:
            for before in (b"", GET):  # behind a request it is no more than malformed
                client = await Client.open(server.port)
                client.send(before)
                if before:
                    await client.response()
                client.send(first)
                assert (await client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
                client.close()

    run_on("asyncio", main())
    told, later = caplog.messages
    assert ": refused with 400: " in told
    assert ("looks like" in told) is bool(hint)
    assert hint in told
    assert "looks like" not in later


# TLS


def test_tls_is_spoken_and_told_to_the_application(loop_name: str, certificate: str, trusting: ssl.SSLContext) -> None:
    async def main() -> None:
        app = Noting()
        async with serving(app, ssl_certfile=certificate) as server:
            assert server.urls == [f"https://127.0.0.1:{server.port}"]
            client = await secure(await Client.open(server.port), trusting)
            for _ in range(2):
                client.send(GET)
                assert (await client.response())[1] == b"hello"
            client.close()
        for scope in app.scopes:
            assert scope["scheme"] == "https"
            assert scope["extensions"]["tls"]["tls_version"] == 0x0304
            assert scope["extensions"]["tls"]["server_cert"].startswith("-----BEGIN CERTIFICATE-----")
        # What one request puts there no other finds.
        assert app.scopes[0]["extensions"]["tls"] is not app.scopes[1]["extensions"]["tls"]

    run_on(loop_name, main())


def test_large_content_goes_both_ways_over_tls(loop_name: str, certificate: str, trusting: ssl.SSLContext) -> None:
    from tests.server.apps import echo

    content = bytes(range(256)) * 8192

    async def main() -> None:
        async with serving(echo, ssl_certfile=certificate) as server:
            client = await secure(await Client.open(server.port), trusting)
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            assert (await client.response())[1] == content
            client.close()

    run_on(loop_name, main())


def test_a_proxy_in_front_of_tls_says_who_connects(loop_name: str, certificate: str, trusting: ssl.SSLContext) -> None:
    async def main() -> None:
        app = Noting()
        async with serving(app, ssl_certfile=certificate, proxy_protocol=True) as server:
            client = await Client.open(server.port)
            client.send(V2)
            client = await secure(client, trusting)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            client.close()
        (scope,) = app.scopes
        assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 50000), "https")

    run_on(loop_name, main())


def test_plain_http_is_told_so(loop_name: str, certificate: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate) as server:
            client = await Client.open(server.port)
            client.send(GET)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"https://" in answer
            client.close()

    run_on(loop_name, main())
    assert [message.partition(": ")[2] for message in caplog.messages] == ["plain HTTP where HTTPS is spoken"]


@pytest.mark.parametrize("octets", [b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b"\xff"])
def test_octets_that_are_no_tls_cost_nothing(
    loop_name: str, certificate: str, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate) as server:
            client = await Client.open(server.port)
            client.send(octets)
            client.writer.write_eof()
            await client.rest()
            client.close()
            await until(lambda: not server._arriving.count)
            assert server.connections == 0

    run_on(loop_name, main())
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.slow
def test_a_handshake_that_does_not_come_is_not_waited_for(
    loop_name: str, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate, timeout_ssl_handshake=0.3) as server:
            silent, half = await Client.open(server.port), await Client.open(server.port)
            half.send(b"\x16\x03\x01")
            assert await silent.rest() == b""
            assert await half.rest() == b""
            for client in (silent, half):
                client.close()
            await until(lambda: not server._arriving.count)

    run_on(loop_name, main())
    assert [message.partition(": ")[2] for message in caplog.messages] == ["no TLS: the handshake takes too long"]


def test_a_server_that_stops_leaves_nobody_behind(loop_name: str, certificate: str) -> None:
    async def main() -> None:
        app: App = hello
        async with serving(app, ssl_certfile=certificate) as server:
            client = await Client.open(server.port)
            await until(lambda: server._arriving.count)
        await until(lambda: not server._arriving.count)
        assert await client.rest() == b""
        client.close()

    run_on(loop_name, main())


@pytest.mark.slow
def test_a_client_that_takes_its_time_gets_the_end_of_a_response(
    loop_name: str, certificate: str, trusting: ssl.SSLContext
) -> None:
    content = bytes(256 * 1024)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, content)

    def ask(port: int, go_on: threading.Event) -> int:
        with _shake_hands(port, trusting) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
            go_on.wait(20)
            return sum(len(piece) for piece in read_pieces(client))

    async def main() -> None:
        # Small enough that most of the response stays with the transport.
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        config = Config(ssl_certfile=certificate, lifespan="off", access_log=False)
        async with Server(app, config, sockets=[bound]) as server:
            go_on = threading.Event()
            asking = asyncio.get_running_loop().run_in_executor(None, ask, server.port, go_on)
            await until(lambda: server.requests)
            (connection,) = server._service.connections
            assert isinstance(connection, HttpConnection)
            await until(lambda: connection.state is State.CLOSING)
            asked_at = connection.read_deadline
            # Its first deadline passes, and it has taken nothing meanwhile.
            await until(lambda: connection.read_deadline > asked_at)
            await until(lambda: connection.write_deadline != inf)
            go_on.set()
            assert await asking > len(content)

    run_on(loop_name, main())


@pytest.mark.slow
def test_a_client_that_does_not_answer_the_end_of_tls_is_not_waited_for(
    loop_name: str, certificate: str, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate) as server:
            secured = await asyncio.to_thread(_shake_hands, server.port, trusting)
            secured.sendall(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
            await until(lambda: server.requests)
            await until(lambda: not server.connections)
            secured.close()

    run_on(loop_name, main())


def _shake_hands(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    client = connect(port, receive_buffer=16 * 1024)
    return context.wrap_socket(client, server_hostname="localhost")


def test_a_client_that_ends_its_half_of_tls_has_gone(
    loop_name: str, certificate: str, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    gone: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        gone.append((await receive())["type"] == "http.disconnect")
        await start(send)
        await body(send, b"")

    def end(client: ssl.SSLSocket) -> None:
        client.sendall(GET)
        client.unwrap().close()

    async def main() -> None:
        async with serving(app, ssl_certfile=certificate) as server:
            client = await asyncio.to_thread(_shake_hands, server.port, trusting)
            await asyncio.to_thread(end, client)
            await until(lambda: gone)
            await until(lambda: not server.connections)

    run_on(loop_name, main())
    assert gone == [True]
    # The loops complain of who wants to go on.
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_server_that_ends_while_a_client_sees_why_it_is_refused_closes_it(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[socket.socket] = []
    refuse = arriving._refuse

    async def noting(loop: asyncio.AbstractEventLoop, client: socket.socket, answer: bytes) -> None:
        refused.append(client)
        await refuse(loop, client, answer)

    monkeypatch.setattr(arriving, "_refuse", noting)

    async def main() -> None:
        async with serving(hello, proxy_protocol=True) as server:
            client = await Client.open(server.port)
            client.send(GET)
            await until(lambda: refused)
            server._arriving.abandon()
            await until(lambda: not server._arriving.count)
            assert refused[0].fileno() == -1
            client.close()

    run_on(loop_name, main())


def test_a_server_that_stops_does_not_wait_for_a_handshake_that_has_begun(
    loop_name: str, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate, timeout_graceful_shutdown=3600) as server:
            client = await Client.open(server.port)
            client.send(b"\x16\x03\x01")
            await until(lambda: server._arriving.count and not server._arriving._silent)
            server._arriving.hurry(begun=False)  # it may be let ask: nothing happens to it
            await asyncio.sleep(0)
            assert server._arriving.count == 1
        assert await client.rest() == b""
        client.close()

    run_on(loop_name, main())


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
def test_an_address_of_ipv6_is_shown_in_brackets() -> None:
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as listening,
        socket.create_connection(listening.getsockname()[:2]) as client,
        listening.accept()[0] as accepted,
    ):
        assert arriving._shown(accepted) == f"[::1]:{client.getsockname()[1]}"


def test_who_goes_in_the_middle_of_a_handshake_is_named(
    loop_name: str, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate) as server:
            client = await Client.open(server.port)
            client.send(b"\x16\x03\x01")
            await until(lambda: server._arriving.count)
            host, port = client.writer.get_extra_info("sockname")
            client.close()
            await until(lambda: not server._arriving.count)
            said = [message for message in caplog.messages if "TLS" in message]
            assert said == [f"{host}:{port}: no TLS: the client has gone"]

    run_on(loop_name, main())


def test_who_is_refused_in_a_handshake_is_told_why(loop_name: str, certificate: str, trusting: ssl.SSLContext) -> None:
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate, ssl_min_version="1.3") as server:
            client = await Client.open(server.port)
            with pytest.raises(ssl.SSLError) as raised:
                await secure(client, trusting)
            assert raised.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
            await until(lambda: not server._arriving.count)

    run_on(loop_name, main())


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (ssl.TLSVersion.TLSv1_2, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        (ssl.TLSVersion.TLSv1_3, "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    ],
)
def test_a_client_without_a_certificate_is_told_that_it_needs_one(
    loop_name: str,
    authority: Any,
    certificate: str,
    trusting: ssl.SSLContext,
    tmp_path: Path,
    version: ssl.TLSVersion,
    reason: str,
) -> None:
    authorities = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(authorities))
    trusting.minimum_version = trusting.maximum_version = version

    async def main() -> None:
        options = {"ssl_certfile": certificate, "ssl_ca_certs": str(authorities), "ssl_cert_reqs": "required"}
        async with serving(hello, **options) as server:
            client = await Client.open(server.port)
            with pytest.raises(ssl.SSLError) as raised:
                await secure(client, trusting)
                await client.reader.read()  # with TLS 1.3, a client thinks that all is well until it reads
            assert raised.value.reason == reason
            await until(lambda: not server._arriving.count)

    run_on(loop_name, main())


def test_what_an_application_starts_does_not_inherit_the_socket(
    loop_name: str, certificate: str, trusting: ssl.SSLContext
) -> None:
    inherited: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inherited.append(SHAKING.get([]))
        await hello(scope, receive, send)

    async def main() -> None:
        async with serving(app, ssl_certfile=certificate) as server:
            client = await secure(await Client.open(server.port), trusting)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            client.close()

    run_on(loop_name, main())
    assert inherited == [[]]


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("proxied", [False, True])
def test_of_a_client_that_goes_without_a_word_nothing_is_said(
    loop_name: str, certificate: str, how: str, proxied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate, proxy_protocol=proxied) as server:
            client = await Client.open(server.port)
            await until(lambda: server._arriving._silent)
            client.reset() if how == "reset" else client.close()
            await until(lambda: not server._arriving.count)

    run_on(loop_name, main())
    assert caplog.messages == []


def test_a_client_that_goes_before_it_is_looked_at_is_no_other(
    loop_name: str, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with serving(hello, ssl_certfile=certificate) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as client:  # gone before the loop turns
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            other = await Client.open(server.port)
            other.send(GET)
            assert (await other.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
            other.close()
            await until(lambda: not server._arriving.count)

    run_on(loop_name, main())
    assert [message.partition(": ")[2] for message in caplog.messages] == ["plain HTTP where HTTPS is spoken"]


def test_the_time_for_a_handshake_begins_with_the_connection(
    certificate: str, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        time, connect_accepted = loop.time, loop.connect_accepted_socket

        async def wait_for_the_first_octet(self: arriving.Arriving, *arguments: Any) -> None:
            await readable(self, *arguments)
            monkeypatch.setattr(loop, "time", lambda: time() + 6.0)

        async def connect(*arguments: Any, **named: Any) -> Any:
            given.append(named["ssl_handshake_timeout"])
            return await connect_accepted(*arguments, **named)

        readable = arriving.Arriving._readable
        monkeypatch.setattr(arriving.Arriving, "_readable", wait_for_the_first_octet)
        monkeypatch.setattr(loop, "connect_accepted_socket", connect)
        async with serving(hello, ssl_certfile=certificate, timeout_ssl_handshake=10) as server:
            client = await secure(await Client.open(server.port), trusting)
            client.close()

    run_on("asyncio", main())
    assert len(given) == 1
    assert 0 < given[0] <= 4.0
