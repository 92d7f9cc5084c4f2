"""A Starlette application with what most applications are made of.

    miniasgi examples.starlette_app:app

Routes, a JSON endpoint, a form upload, a streaming response, an event stream, and a lifespan whose state the
endpoints use. Needs starlette and python-multipart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

EVENT_SECONDS = 0.5


class State(TypedDict):
    """What start-up makes, and every request finds in ``request.state``."""

    users: dict[int, str]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Before the yield is start-up, after it shutdown."""
    yield {"users": {1815: "Ada", 1906: "Grace"}}


async def home(request: Request) -> Response:
    return PlainTextResponse("Try /users/1815, /upload, /count and /events.\n")


async def user(request: Request) -> Response:
    number = request.path_params["number"]
    name = request.state.users.get(number)
    if name is None:
        return JSONResponse({"error": "no such user"}, status_code=404)
    return JSONResponse({"id": number, "name": name})


async def upload(request: Request) -> Response:
    """A form with a text field "title" and a file "document"."""
    async with request.form() as form:
        document = form.get("document")
        if not isinstance(document, UploadFile):
            return JSONResponse({"error": "no document in the form"}, status_code=400)
        content = await document.read()
        return JSONResponse({"title": form.get("title"), "name": document.filename, "octets": len(content)})


async def count(request: Request) -> Response:
    """A response whose length is not known when it begins."""

    async def lines() -> AsyncIterator[str]:
        for number in range(1, 4):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="text/plain")


async def events(request: Request) -> Response:
    """Server-sent events, until the client leaves or the server stops."""

    async def ticks() -> AsyncIterator[str]:
        number = 0
        while True:
            number += 1
            yield f"event: tick\ndata: {number}\n\n"
            await asyncio.sleep(EVENT_SECONDS)

    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"cache-control": "no-store"})


app = Starlette(
    routes=[
        Route("/", home),
        Route("/users/{number:int}", user),
        Route("/upload", upload, methods=["POST"]),
        Route("/count", count),
        Route("/events", events),
    ],
    lifespan=lifespan,
)
