"""The kinds of value that options take: how each is read, checked and shown.

Knows the syntax of fields, and asks the file system whether a path is a directory. Does not know what an option is
(options), nor who reads it: the command line, the environment and Python are the same to it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeGuard, TypeVar, cast

__all__ = [
    "ADDRESS",
    "DIRECTORIES",
    "DIRECTORY",
    "FILE",
    "FLAG",
    "GIB",
    "GLOBS",
    "HEADERS",
    "KIB",
    "MIB",
    "PREFIX",
    "REFERENCE",
    "SWITCH",
    "Kind",
    "Refused",
    "automatic",
    "choice",
    "duration",
    "is_reference",
    "read_field",
    "read_octets",
    "reference",
    "repeated",
    "show_octets",
    "shown",
    "size",
    "text",
    "whole",
    "words",
]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

SIZE_UNITS = {"k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB}
TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

T = TypeVar("T")


class Refused(Exception):
    """A value that an option cannot take: what was found, what was expected."""

    def __init__(self, found: object, expected: str) -> None:
        super().__init__(f"found {shown(found)}, expected {expected}")
        self.expected = expected


def shown(found: object) -> str:
    """*found* as an error shows it: in one line whatever it is, because its representation escapes line ends; and
    short, with both ends, because what tells two paths apart is at the end."""
    try:
        text = repr(found)
    except Exception:  # a number of thousands of digits, or a class of the user's
        text = f"an object of type {type(found).__name__} that cannot be shown"
    return text if len(text) <= 200 else f"{text[:98]} ... {text[-97:]}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: how it is read and how it is shown.

    *read* takes text as the user types it, or the Python value; it takes what it returns, and what *show* returns
    unless that is empty.
    *bare* is the text that the flag alone stands for on the command line; empty where a value must be typed. Where it
    is *repeatable*, the value is a tuple and those typed add up; else the last wins.
    """

    metavar: str
    read: Callable[[object], Any]
    show: Callable[[Any], str] = str
    unit: str = ""
    bare: str = ""
    repeatable: bool = False
    pair: bool = False  # whether there is a flag to switch it off, too
    secret: bool = False  # whether it must not be shown
    show_one: Callable[[Any], str] = str  # one of the values, where it is repeatable

    @property
    def form(self) -> str:
        """What follows the flag, as a usage line shows it; empty where nothing does."""
        return f"[{self.metavar}]" if self.bare else self.metavar


def _switch(value: object) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if word is True or word in ("on", "yes", "true", "1"):
        return True
    if word is False or word in ("off", "no", "false", "0"):
        return False
    raise Refused(value, "on or off (also yes, no, true, false, 1, 0)")


def _integer(value: object) -> int | None:
    """The whole number that *value* is or spells; None where it is something else."""
    if isinstance(value, int) and not isinstance(value, bool):  # port=True is a mistake
        return value
    # Eighteen digits are enough, and int() itself refuses, with another exception, thousands of them.
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    return None


def whole(
    least: int, most: int | None = None, *, metavar: str = "N", optional: bool = False, none: str = "no limit"
) -> Kind:
    """A number within bounds, both included; where it is *optional*, also None, which is *none*."""
    expected = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return _counted(Kind(metavar, _integer), least, most, expected, none if optional else "")


def size(least: int = 1, *, optional: bool = False) -> Kind:
    bound, small = ("1 octet", "65536, 64k, ") if least == 1 else (show_octets(least), "")
    expected = f"a size of at least {bound}, such as {small}10m or 1g"
    kind = Kind("SIZE", read_octets, show_octets, "octets")
    return _counted(kind, least, None, expected, "no limit" if optional else "")


def read_octets(value: object) -> int | None:
    """The number of octets that *value* is or spells, such as ``64k``; None where it is something else."""
    match = re.fullmatch(r"([0-9]{1,18})\s*([a-z]+)", value.strip().lower()) if isinstance(value, str) else None
    if match is None or match[2] not in SIZE_UNITS:
        return _integer(value)
    return int(match[1]) * SIZE_UNITS[match[2]]


def show_octets(value: int) -> str:
    """*value* in the greatest unit of which it is a multiple, as read_octets takes it."""
    for unit, word in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if value % unit == 0:
            return f"{value // unit} {word}"
    return str(value)


def _counted(kind: Kind, least: int, most: int | None, expected: str, none: str) -> Kind:
    """*kind* within its bounds; where *none* says what that would be, also None, which is typed ``none``."""
    expected += f", or none for {none}" if none else ""

    def read(value: object) -> int | None:
        if none and _is_none(value):
            return None
        number = kind.read(value)
        if number is None or number < least or (most is not None and number > most):
            raise Refused(value, expected)
        return cast(int, number)

    return replace(kind, read=read, show=lambda value: "none" if value is None else kind.show(value))


def automatic(kind: Kind) -> Kind:
    """*kind*, or None, which is typed ``auto``."""

    def read(value: object) -> Any:
        if value is None or (isinstance(value, str) and value.strip().lower() == "auto"):
            return None
        try:
            return kind.read(value)
        except Refused as refused:
            raise Refused(value, f"{refused.expected}, or auto") from None

    metavar = f"{kind.metavar}|auto" if kind.metavar else ""
    return replace(kind, metavar=metavar, read=read, show=lambda value: "auto" if value is None else kind.show(value))


def duration(*, zero: bool = False, optional: bool = False) -> Kind:
    expected = f"a time of {'0 seconds or more' if zero else 'more than 0 seconds'}, such as 30, 1.5s, 2m or 1h"
    expected += ", or none for no limit" if optional else ""

    def read(value: object) -> float | None:
        if optional and _is_none(value):
            return None
        number = math.nan
        if isinstance(value, str):
            match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([smh]?)", value.strip().lower())
            number = float(match[1]) * TIME_UNITS[match[2]] if match else math.nan
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            number = value
        # A thousand years, which no int or float below it fails to hold; NaN compares false.
        if not 0 <= number <= 1000 * 366 * 86400 or (number == 0 and not zero):
            raise Refused(value, expected)
        return float(number)

    return Kind("TIME", read, lambda value: "none" if value is None else _show_seconds(value), "seconds")


def _show_seconds(value: float) -> str:
    # Neither rounded nor with an exponent, so that the same is read back.
    shown = repr(value) if value >= 1e-4 or not value else f"{value:.18f}".rstrip("0")
    return f"{shown.removesuffix('.0')} s"


def _is_none(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() == "none")


def choice(
    *names: str,
    reference: str = "",
    also: Mapping[str, str] = MappingProxyType({}),
    advice: Callable[[str], str] = lambda word: "",
) -> Kind:
    """One of *names*; with *reference*, its form, also the user's own as ``module:attribute``.

    *also* has other servers' names for some of them. *advice* says more of a word in small letters that is refused,
    and is empty where it knows nothing.
    """
    forms = [*names, reference] if reference else [*names]
    expected = f"one of {', '.join(forms[:-1])} or {forms[-1]}"

    def read(value: object) -> str:
        # A version such as 1.2 is a number in a file.
        word = value.strip() if isinstance(value, str) else repr(value) if type(value) is float else ""
        low = word.lower()
        if low in names or low in also:
            return also.get(low, low)
        more = advice(low)
        if reference and not more and is_reference(word):
            return word
        raise Refused(value, f"{expected}{more and f': {more}'}")

    return Kind("|".join(forms), read)


def reference(form: str) -> Kind:
    """Something of the user's, as ``module:attribute``; empty for nothing."""
    return text(form.upper(), f"{form}, with dots allowed in both", lambda value: not value or is_reference(value))


def is_reference(word: str) -> bool:
    """Whether *word* is of the form ``module:attribute``, with dots allowed in both."""
    module, _, attribute = word.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def words(*names: str, bare: str) -> Kind:
    """Some of *names*, in the order given, each once; ``none``, in Python an empty tuple, for none of them."""

    def read(value: object) -> tuple[str, ...]:
        if value == () or (isinstance(value, str) and value.strip().lower() == "none"):
            return ()
        items = value.split(",") if isinstance(value, str) else value
        found = [item.strip().lower() if isinstance(item, str) else "" for item in items] if _is_list(items) else []
        if not found or not set(found) <= set(names):
            raise Refused(value, f"one or more of {', '.join(names)}, with commas between them, or none")
        return tuple(dict.fromkeys(found))

    return Kind(",".join(names), read, lambda found: ",".join(found) or "none", bare=bare)


def _is_list(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(value, (list, tuple))


def repeated(metavar: str, read: Callable[[object], T], show: Callable[[T], str] = str) -> Kind:
    """Any number of values, each as *read* takes it; in a text one a line, in Python a list or a tuple of them."""

    def read_all(value: object) -> tuple[T, ...]:
        # An empty text, as of a shell's unset variable, is a mistake: --basic-auth "$USERS" must not let everybody in.
        items = (value.splitlines() or [value]) if isinstance(value, str) else value
        return tuple(read(item) for item in (items if _is_list(items) else [items]))

    return Kind(metavar, read_all, lambda values: "\n".join(map(show, values)), repeatable=True, show_one=show)


def text(metavar: str, expected: str, accept: Callable[[str], object], tidy: Callable[[str], str] = str) -> Kind:
    def read(value: object) -> str:
        # What is printable holds no control octet, NUL among them, which the system calls would refuse later.
        if not isinstance(value, str) or not value.isprintable() or not accept(value):
            raise Refused(value, expected)
        return tidy(value)

    return Kind(metavar, read)


TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2, token
CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5: none of these in a field value
# Set by the server for each response: a fixed one would contradict how the content is really framed.
FRAMING = frozenset({b"connection", b"content-length", b"keep-alive", b"transfer-encoding", b"upgrade"})


def read_field(item: object) -> tuple[bytes, bytes]:
    """The field, its name in lower case, that NAME:VALUE or a pair of str or bytes says."""
    pair: object = item.split(":", 1) if isinstance(item, str) else item
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not {type(part) for part in pair} <= {str, bytes}:
        raise Refused(item, "NAME:VALUE" if isinstance(item, str) else "a pair of str or bytes")
    try:
        name, content = (part.encode("latin-1") if isinstance(part, str) else part for part in pair)
    except UnicodeEncodeError:
        raise Refused(item, "characters of ISO-8859-1 only") from None
    if not TOKEN.fullmatch(name):
        raise Refused(item, "a field name of letters, digits and !#$%&'*+-.^_`|~, then a colon")
    if CONTROLS.search(content):
        raise Refused(item, "a field value without control characters")
    if name.lower() in FRAMING:
        raise Refused(item, "a field that does not frame the message: the server writes this one itself")
    return name.lower(), content.strip(b" \t")


SWITCH = Kind("", _switch, lambda value: "on" if value else "off", pair=True)
FLAG = Kind("", _switch, lambda value: "on" if value else "off")  # on the command line it can only be switched on
HEADERS = repeated("NAME:VALUE", read_field, lambda pair: (b"%b: %b" % pair).decode("latin-1"))
ADDRESS = text(
    "ADDRESS",
    "an address or a host name, without a port",
    # Not "name:port" nor "[::1]:port": only an IPv6 address has colons, and at least two.
    re.compile(r"[^\s:\[\]]+|\[?[^\s\[\]]*:[^\s\[\]]*:[^\s\[\]]*\]?").fullmatch,
    lambda value: value.strip("[]"),
)
DIRECTORY = text("DIR", "a directory that exists", lambda value: not value or os.path.isdir(value))
DIRECTORIES = repeated("DIR", text("DIR", "a directory that exists", os.path.isdir).read)
GLOBS = repeated("GLOB", text("GLOB", "a pattern such as *.css", str.strip, str.strip).read)
FILE = text("FILE", "the path of a file", lambda value: not value or not os.path.isdir(value))
REFERENCE = reference("module:attribute")
PREFIX = text(
    "PATH",
    "a path that begins with /, such as /api",
    lambda value: (not value or value.startswith("/")) and not set(value) & set("?#"),
    lambda value: value.rstrip("/"),
)
