"""Files over HTTP: an ASGI application that serves folders, under this server or any other."""

from __future__ import annotations

from .app import StaticFiles

__all__ = ["StaticFiles"]
