"""TLS of a server: the context for new connections, its renewal, and what applications are told of a connection.

Knows which context is in use, the clock, and how a connection's ssl object is asked. Does not know how a context is
made (context), sockets, nor the event loop; whoever has a loop calls check_files().
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from ...config import Config
from ...errors import StartupError
from .certificate_files import date
from .certificates import pem, read_certificate
from .context import SHAKING, Context, ContextMaker, Made

__all__ = ["Tls"]

logger = logging.getLogger("miniasgi.server")

# RFC 8446 §4.1.2, legacy_version, and RFC 5246 §1.2 with those before it.
_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


class Tls:
    """The certificates of a server, and the context that is made of them."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        """Read everything, and log what is to be said of the dates. *clock* gives seconds since 1970.

        Raises StartupError: a file or the factory that cannot be used; UsageError: an option.
        """
        self._clock = clock
        self._maker = ContextMaker(config)
        # How the files were at the last look, and before they were last read. Only check_files() and reload() set them.
        self._seen = self._read = self._maker.look()
        # When certificates that were refused because they are not valid yet will be; None where there are none.
        self._again_at: datetime | None = None
        self._cipher_suites: dict[str, int] = {}
        self._said: set[str] = set()
        self._made = self._maker.make()
        self._tell_dates()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection: it is another one after a reload."""
        return self._made.context

    def expect(self, client: socket.socket) -> None:
        """Learn that a loop is about to ask the context for the state of *client*'s connection."""
        if isinstance(self.context, Context):
            SHAKING.set([client])

    def check_dates(self) -> list[str]:
        """Why clients will refuse the server's certificates, a line for each that has expired or is not valid yet."""
        return list(self._troubles(self._made).values())

    # Renewal

    def check_files(self) -> None:
        """Reload if a file has changed, and log what has become of the dates; to be called every few seconds.

        Who replaces files does so one after the other: they are read once they have been the same for two calls.
        """
        found = self._maker.look()
        settled, self._seen = found == self._seen, found
        if settled and (found != self._read or (self._again_at is not None and self._now() >= self._again_at)):
            self.reload()
        else:
            self._tell_dates()

    def reload(self) -> bool:
        """Whether there is a new context, made of the same options; if not, the old one stays, and the log says why.

        Open connections keep the one they have.
        """
        self._read = self._maker.look()
        self._again_at = None
        try:
            made = self._maker.make()
            self._compare(made)
        except StartupError as error:
            details = f"\n{error.details}" if error.details else ""
            logger.error("TLS goes on with the old certificates: %s%s", error, details)
            return False
        self._made = made
        ends = [chain.certificates[0].valid_until for chain in made.chains if not chain.authorities]
        logger.info("TLS: certificates read again%s", f", valid until {date(min(ends))}" if ends else "")
        self._said.clear()
        self._tell_dates()
        return True

    def _compare(self, made: Made) -> None:
        """Raise StartupError if clients would refuse a new certificate in the place of one that they accept."""
        old, new = self._troubles(self._made), self._troubles(made)
        for where, trouble in new.items():
            if where not in old:
                starts = [chain.certificates[0].valid_from for chain in made.chains if chain.where == where]
                self._again_at = max(starts) if max(starts) > self._now() else None
                raise StartupError(trouble)

    def _troubles(self, made: Made) -> dict[str, str]:
        now = self._now()
        return {chain.where: trouble for chain in made.chains if (trouble := chain.trouble(now))}

    def _tell_dates(self) -> None:
        """Log what has not been said since the certificates were read; of one that expires soon, a line each day."""
        now = self._now()
        for chain in self._made.chains:
            for level, line in chain.remarks(now):
                if line not in self._said:
                    self._said.add(line)
                    logger.log(level, "%s", line)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    # Connections

    def extension(self, ssl_object: ssl.SSLObject) -> dict[str, Any]:
        """What applications are told of a connection whose handshake is complete (ASGI TLS Extension 0.2)."""
        context = ssl_object.context
        chain, name = _client(ssl_object)
        return {
            "server_cert": context.server_cert if isinstance(context, Context) else None,
            "client_cert_chain": chain,
            "client_cert_name": name,
            "client_cert_error": None,  # a certificate that is not verified ends the handshake
            "tls_version": _VERSIONS.get(ssl_object.version() or ""),
            "cipher_suite": self._cipher_suite(ssl_object),
        }

    def _cipher_suite(self, ssl_object: ssl.SSLObject) -> int | None:
        cipher = ssl_object.cipher()
        if cipher is None:
            return None
        if cipher[0] not in self._cipher_suites:
            # The lower half of what OpenSSL numbers them by is what TLS does.
            found = {each["name"]: each["id"] & 0xFFFF for each in ssl_object.context.get_ciphers()}
            self._cipher_suites.update(found)
        return self._cipher_suites.get(cipher[0])


def _client(ssl_object: ssl.SSLObject) -> tuple[list[str], str | None]:
    """The certificates that a client has sent, its own first, and whose that one is."""
    own = ssl_object.getpeercert(True)
    if not own:
        return [], None
    try:
        name = read_certificate(own).subject
    except ValueError:
        # OpenSSL reads more than DER is. With a certificate comes its name: so none, and nobody is let in by it.
        return [], None
    first = pem(own)
    chain = list(_sent(ssl_object))
    # In a session that is resumed, OpenSSL has the client's own and no other.
    return chain if chain[:1] == [first] else [first], name


def _sent(ssl_object: ssl.SSLObject) -> Iterator[str]:
    if hasattr(ssl_object, "get_unverified_chain"):  # Python 3.13
        yield from map(pem, ssl_object.get_unverified_chain())
        return
    ask = getattr(getattr(ssl_object, "_sslobj", None), "get_unverified_chain", None)
    for each in (ask() if ask else None) or ():
        if each is not None:
            yield str(each.public_bytes())
