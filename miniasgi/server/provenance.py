"""Where a request comes from and what it is called, if that is said by trusted proxies or asked for (--request-id).

Knows fields and scopes. Does not know connections.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ..asgi.forwarded import ProxyFields
from ..asgi.scope import Origin
from ..http1.head import RequestHead
from ..types import Fields, Scope

__all__ = ["Provenance", "Tracer"]

# What a log can show as it is; 128 octets are more than any proxy makes.
_REQUEST_ID = re.compile(rb"[!#-\[\]-~]{1,128}")


class Provenance(NamedTuple):
    """What is known of one request beside what its head and its connection say.

    Attributes:
        origin: in the place of the connection's.
        fields: in the place of the head's; None if they are these.
        request_id: empty without.
    """

    origin: Origin
    fields: Fields | None
    request_id: str

    def amend(self, scope: Scope) -> None:
        """Put what the origin does not say into *scope*."""
        if self.fields is not None:
            scope["headers"] = self.fields
        if self.request_id:
            scope["extensions"]["miniasgi.request_id"] = {"id": self.request_id}


class Tracer:
    """Finds the provenance of requests. *request_id* is the name of a field, or empty."""

    def __init__(self, proxies: ProxyFields | None, request_id: str) -> None:
        self._proxies = proxies
        self._name = request_id.encode("latin-1")
        #: Whether all requests have a name.
        self.names_all = bool(request_id)

    def trace(self, head: RequestHead, origin: Origin) -> Provenance:
        """The provenance of a request that came from *origin*. Raises BadRequest: what a trusted proxy says of it."""
        fields: Fields | None = None
        trusted = origin.trusted
        if trusted and head.section.forwarded and self._proxies is not None:
            origin, host = self._proxies.read(head.fields, origin)
            if host is not None:
                fields = _with_field(head.fields, b"host", host)
        request_id = ""
        if self._name:
            request_id = _given_id(head.fields, self._name) if trusted else ""
            if not request_id:
                request_id = os.urandom(16).hex()
                fields = _with_field(head.fields if fields is None else fields, self._name, request_id.encode())
        return Provenance(origin, fields, request_id)


def _with_field(fields: Fields, name: bytes, value: bytes) -> Fields:
    """*fields* with one field of that *name*, whatever there was."""
    return [*(field for field in fields if field[0] != name), (name, value)]


def _given_id(fields: Fields, name: bytes) -> str:
    """The identifier that a proxy has sent, if it is one."""
    values = [value for key, value in fields if key == name]
    if len(values) == 1 and _REQUEST_ID.fullmatch(values[0]):
        return values[0].decode("ascii")
    return ""
