"""Every option of the server, declared once: its default, its check, its unit and its documentation.

The command line (cli), the environment and docs/reference (reference) are all generated from the fields of Config.
Knows only errors. Does not read the command line or the environment, opens nothing and imports no application.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, cast

from miniasgi.errors import UsageError

__all__ = ["GIB", "KIB", "MIB", "OPTIONS", "Config", "Kind", "Option", "did_you_mean"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

SIZE_UNITS = {"k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB}
TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

T = TypeVar("T")


class Refused(Exception):
    """A value that an option cannot take: what was found, what was expected."""

    def __init__(self, found: object, expected: str) -> None:
        # The representation escapes line ends, so the error stays one line whatever was given.
        shown = repr(found)
        super().__init__(f"found {shown if len(shown) <= 80 else shown[:77] + '...'}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: how it is read and how it is shown.

    *read* takes text as the user types it, or the Python value; it takes what it returns, and what *show* returns.
    """

    metavar: str
    read: Callable[[object], Any]
    show: Callable[[Any], str] = str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """What the command line, the environment and the reference know of one field of Config."""

    kind: Kind
    group: str
    help: str
    flag: str = ""
    aliases: tuple[str, ...] = ()
    name: str = ""
    default: Any = None

    @property
    def env(self) -> str:
        """The name of its environment variable."""
        return "MINIASGI_" + self.flag.removeprefix("--").replace("-", "_").upper()

    @property
    def negative(self) -> str:
        """The flag that switches it off; empty for an option that is not a pair."""
        return "--no-" + self.flag.removeprefix("--") if self.kind is SWITCH else ""

    def read(self, value: object, called: str) -> Any:
        """The checked value; *called* is the option's name as the user wrote it.

        Raises UsageError: one line with *called*, what was found and what was expected.
        """
        try:
            return self.kind.read(value)
        except Refused as refused:
            raise UsageError(f"{called}: {refused}") from None


def option(default: T, kind: Kind, *, group: str, help: str, flag: str = "", aliases: tuple[str, ...] = ()) -> T:
    """A field of Config. Typed as its default, because that is what an instance holds there."""
    return field(default=default, metadata={"option": Option(kind, group, help, flag, aliases)})


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The end of an error line that offers the nearest of *names*; empty when none is near."""
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(word, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


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


def whole(least: int, most: int | None = None, *, metavar: str = "N", optional: bool = False) -> Kind:
    expected = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return _counted(Kind(metavar, _integer), least, most, expected, optional)


def size(*, optional: bool = False) -> Kind:
    expected = "a size of at least 1 octet, such as 65536, 64k, 10m or 1g"
    return _counted(Kind("SIZE", _octets, _show_size, "octets"), 1, None, expected, optional)


def _octets(value: object) -> int | None:
    match = re.fullmatch(r"([0-9]{1,18})\s*([a-z]+)", value.strip().lower()) if isinstance(value, str) else None
    if match is None or match[2] not in SIZE_UNITS:
        return _integer(value)
    return int(match[1]) * SIZE_UNITS[match[2]]


def _show_size(value: int) -> str:
    for unit, word in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if value % unit == 0:
            return f"{value // unit} {word}"
    return str(value)


def _counted(kind: Kind, least: int, most: int | None, expected: str, optional: bool) -> Kind:
    """*kind* within its bounds; where it is *optional*, also None, which is typed ``none``."""
    expected += ", or none for no limit" if optional else ""

    def read(value: object) -> int | None:
        if optional and (value is None or (isinstance(value, str) and value.strip().lower() == "none")):
            return None
        number = kind.read(value)
        if number is None or number < least or (most is not None and number > most):
            raise Refused(value, expected)
        return cast(int, number)

    return replace(kind, read=read, show=lambda value: "none" if value is None else kind.show(value))


def duration(*, zero: bool = False) -> Kind:
    expected = f"a time of {'0 seconds or more' if zero else 'more than 0 seconds'}, such as 30, 1.5s, 2m or 1h"

    def read(value: object) -> float:
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

    return Kind("TIME", read, lambda value: f"{value:g} s", "seconds")


def choice(*names: str, reference: str = "") -> Kind:
    """One of *names*; with *reference*, its form, also the user's own as ``module:attribute``."""
    forms = [*names, reference] if reference else [*names]
    expected = f"one of {', '.join(forms[:-1])} or {forms[-1]}"

    def read(value: object) -> str:
        word = value.strip() if isinstance(value, str) else ""
        if word.lower() in names:
            return word.lower()
        module, _, attribute = word.partition(":")
        if reference and all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
            return word
        raise Refused(value, expected)

    return Kind("|".join(forms), read)


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


def _headers(value: object) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(value, str):
        value = value.splitlines()
    if not isinstance(value, (list, tuple)):
        raise Refused(value, "a list of NAME:VALUE or of pairs of str or bytes")
    return tuple(_header(item) for item in value)


def _header(item: object) -> tuple[bytes, bytes]:
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


SWITCH = Kind("", _switch, lambda value: "on" if value else "off")
FLAG = Kind("", _switch, lambda value: "on" if value else "off")  # on the command line it can only be switched on
HEADERS = Kind("NAME:VALUE", _headers, lambda pairs: b"\n".join(b"%b: %b" % pair for pair in pairs).decode("latin-1"))
ADDRESS = text(
    "ADDRESS",
    "an address or a host name, without a port",
    # Not "name:port" nor "[::1]:port": only an IPv6 address has colons, and at least two.
    re.compile(r"[^\s:\[\]]+|\[?[^\s\[\]]*:[^\s\[\]]*:[^\s\[\]]*\]?").fullmatch,
    lambda value: value.strip("[]"),
)
DIRECTORY = text("DIR", "a directory that exists", lambda value: not value or os.path.isdir(value))
PREFIX = text(
    "PATH",
    "a path that begins with /, such as /api",
    lambda value: (not value or value.startswith("/")) and not set(value) & set("?#"),
    lambda value: value.rstrip("/"),
)


# fmt: off
@dataclass(frozen=True, slots=True)
class Config:
    """How a server behaves; immutable, and checked when it is made.

    Each field takes its own type or the text that the command line takes. Raises UsageError, naming the field.
    """

    factory: bool = option(False, FLAG, group="Application",
        help="APP is a callable without parameters that makes the application.")
    app_dir: str = option("", DIRECTORY, group="Application",
        help="Directory to import APP from, put first in sys.path; empty is the current directory.")
    lifespan: str = option("auto", choice("auto", "on", "off"), group="Application",
        help="Whether the application is told of start-up and shutdown; auto tolerates one that knows no lifespan.")
    root_path: str = option("", PREFIX, group="Application",
        help="Path under which a proxy in front mounts the application; becomes root_path in the scope.")

    host: str = option("127.0.0.1", ADDRESS, group="Socket",
        help="Address to listen on; 0.0.0.0 or :: is every interface.")
    port: int = option(8000, whole(0, 65535, metavar="PORT"), group="Socket",
        help="TCP port to listen on; 0 picks a free one and prints it.")
    # 2**31 - 1: listen(2) takes a C int.
    backlog: int = option(2048, whole(1, 2**31 - 1), group="Socket",
        help="Connections that may wait to be accepted; the system may hold fewer.")

    loop: str = option("auto", choice("auto", "asyncio", "uvloop", reference="module:callable"), group="Implementation",
        help="Event loop: auto is the fastest one installed, module:callable makes your own.")
    http: str = option("auto", choice("auto", "handwritten", "h11", "httptools", reference="module:factory"),
        group="Implementation",
        help="HTTP/1.1 parser: auto is the fastest one installed, module:factory makes your own. All mean the same.")

    server_header: bool = option(True, SWITCH, group="Response fields",
        help="Send a Server field where the application sends none.")
    date_header: bool = option(True, SWITCH, group="Response fields",
        help="Send a Date field where the application sends none.")
    headers: tuple[tuple[bytes, bytes], ...] = option((), HEADERS, group="Response fields", flag="--header",
        help="Field added to every response; repeatable. In the environment one a line; in Python, pairs in headers.")

    log_level: str = option("info", choice("critical", "error", "warning", "info", "debug", "trace"), group="Logging",
        help="Least severe message that the miniasgi.server logger writes.")
    access_log: bool = option(True, SWITCH, group="Logging",
        help="One line for each request, from the miniasgi.access logger.")

    limit_request_line: int = option(16 * KIB, size(), group="Limits",
        help="Longest request line; a longer one is answered 414.")
    limit_request_field_size: int = option(16 * KIB, size(), group="Limits",
        help="Longest single field, name and value; a longer one is answered 431.")
    # 100: as Apache's LimitRequestFields.
    limit_request_fields: int = option(100, whole(1), group="Limits",
        help="Most fields in a request; more are answered 431.")
    limit_request_head: int = option(64 * KIB, size(), group="Limits", aliases=("--h11-max-incomplete-event-size",),
        help="Longest request head, all lines together; a longer one is answered 431.")
    limit_request_body: int | None = option(None, size(optional=True), group="Limits",
        help="Longest request content, after any chunked coding is undone; more is answered 413.")
    limit_concurrency: int | None = option(None, whole(1, optional=True), group="Limits",
        help="Most requests that run at once; further ones are answered 503.")

    timeout_request_header: float = option(10.0, duration(), group="Timeouts", aliases=("--http1-header-read-timeout",),
        help="For a request head to arrive whole, also on a new connection that never speaks; then 408.")
    timeout_request_body: float = option(30.0, duration(), group="Timeouts",
        help="For the next piece of content that the application waits for to arrive; then 408.")
    # 75: above the 60 seconds after which common load balancers drop an idle connection, so that they close first.
    timeout_keep_alive: float = option(75.0, duration(), group="Timeouts", aliases=("--keep-alive",),
        help="For the next request on an idle connection.")
    timeout_write: float = option(60.0, duration(), group="Timeouts",
        help="For a client that has stopped reading its response to read on; then the connection is cut.")
    timeout_graceful_shutdown: float = option(10.0, duration(zero=True), group="Timeouts",
        aliases=("--graceful-timeout",),
        help="For running requests to finish when the server stops; 0 waits for none.")
    # fmt: on

    def __post_init__(self) -> None:
        for each in OPTIONS:
            object.__setattr__(self, each.name, each.read(getattr(self, each.name), each.name))

    @classmethod
    def from_options(cls, **options: Any) -> Config:
        """A Config from keyword arguments that a user wrote.

        Raises UsageError: a name that is no option, with the nearest that is one; a value that does not fit.
        """
        names = {each.name: each.name for each in OPTIONS}
        also = {alias[2:].replace("-", "_"): each.name for each in OPTIONS for alias in each.aliases}
        for name in options:
            if name not in names:
                hint = f"; did you mean {also[name]}?" if name in also else did_you_mean(name, names)
                raise UsageError(f"{name}: no such option{hint}")
        return cls(**options)


OPTIONS: tuple[Option, ...] = tuple(
    replace(
        each.metadata["option"],
        name=each.name,
        default=each.default,
        flag=each.metadata["option"].flag or "--" + each.name.replace("_", "-"),
    )
    for each in fields(Config)
)
