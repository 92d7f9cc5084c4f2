"""Folders as an ASGI application, alone or in front of another one.

Knows ASGI's scopes, and which folder is asked. Does not know files (static.site) nor how they are sent (static.answer).
Nothing of the server is known here: it runs under any other ASGI server as well.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Unpack

from ..types import App, Fields, Message, Receive, Scope, Send
from .answer import Answer, Outcome, Work, plain, run_work, then, with_field
from .auth import BasicAuth
from .live_reload import PATH as LIVE_PATH
from .live_reload import LiveReload
from .mounts import Asked, Mounts, raw_path
from .representation import field_value
from .settings import Options, Settings
from .site import Request, Site

__all__ = ["StaticFiles"]

logger = logging.getLogger("miniasgi.server")

_METHODS = b"GET, HEAD, OPTIONS"
# RFC 9110 §12.5.5: a cache must not give the page that routes to who has asked for JSON at the same path.
_BY_ACCEPT = (b"vary", b"accept")
# Fetch, "CORS non-wildcard request-header name": "*" is any other field.
_ANY_HEADER = b"*, authorization"
# Three seconds of passwords. Who sends them and leaves would have the server reckon, and remember, for hours.
_MOST_CHECKS = 64


class StaticFiles:
    """Serves one folder, or several, under any ASGI server and in any framework.

        app.mount("/static", StaticFiles("www"))                  # in Starlette and FastAPI
        app = StaticFiles("www", fallback=app, spa="index.html")  # in front of an application

    The options are those of the command line; docs/reference/options.md explains them.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | Iterable[tuple[str | os.PathLike[str], str]],
        *,
        fallback: App | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Serve *directory*, or for each pair a directory under a path such as ``/media``; ``""`` is the top.

        *fallback* is the application that gets what no file answers: other paths and methods, lifespan, WebSockets.

        Raises:
            ValueError: an option cannot be: which, what was found, what was expected.
            OSError: a directory is none, or may not be read.
        """
        settings = self._settings = Settings(options)
        self._fallback = fallback
        pairs = _folders(directory)
        self._live = LiveReload([os.fspath(each) for each, _ in pairs]) if settings.live_reload else None
        rewrite = None if self._live is None else self._live.inject
        mounts = [(mount, Site(each, settings, rewrite=rewrite)) for each, mount in pairs]
        self._mounts = Mounts(mounts)
        for name in settings.expected:
            reasons = [site.lacks(name) for _, site in mounts]
            if all(reasons):
                # It may be built later, so this is no reason not to start.
                for reason in reasons:
                    logger.warning("%s", reason)
        # A thread of its own: whoever tries passwords keeps nobody waiting but those who give one.
        self._checks = ThreadPoolExecutor(1, "miniasgi-password") if settings.auth is not None else None
        # Requests whose password is being checked, or waits for that.
        self._checking = 0
        # Where every request is for one folder, and from anybody: a shorter way to what is in memory.
        self._open_top = self._mounts.top if settings.auth is None else None

    def __server_stops__(self) -> None:
        """The server stops: end what would go on for as long as the client likes."""
        if self._live is not None:
            self._live.stop()

    def __immediate_answer__(
        self, method: str, path: bytes, query: bytes, fields: Fields, root_path: str
    ) -> Answer | None:
        """The answer to a request, if there is one without waiting; None if it has to be asked for the ASGI way.

        For a server that can send an answer without messages. *path* and *query* are as sent. The answer is what the
        ASGI way would come to.
        """
        if self._live is not None:
            return None
        if self._open_top is not None and not root_path and (method == "GET" or method == "HEAD"):
            ready = self._open_top.ready(method, path, fields)
            if ready is not None:
                return ready
        outcome = self._outcome(method, fields, self._mounts.asked(method, path, query, fields, root_path))
        return outcome if isinstance(outcome, Answer) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the ASGI way. Needs an asyncio loop where a disk has to be waited for."""
        if scope["type"] != "http":
            await self._not_http(scope, receive, send)
            return
        path, root_path = raw_path(scope), scope.get("root_path", "")
        fields = list(scope["headers"])
        asked = self._mounts.asked(scope["method"], path, scope.get("query_string", b""), fields, root_path)
        if self._live is not None:
            # Below each folder, which is where its pages look.
            place = next((request.path for _, request in asked if request.path.startswith(LIVE_PATH)), None)
            if place is not None and await self._may_connect(scope):
                await self._live(scope, receive, send, place[len(LIVE_PATH) :].decode("latin-1"))
                return
        outcome = self._outcome(scope["method"], fields, asked)
        is_check = isinstance(outcome, Work) and outcome.pool is not None
        self._checking += is_check
        try:
            answer = await run_work(outcome)
        finally:
            self._checking -= is_check
        if answer is not None:
            await answer(scope, receive, send)
        elif self._fallback is not None:
            await self._ask_fallback(self._fallback, scope, receive, send, asked)

    def _outcome(self, method: str, fields: Fields, asked: Asked) -> Outcome:
        """The answer, or the Work for it; None where the fallback has to be asked, if there is one."""
        auth = self._settings.auth
        if auth is None or not asked or self._is_preflight(method, fields):
            return self._admitted(method, asked)
        given = field_value(fields, b"authorization")
        known = auth.remembers(given) if given is not None else False
        if given is not None and known is None:
            if self._checking >= _MOST_CHECKS:
                return self._plain(503, [(b"retry-after", b"1")])
            return Work(lambda: self._checked(auth, given, method, asked), self._checks)
        return self._admitted(method, asked) if known else self._challenge(auth)

    def _checked(self, auth: BasicAuth, given: bytes, method: str, asked: Asked) -> Outcome:
        return self._admitted(method, asked) if auth.check(given) else self._challenge(auth)

    def _admitted(self, method: str, asked: Asked) -> Outcome:
        if method == "GET" or method == "HEAD":
            outcome = _first(asked, Site.find)
            return outcome if outcome is None and self._fallback else then(outcome, lambda: self._missing(asked))
        if self._fallback is None:
            return self._options() if method == "OPTIONS" else self._plain(405, [(b"allow", _METHODS)])
        if method != "OPTIONS":
            return None
        # The application's own paths have options of their own.
        found = _first([(site, request._replace(method="HEAD")) for site, request in asked], Site.find)
        if isinstance(found, Answer) and found.file is not None:
            found.file.close()
        return None if found is None else self._options()

    def _missing(self, asked: Asked) -> Outcome:
        """What to say where nothing is; None leaves it to the fallback."""
        if self._fallback is not None:
            return None
        outcome = then(_first(asked, Site.route), lambda: _first(asked, Site.not_found))
        outcome = then(outcome, lambda: self._plain(404, []))
        return with_field(outcome, _BY_ACCEPT) if any(site.may_route(request) for site, request in asked) else outcome

    def _is_preflight(self, method: str, fields: Fields) -> bool:
        """Whether a browser asks if it may ask, which it does without credentials (Fetch, "CORS-preflight request")."""
        return (
            bool(self._settings.cors)
            and method == "OPTIONS"
            and any(name == b"access-control-request-method" for name, _ in fields)
        )

    def _options(self) -> Answer:
        fields = [(b"allow", _METHODS), *self._settings.everywhere]
        if self._settings.cors:
            fields += [(b"access-control-allow-methods", _METHODS), (b"access-control-allow-headers", _ANY_HEADER)]
        return Answer(204, fields)

    def _plain(self, status: int, fields: Fields) -> Answer:
        return plain(status, fields + self._settings.everywhere)

    def _challenge(self, auth: BasicAuth) -> Answer:
        return self._plain(401, [(b"www-authenticate", auth.challenge)])

    async def _ask_fallback(self, fallback: App, scope: Scope, receive: Receive, send: Send, asked: Asked) -> None:
        """Let the application answer; where it has nothing either, and a browser navigates, the page that routes."""
        page = None
        if scope["method"] in ("GET", "HEAD") and any(site.is_route(request) for site, request in asked):
            page = await run_work(with_field(_first(asked, Site.route), _BY_ACCEPT))
        if page is None:
            await fallback(scope, receive, send)
            return
        replaced = False

        async def send_unless_missing(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 404:
                replaced = True
            if not replaced:
                await send(message)

        try:
            await fallback(scope, receive, send_unless_missing)
            if replaced:
                await page(scope, receive, send)
        finally:
            if page.file is not None:
                page.file.close()

    async def _not_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not (self._fallback is not None and await self._may_connect(scope)):
            await send({"type": "websocket.close", "code": 1000})
        elif self._fallback is not None:
            await self._fallback(scope, receive, send)
        elif scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})

    async def _may_connect(self, scope: Scope) -> bool:
        """Whether what is not a file may be had: beneath a folder that is guarded, only with a password."""
        auth = self._settings.auth
        if auth is None or not self._mounts.asked("GET", raw_path(scope), b"", [], scope.get("root_path", "")):
            return True
        given = field_value(list(scope["headers"]), b"authorization")
        known = auth.remembers(given) if given is not None else False
        if given is None or known is not None:
            return bool(known)
        if self._checking >= _MOST_CHECKS:
            return False
        self._checking += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._checks, auth.check, given)
        finally:
            self._checking -= 1


def _folders(found: Any) -> list[tuple[str | os.PathLike[str], str]]:
    """Directories, each with the path that it is under. Raises ValueError."""
    pairs = [(found, "")] if isinstance(found, (str, os.PathLike)) else found
    pairs = list(pairs) if isinstance(pairs, Iterable) and not isinstance(pairs, bytes) else []
    for pair in pairs or [found]:
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], str)
        if not is_pair or not {".", ".."}.isdisjoint(pair[1].split("/")):
            raise ValueError(f"directory: found {pair!r}, expected a directory, or pairs such as ('www', '/assets')")
    return pairs


def _first(asked: Asked, ask: Callable[[Site, Request], Outcome]) -> Outcome:
    """What the first of the sites has that has anything."""
    if not asked:
        return None
    site, request = asked[0]
    outcome = ask(site, request)
    return outcome if len(asked) == 1 else then(outcome, lambda: _first(asked[1:], ask))
