"""The grammar of RFC 9110 and RFC 9112, each pattern under its production.

Knows octets and nothing else. Every pattern works on bytes, because ``\\d``, ``\\w``, ``strip`` and ``lower`` on text
also take characters that no grammar here has (U+0665 is a digit to them); none of them can backtrack, so that a long
hostile line costs no more than a long honest one.
"""

from __future__ import annotations

import re

__all__ = [
    "AUTHORITY",
    "BAD_ESCAPE",
    "BAD_OCTET",
    "CHUNK_LINE",
    "CONTENT_LENGTH",
    "FIELD_OCTETS",
    "HOST",
    "TARGET",
    "TOKEN",
    "TOKEN_OCTETS",
    "VERSION",
    "is_host",
]

# RFC 9110 §5.6.2: token = 1*tchar
TOKEN_OCTETS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC 9110 §5.5: field-value is VCHAR, obs-text, SP and HTAB.
FIELD_OCTETS = bytes({*b"\t", *range(0x20, 0x7F), *range(0x80, 0x100)})

# What may stand nowhere in a head: a control octet, or a CR or LF that is not half of a CRLF. RFC 9112 §2.2 lets a
# server take a bare LF as a line end; two servers that differ in that are a smuggling hole, so this one does not.
BAD_OCTET = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?=[^\n])|(?<!\r)\n")

# RFC 9112 §2.3: HTTP-name "/" DIGIT "." DIGIT, in upper case
VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")

# RFC 3986 §3.3 and §3.4, widened to what browsers send unescaped (RFC 3986 has no place for | ^ ` { } " < > \ [ ]),
# but no fragment and nothing outside visible US-ASCII.
TARGET = re.compile(rb"[!\"$-~]+")

# RFC 3986 §2.1: pct-encoded = "%" HEXDIG HEXDIG
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# RFC 3986 §3.2.2: host = IP-literal / IPv4address / reg-name, and RFC 9110 §7.2: Host = uri-host [ ":" port ]. The
# empty reg-name is left out here: a Host field may be empty (RFC 9112 §3.3), an authority may not. What the first group
# has found in brackets is_host() looks at.
_REG_NAME = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"
_IP_LITERAL = rb"\[(?:([0-9A-Fa-f:.]+)|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]"
HOST = re.compile(rb"(?:" + _REG_NAME + rb"|" + _IP_LITERAL + rb")(?::[0-9]*)?")

# RFC 9112 §3.2.3: authority-form = uri-host ":" port
AUTHORITY = re.compile(rb"(?:" + _REG_NAME + rb"|" + _IP_LITERAL + rb"):[0-9]+")

# RFC 3986 §3.2.2: the sixteen bits of an IPv6address in hexadecimal digits, and the IPv4address that may end it.
_H16 = re.compile(rb"[0-9A-Fa-f]{1,4}")
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(_OCTET + rb"(?:\." + _OCTET + rb"){3}")


def is_host(octets: bytes, form: re.Pattern[bytes] = HOST) -> bool:
    """Whether *octets* are a host with a port or without, in the *form* HOST or AUTHORITY."""
    match = form.fullmatch(octets)
    return match is not None and (match[1] is None or _is_ipv6(match[1]))


def _is_ipv6(address: bytes) -> bool:
    # By hand: as a pattern, its nine alternatives would take 1.2 ms to compile at each start (CPython 3.11, 2026-11).
    head, colon, tail = address.rpartition(b":")
    if _IPV4.fullmatch(tail):
        address = head + colon + b"0:0"
    before, gap, after = address.partition(b"::")
    groups = [group for side in (before, after) if side for group in side.split(b":")]
    # Two colons stand for at least one group.
    return all(map(_H16.fullmatch, groups)) and (len(groups) <= 7 if gap else len(groups) == 8)


# RFC 9110 §8.6: Content-Length = 1*DIGIT. Nineteen digits are more octets than any disk holds, and a bound keeps
# int() away from its own limit of 4,300 digits. Zeros in front do not count towards it.
CONTENT_LENGTH = re.compile(rb"0*[0-9]{1,19}")

# RFC 9112 §7.1 and §7.1.1: chunk-size [ chunk-ext ], the size no longer than sixteen digits after its zeros.
#   chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
CHUNK_LINE = re.compile(
    rb"(0{0,16}[0-9A-Fa-f]{1,16})"
    rb"(?:[ \t]*;[ \t]*" + _TCHAR + rb"(?:[ \t]*=[ \t]*(?:" + _TCHAR + rb"|" + _QUOTED + rb"))?)*"
)
