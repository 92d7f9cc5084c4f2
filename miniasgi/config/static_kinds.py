"""The kinds of value that only the options of static files take: folders, globs, types, users, patterns.

Knows the other kinds (kinds), and asks the file system whether a folder can be served. Does not know how files are
served.
"""

from __future__ import annotations

import os
import re
from typing import Any

from miniasgi.hashed_names import HASHED_NAME

from .kinds import MIB, Kind, Refused, read_field, read_octets, repeated, show_octets

__all__ = [
    "CACHE",
    "CACHE_CONTROL",
    "CORS",
    "FIELDS",
    "FOLDERS",
    "HIDDEN",
    "INDEX",
    "PATTERN",
    "TYPES",
    "USERS",
    "file",
]


class _Unshown:
    """Stands in an error for a value that may be a secret."""

    def __repr__(self) -> str:
        return "something that is not shown here"


def _folder(item: object) -> tuple[str, str]:
    pair: object = item
    if isinstance(item, str):
        # The last ":/", so that a folder may have colons in its name.
        before, separator, after = item.rpartition(":/")
        pair = (before, "/" + after) if separator else (item, "")
    elif isinstance(item, os.PathLike):
        pair = (item, "")
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise Refused(item, "DIR or DIR:/mount, in Python also a path or a pair of directory and mount")
    path, mount = pair
    directory = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(directory, str) or "\0" in directory or not os.path.exists(directory):
        raise Refused(path, "a directory that exists")
    if not os.path.isdir(directory):
        raise Refused(path, "a directory, not a file")
    if not os.access(directory, os.R_OK | os.X_OK):
        raise Refused(path, "a directory that this user may list and enter")
    return directory, _mount(mount)


def _mount(value: object) -> str:
    if value in ("", "/"):
        return ""
    expected = "a mount that begins with /, such as /assets, without ? # % \\, empty segments or dot segments"
    if not isinstance(value, str) or not value.isprintable() or set(value) & set("?#%\\"):
        raise Refused(value, expected)
    before, *segments = value.removesuffix("/").split("/")
    if before or not segments or not {"", ".", ".."}.isdisjoint(segments):
        raise Refused(value, expected)
    return value.removesuffix("/")


def _parts(item: object, separator: str, expected: str, *, secret: bool = False) -> tuple[str, str]:
    """The two texts around the first *separator*, or in a pair; each printable and not empty."""
    parts = item.split(separator, 1) if isinstance(item, str) else item
    if isinstance(parts, (list, tuple)) and len(parts) == 2:
        left, right = parts
        if all(isinstance(part, str) and part.strip() and part.isprintable() for part in parts):
            return left.strip(), right.strip()
    raise Refused(_Unshown() if secret else item, expected)


def _glob(item: object) -> str:
    if not isinstance(item, str) or not item.strip() or not item.isprintable():
        raise Refused(item, "a glob such as *.html or /assets/*")
    return item.strip()


def _cache_control(item: object) -> tuple[str, str]:
    # A glob has no "=", but a value may: *.css=max-age=60.
    glob, value = _parts(item, "=", "GLOB=VALUE, such as *.html=no-cache")
    return glob, read_field(("cache-control", value))[1].decode("latin-1")


# What differs from answer to answer cannot be said once for all.
OWN_FIELDS = frozenset(
    {
        b"accept-ranges",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"etag",
        b"last-modified",
        b"location",
    }
)


def _field(item: object) -> tuple[str, str, str]:
    glob: object = "*"
    field = item
    if isinstance(item, str):
        field, glob = _without_glob(item)
    elif isinstance(item, (list, tuple)) and len(item) == 3:
        field, glob = item[:2], item[2]
    name, value = read_field(field)
    if name in OWN_FIELDS:
        raise Refused(item, "a field that the server does not write itself for each file")
    return name.decode("latin-1"), value.decode("latin-1"), _glob(glob)


def _without_glob(typed: str) -> tuple[str, str]:
    """NAME:VALUE and GLOB of what may end with ``@GLOB``; the glob for all files where it does not.

    An @ may be the value's own, as in an address. What follows the last one is a glob if it has a ``*``, ``[`` or
    ``/``, and nothing that ends an address within a value. ``@*`` at the end keeps any value whole.
    """
    field, at, glob = typed.rpartition("@")
    if at and set(glob) & set("*[/") and not set(glob) & set(" \t\"'<>,;"):
        return field, glob
    return typed, "*"


_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 §5.6.2
# RFC 9110 §8.3.1. A quoted string of what is printable; the field's octets are checked as those of any field.
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))*')


def _type(item: object) -> tuple[str, str]:
    expected = "EXT=TYPE, such as md=text/markdown"
    extension, media_type = _parts(item, "=", expected)
    extension = extension.removeprefix(".").lower()
    if not extension or set(extension) & set("./\\ "):
        raise Refused(item, f"{expected}: one extension, without the dot")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise Refused(item, f"{expected}: a type is type/subtype, then parameters after semicolons if any")
    return extension, read_field(("content-type", media_type))[1].decode("latin-1")


def _user(item: object) -> tuple[str, str]:
    # Whatever does not fit may hold a password.
    return _parts(item, ":", "USER:HASH, a HASH being what miniasgi --hash-password prints", secret=True)


def _names(value: object) -> tuple[str, ...]:
    if value == () or (isinstance(value, str) and value.strip().lower() == "none"):
        return ()
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not items:
        raise Refused(value, "NAME or NAME,NAME, such as index.html, or none")
    for item in items:
        if not isinstance(item, str) or item.strip() in ("", ".", "..") or set(item) & set("/\\,"):
            raise Refused(value, "names of files, without directories, with commas between them, or none")
        if not item.isprintable():
            raise Refused(value, "names of files without control characters")
    return tuple(dict.fromkeys(item.strip() for item in items))


def file(*, bare: str = "") -> Kind:
    """The path of a file from the root of what is served; ``none``, in Python an empty text, for no such file."""

    def read(value: object) -> str:
        if value == "" or (isinstance(value, str) and value.strip().lower() == "none"):
            return ""
        # Not "myapp:app", an APP typed behind the flag; on Windows a colon leaves the directory, too.
        if not isinstance(value, str) or not value.isprintable() or set(value) & set(":\\"):
            raise Refused(value, "a file's path inside DIR, such as index.html, or none")
        if not {"", ".", ".."}.isdisjoint(value.split("/")):
            raise Refused(value, "a file's path inside DIR, without a / at its ends or dot segments, or none")
        return value

    return Kind("FILE", read, lambda path: path or "none", bare=bare)


def _pattern(value: object) -> str:
    word = value.strip().lower() if isinstance(value, str) else value
    if word in ("", "none"):
        return ""
    if word == "auto":
        return HASHED_NAME
    if not isinstance(value, str):
        raise Refused(value, "a regular expression, auto or none")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise Refused(value, f"a regular expression, auto or none: {error}") from None
    return value


def _cache(value: object) -> tuple[str, int]:
    mode: Any
    if isinstance(value, str):
        mode, colon, octets = value.strip().lower().partition(":")
        amount = read_octets(octets) if colon else 64 * MIB
    else:
        mode, amount = value if isinstance(value, (list, tuple)) and len(value) == 2 else ("", 0)
        colon, amount = "", read_octets(amount)
    if mode in ("off", "meta") and not colon:
        return mode, 0
    if mode != "full" or amount is None or amount < 1:
        raise Refused(value, "off, meta, full or full:SIZE, such as full:64m")
    return mode, amount


# RFC 6454 §6.2: what a browser sends in Origin.
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _origin(value: object) -> str:
    word = value.strip().lower() if isinstance(value, str) else None
    if word in ("", "none"):
        return ""
    if word is None or not _ORIGIN.fullmatch(word):
        raise Refused(value, "* or an origin without a path, such as https://example.org, or none")
    return word


FOLDERS = repeated("DIR[:/mount]", _folder, lambda pair: f"{pair[0]}:{pair[1] or '/'}")
HIDDEN = repeated("GLOB", _glob)
CACHE_CONTROL = repeated("GLOB=VALUE", _cache_control, "=".join)
FIELDS = repeated("NAME:VALUE[@GLOB]", _field, lambda parts: "{}: {}@{}".format(*parts))
TYPES = repeated("EXT=TYPE", _type, "=".join)
USERS = repeated("USER:HASH", _user, ":".join)
INDEX = Kind("NAME[,NAME]", _names, lambda names: ",".join(names) or "none")
PATTERN = Kind("REGEX", _pattern, lambda pattern: "auto" if pattern == HASHED_NAME else pattern or "none")
CACHE = Kind("off|meta|full[:SIZE]", _cache, lambda pair: f"full:{show_octets(pair[1])}" if pair[1] else pair[0])
CORS = Kind("ORIGIN", _origin, lambda origin: origin or "none", bare="*")
