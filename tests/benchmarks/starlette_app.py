"""A Starlette application with one JSON endpoint; apart, because Starlette may be missing."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def user(request: Request) -> JSONResponse:
    """Answer a small JSON object that depends on the path."""
    number = request.path_params["number"]
    return JSONResponse({"id": number, "name": "Ada", "tags": ["analyst", "metaphysician"]})


app = Starlette(routes=[Route("/users/{number:int}", user)])
