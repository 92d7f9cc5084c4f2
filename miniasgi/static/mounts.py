"""Which folders a request is for, and what is asked of each of them.

Knows ASGI's root_path and raw_path, and what servers and frameworks make of them. Opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import normpath
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ..types import Fields, Scope
from .paths import encode_path, split_path
from .site import Request, Site

__all__ = ["Asked", "Mounts", "raw_path", "root_relative"]

#: Sites in the order in which they are asked, each with the request as it looks from there.
Asked = list[tuple[Site, Request]]


class Mounts:
    """Sites, each under a path; ``""`` is the top.

    Attributes:
        top: the only site, where it is at the top; else None.
    """

    def __init__(self, mounts: Sequence[tuple[str, Site]]) -> None:
        # The longest path first, because it is the more particular one; among equals as given.
        self._mounts = sorted(((segments(path), site) for path, site in mounts), key=lambda mount: -len(mount[0]))
        self.top = self._mounts[0][1] if len(self._mounts) == 1 and not self._mounts[0][0] else None

    def asked(self, method: str, path: bytes, query: bytes, fields: Fields, root_path: str) -> Asked:
        """The sites for a request, whose *path* and *query* are as sent."""
        if self.top is not None and not root_path:
            return [(self.top, Request(method, path, query, fields, b""))]
        root = segments(root_path)
        inner = root_relative(path, root_path)
        # An application behind us may read the path otherwise, and must not be given beneath a folder that is guarded
        # what nobody was asked a password for. To the site itself, such a path leads nowhere.
        lax = root_relative(_read_laxly(path), root_path) if b"%" in path or b"/." in path else inner
        asked = []
        for mount, site in self._mounts:
            rest = beneath(inner, mount)
            if rest is None and beneath(lax, mount) is not None:
                rest = path
            if rest is not None:
                prefix = encode_path((*root, *mount)) if root or mount else b""
                asked.append((site, Request(method, rest, query, fields, prefix)))
        return asked


def segments(path: str) -> tuple[bytes, ...]:
    """The segments of a path that is not percent-encoded."""
    return tuple(segment.encode("utf-8", "surrogateescape") for segment in path.split("/") if segment)


def beneath(path: bytes, mount: Sequence[bytes]) -> bytes | None:
    """What of *path* is left beneath *mount*, empty for the mount itself; None for what is elsewhere."""
    rest = path
    for segment in mount:
        # Neighbouring slashes count as one here as they do beneath.
        first, slash, after = rest.lstrip(b"/").partition(b"/")
        if rest[:1] != b"/" or split_path(b"/" + first) != (segment,):
            return None
        rest = slash + after
    return rest


def _read_laxly(path: bytes) -> bytes:
    """*path* as it is to whoever decodes before parting: an encoded slash is one, and dot segments lead elsewhere."""
    return quote_from_bytes(normpath(unquote_to_bytes(path))).encode()


def root_relative(path: bytes, root_path: str) -> bytes:
    """*path* without *root_path*.

    ASGI has it in front of the path; a server behind a proxy that has taken it away may not.
    """
    rest = beneath(path, segments(root_path))
    return path if rest is None else rest


def raw_path(scope: Scope) -> bytes:
    """The path as it was sent; made from ``path`` where a server does not tell, or a framework has changed that.

    What a framework mounts is told its place in root_path, behind the application's own, which is called app_root_path
    then. If a proxy has taken that one off the path, and the server has not put it back, it is put back here.
    """
    path = _sent_path(scope)
    own: str = scope.get("app_root_path", "")
    root_path: str = scope.get("root_path", "")
    if own.strip("/") and root_path.startswith(own) and beneath(path, segments(root_path)) is None:
        if beneath(path, segments(root_path[len(own) :])) is not None:
            return encode_path(segments(own)) + path
    return path


def _sent_path(scope: Scope) -> bytes:
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    if raw is not None:
        raw = raw.partition(b"?")[0]
        if raw.decode("latin-1") == path:
            return raw
        if unquote_to_bytes(raw).decode("utf-8", "replace") == path:
            return raw
    return quote_from_bytes(path.encode("utf-8", "surrogateescape"), safe="/").encode()
