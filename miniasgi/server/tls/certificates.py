"""What a server has to know of certificates: which there are in a file, how long they are valid, whose they are.

Knows PEM (RFC 7468), as much of DER as the beginning of a certificate needs (RFC 5280), and names as text (RFC 4514).
Does not know files, keys nor ssl, and verifies nothing: that is OpenSSL's business. Whatever it is given, it raises
nothing but ValueError, and takes time in proportion to the length.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

__all__ = ["Block", "Certificate", "pem", "pem_blocks", "read_certificate", "read_certificates"]

# RFC 7468 §4: what OpenSSL writes, and a label that it still takes for the same.
CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,63})-----\s*")

# The tags of DER that stand in a certificate before its key (ITU-T X.690 §8.1.2).
INTEGER = 0x02
BIT_STRING = 0x03
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31
VERSION = 0xA0  # RFC 5280 §4.1: [0] EXPLICIT Version, left out in version 1

# How the strings of names are coded (RFC 5280 §4.1.2.4). 20 is called Teletex, and is Latin-1.
CODECS = {
    12: "utf-8",
    18: "ascii",
    19: "ascii",
    20: "latin-1",
    22: "ascii",
    26: "ascii",
    28: "utf-32-be",
    30: "utf-16-be",
}

# RFC 4514 §3, and of those that RFC 4519 §2 has, what stands in certificates.
ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "sn",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.41": "name",
    "2.5.4.42": "givenName",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.46": "dnQualifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}


class Block(NamedTuple):
    """What stands between a BEGIN line and its END line, these left out."""

    label: str
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: its octets, and what of it has been read.

    *subject* is the name as RFC 4514 writes it; empty where there are only alternative names.
    """

    der: bytes
    valid_from: datetime
    valid_until: datetime
    subject: str


# PEM


def pem_blocks(octets: bytes) -> list[Block]:
    """The blocks of a file, in its order; text around them is left out, as OpenSSL does. Raises ValueError."""
    found: list[Block] = []
    block: Block | None = None
    for number, line in enumerate(octets.splitlines(), 1):
        if block is None:
            if begin := _BEGIN.fullmatch(line):
                block = Block(begin[1].decode(), [])
        elif line.startswith(b"-----"):
            if line.rstrip() != b"-----END %b-----" % block.label.encode():
                raise ValueError(f"line {number} does not end the {block.label} before it")
            found.append(block)
            block = None
        else:
            block.lines.append(line)
    if block is not None:
        raise ValueError(f"the last {block.label} has no end")
    return found


def read_certificates(octets: bytes) -> list[Certificate]:
    """The certificates of a PEM file, in its order; other blocks, such as a key, are left out. Raises ValueError."""
    blocks = [block for block in pem_blocks(octets) if block.label in CERTIFICATE_LABELS]
    found = []
    for number, block in enumerate(blocks, 1):
        try:
            der = binascii.a2b_base64(b"".join(b"".join(block.lines).split()), strict_mode=True)
            found.append(read_certificate(der))
        except ValueError as error:  # binascii.Error is one
            raise ValueError(f"certificate {number} of {len(blocks)} is damaged: {error}") from None
    return found


def pem(der: bytes) -> str:
    """A certificate as text."""
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]  # RFC 7468 §2: 64 characters a line
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


# DER


def read_certificate(der: bytes) -> Certificate:
    """What is to be known of the certificate *der* (RFC 5280 §4.1). Raises ValueError: what is wrong with it."""
    whole = _Elements(der)
    parts = whole.inside(SEQUENCE)
    whole.end()
    contents = parts.inside(SEQUENCE)
    parts.inside(SEQUENCE)  # the algorithm of the signature
    parts.take(BIT_STRING)
    parts.end()
    if contents.next_is(VERSION):
        contents.take(VERSION)
    contents.take(INTEGER)  # the serial number
    contents.inside(SEQUENCE)  # the algorithm of the signature, once more
    contents.inside(SEQUENCE)  # the issuer
    validity = contents.inside(SEQUENCE)
    valid_from, valid_until = _time(validity), _time(validity)
    validity.end()
    return Certificate(der, valid_from, valid_until, _name(contents.inside(SEQUENCE)))


class _Elements:
    """The elements of some DER, one after the other; each method that takes one raises ValueError where it is not."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def next_is(self, tag: int) -> bool:
        return self._octets[self._at : self._at + 1] == bytes([tag])

    def more(self) -> bool:
        return self._at < len(self._octets)

    def end(self) -> None:
        if self.more():
            raise ValueError(f"found {len(self._octets) - self._at} octets too many")

    def inside(self, tag: int) -> _Elements:
        return _Elements(self.take(tag))

    def take(self, tag: int) -> bytes:
        found, content, _ = self.take_any()
        if found != tag:
            raise ValueError(f"found tag {found:#04x} where {tag:#04x} was expected")
        return content

    def take_any(self) -> tuple[int, bytes, bytes]:
        """The next element: tag, content, and the whole of it."""
        octets, at = self._octets, self._at
        if len(octets) - at < 2:
            raise ValueError("found the end where an element was expected")
        tag, length, start = octets[at], octets[at + 1], at + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("found a tag of several octets")
        if length & 0x80:
            # X.690 §10.1: definite, and in the fewest octets. Four of them count 4 GiB.
            count = length & 0x7F
            start += count
            length = int.from_bytes(octets[start - count : start], "big")
            if not 1 <= count <= 4 or length < 0x80 or length >> 8 * (count - 1) == 0:
                raise ValueError("found a length that DER does not have")
        end = start + length
        if end > len(octets):
            raise ValueError(f"found {max(len(octets) - start, 0)} octets where {length} were expected")
        self._at = end
        return tag, octets[start:end], octets[at:end]


def _time(elements: _Elements) -> datetime:
    tag, content, _ = elements.take_any()
    # RFC 5280 §4.1.2.5: with seconds, and in UTC; the years of a UTCTime are those from 1950 to 2049.
    digits = {UTC_TIME: 12, GENERALIZED_TIME: 14}.get(tag)
    if digits is None or not re.fullmatch(rb"[0-9]{%d}Z" % digits, content):
        raise ValueError("found something else where a time was expected")
    text = content[:-1].decode()
    if tag == UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


# Names


def _name(elements: _Elements) -> str:
    """A distinguished name as RFC 4514 §2 has it: the last part first."""
    parts = []
    while elements.more():
        attributes = elements.inside(SET)
        together = [_attribute(attributes.inside(SEQUENCE))]
        while attributes.more():
            together.append(_attribute(attributes.inside(SEQUENCE)))
        parts.append("+".join(together))
    return ",".join(reversed(parts))


def _attribute(elements: _Elements) -> str:
    identifier = _identifier(elements.take(OBJECT_IDENTIFIER))
    tag, content, whole = elements.take_any()
    elements.end()
    name = ATTRIBUTES.get(identifier)
    codec = CODECS.get(tag)
    if name and codec:
        try:
            return f"{name}={_escape(content.decode(codec))}"
        except UnicodeDecodeError:
            pass
    # RFC 4514 §2.4: what has no short name, or is no text, is written as the octets of its coding.
    return f"{name or identifier}=#{whole.hex()}"


def _identifier(octets: bytes) -> str:
    # 64 octets: numbers of any length would take time that grows with its square. The longest in use have 20.
    if not 0 < len(octets) <= 64 or octets[-1] & 0x80:
        raise ValueError("found something else where an object identifier was expected")
    numbers = [0]
    first = True
    for octet in octets:
        if first and octet == 0x80:  # X.690 §8.19.2: in the fewest octets
            raise ValueError("found an object identifier that DER does not have")
        numbers[-1] = numbers[-1] << 7 | octet & 0x7F
        first = not octet & 0x80
        if first:
            numbers.append(0)
    top = min(numbers[0] // 40, 2)
    return ".".join(map(str, (top, numbers[0] - 40 * top, *numbers[1:-1])))


def _escape(text: str) -> str:
    """*text* as RFC 4514 §2.4 has values; control characters too, so that a name is always one line of a log."""
    escaped = re.sub(r'["+,;<>\\]', r"\\\g<0>", text)
    escaped = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: _octets(found[0]), escaped)
    if escaped[:1] in ("#", " "):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(text) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped


def _octets(character: str) -> str:
    return "".join(f"\\{octet:02x}" for octet in character.encode())
