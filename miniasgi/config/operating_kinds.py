"""The kinds of value that only options of operation take: certificates, trusted peers, forwarding fields, log files.

Knows the other kinds (kinds), and asks the file system whether a path is a directory. Opens nothing.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from .kinds import TOKEN, Kind, Refused, is_reference, repeated, text

__all__ = ["CERT_REQS", "FACTORY", "FIELD_NAME", "LOG_FILE", "LOG_FORMAT", "PASSWORD", "PEERS", "PROXY_FIELDS", "SNI"]

#: What may be taken from each family of forwarding fields.
X_FORWARDED = ("for", "proto", "host", "port", "prefix")
# What proxies set wherever there are any; a client could send the others through one that does not know them.
USUAL = ("for", "proto")
_PROXY_FIELDS = "x-forwarded, forwarded, off, or some of for, proto, host, port and prefix with commas between them"


def _read_proxy_fields(value: object) -> tuple[str, ...]:
    if value is True:
        return USUAL
    if value is False or value == () or value == []:
        return ()
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise Refused(value, _PROXY_FIELDS)
    words = [item.strip().lower() for item in items]
    if len(words) == 1:
        if words[0] in ("off", "no", "none", "false", "0"):
            return ()
        if words[0] in ("on", "yes", "true", "1"):
            return USUAL
        if words[0] == "x-forwarded":
            return X_FORWARDED
        if words[0] == "forwarded":
            return ("forwarded",)
    if not words or not set(words) <= set(X_FORWARDED):
        raise Refused(value, _PROXY_FIELDS)
    return tuple(word for word in X_FORWARDED if word in words)


def _show_proxy_fields(found: tuple[str, ...]) -> str:
    return "x-forwarded" if found == X_FORWARDED else ",".join(found) or "off"


def _read_peers(value: object) -> tuple[str, ...]:
    if isinstance(value, str) and value.strip().lower() == "none":
        return ()
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise Refused(value, _PEERS)
    found = []
    for item in items:
        word = item.strip() if isinstance(item, str) else item
        if word == "":
            continue  # FORWARDED_ALLOW_IPS="" trusts nobody, as gunicorn and uvicorn have it
        if word not in ("*", "unix:"):
            try:
                network = ipaddress.ip_network(word, strict=False) if isinstance(word, str) else None
            except ValueError:
                network = None
            if network is None:
                raise Refused(item, _PEERS)
            word = str(network.network_address if network.num_addresses == 1 else network)
        found.append(word)
    return tuple(dict.fromkeys(found))


_PEERS = "addresses, networks such as 10.0.0.0/8, unix: for Unix sockets, or *, with commas between them, or none"


def _read_sni(item: object) -> tuple[str, str, str]:
    parts: Any = item
    if isinstance(item, str):
        name, _, files = item.partition("=")
        parts = (name, *files.split(","))
        if len(parts) == 2:
            parts = (*parts, "")  # the key is in the certificate's file
    if not isinstance(parts, (list, tuple)) or len(parts) not in (2, 3) or {type(part) for part in parts} != {str}:
        raise Refused(item, _SNI)
    name, certificate, key = (part.strip() for part in (*parts, "")[:3])
    # A comma would make another path of it when it is read again from how it is shown.
    fit = all(path.isprintable() and "," not in path for path in (certificate, key))
    if not _SERVER_NAME.fullmatch(name) or not certificate or not fit:
        raise Refused(item, _SNI)
    return name.lower(), certificate, key


_SNI = "NAME=CERT,KEY, where NAME is a host name or *.DOMAIN"
# With underscores, which no host name may have (RFC 1123 §2.1), but names inside of many networks do.
_SERVER_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


def _show_sni(item: tuple[str, str, str]) -> str:
    return f"{item[0]}={item[1]},{item[2]}" if item[2] else f"{item[0]}={item[1]}"


def _read_cert_reqs(value: object) -> str:
    word = value.strip().lower() if isinstance(value, str) else value
    # uvicorn and gunicorn take the numbers of ssl.CERT_NONE and so on.
    for number, name in enumerate(("none", "optional", "required")):
        if isinstance(word, (int, str)) and not isinstance(word, bool) and word in (name, str(number), number):
            return name
    raise Refused(value, "one of none, optional or required")


def _read_factory(value: object) -> Any:
    if callable(value) or value == "":
        return value
    if isinstance(value, str) and is_reference(value.strip()):
        return value.strip()
    raise Refused(value, "module:callable, or in Python a callable")


class _Unshown:
    def __repr__(self) -> str:
        return "something that is not shown here"


def _read_password(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Refused(_Unshown(), "a password")
    return value


PROXY_FIELDS = Kind(
    "FIELDS",
    _read_proxy_fields,
    _show_proxy_fields,
    bare="for,proto",
    pair=True,
)
PEERS = Kind("PEERS", _read_peers, lambda peers: ",".join(peers) or "none")
SNI = repeated("NAME=CERT,KEY", _read_sni, _show_sni)
CERT_REQS = Kind("none|optional|required", _read_cert_reqs)
FACTORY = Kind(
    "MODULE:CALLABLE",
    _read_factory,
    # A callable cannot be typed.
    lambda value: value if isinstance(value, str) else "",
)
PASSWORD = Kind("TEXT", _read_password, lambda value: "", secret=True)
LOG_FILE = text("FILE|-", "the path of a file, or -", lambda value: value.strip() and not os.path.isdir(value))
LOG_FORMAT = text("FORMAT", "default, common, combined, json or a format of your own", str.strip)
FIELD_NAME = text(
    "NAME",
    "the name of a field, such as X-Request-ID",
    lambda value: not value or TOKEN.fullmatch(value.encode("latin-1", "replace")),
    str.lower,
)
