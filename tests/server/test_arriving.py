"""What comes before HTTP: the PROXY protocol's header and TLS, in time and octet by octet; on both loops."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from miniasgi.server import arriving
from miniasgi.server.proxy_protocol import read_proxy_header
from miniasgi.types import App, Receive, Scope, Send
from tests.server.apps import hello
from tests.server.embedded import GET, serving
from tests.support import Client, run_on, until

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
def test_a_handshake_that_does_not_come_is_not_waited_for(loop_name: str, certificate: str) -> None:
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
