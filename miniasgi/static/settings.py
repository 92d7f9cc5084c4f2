"""How a folder is served: what StaticFiles was given, checked, in the form in which it is used.

Knows names, types and patterns. Opens nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate
from typing import Any, TypeAlias, TypedDict

from ..hashed_names import HASHED_NAME
from ..types import Field
from .auth import BasicAuth
from .encodings import CODINGS
from .paths import Names

__all__ = ["Options", "Settings"]

MIB = 1024 * 1024

_NOT_FOUND = "404.html"
_IMMUTABLE = b"public, max-age=31536000, immutable"

Pairs: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


class Options(TypedDict, total=False):
    """The keyword arguments of StaticFiles; docs/reference/options.md says what each is for."""

    index: Sequence[str]
    listing: Sequence[str]
    precompressed: Sequence[str]
    spa: str
    not_found: str
    clean_urls: bool
    cache_control: Pairs
    immutable: str
    headers: Mapping[str, str] | Iterable[Sequence[str]]
    cors: str
    follow_symlinks: bool
    dotfiles: bool
    hide: Sequence[str]
    cache: str | tuple[str, int]
    mime: Pairs
    basic_auth: Pairs
    live_reload: bool


class Settings:
    """Options, checked.

    Attributes are called as the options that they come from, but for:
        expected: files that were asked for by name, and ought to be there.
        suffixes: of files that may hold another one's content in a content coding, by the coding's name.
        names: which names are shown.
        types: content types by extension.
        auth: who may see anything; None for everybody.
        remembers: whether what was found out about a file is kept.
        memory: octets of files that may be kept.
        everywhere: fields of every answer.
    """

    def __init__(self, options: Options) -> None:
        """Raises ValueError: which option, what was found, what was expected. TypeError: no such option."""
        for name in options:
            if name not in Options.__annotations__:
                raise TypeError(f"StaticFiles() has no option {name!r}: there are {', '.join(Options.__annotations__)}")
        self.index = _names(options, "index", ("index.html",))
        for name in self.index:
            if name in (".", "..") or not {"/", "\0"}.isdisjoint(name):
                raise ValueError(f"index: found {name!r}, expected names of files, without directories")
        self.listing = _names(options, "listing", (), ("html", "json"))
        codings = _names(options, "precompressed", (), [coding for coding, _ in CODINGS])
        self.suffixes = {coding: suffix for coding, suffix in CODINGS if coding in codings}
        self.spa = _file("spa", options.get("spa", ""))
        self.not_found = _file("not_found", options.get("not_found", _NOT_FOUND))
        self.expected = [name for name in (self.spa, self.not_found) if name and name != _NOT_FOUND]
        self.clean_urls = options.get("clean_urls", False)
        self.follow_symlinks = options.get("follow_symlinks", False)
        self.live_reload = options.get("live_reload", False)
        self.names = Names(dotfiles=options.get("dotfiles", False), hidden=_names(options, "hide", ()))
        self.types = {
            extension.lower().removeprefix("."): _value("mime", kind)
            for extension, kind in _pairs("mime", options.get("mime", ()))
        }
        users = _pairs("basic_auth", options.get("basic_auth", ()))
        try:
            self.auth = BasicAuth(users) if users else None
        except ValueError as error:
            raise ValueError(f"basic_auth: {error}") from None
        self.remembers, self.memory = _cache(options.get("cache", "full"))
        if self.live_reload:
            self.remembers, self.memory = False, 0
        self._cache_control = [
            (_Glob(glob), (b"cache-control", _value("cache_control", value)))
            for glob, value in _pairs("cache_control", options.get("cache_control", ()))
        ]
        self._immutable = _pattern(options.get("immutable", HASHED_NAME))
        given = options.get("headers", ())
        headers = [_header(item) for item in _items("headers", given)]
        self._headers = [(_Glob(glob), header) for glob, header in headers if glob != "*"]
        self.everywhere = [header for glob, header in headers if glob == "*"]
        if all(name != b"x-content-type-options" for name, _ in self.everywhere):
            # Without it a browser may take an uploaded text for a script.
            self.everywhere.append((b"x-content-type-options", b"nosniff"))
        self.cors = options.get("cors", "")
        if self.cors == "none":
            self.cors = ""
        if self.cors:
            self.everywhere.append((b"access-control-allow-origin", _value("cors", self.cors)))
            if all(name != b"access-control-expose-headers" for name, _ in self.everywhere):
                # What reads a file in parts has to know Content-Range, which scripts are not shown otherwise.
                self.everywhere.append((b"access-control-expose-headers", b"*"))

    def fields_for(self, segments: Sequence[bytes]) -> list[Field]:
        """The fields that are added to answers about the file at *segments*."""
        path = "/".join(os.fsdecode(segment) for segment in segments)
        fields = [header for glob, header in self._headers if glob.matches(path)]
        if self.live_reload:
            # A browser that is told to look again must not look into its cache.
            return [*fields, (b"cache-control", b"no-cache"), *self.everywhere]
        named = next((header for glob, header in self._cache_control if glob.matches(path)), None)
        if named is not None:
            fields.append(named)
        fields += self.everywhere
        # Not beside another word on the matter: of two ages, caches take the first (RFC 9111 §4.2.1).
        if self._immutable is not None and all(name != b"cache-control" for name, _ in fields):
            if self._immutable.search("/" + path):
                fields.append((b"cache-control", _IMMUTABLE))
        return fields


class _Glob:
    """A glob for files: without a slash it is held against the name alone, else against the path from the root."""

    def __init__(self, glob: str) -> None:
        self._match = re.compile(translate(glob.lstrip("/"))).match
        self._whole = "/" in glob

    def matches(self, path: str) -> bool:
        return self._match(path if self._whole else path.rpartition("/")[2]) is not None


def _names(options: Options, name: str, default: Sequence[str], allowed: Sequence[str] = ()) -> tuple[str, ...]:
    found: Any = options.get(name, default)
    expected = "some of " + ", ".join(allowed) if allowed else "names"
    if found == "none":
        return ()
    # A str as well, each of whose letters would be a name otherwise.
    names = found.split(",") if isinstance(found, str) else found
    if not isinstance(names, Iterable):
        raise ValueError(f"{name}: found {found!r}, expected {expected}")
    names = tuple(names)
    for each in names:
        if not isinstance(each, str) or not each or (allowed and each not in allowed):
            raise ValueError(f"{name}: found {each!r}, expected {expected}")
    return names


def _file(name: str, found: str) -> str:
    # Not only what the type allows: spa=True is what the command line's --spa looks like.
    if not isinstance(found, str) or (found and not {"", ".", ".."}.isdisjoint(found.split("/"))):
        raise ValueError(f"{name}: found {found!r}, expected the path of a file from the root of what is served")
    return "" if found == "none" else found


def _pairs(name: str, found: Pairs) -> list[tuple[str, str]]:
    pairs = _items(name, found)
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or [type(part) for part in pair] != [str, str]:
            raise ValueError(f"{name}: expected a dictionary, or pairs, of str and str")
    return [(left, right) for left, right in pairs]


def _items(name: str, found: Mapping[str, str] | Iterable[Any]) -> list[Any]:
    if not isinstance(found, Iterable):
        # What was found is not shown, here as above: it may hold a password.
        raise ValueError(f"{name}: expected a dictionary, or pairs, of str and str")
    return list(found.items() if isinstance(found, Mapping) else found)


_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")  # RFC 9110 §5.5
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
# What differs from answer to answer cannot be said once for all.
_OURS = frozenset(
    (
        "accept-ranges",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
        "location",
        "transfer-encoding",
    )
)


def _value(name: str, found: str) -> bytes:
    if not isinstance(found, str) or _CONTROLS.search(found):
        raise ValueError(f"{name}: found {found!r}, expected a field value: Latin-1 without control characters")
    return found.strip(" \t").encode("latin-1")


def _header(item: Sequence[str]) -> tuple[str, Field]:
    if not isinstance(item, (tuple, list)) or not 2 <= len(item) <= 3:
        raise ValueError(f"headers: found {item!r}, expected pairs of name and value, or triples with a glob behind")
    name, value, glob = item if len(item) == 3 else (*item, "*")
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise ValueError(f"headers: found the name {name!r}, expected that of a field that files do not set themselves")
    return glob, (name.lower().encode(), _value("headers", value))


def _pattern(found: str) -> re.Pattern[str] | None:
    # The words of the command line.
    found = {"auto": HASHED_NAME, "none": ""}.get(found, found)
    try:
        return re.compile(found) if found else None
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"immutable: found {found!r}, expected a regular expression: {error}") from None


def _cache(found: str | tuple[str, int]) -> tuple[bool, int]:
    pair: Any = (found, 64 * MIB) if isinstance(found, str) else found
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[1], int):
        raise ValueError(f"cache: found {found!r}, expected off, meta or full, or full and how many octets")
    mode, octets = pair
    if mode not in ("off", "meta", "full"):
        raise ValueError(f"cache: found {mode!r}, expected off, meta or full")
    if octets < 0:
        raise ValueError(f"cache: found {octets!r}, expected how many octets may be kept")
    return mode != "off", octets if mode == "full" else 0
