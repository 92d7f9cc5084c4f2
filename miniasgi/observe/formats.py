"""The formats of access lines as gunicorn has them: a text with atoms such as %(h)s, read once, made into a function.

Knows what an atom stands for; does not know when lines are made, nor where they go.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..types import Fields
from . import times
from .escaping import MOST_OCTETS, quoted, word

if TYPE_CHECKING:
    from ..http1.head import RequestHead

__all__ = ["COMBINED", "COMMON", "NAMES", "More", "ResponseFields", "TextFormat", "check_format"]

#: As Apache and nginx write them.
COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s'
COMBINED = COMMON + ' "%(f)s" "%(a)s"'
#: Formats that have a name.
NAMES = ("default", "common", "combined", "json")

_OPTION = "--access-log-format"


ResponseFields = Iterable[tuple[bytes, bytes]]
#: Which messages a WebSocket had, and how many of them.
More = tuple[tuple[str, int], ...]


class Entry(NamedTuple):
    """A request that is over, as far as atoms show it.

    Attributes:
        client: None where it has no address, as on a Unix socket.
        head: None for what was no request.
        octets: of content that were sent.
        seconds: from the end of the head to the end of the response.
        fields: of the response.
        request_id: empty where there is none.
    """

    client: tuple[str, int] | None
    head: RequestHead | None
    status: int
    octets: int
    seconds: float
    fields: ResponseFields
    request_id: str


_Atom = Callable[[Entry], object]


def check_format(text: str) -> None:
    """Raises UsageError where *text* is neither the name of a format nor one: what is wrong, and what is near it."""
    if text not in NAMES:
        _parse(text)


class TextFormat:
    """Requests that are over to lines. Raises UsageError as check_format does.

    Attributes:
        wants_fields: whether it looks at a response's fields.
    """

    def __init__(self, text: str) -> None:
        self._template, self._atoms, self.wants_fields = _parse(text)
        self._stamp = ""  # set by tick

    def tick(self, now: float) -> None:
        """Set the time that the next lines carry."""
        self._stamp = f"[{times.common(now)}]"

    def line(
        self,
        client: tuple[str, int] | None,
        head: RequestHead | None,
        status: int,
        octets: int,
        seconds: float,
        fields: ResponseFields,
        request_id: str,
        more: More,
    ) -> str:
        """See AccessLog.add. No atom shows *more*."""
        if self.wants_fields:
            fields = tuple(fields)  # looked through once for each that is shown
        entry = Entry(client, head, status, octets, seconds, fields, request_id)
        stamp = self._stamp
        return self._template % tuple([stamp if atom is None else atom(entry) for atom in self._atoms])


def _parse(text: str) -> tuple[str, list[_Atom | None], bool]:
    """A template with %s, what stands in its places (None for the time), and whether fields of responses do."""
    for character in text:
        if not character.isprintable() and character != "\t":
            raise UsageError(f"{_OPTION}: found the character {character!r}, expected a single line of text")
    atoms: list[_Atom | None] = []
    wants_fields = False

    def read(found: re.Match[str]) -> str:
        nonlocal wants_fields
        if found[0] == "%%":
            return "%%"
        name, field, kind = found["name"], found["field"], found["kind"]
        if field:
            wants_fields = wants_fields or kind == "o"
            atoms.append(_FIELD_ATOMS[kind](field))
        elif name == "t":
            atoms.append(None)
        elif name in _ATOMS:
            atoms.append(_ATOMS[name])
        else:
            raise UsageError(f"{_OPTION}: {_unknown(found)}")
        return "%s"

    return _ATOM.sub(read, text), atoms, wants_fields


# A whole atom, or two percent signs; else a percent sign with as much behind it as an error shall show.
_ATOM = re.compile(
    r"%%|%\((?:(?P<name>[A-Za-z_]+)|\{(?P<field>[^{}()]+)\}(?P<kind>[ioe]))\)s|%(?P<rest>\([^)]{0,40}\)?.?|.?)"
)


def _unknown(found: re.Match[str]) -> str:
    """What is wrong with an atom that is none: itself, and the one that was probably meant."""
    shown = found[0]
    # %(status)s, %(s)d, %(h without its end, and %h as Apache has it.
    name = found["name"] or re.sub(r"^\(([^)]*).*$|[^A-Za-z]", r"\1", found["rest"])
    near = ""
    if name in _MEANINGS:
        near = name
    elif len(name) == 1 and name.swapcase() in _MEANINGS:
        near = name.swapcase()
    elif name:
        words = {each: atom for atom, meant in _MEANINGS.items() for each in meant.split()}
        import difflib  # only a mistake pays for it

        close = difflib.get_close_matches(name.lower(), words, n=1)
        near = words[close[0]] if close else ""
    if near:
        return f"found {shown!r}, which is no atom; did you mean %({near})s?"
    known = " ".join(f"%({atom})s" for atom in _MEANINGS)
    return (
        f"found {shown!r}, expected %% for a percent sign, or one of {known} %({{NAME}}i)s %({{NAME}}o)s %({{NAME}}e)s"
    )


# What each atom is called elsewhere, to find the one that somebody has meant.
_MEANINGS = {
    "h": "host remote addr address client ip remote_addr",
    "l": "logname ident",
    "u": "user username remote_user",
    "t": "time date datetime timestamp time_local asctime",
    "r": "request request_line",
    "m": "method request_method",
    "U": "path url uri target request_uri",
    "q": "query query_string args",
    "H": "protocol version server_protocol http_version",
    "s": "status status_code code",
    "B": "octets length size body_bytes_sent content_length",
    "b": "bytes bytes_sent",
    "f": "referer referrer http_referer",
    "a": "agent user_agent http_user_agent",
    "T": "seconds",
    "D": "microseconds dt_us",
    "M": "milliseconds dt_ms",
    "L": "duration request_time elapsed dt",
    "p": "pid process",
    "id": "request_id correlation_id x_request_id",
}


def _shown(found: list[bytes]) -> str:
    """A field's value, of all its lines where there are several (RFC 9110 §5.3); "-" where there is none."""
    return quoted(found[0] if len(found) == 1 else b", ".join(found)) or "-"


def _of_request(name: bytes) -> _Atom:
    def atom(entry: Entry) -> str:
        if entry.head is None:
            return "-"
        return _shown([value for each, value in entry.head.fields if each == name])

    return atom


def _of_response(name: bytes) -> _Atom:
    # Unlike a client's, the names that an application gives are as it writes them.
    return lambda entry: _shown([value for each, value in entry.fields if each.lower() == name])


def _of_environment(name: str) -> _Atom:
    value = quoted(os.fsencode(os.environ.get(name, ""))) or "-"
    return lambda entry: value


_FIELD_ATOMS: dict[str, Callable[[str], _Atom]] = {
    "i": lambda name: _of_request(name.lower().encode("utf-8")),
    "o": lambda name: _of_response(name.lower().encode("utf-8")),
    "e": _of_environment,
}


# 4 for each 3 octets: whole groups, which decode by themselves.
_MOST_CREDENTIALS = 4 * (MOST_OCTETS // 3)


def _user(fields: Fields) -> str:
    """Who a client says that it is, by Basic credentials (RFC 7617 §2), whether or not that has been believed."""
    for name, value in fields:
        if name == b"authorization":
            scheme, _, credentials = value.partition(b" ")
            if scheme.lower() != b"basic":
                return "-"
            credentials = credentials.strip(b" ")
            try:
                whole = base64.b64decode(credentials[:_MOST_CREDENTIALS], validate=True)
            except binascii.Error:
                return "-"
            user, colon, _ = whole.partition(b":")
            # Without a colon there is no user: and what there is may be a password that somebody has sent alone.
            return word(user) or "-" if colon else "-"
    return "-"


def _request(entry: Entry) -> str:
    return "-" if entry.head is None else entry.head.line.log[1:-1]


def _path(entry: Entry) -> str:
    return "-" if entry.head is None else _escaped(entry.head.line.raw_path)


def _query(entry: Entry) -> str:
    return "-" if entry.head is None else _escaped(entry.head.line.query)


def _escaped(target: bytes) -> str:
    # Part of a target, so visible US-ASCII, and no longer than --limit-request-line allows.
    return target.decode("latin-1").replace("\\", "\\x5c").replace('"', "\\x22")


_ATOMS: dict[str, _Atom] = {
    "h": lambda entry: word(entry.client[0].encode("utf-8", "replace")) if entry.client else "-",
    "l": lambda entry: "-",
    "u": lambda entry: "-" if entry.head is None else _user(entry.head.fields),
    "r": _request,
    "m": lambda entry: "-" if entry.head is None else entry.head.line.method,
    "U": _path,
    "q": _query,
    "H": lambda entry: "-" if entry.head is None else f"HTTP/{entry.head.line.version}",
    "s": lambda entry: entry.status,
    "B": lambda entry: entry.octets,
    "b": lambda entry: entry.octets or "-",
    "f": _of_request(b"referer"),
    "a": _of_request(b"user-agent"),
    "T": lambda entry: int(entry.seconds),
    "D": lambda entry: int(entry.seconds * 1_000_000),
    "M": lambda entry: int(entry.seconds * 1000),
    "L": lambda entry: f"{entry.seconds:.6f}",
    "p": lambda entry: f"<{os.getpid()}>",
    "id": lambda entry: word(entry.request_id.encode("utf-8", "replace")) or "-",
}
