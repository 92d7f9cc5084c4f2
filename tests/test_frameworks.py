"""Starlette and FastAPI applications, as their users write them, served over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

pytest.importorskip("starlette", reason="the package starlette is not installed")
pytest.importorskip("python_multipart", reason="the package python-multipart is not installed")
fastapi = pytest.importorskip("fastapi", reason="the package fastapi is not installed")
httpx = pytest.importorskip("httpx", reason="the package httpx is not installed")

from starlette.applications import Starlette  # noqa: E402  # after the check that it is there
from starlette.background import BackgroundTask  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import (  # noqa: E402
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route  # noqa: E402

from miniasgi.config import Config  # noqa: E402
from miniasgi.server.server import Server  # noqa: E402
from miniasgi.types import App, Message, Receive, Scope, Send  # noqa: E402
from tests.support import run_on  # noqa: E402

Test = Callable[[Server, Any], Awaitable[None]]


def served(loop_name: str, app: App, test: Test, **options: Any) -> None:
    """Serve *app* on the loop, and call *test* with the server and an HTTP client."""

    async def run() -> None:
        config = Config(port=0, access_log=False, timeout_graceful_shutdown=1, **options)
        async with (
            Server(app, config) as server,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client,
        ):
            await test(server, client)

    run_on(loop_name, run())


class Raw:
    """A connection on which a test sees what is sent, and when."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, server: Server) -> AsyncIterator[Raw]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    def ask(self, target: str) -> None:
        self.writer.write(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def content(self) -> bytes:
        """The content of a response whose length is declared."""
        head = await self.head()
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        return await self.reader.readexactly(int(fields[b"content-length"]))


# Starlette


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params['name']}")


async def echo(request: Request) -> Response:
    return JSONResponse({"got": await request.json()})


def threaded(request: Request) -> Response:
    return PlainTextResponse("from a thread")


async def upload(request: Request) -> Response:
    async with request.form() as form:
        file: Any = form["file"]
        content = await file.read()
        return JSONResponse({"note": form["note"], "name": file.filename, "octets": len(content), "sum": sum(content)})


async def stream(request: Request) -> Response:
    async def numbers() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(numbers(), media_type="text/plain")


async def broken(request: Request) -> Response:
    raise ValueError("broken")


async def state(request: Request) -> Response:
    request.state.pool.append(len(request.state.pool))
    request.state.mine = True
    return JSONResponse(request.state.pool)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    pool: list[object] = ["open"]
    app.state.pool = pool
    yield {"pool": pool}
    pool.append("closed")


ROUTES = [
    Route("/hello/{name}", hello),
    Route("/echo", echo, methods=["POST"]),
    Route("/threaded", threaded),
    Route("/upload", upload, methods=["POST"]),
    Route("/stream", stream),
    Route("/broken", broken),
    Route("/state", state),
]


def test_routes_json_and_threads(loop_name: str) -> None:
    async def test(server: Server, client: Any) -> None:
        assert (await client.get("/hello/caf%C3%A9")).text == "hello café"
        assert (await client.post("/echo", json={"a": [1, None, "é"]})).json() == {"got": {"a": [1, None, "é"]}}
        assert (await client.get("/threaded")).text == "from a thread"
        assert (await client.get("/nowhere")).status_code == 404
        refused = await client.get("/echo")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        head = await client.head("/hello/x")
        assert (head.content, head.headers["content-length"]) == (b"", "7")

    served(loop_name, Starlette(routes=ROUTES), test)


def test_what_is_mounted_is_found_behind_a_proxy_that_takes_the_root_path_off(loop_name: str) -> None:
    async def links(request: Request) -> Response:
        return JSONResponse([str(request.url), str(request.url_for("inner:links"))])

    routes = [Mount("/m", name="inner", routes=[Route("/links", links, name="links")])]

    async def test(server: Server, client: Any) -> None:
        response = await client.get("/m/links")
        assert response.status_code == 200
        assert response.json() == [f"{client.base_url}/api/m/links"] * 2

    served(loop_name, Starlette(routes=routes), test, root_path="/api")


@pytest.mark.parametrize("octets", [0, 100, 3_000_000])
def test_a_form_with_a_file_arrives_whole(loop_name: str, octets: int) -> None:
    async def test(server: Server, client: Any) -> None:
        content = bytes(range(256)) * (octets // 256) + bytes(octets % 256)
        response = await client.post("/upload", data={"note": "a & b"}, files={"file": ("data.bin", content)})
        assert response.json() == {"note": "a & b", "name": "data.bin", "octets": octets, "sum": sum(content)}

    served(loop_name, Starlette(routes=ROUTES), test)


def test_a_streaming_response_is_whole_and_the_connection_goes_on(loop_name: str) -> None:
    async def test(server: Server, client: Any) -> None:
        async with Raw.connected(server) as raw:
            for _ in range(2):
                raw.ask("/stream")
                assert b"transfer-encoding: chunked\r\n" in await raw.head()
                got = b""
                while piece := await raw.chunk():
                    got += piece
                assert got == b"0\n1\n2\n3\n4\n"

    served(loop_name, Starlette(routes=ROUTES), test)


def test_each_event_of_a_stream_is_sent_when_it_happens_and_its_end_is_noticed(loop_name: str) -> None:
    happened: list[asyncio.Queue[str]] = []
    ended: list[asyncio.Event] = []

    async def events(request: Request) -> Response:
        async def each() -> AsyncIterator[str]:
            try:
                while True:
                    yield f"data: {await happened[0].get()}\n\n"
            finally:
                ended[0].set()

        return StreamingResponse(each(), media_type="text/event-stream")

    async def test(server: Server, client: Any) -> None:
        happened.append(asyncio.Queue())
        ended.append(asyncio.Event())
        async with Raw.connected(server) as raw:
            raw.ask("/events")
            happened[0].put_nowait("one")
            assert b"content-type: text/event-stream" in await raw.head()
            assert await raw.chunk() == b"data: one\n\n"
            happened[0].put_nowait("two")
            assert await raw.chunk() == b"data: two\n\n"
            assert not ended[0].is_set()
            raw.writer.transport.abort()
        while not ended[0].is_set():  # a send to a client that has gone fails, at the latest the second time
            happened[0].put_nowait("three")
            await asyncio.sleep(0)

    served(loop_name, Starlette(routes=[Route("/events", events)]), test)


def test_a_lifespan_gives_each_request_its_state(loop_name: str) -> None:
    app = Starlette(routes=ROUTES, lifespan=lifespan)

    async def test(server: Server, client: Any) -> None:
        assert (await client.get("/state")).json() == ["open", 1]
        assert (await client.get("/state")).json() == ["open", 1, 2]
        assert app.state.pool == ["open", 1, 2]

    served(loop_name, app, test)
    assert app.state.pool == ["open", 1, 2, "closed"]


def test_a_background_task_does_not_hold_up_the_next_request_on_its_connection(loop_name: str) -> None:
    steps: list[str] = []
    go: list[asyncio.Event] = []

    async def work() -> None:
        steps.append("begun")
        await go[0].wait()
        steps.append("ended")

    async def later(request: Request) -> Response:
        return PlainTextResponse("later", background=BackgroundTask(work))

    async def test(server: Server, client: Any) -> None:
        go.append(asyncio.Event())
        async with Raw.connected(server) as raw:
            raw.ask("/later")
            assert await raw.content() == b"later"
            for name in ("a", "b"):
                raw.ask(f"/hello/{name}")
                assert await raw.content() == f"hello {name}".encode()
            assert steps == ["begun"]
            go[0].set()
        # Leaving the server waits for what still runs.

    served(loop_name, Starlette(routes=[*ROUTES, Route("/later", later)]), test)
    assert steps == ["begun", "ended"]


def kinds_noted(app: App, kinds: list[str]) -> App:
    """*app*, with the types of the messages that it sends noted in *kinds*."""

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            kinds.append(message["type"])
            await send(message)

        await app(scope, receive, note if scope["type"] == "http" else send)

    return noting


@pytest.mark.parametrize("relative", [False, True])
def test_a_file_goes_by_its_path(
    loop_name: str, relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = os.urandom(2_000_000)
    (tmp_path / "data.bin").write_bytes(content)
    kinds: list[str] = []

    async def file(request: Request) -> Response:
        return FileResponse("data.bin" if relative else tmp_path / "data.bin")

    async def test(server: Server, client: Any) -> None:
        whole = await client.get("/file")
        assert whole.content == content
        assert kinds == ["http.response.start", "http.response.pathsend"]
        assert whole.headers["content-length"] == "2000000"
        head = await client.head("/file")
        assert (head.content, head.headers["content-length"]) == (b"", "2000000")
        part = await client.get("/file", headers={"range": "bytes=1000-1009"})
        assert (part.status_code, part.content) == (206, content[1000:1010])

    served(loop_name, kinds_noted(Starlette(routes=[Route("/file", file)]), kinds), test)


def test_middleware_of_starlettes_own_kind(loop_name: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<p>page")

    class Stamp(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            response = await call_next(request)
            response.headers["x-stamp"] = "1"
            return response

    async def page(request: Request) -> Response:
        return FileResponse(tmp_path / "page.html")

    async def test(server: Server, client: Any) -> None:
        for path, content in (("/hello/x", b"hello x"), ("/stream", b"0\n1\n2\n3\n4\n"), ("/page", b"<p>page")):
            response = await client.get(path)
            assert (response.status_code, response.content, response.headers["x-stamp"]) == (200, content, "1")
        response = await client.post("/echo", json=[1])
        assert (response.json(), response.headers["x-stamp"]) == ({"got": [1]}, "1")

    served(loop_name, Starlette(routes=[*ROUTES, Route("/page", page)], middleware=[Middleware(Stamp)]), test)


def test_a_broken_endpoint_is_a_500_and_the_connection_lives_on(loop_name: str) -> None:
    async def test(server: Server, client: Any) -> None:
        async with Raw.connected(server) as raw:
            raw.ask("/broken")
            assert await raw.content() == b"Internal Server Error"
            raw.ask("/hello/again")
            assert await raw.content() == b"hello again"

    served(loop_name, Starlette(routes=ROUTES), test)


def test_a_disconnect_can_be_asked_for_and_waited_for(loop_name: str) -> None:
    told: list[asyncio.Event] = []

    async def patient(request: Request) -> Response:
        assert not await request.is_disconnected()
        told[0].set()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        assert await request.is_disconnected()
        told[1].set()
        return PlainTextResponse("nobody reads this")

    async def test(server: Server, client: Any) -> None:
        told.extend([asyncio.Event(), asyncio.Event()])
        async with Raw.connected(server) as raw:
            raw.ask("/patient")
            await told[0].wait()
        await told[1].wait()

    served(loop_name, Starlette(routes=[Route("/patient", patient)]), test)


def test_early_hints_come_before_the_response(loop_name: str) -> None:
    async def hinting(request: Request) -> Response:
        await request.send_early_hints("</a.css>; rel=preload")
        return PlainTextResponse("page")

    if not hasattr(Request, "send_early_hints"):
        pytest.skip("this Starlette knows no early hints")

    async def test(server: Server, client: Any) -> None:
        async with Raw.connected(server) as raw:
            raw.writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nSec-Fetch-Mode: navigate\r\n\r\n")
            assert await raw.head() == b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n"
            assert await raw.content() == b"page"

    served(loop_name, Starlette(routes=[Route("/", hinting)]), test)


# FastAPI


def fastapi_app() -> App:
    app = fastapi.FastAPI(title="Shelf")

    @app.get("/books/{number}")
    async def book(number: int, full: bool = False) -> dict[str, Any]:
        return {"number": number, "full": full}

    @app.post("/books", status_code=201)
    def add(title: Annotated[str, fastapi.Body(embed=True)]) -> dict[str, str]:
        return {"title": title}

    @app.post("/covers")
    async def cover(image: Annotated[bytes, fastapi.File()]) -> int:
        return len(image)

    made: App = app
    return made


def test_fastapi_with_its_docs_page(loop_name: str) -> None:
    async def test(server: Server, client: Any) -> None:
        docs = await client.get("/docs")
        assert (docs.status_code, docs.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "swagger-ui" in docs.text
        schema = (await client.get("/openapi.json")).json()
        assert schema["info"]["title"] == "Shelf"
        assert list(schema["paths"]) == ["/books/{number}", "/books", "/covers"]
        assert (await client.get("/redoc")).status_code == 200

    served(loop_name, fastapi_app(), test)


def test_fastapi_checks_what_it_is_sent(loop_name: str) -> None:
    async def test(server: Server, client: Any) -> None:
        assert (await client.get("/books/7?full=yes")).json() == {"number": 7, "full": True}
        assert (await client.get("/books/x")).status_code == 422
        added = await client.post("/books", json={"title": "Émile"})
        assert (added.status_code, added.json()) == (201, {"title": "Émile"})
        assert (await client.post("/books", content=b"{")).status_code == 422
        covers = await client.post("/covers", files={"image": bytes(200_000)})
        assert covers.json() == 200_000

    served(loop_name, fastapi_app(), test)
