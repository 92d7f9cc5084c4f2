"""A folder and an application on one server: the files first, the application for everything else.

    miniasgi examples.static_app:app

Needs starlette. The same from the command line, without StaticFiles in the code:

    miniasgi --static examples/www --clean-urls examples.static_app:api
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from miniasgi import StaticFiles


async def time_of_day(request: Request) -> Response:
    """What no file could say."""
    from datetime import datetime

    return JSONResponse({"time": datetime.now().isoformat(timespec="seconds")})


api = Starlette(routes=[Route("/api/time", time_of_day)])
app = StaticFiles(Path(__file__).with_name("www"), fallback=api, clean_urls=True, cache_control={"*.html": "no-cache"})
