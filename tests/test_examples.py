"""Every example, run as a user runs it: in a process of its own, asked over a socket, stopped with a signal."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.websocket.frames import CLOSE, TEXT, BlockingPeer, frame, upgrade

ROOT = Path(__file__).parents[1]
# 15 s: to start, to answer or to stop; far more than any of them takes, because other tests may run beside.
PATIENCE_SECONDS = 15.0
GREETING = "Hello, world!\n"

Answer = tuple[int, str, bytes]


def test_every_example_has_a_test_and_says_how_to_run_it() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    for path in (ROOT / "examples").glob("[a-z]*.py"):
        name = f"examples.{path.stem}"
        first_lines = path.read_text(encoding="utf-8").split('"""')[1]
        assert re.search(rf"^    (miniasgi|python -m) .*{re.escape(name)}", first_lines, re.MULTILINE), name
        assert re.search(rf'"{re.escape(name)}[":]', tests), name


class Example:
    """A running example, and the stream on which it says where it can be reached."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        self.process = process
        self._output = output
        self._printed = ""
        self.port = 0

    def read_port(self, before: str) -> int:
        """The port of the URL that the example prints after *before*."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(rf"{before} http://127\.0\.0\.1:([0-9]+)\b.*\n", self._printed)):
            assert select.select([self._output], [], [], max(deadline - time.monotonic(), 0))[0], self._printed
            data = os.read(self._output.fileno(), 65536)
            assert data, self._printed
            self._printed += data.decode()
        return int(found[1])

    def ask(
        self, method: str, target: str, content: bytes | None = None, content_type: str = "", *, port: int = 0
    ) -> Answer:
        """Status, content type and content of the answer, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, target, content, {"Content-Type": content_type} if content_type else {})
            response = connection.getresponse()
            return response.status, response.headers["content-type"], response.read()

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def stop(self) -> str:
        """End it as a service manager does; it must end well. Returns all that it has printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> str:
        self._printed += self._output.read().decode()
        assert self.process.wait(PATIENCE_SECONDS) == 0
        assert "Traceback" not in self._printed
        return self._printed


@contextlib.contextmanager
def running(*arguments: str, announces: str = "stderr") -> Iterator[Example]:
    """``python -m`` with *arguments*, in the directory of the examples; killed where a test has not stopped it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MINIASGI_")}
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {announces: subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=streams["stdout"],
        stderr=streams["stderr"],
        bufsize=0,  # so that select() knows of all that has not been read
    )
    with process:
        try:
            yield Example(process, getattr(process, announces))
        finally:
            process.kill()


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[Example]:
    """``python -m miniasgi`` with *arguments*, on a free port."""
    with running("miniasgi", *arguments, "--port", "0") as example:
        example.port = example.read_port("on")
        yield example


def read_until(client: socket.socket, end: bytes) -> bytes:
    """What comes up to *end*, which must be the last of it."""
    received = b""
    while not received.endswith(end):
        data = client.recv(65536)
        assert data, received
        received += data
    return received


def test_hello_greets() -> None:
    with serving("examples.hello:app") as example:
        for target in ("/", "/anything"):
            assert example.ask("GET", target) == (200, "text/plain; charset=utf-8", GREETING.encode())
        example.stop()


def test_starlette_serves_routes_json_forms_and_streams() -> None:
    pytest.importorskip("starlette")
    pytest.importorskip("python_multipart")
    with serving("examples.starlette_app:app", "--lifespan", "on", "--timeout-graceful-shutdown", "0.2") as example:
        assert example.ask("GET", "/") == (
            200,
            "text/plain; charset=utf-8",
            b"Try /users/1815, /upload, /count and /events.\n",
        )
        # The users are what the lifespan has stored.
        assert example.ask("GET", "/users/1815") == (200, "application/json", b'{"id":1815,"name":"Ada"}')
        assert example.ask("GET", "/users/1") == (404, "application/json", b'{"error":"no such user"}')
        assert example.ask("POST", "/upload", *form(b"x" * 100_000)) == (
            200,
            "application/json",
            b'{"title":"Notes","name":"notes.txt","octets":100000}',
        )
        assert example.ask("GET", "/count") == (200, "text/plain; charset=utf-8", b"1\n2\n3\n")
        with example.open() as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
            received = read_until(client, b"data: 2\n\n\r\n")
            head, _, content = received.partition(b"\r\n\r\n")
            assert b"\r\ncontent-type: text/event-stream; charset=utf-8\r\n" in head
            assert b"\r\ntransfer-encoding: chunked" in head
            assert content == b"15\r\nevent: tick\ndata: 1\n\n\r\n" + b"15\r\nevent: tick\ndata: 2\n\n\r\n"
            # A stream without an end must not keep the server from stopping.
            example.stop()


def form(document: bytes) -> tuple[bytes, str]:
    """The content of a form with a file in it, and its type."""
    lines = (
        b"--line",
        b'Content-Disposition: form-data; name="title"',
        b"",
        b"Notes",
        b"--line",
        b'Content-Disposition: form-data; name="document"; filename="notes.txt"',
        b"Content-Type: text/plain",
        b"",
        document,
        b"--line--",
        b"",
    )
    return b"\r\n".join(lines), "multipart/form-data; boundary=line"


def test_fastapi_serves_types_and_its_page_of_documentation() -> None:
    pytest.importorskip("fastapi")
    with serving("examples.fastapi_app:app") as example:
        assert example.ask("GET", "/items/pen") == (200, "application/json", b'{"price":1.5}')
        assert example.ask("GET", "/items/car")[0] == 404
        order = b'{"item": "book", "count": 3}'
        assert example.ask("POST", "/orders", order, "application/json") == (
            201,
            "application/json",
            b'{"item":"book","total":36.0}',
        )
        assert example.ask("POST", "/orders", order.replace(b"3", b"0"), "application/json")[0] == 422
        status, content_type, page = example.ask("GET", "/docs")
        assert (status, content_type) == (200, "text/html; charset=utf-8")
        assert b"<title>A small shop - Swagger UI</title>" in page
        status, content_type, description = example.ask("GET", "/openapi.json")
        assert (status, content_type) == (200, "application/json")
        assert set(json.loads(description)["paths"]) == {"/items/{name}", "/orders"}
        example.stop()


def test_two_servers_answer_in_one_loop() -> None:
    with running("examples.embedded", announces="stdout") as example:
        example.port = example.read_port("greetings:")
        figures = example.read_port("figures:")
        for count in (1, 2):
            assert example.ask("GET", "/") == (200, "text/plain; charset=utf-8", b"Hello from inside!\n")
            answer = example.ask("GET", "/", port=figures)
            assert answer == (200, "text/plain; charset=utf-8", f"greeted {count}\n".encode())
        example.stop()


def test_a_parser_of_ones_own_reads_and_logs() -> None:
    with serving("examples.hello:app", "--http", "examples.own_parser:make") as example:
        assert example.ask("POST", "/a?b", b"12345") == (200, "text/plain; charset=utf-8", GREETING.encode())
        log = example.stop()
    assert '"POST /a?b HTTP/1.1" with 3 fields\n' in log
    assert "its content had 5 octets\n" in log


def test_the_parser_of_ones_own_passes_the_kit() -> None:
    from examples.own_parser import make
    from miniasgi.testing import check_parser

    check_parser(make)


def test_an_upload_is_hashed_however_it_is_framed() -> None:
    content = os.urandom(1_000_000)
    expected = {"octets": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with serving("examples.upload:app") as example:
        status, content_type, answer = example.ask("PUT", "/", content)
        assert (status, content_type, json.loads(answer)) == (200, "application/json", expected)

        with example.open() as client:
            fields = b"Host: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n"
            client.sendall(b"POST / HTTP/1.1\r\n" + fields + b"\r\n")
            assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content))
            head, _, answer = read_until(client, b"}\n").partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert json.loads(answer) == expected

        assert example.ask("GET", "/")[0] == 405
        example.stop()


def test_an_event_stream_says_goodbye_when_the_server_stops() -> None:
    command = ("examples.event_stream:app", "--timeout-graceful-shutdown", "60")
    with serving(*command) as example, example.open() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        head, _, content = read_until(client, b"data: 1\n\n\r\n").partition(b"\r\n\r\n")
        assert b"\r\ncontent-type: text/event-stream\r\n" in head
        assert content == b"15\r\nevent: tick\ndata: 1\n\n\r\n"
        # Long before the patience of the server ends.
        log = example.stop()
        last = b"event: goodbye\ndata: the server stops\nretry: 500\n\n"
        assert read_until(client, b"0\r\n\r\n").endswith(b"\r\n%b\r\n0\r\n\r\n" % last)
        assert client.recv(1) == b""
    assert "still running" not in log


def test_the_event_stream_ends_under_a_server_that_tells_nothing_of_its_stop() -> None:
    from examples import event_stream

    async def main(scope: dict[str, Any]) -> list[bytes]:
        sent: list[bytes] = []
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                sent.append(message["body"])
                left.set()

        await asyncio.wait_for(event_stream.app(scope, receive, send), PATIENCE_SECONDS)
        return sent

    for scope in ({"type": "http"}, {"type": "http", "extensions": None}, {"type": "http", "extensions": {}}):
        assert asyncio.run(main(scope)) == [b"event: tick\ndata: 1\n\n"]


def test_files_are_served_in_front_of_an_application() -> None:
    pytest.importorskip("starlette")
    folder = ROOT / "examples" / "www"
    with serving("examples.static_app:app") as example:
        page = "text/html; charset=utf-8"
        assert example.ask("GET", "/") == (200, page, (folder / "index.html").read_bytes())
        assert example.ask("GET", "/about") == (200, page, (folder / "about.html").read_bytes())
        status, content_type, answer = example.ask("GET", "/api/time")
        assert (status, content_type, list(json.loads(answer))) == (200, "application/json", ["time"])
        assert example.ask("GET", "/nothing") == (404, "text/plain; charset=utf-8", b"Not Found")
        example.stop()


def test_a_folder_is_served_in_one_command() -> None:
    folder = ROOT / "examples" / "www"
    with serving("--static", "examples/www") as example:
        style = (folder / "style.css").read_bytes()
        assert example.ask("GET", "/style.css") == (200, "text/css; charset=utf-8", style)
        missing = (folder / "404.html").read_bytes()
        assert example.ask("GET", "/nothing") == (404, "text/html; charset=utf-8", missing)
        assert "examples/www at /\n" in example.stop()


def test_in_a_chat_everybody_hears_everybody_and_a_goodbye() -> None:
    pytest.importorskip("websockets")
    with serving("examples.chat:app", "--ws-max-size", "16k", "--timeout-graceful-shutdown", "60") as example:
        page = (ROOT / "examples" / "chat.html").read_bytes()
        assert example.ask("GET", "/") == (200, "text/html; charset=utf-8", page)
        assert [example.ask(*each)[0] for each in (("GET", "/nothing"), ("POST", "/"))] == [404, 405]
        with example.open() as client:
            client.sendall(upgrade("/chat", b"Origin: http://elsewhere.example"))
            assert client.makefile("rb").readline() == b"HTTP/1.1 403 Forbidden\r\n"
        ours = b"Origin: http://h"
        with BlockingPeer(example.port, "/chat", ours) as ada, BlockingPeer(example.port, "/chat", ours) as grace:
            say(ada, name="Ada")
            assert hear(ada) == {"type": "welcome", "name": "Ada", "people": ["Ada"]}
            say(grace, name="Grace")
            assert hear(grace) == {"type": "welcome", "name": "Grace", "people": ["Ada", "Grace"]}
            assert hear(ada) == {"type": "joined", "name": "Grace"}
            say(grace, text="Hello!")
            assert hear(ada) == hear(grace) == {"type": "said", "name": "Grace", "text": "Hello!"}
            say(grace, text="")
            assert leave(grace) == (1008, b'expected an object with "text", a string of 1 to 2000 characters')
            assert hear(ada) == {"type": "left", "name": "Grace"}
            example.process.send_signal(signal.SIGTERM)
            assert hear(ada) == {"type": "goodbye"}
            assert leave(ada) == (1012, b"the server stops")
            log = example.wait()
    assert "still running" not in log


def say(peer: BlockingPeer, **values: str) -> None:
    peer.send(frame(TEXT, json.dumps(values).encode()))


def hear(peer: BlockingPeer) -> Any:
    return json.loads(peer.frame().payload)


def leave(peer: BlockingPeer) -> tuple[int, bytes]:
    """Why the application closes; answered, so that the server can end the connection."""
    with peer:
        opcode, payload, *_ = peer.frame()
        peer.send(frame(CLOSE, payload))
        assert (opcode, peer.frames()) == (CLOSE, [])
    return int.from_bytes(payload[:2], "big"), payload[2:]
