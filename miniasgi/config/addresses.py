"""Where a server may listen, as users write it: HOST:PORT, unix:PATH, fd://N.

Knows how these are read and shown. Opens nothing (sockets.binding).
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from .kinds import Kind, Refused, repeated, text

__all__ = ["BINDS", "MODE", "OWNER", "UDS", "Address", "Descriptor", "TcpAddress", "UnixAddress", "read_address"]

# 107: sun_path has 108 octets on Linux, the last of which is NUL; 103 on macOS and the BSDs.
MOST_PATH_OCTETS = 107


class TcpAddress(NamedTuple):
    """A port of a host; an empty *host* is every interface, and port 0 whichever is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(NamedTuple):
    """A Unix domain socket."""

    path: str

    def __str__(self) -> str:
        # Two slashes are left out in reading, as of a URL, and two more must then be there.
        return f"unix:{'//' if self.path.startswith('//') else ''}{self.path}"


class Descriptor(NamedTuple):
    """A socket that whoever started the server has bound, and left open under this number."""

    number: int

    def __str__(self) -> str:
        return f"fd://{self.number}"


Address = TcpAddress | UnixAddress | Descriptor

_HOST_AND_PORT = re.compile(r"(\[[^\s\[\]]*:[^\s\[\]]*:[^\s\[\]]*\]|[^\s:\[\]]*):([0-9]{1,5})")
_EXPECTED = "HOST:PORT, [IPV6]:PORT, :PORT for every interface, unix:PATH or fd://N"


def read_address(value: object) -> Address:
    """The address that *value* is or spells. Raises Refused."""
    if isinstance(value, (TcpAddress, UnixAddress, Descriptor)):
        value = str(value)
    if not isinstance(value, str):
        raise Refused(value, _EXPECTED)
    word = value.strip()
    scheme, _, rest = word.partition(":")
    if scheme.lower() == "unix":
        return UnixAddress(_socket_path(value, rest.removeprefix("//")))
    if match := re.fullmatch(r"fd://([0-9]{1,9})", word, re.IGNORECASE):
        return Descriptor(int(match[1]))
    match = _HOST_AND_PORT.fullmatch(word) if word.isprintable() else None
    if match is None or int(match[2]) > 65535:
        raise Refused(value, _EXPECTED)
    host = match[1].strip("[]")
    return TcpAddress("" if host == "*" else host, int(match[2]))


def _socket_path(value: object, path: str) -> str:
    if not path or "\0" in path or not path.isprintable() or os.path.isdir(path):
        raise Refused(value, "the path of a socket")
    if len(os.fsencode(path)) > MOST_PATH_OCTETS:
        raise Refused(value, f"the path of a socket, of at most {MOST_PATH_OCTETS} octets")
    return path


def _read_uds(value: object) -> str:
    if value == "":
        return ""
    if not isinstance(value, str):
        raise Refused(value, "the path of a socket")
    return _socket_path(value, value.removeprefix("unix:"))


def _read_mode(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return value
    if isinstance(value, str) and re.fullmatch(r"(?:0o)?0*[0-7]{1,3}", value.strip()):
        return int(value.strip().removeprefix("0o"), 8)
    raise Refused(value, "permissions as octal digits, such as 660")


BINDS = repeated("ADDRESS", read_address)
UDS = Kind("PATH", _read_uds)
MODE = Kind("MODE", _read_mode, lambda value: f"{value:o}")
OWNER = text(
    "USER[:GROUP]",
    "USER, USER:GROUP or :GROUP, by name or number",
    re.compile(r"|[^\s:]+(?::[^\s:]+)?|:[^\s:]+").fullmatch,
)
