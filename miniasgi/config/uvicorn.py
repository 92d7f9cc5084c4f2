"""Every option of uvicorn's command line, and what becomes of it here: the table behind docs/uvicorn.md.

Knows names and sentences alone. That each name here is an option, and that none of uvicorn's is missing, is tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .foreign import HTTP2, Foreign

__all__ = ["REFUSED_OR_TAKEN", "ROWS", "Row"]


class Row(NamedTuple):
    """An option of uvicorn.

    *here* is the same option's flag here; empty where there is none, and *foreign* says what happens. *note* is what
    differs.
    """

    flag: str
    here: str
    note: str = ""
    foreign: Foreign | None = None

    @property
    def outcome(self) -> str:
        """In a word."""
        if self.foreign is None:
            return "same" if self.here == self.flag else "alias"
        return "refused" if self.foreign.advice else "taken"


def _same(flag: str, note: str = "") -> Row:
    return Row(flag, flag, note)


def _foreign(flag: str, foreign: Foreign, note: str = "") -> Row:
    return Row(flag, "", note, foreign)


_INTERFACES = {
    "auto": "",
    "asgi3": "",
    "asgi2": "wrap the application with asgiref.compatibility.guarantee_single_callable",
    "wsgi": "wrap the application with a2wsgi.WSGIMiddleware",
}

ROWS: tuple[Row, ...] = (
    _same("--host", "An empty text is refused: 0.0.0.0 or :: is every interface."),
    _same("--port"),
    _same("--uds", "--uds-mode and --uds-owner say who may connect."),
    _same("--fd"),
    _same("--reload", "With --workers it is refused rather than one of them ignored."),
    _same("--reload-dir", "Without --reload it is refused rather than ignored, as the three below."),
    _same("--reload-include"),
    _same("--reload-exclude"),
    _same("--reload-delay"),
    _same("--workers", "WEB_CONCURRENCY is heeded; auto is the CPUs."),
    _same("--loop", "zuvloop is refused."),
    _same(
        "--http",
        "auto is a parser of its own, which costs less than httptools here; all mean the same, so zttp is refused.",
    ),
    _foreign("--http2", HTTP2),
    _same("--ws", "websockets-sansio is websockets; wsproto is refused, because it would make no difference."),
    _same("--ws-max-size"),
    _same("--ws-max-queue"),
    _same("--ws-ping-interval"),
    _same("--ws-ping-timeout"),
    _same("--ws-per-message-deflate", "A pair, which takes a value, too."),
    _same("--lifespan"),
    _foreign(
        "--interface",
        Foreign(values=_INTERFACES),
        "auto and asgi3 are taken. asgi2 and wsgi are refused: wrap the application with "
        "asgiref.compatibility.guarantee_single_callable, or with a2wsgi.WSGIMiddleware.",
    ),
    _same("--env-file", "Needs python-dotenv, as there; MINIASGI_ variables count, too."),
    _same("--log-config", "The loggers are miniasgi.server and miniasgi.access."),
    _same("--log-level"),
    _same("--access-log"),
    _same("--use-colors"),
    _same("--proxy-headers", "Takes a value, too: which fields are believed."),
    _same("--server-header"),
    _same("--date-header"),
    _same("--forwarded-allow-ips", "Addresses, networks and unix:; other names are refused rather than never found."),
    _same("--root-path"),
    _same("--limit-concurrency", "Further requests wait; --limit-queue 0 has them answered 503 at once, as there."),
    _same("--backlog"),
    _same("--limit-max-requests", "The worker is replaced, also a single one, rather than the server ended."),
    _same("--limit-max-requests-jitter", "Without --limit-max-requests it is refused rather than ignored."),
    _same("--timeout-keep-alive", "75 s by default, not 5; 0 is refused."),
    _same("--timeout-graceful-shutdown", "10 s by default, not without end."),
    _same("--timeout-worker-healthcheck", "30 s by default, not 5, and not while a worker starts."),
    _same("--ssl-keyfile"),
    _same("--ssl-certfile"),
    _same("--ssl-keyfile-password"),
    _foreign("--ssl-version", Foreign("use --ssl-min-version 1.2 or 1.3")),
    _same("--ssl-cert-reqs", "none, optional and required, or the numbers."),
    _same("--ssl-ca-certs"),
    _same("--ssl-ciphers", "For TLS 1.2; Python's own choice by default."),
    _same("--header"),
    _same("--version"),
    _same("--app-dir"),
    Row("--h11-max-incomplete-event-size", "--limit-request-head", "Holds for every parser."),
    _foreign(
        "--reset-contextvars",
        Foreign(),
        "Taken: each request has a context of its own anyway, with nothing in it of the requests before.",
    ),
    _same("--factory"),
)

#: What the command line does with those that are no options here.
REFUSED_OR_TAKEN: Mapping[str, Foreign] = {row.flag: row.foreign for row in ROWS if row.foreign is not None}
