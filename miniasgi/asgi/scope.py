"""A request's head as an ASGI connection scope (ASGI HTTP 2.5, "HTTP Connection Scope").

Every request has dicts and a list of its own: what one request puts into its scope, no other may find there.
"""

from __future__ import annotations

from asyncio import Event
from typing import Any
from urllib.parse import quote

from ..http1.head import RequestHead, RequestLine
from ..types import Scope

__all__ = ["Origin", "http_scope", "mounted_raw_path", "websocket_scope"]


class Origin:
    """What the scopes of one connection have in common.

    Attributes:
        client: host and port of the peer, or None (ASGI: "client").
        server: host and port that it connected to, or None (ASGI: "server").
        scheme: "http" or "https".
        root_path: where the application is mounted: what a proxy has taken off the path, and http_scope puts back.
        state: what lifespan start-up has stored; each request gets a shallow copy.
        draining: set when the server begins to stop; without one given, never.
        tls: the ASGI extension "tls", if the connection has it.
        trusted: whether the peer is a proxy whose word counts.
    """

    __slots__ = ("client", "draining", "root_path", "scheme", "server", "state", "tls", "trusted")

    def __init__(
        self,
        client: tuple[str, int] | None,
        server: tuple[str, int | None] | None,
        scheme: str,
        root_path: str,
        state: dict[str, Any],
        draining: Event | None = None,
        tls: dict[str, Any] | None = None,
        trusted: bool = False,
    ) -> None:
        self.client = client
        self.server = server
        self.scheme = scheme
        self.root_path = root_path
        self.state = state
        self.draining = draining or Event()
        self.tls = tls
        self.trusted = trusted

    @property
    def peer(self) -> str:
        """The client's address for a log line."""
        if not self.client:
            return "-"
        host, port = self.client
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def mounted_raw_path(line: RequestLine, root_path: str) -> bytes:
    """The path of a request as its client has sent it, with the *root_path* that a proxy has taken off.

    ASGI has root_path in front of path ("WSGI Compatibility"): what routes by it takes it off again. If it stood there
    only where the path that arrives does not begin with it, then two paths of clients would be one to the application,
    and a proxy that guards the one would not guard the other.
    """
    raw_path = line.raw_path
    # Not in front of "*", which is no path.
    return quote(root_path).encode() + raw_path if raw_path[:1] == b"/" else raw_path


def http_scope(head: RequestHead, origin: Origin) -> Scope:
    """The scope of one request."""
    line = head.line
    path, raw_path, root_path = line.path, line.raw_path, origin.root_path
    if root_path and path[:1] == "/":
        path = root_path + path
        raw_path = mounted_raw_path(line, root_path)
    extensions: dict[str, dict[str, Any]] = {
        "http.response.trailers": {},
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.early_hint": {},
        # The event is the server's. The dict around it is the request's own, as all others are: with one for all of
        # them, who writes into it would change what others read. It costs up to 0.08 µs (CPython 3.11, 2026-11).
        "miniasgi.draining": {"event": origin.draining},
    }
    if line.version == "1.0":
        # Neither trailers nor interim responses are known to HTTP/1.0 (RFC 9110 §6.5, §15.2).
        del extensions["http.response.trailers"], extensions["http.response.early_hint"]
    if origin.tls is not None:
        extensions["tls"] = origin.tls.copy()
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": line.version,
        "method": line.method,
        "scheme": origin.scheme,
        "path": path,
        "raw_path": raw_path,
        "query_string": line.query,
        "root_path": root_path,
        "headers": head.fields.copy(),
        "client": origin.client,
        "server": origin.server,
        "state": origin.state.copy(),
        "extensions": extensions,
    }


def websocket_scope(head: RequestHead, origin: Origin, subprotocols: list[str]) -> Scope:
    """The scope of one WebSocket (ASGI WebSocket 2.5, "WebSocket Connection Scope")."""
    scope = http_scope(head, origin)
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if origin.scheme == "https" else "ws"
    scope["subprotocols"] = subprotocols.copy()
    scope["extensions"] = {
        "websocket.http.response": {},
        "miniasgi.draining": {"event": origin.draining},
    }
    if origin.tls is not None:
        scope["extensions"]["tls"] = origin.tls.copy()
    return scope
