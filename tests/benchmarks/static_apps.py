"""The ASGI applications that serve the files of the directory that SITE_VARIABLE names: each a factory.

What they need is imported within, because some of it may be missing.
"""

import os
from typing import Any

from .server import SITE_VARIABLE


def starlette() -> Any:
    """Starlette's StaticFiles, and nothing around it."""
    from starlette.staticfiles import StaticFiles

    return StaticFiles(directory=os.environ[SITE_VARIABLE])


def servestatic() -> Any:
    """ServeStatic, which looks for all files when it starts."""
    from servestatic import ServeStaticASGI  # type: ignore[import-untyped]

    return ServeStaticASGI(None, root=os.environ[SITE_VARIABLE])


def miniasgi() -> Any:
    """miniasgi's StaticFiles, and nothing around it."""
    from miniasgi.static import StaticFiles

    return StaticFiles(os.environ[SITE_VARIABLE])
