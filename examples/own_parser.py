"""A parser of one's own, here one that wraps another and logs what it reads.

    miniasgi examples.hello:app --http examples.own_parser:make

What ``--http module:factory`` names is called with a sink and the limits for each connection, and returns an object
with feed(). miniasgi.testing.check_parser(make) says whether it keeps its promises.
"""

from __future__ import annotations

import logging

from miniasgi.http1.head import RequestHead
from miniasgi.http1.parsers import Limits, RequestParser, RequestSink, load

# Below the server's logger, whose handler and level it shares.
logger = logging.getLogger("miniasgi.server.own_parser")

HandwrittenParser = load("handwritten")


class LoggingSink:
    """Passes on what a parser tells, and counts the content on its way."""

    def __init__(self, sink: RequestSink) -> None:
        self._sink = sink
        self._octets = 0

    def on_request(self, head: RequestHead, /) -> None:
        self._octets = 0
        logger.info("%s with %d fields", head.line.log, len(head.fields))
        self._sink.on_request(head)

    def on_body(self, data: bytes, /) -> None:
        self._octets += len(data)
        self._sink.on_body(data)

    def on_end(self, /) -> None:
        logger.info("its content had %d octets", self._octets)
        self._sink.on_end()


def make(sink: RequestSink, limits: Limits) -> RequestParser:
    """A handwritten parser that tells the log before it tells *sink*."""
    return HandwrittenParser(LoggingSink(sink), limits)
