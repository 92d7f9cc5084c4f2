"""Answers that need no message and no task: the same octets as those of the ASGI way, and nothing else changed."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from miniasgi import Config, Server
from miniasgi.http1.head import RequestHead
from miniasgi.observe.access import AccessLog
from miniasgi.static import StaticFiles
from miniasgi.static.auth import hash_password
from miniasgi.types import App, Fields, Receive, Scope, Send
from tests.server.apps import hello
from tests.server.conftest import MakeWire
from tests.support import Client, Wire, descriptors, run_on, until

SECONDS = 1_000_000_000
DATE = b"Sun, 09 Sep 2001 01:46:40 GMT"
NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 10\r\n"
    b"x-content-type-options: nosniff\r\n\r\nNot Found\n"
)
NOT_ALLOWED = (
    b"HTTP/1.1 405 Method Not Allowed\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 19\r\n"
    b"allow: GET, HEAD, OPTIONS\r\nx-content-type-options: nosniff\r\n\r\nMethod Not Allowed\n"
)
REQUEST = b"%b %b HTTP/1.1\r\nHost: h\r\n%b\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site with some of everything, all of it of the same time."""
    files = {
        "index.html": b"<p>index</p>",
        "404.html": b"<p>missing</p>",
        "about.html": b"<p>about</p>",
        "f.txt": b"content",
        "empty": b"",
        "medium": bytes(range(256)) * 20,
        "kept": bytes(200_000),
        "long": bytes(range(256)) * 2000,
        "app.4f3a9c1d.js": b"script",
        "script.js": b"a longer script",
        "script.js.br": b"br script",
        "script.js.gz": b"gz",
        "d/index.html": b"<p>d</p>",
        "listed/name": b"",
        "a b/index.html": b"",
        ".hidden": b"",
    }
    folder = tmp_path / "www"
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (SECONDS, SECONDS))
    return folder


def hidden(app: App) -> App:
    """*app* without its private way."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return asgi


def plainly(octets: bytes) -> bytes:
    """*octets* without what is random."""
    boundary = re.search(rb"; boundary=(\w{32})\r\n", octets[:1000])
    return octets.replace(boundary[1], b"BOUNDARY") if boundary else octets


REQUESTS: tuple[tuple[bytes, bytes, bytes], ...] = (
    (b"GET", b"/", b""),
    (b"GET", b"/f.txt", b""),
    (b"HEAD", b"/f.txt", b""),
    (b"GET", b"/f.txt?query", b""),
    (b"GET", b"/%66.txt", b""),
    (b"GET", b"//f.txt", b""),
    (b"GET", b"http://h/f.txt", b""),
    (b"GET", b"/empty", b""),
    (b"HEAD", b"/empty", b""),
    (b"GET", b"/medium", b""),
    (b"GET", b"/kept", b""),
    (b"HEAD", b"/kept", b""),
    (b"GET", b"/long", b""),
    (b"HEAD", b"/long", b""),
    (b"GET", b"/f.txt", b"Range: bytes=1-2\r\n"),
    (b"HEAD", b"/f.txt", b"Range: bytes=1-2\r\n"),
    (b"GET", b"/medium", b"Range: bytes=0-0,1000-1001,-1\r\n"),
    (b"GET", b"/medium", b"Range: bytes=-0\r\n"),
    (b"GET", b"/medium", b"Range: bytes=x\r\n"),
    (b"GET", b"/long", b"Range: bytes=10-19\r\n"),
    (b"GET", b"/long", b"Range: bytes=10-99999\r\n"),
    (b"GET", b"/long", b"Range: bytes=0-69999,100000-170000\r\n"),
    (b"GET", b"/long", b"Range: bytes=512000-\r\n"),
    (b"GET", b"/f.txt", b"If-Modified-Since: %b\r\n" % DATE),
    (b"GET", b"/f.txt", b"If-None-Match: *\r\n"),
    (b"HEAD", b"/f.txt", b"If-None-Match: *\r\n"),
    (b"GET", b"/f.txt", b'If-None-Match: "other"\r\n'),
    (b"GET", b"/f.txt", b'If-Match: "other"\r\n'),
    (b"GET", b"/long", b"If-None-Match: *\r\n"),
    (b"GET", b"/f.txt", b"Range: bytes=0-0\r\nIf-Range: %b\r\n" % DATE),
    (b"GET", b"/f.txt", b'Range: bytes=0-0\r\nIf-Range: "x"\r\n'),
    (b"GET", b"/app.4f3a9c1d.js", b""),
    (b"GET", b"/script.js", b""),
    (b"GET", b"/script.js", b"Accept-Encoding: br\r\n"),
    (b"GET", b"/script.js", b"Accept-Encoding: gzip;q=0.5\r\nAccept-Encoding: br;q=0.1\r\n"),
    (b"GET", b"/script.js", b"Accept-Encoding: br\r\nRange: bytes=-3\r\n"),
    (b"GET", b"/script.js.gz", b"Accept-Encoding: gzip\r\n"),
    (b"GET", b"/d", b""),
    (b"GET", b"/d?a=b", b""),
    (b"HEAD", b"/d", b""),
    (b"GET", b"/a%20b", b""),
    (b"GET", b"/d/", b""),
    (b"GET", b"/listed", b""),
    (b"GET", b"/listed/", b""),
    (b"GET", b"/listed/", b"Accept: application/json\r\n"),
    (b"HEAD", b"/listed/", b""),
    (b"GET", b"/about", b""),
    (b"GET", b"/missing", b""),
    (b"HEAD", b"/missing", b""),
    (b"GET", b"/missing.html", b"If-None-Match: *\r\nRange: bytes=0-0\r\n"),
    (b"GET", b"/.hidden", b""),
    (b"GET", b"/../f.txt", b""),
    (b"GET", b"/%2e%2e/f.txt", b""),
    (b"POST", b"/f.txt", b""),
    (b"POST", b"/f.txt", b"Content-Length: 0\r\n"),
    (b"DELETE", b"/missing", b""),
    (b"OPTIONS", b"/f.txt", b""),
    (b"OPTIONS", b"*", b""),
    (b"OPTIONS", b"/f.txt", b"Origin: http://o\r\nAccess-Control-Request-Method: GET\r\n"),
    (b"GET", b"/f.txt", b"Connection: close\r\n"),
)
CONFIGURATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "full": (
        {"precompressed": ("br", "gzip"), "listing": ("html", "json"), "clean_urls": True, "cors": "*"},
        {"date_header": False, "server_header": True, "headers": ("a: b",)},
    ),
    "meta": ({"cache": "meta", "precompressed": ("gzip",), "not_found": ""}, {}),
    "off": ({"cache": "off", "listing": ("json",)}, {}),
    "spa": ({"spa": "index.html", "headers": [("Server", "ours"), ("Date", DATE.decode())]}, {"server_header": True}),
    "mounted": ({"mount": "/m", "listing": ("html",)}, {"root_path": "/root"}),
    "stripped": ({"listing": ("html",)}, {"root_path": "/root"}),
    "application": ({"fallback": hello, "spa": "index.html"}, {}),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_octets_are_those_of_the_asgi_way(make_wire: MakeWire, folder: Path, name: str) -> None:
    options, server = CONFIGURATIONS[name]
    mount = options.get("mount", "")
    options = {key: value for key, value in options.items() if key != "mount"}
    statics = [StaticFiles([(folder, mount)], **options) for _ in range(2)]
    immediate, asgi = make_wire(statics[0], **server), make_wire(hidden(statics[1]), **server)
    before = 0
    for method, target, fields in REQUESTS[:-1]:
        at = b"/m" + target if name == "mounted" and target[:1] == b"/" else target
        octets = REQUEST % (method, at, fields)
        for turn in ("first", "second", "from memory"):
            expected, found = waited(asgi, octets), waited(immediate, octets)
            assert expected.startswith(b"HTTP/1.1 ")
            assert (turn, octets, plainly(found)) == (turn, octets, plainly(expected))
        before = before or descriptors()
    assert descriptors() <= before
    octets = REQUEST % REQUESTS[-1]
    expected, found = asgi.exchange(octets), immediate.exchange(octets)
    assert found == expected
    assert b"\r\nconnection: close\r\n" in found
    assert immediate.lost
    assert asgi.lost


def test_the_octets_behind_a_password_are_those_of_the_asgi_way(make_wire: MakeWire, folder: Path) -> None:
    options: dict[str, Any] = {"basic_auth": {"ada": hash_password("secret")}}
    immediate = make_wire(StaticFiles(folder, **options))
    asgi = make_wire(hidden(StaticFiles(folder, **options)))
    replies = []
    for credentials in (b"", b"Authorization: Basic !\r\n", b"Authorization: Basic YWRhOnNlY3JldA==\r\n"):
        for _ in range(3):
            octets = REQUEST % (b"GET", b"/f.txt", credentials)
            expected, found = waited(asgi, octets), waited(immediate, octets)
            assert found == expected
            replies.append(found[9:12])
    assert replies == [b"401"] * 6 + [b"200"] * 3


def waited(wire: Wire, octets: bytes) -> bytes:
    """What is sent in answer to *octets*, as soon as threads have done their work."""

    async def answered() -> None:
        await until(lambda: wire.transport.written)

    wire.feed(octets)
    wire.loop.run_until_complete(answered())
    wire.turn()
    return wire.take()


# One after the other


def ok(name: str, content: bytes, etag: bytes) -> bytes:
    kind = b"text/plain; charset=utf-8" if name.endswith(".txt") else b"application/octet-stream"
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\netag: %b\r\nlast-modified: %b\r\n"
        b"accept-ranges: bytes\r\nx-content-type-options: nosniff\r\n\r\n%b" % (kind, len(content), etag, DATE, content)
    )


def etag_of(octets: bytes) -> bytes:
    found = re.search(rb"\r\netag: (.*)\r\n", octets)
    assert found is not None
    return found[1]


def test_a_connection_is_kept_and_needs_no_task(make_wire: MakeWire, folder: Path) -> None:
    wire = make_wire(StaticFiles(folder))
    spawned: list[Any] = []
    wire.service.spawn = spawned.append  # type: ignore[assignment]  # none is expected
    octets = REQUEST % (b"GET", b"/f.txt", b"")
    first = wire.exchange(octets)
    assert first == ok("f.txt", b"content", etag_of(first))
    for _ in range(3):
        assert wire.exchange(octets) == first
    assert wire.exchange(REQUEST % (b"GET", b"/f.txt", b"If-None-Match: %b\r\n" % etag_of(first))) == (
        b"HTTP/1.1 304 Not Modified\r\netag: %b\r\nx-content-type-options: nosniff\r\n\r\n" % etag_of(first)
    )
    assert spawned == []
    assert not wire.transport.is_closing()


def test_an_old_client_is_told_whether_its_connection_is_kept(make_wire: MakeWire, folder: Path) -> None:
    wire = make_wire(StaticFiles(folder))
    for _ in range(3):
        octets = wire.exchange(b"GET /f.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"\r\nconnection: keep-alive\r\n" in octets
    assert b"\r\nconnection: close\r\n" in wire.exchange(b"GET /f.txt HTTP/1.0\r\n\r\n")
    assert wire.lost


def test_pipelined_requests_are_answered_in_their_order(make_wire: MakeWire, folder: Path) -> None:
    wire = make_wire(StaticFiles(folder))
    targets = [b"/f.txt", b"/long", b"/medium", b"/missing", b"/f.txt", b"/kept"] * 5
    single = {target: wire.exchange(REQUEST % (b"GET", target, b"")) for target in targets}
    asked = b"".join(REQUEST % (b"GET", target, b"") for target in targets)
    expected = b"".join(single[target] for target in targets)

    def all_taken() -> bytes:
        taken = []
        while octets := wire.take():
            taken.append(octets)
            wire.turn()  # long files give others their turn
        return b"".join(taken)

    wire.feed(asked)
    assert all_taken() == expected
    for place in range(0, len(asked), 41):
        wire.feed(asked[place : place + 41])
    assert all_taken() == expected


def test_content_of_a_refused_request_is_not_taken_for_the_next(make_wire: MakeWire, folder: Path) -> None:
    (folder / "404.html").unlink()
    wire = make_wire(StaticFiles(folder))
    post = b"POST /f.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
    content = (REQUEST % (b"GET", b"/f.txt", b"")).ljust(40)
    get = REQUEST % (b"GET", b"/x", b"")
    assert wire.exchange(post + content + get) == NOT_ALLOWED + NOT_FOUND
    assert wire.exchange(post) == NOT_ALLOWED
    assert wire.exchange(content[:10]) == b""
    assert wire.exchange(content[10:] + get) == NOT_FOUND
    assert wire.exchange(post + content) == NOT_ALLOWED
    assert wire.exchange(get) == NOT_FOUND


@pytest.mark.parametrize(
    "fields",
    [
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 100000\r\n",
        b"Content-Length: 9\r\nExpect: 100-continue\r\n",
    ],
)
def test_content_that_is_not_worth_waiting_for_ends_the_connection(
    make_wire: MakeWire, folder: Path, fields: bytes
) -> None:
    wire = make_wire(StaticFiles(folder))
    octets = wire.exchange(REQUEST % (b"POST", b"/f.txt", fields))
    assert octets == NOT_ALLOWED.replace(b"nosniff\r\n\r\n", b"nosniff\r\nconnection: close\r\n\r\n")


# What is noted


class Access(AccessLog):
    """Access lines without the time and how long it took."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("tests.nowhere"))
        self.added: list[tuple[object, str, int, int]] = []

    def add(
        self,
        client: tuple[str, int] | None,
        head: RequestHead | None,
        status: int,
        octets: int,
        seconds: float,
        fields: Iterable[tuple[bytes, bytes]] = (),
        request_id: str = "",
        more: tuple[tuple[str, int], ...] = (),
    ) -> None:
        assert seconds == 0  # on a clock that stands still
        assert fields
        assert head is not None
        self.added.append((client, head.line.log, status, octets))


def test_access_lines_are_written(make_wire: MakeWire, folder: Path) -> None:
    client = ("192.0.2.1", 50000)
    for app in (StaticFiles(folder), hidden(StaticFiles(folder))):
        wire = make_wire(app)
        access = wire.service.access = Access()
        for method, path in ((b"GET", b"/f.txt"), (b"HEAD", b"/f.txt"), (b"GET", b"/x?y"), (b"PUT", b"/long")):
            wire.exchange(REQUEST % (method, path, b""))
        wire.exchange(REQUEST % (b"GET", b"/long", b""))
        assert access.added == [
            (client, '"GET /f.txt HTTP/1.1"', 200, 7),
            (client, '"HEAD /f.txt HTTP/1.1"', 200, 0),
            (client, '"GET /x?y HTTP/1.1"', 404, 14),
            (client, '"PUT /long HTTP/1.1"', 405, 19),
            (client, '"GET /long HTTP/1.1"', 200, 512_000),
        ]


def test_a_failure_is_told_and_the_request_answered_the_asgi_way(
    make_wire: MakeWire, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wire = make_wire(StaticFiles(folder))
    octets = REQUEST % (b"GET", b"/f.txt", b"")
    expected = wire.exchange(octets)

    class Broken(StaticFiles):
        def __immediate_answer__(self, method: str, path: bytes, query: bytes, fields: Fields, root_path: str) -> Any:
            raise ValueError("broken")

    broken = make_wire(Broken(folder))
    assert broken.exchange(octets) == broken.exchange(octets) == expected
    message = '"GET /f.txt HTTP/1.1": no immediate answer'
    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("miniasgi.server", logging.ERROR, message)
    ] * 2
    assert all(record.exc_info is not None and record.exc_info[0] is ValueError for record in caplog.records)


# Stopping


def test_the_application_is_told_when_the_server_stops(loop_name: str, folder: Path) -> None:
    told: list[bool] = []

    class Told(StaticFiles):
        def __server_stops__(self) -> None:
            told.append(True)

    async def main() -> None:
        config = Config(port=0, access_log=False)
        async with Server(Told(folder), config) as server:
            client = await Client.open(server.port)
            client.send(REQUEST % (b"GET", b"/f.txt", b""))
            assert (await client.response())[1] == b"content"
            assert told == []
            client.close()
        assert told == [True]
        async with Server(hello, config):
            pass

    run_on(loop_name, main())


def test_event_streams_do_not_hold_a_stop_up(loop_name: str, folder: Path) -> None:
    async def main() -> None:
        config = Config(port=0, access_log=False, static=(str(folder),), live_reload=True)
        async with Server(None, config) as server:
            client = await Client.open(server.port)
            client.send(REQUEST % (b"GET", b"/_miniasgi/live-reload", b""))
            await client.reader.readuntil(b"retry: 500\n\n")
        assert (await asyncio.wait_for(client.rest(), 5)).endswith(b"0\r\n\r\n")
        client.close()

    run_on(loop_name, main())
