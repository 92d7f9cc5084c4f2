"""Files of certificates: read in one go, and what their dates mean for who serves them.

Knows files and what stands in certificates. Does not know ssl, nor which option names a file: an error begins with
*where*, the option and the path, as its caller says them.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...errors import StartupError
from .certificates import Certificate, pem_blocks, read_certificates

__all__ = ["Chain", "Stamp", "check_key", "date", "read_chain", "stamp_of"]

# 14 days: certificates of 90 days are renewed when 30 are left, so by then renewing has failed for two weeks.
SOON = timedelta(days=14)

# 4 MiB: twenty times the certificates of every public authority.
MOST_OCTETS = 4 * 1024 * 1024

#: What a file is known by, for each of them; None for one that cannot be seen.
Stamp = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The certificates of one file; the first is a server's, unless they are those of *authorities* for clients.

    *where* is the option and the file, as an error names them.
    """

    where: str
    certificates: list[Certificate]
    authorities: bool = False

    def trouble(self, now: datetime) -> str:
        """Why every client refuses the server's certificate at *now*; empty if it is no matter of its dates."""
        first = self.certificates[0]
        if self.authorities or first.valid_from <= now <= first.valid_until:
            return ""
        which = f"expired on {date(first.valid_until)}"
        if now < first.valid_from:
            which = f"is not valid before {date(first.valid_from)}"
        return f"{self.where}: the certificate {which}: clients will refuse it"

    def remarks(self, now: datetime) -> Iterator[tuple[int, str]]:
        """What is to be logged of the dates at *now*: levels and lines."""
        if trouble := self.trouble(now):
            yield logging.ERROR, trouble
        elif not self.authorities and (left := self.certificates[0].valid_until - now) < SOON:
            until = date(self.certificates[0].valid_until)
            yield logging.WARNING, f"{self.where}: the certificate expires on {until}; days left: {left.days}"
        for number, each in enumerate(self.certificates, 1):
            if not each.valid_from <= now <= each.valid_until and (self.authorities or number > 1):
                expired = now > each.valid_until
                which = f"expired on {date(each.valid_until)}" if expired else f"begins on {date(each.valid_from)}"
                whom = "clients' certificates from it are refused" if self.authorities else "clients may refuse it"
                count = f"{number} of {len(self.certificates)}"
                yield logging.WARNING, f"{self.where}: certificate {count}, {each.subject}, {which}: {whom}"


# Reading


def stamp_of(paths: Iterable[str]) -> Stamp:
    """How the files are at the moment, without opening them; links are followed, because renewals replace links."""
    return tuple(_look(path) for path in paths)


def _look(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def read_chain(where: str, path: str, *, authorities: bool = False) -> Chain:
    """The certificates of a file, of which there is at least one. Raises StartupError."""
    expected = "certificates in PEM"
    octets = _read(where, path, expected)
    labels = _labels(where, octets, expected)
    try:
        found = read_certificates(octets)
    except ValueError as error:
        raise StartupError(f"{where}: {error}") from None
    if not found:
        raise StartupError(f"{where}: found only {labels}, expected {expected}")
    return Chain(where, found, authorities)


def check_key(where: str, path: str, hint: str = "") -> None:
    """Raises StartupError, with *hint* at its end, where there is no private key in the file.

    Whether a key can be used, OpenSSL has to say.
    """
    expected = "a private key in PEM"
    labels = _labels(where, _read(where, path, expected), expected)
    if "PRIVATE KEY" not in labels:
        raise StartupError(f"{where}: found only {labels}, expected {expected}{hint}")


def _read(where: str, path: str, expected: str) -> bytes:
    """What is in the file. Raises StartupError."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise StartupError(f"{where}: found a directory, expected {expected}")
        if not stat.S_ISREG(found.st_mode):
            # It could be read once only, and reading it might wait for ever.
            raise StartupError(f"{where}: found no regular file, expected {expected}")
        with open(path, "rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except FileNotFoundError:
        raise StartupError(f"{where}: found no such file, expected {expected}") from None
    except OSError as error:
        raise StartupError(f"{where}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a path that no system call takes
        raise StartupError(f"{where}: cannot be read: {error}") from None
    if not octets:
        raise StartupError(f"{where}: found an empty file, expected {expected}")
    if len(octets) > MOST_OCTETS:
        raise StartupError(f"{where}: found more than {MOST_OCTETS} octets, expected {expected}")
    return octets


def _labels(where: str, octets: bytes, expected: str) -> str:
    """What kinds of thing are in the file, each once. Raises StartupError: none."""
    try:
        labels = dict.fromkeys(block.label for block in pem_blocks(octets))
    except ValueError as error:
        raise StartupError(f"{where}: found damaged PEM: {error}") from None
    if not labels:
        raise StartupError(f"{where}: found something that is not PEM, expected {expected}")
    return " and ".join(labels)


def date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
