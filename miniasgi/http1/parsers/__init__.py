"""The parsers that ship, by their names; what a parser is stands in http1.parser."""

from __future__ import annotations

from ..parser import Limits, ParserFactory, RequestParser, RequestSink

__all__ = ["Limits", "ParserFactory", "RequestParser", "RequestSink", "load"]


def load(name: str) -> ParserFactory:
    """The parser called *name*: "handwritten", "httptools" or "h11".

    Raises ImportError where the package of that name is not installed, and LookupError for any other name.
    """
    if name == "handwritten":
        from .handwritten import HandwrittenParser

        return HandwrittenParser
    if name == "httptools":
        from .httptools import HttptoolsParser

        return HttptoolsParser
    if name == "h11":
        from .h11 import H11Parser

        return H11Parser
    raise LookupError(f"no parser is called {name!r}")
