"""TLS contexts, made of the options and of the files that they name; or one line that says why that cannot be.

Knows ssl, files and what stands in certificates. Does not know connections, nor when files are read again (tls).
"""

from __future__ import annotations

import inspect
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NamedTuple

from ...config import Config
from ...errors import StartupError, UsageError
from ...importer import brief, load, takes, user_traceback
from .certificate_files import Chain, Stamp, check_key, read_chain, stamp_of
from .certificates import pem
from .options import check_options

__all__ = ["SHAKING", "Context", "ContextMaker", "Made"]

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


#: The socket of the client for whom a loop is about to ask a Context for the state of a connection; in a list, from
#: which it is taken then, because the loop's context, and so this, is inherited by what applications start.
SHAKING: ContextVar[list[socket.socket]] = ContextVar("miniasgi.shaking")


class _Handshake(ssl.SSLObject):
    """The state of a connection that tells its client why there will be none (RFC 8446 §6.2).

    OpenSSL writes an alert; but both loops throw away what is left to be sent when a handshake fails, so that all that
    clients could say is that the connection has ended.
    """

    # Set by Context.wrap_bio(), until the handshake is over.
    client: socket.socket | None = None
    outgoing: ssl.MemoryBIO | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.client is not None and self.outgoing is not None:
                with suppress(OSError):
                    self.client.send(self.outgoing.read())
            self.client = self.outgoing = None
            raise
        self.client = self.outgoing = None


class Context(ssl.SSLContext):
    """A context that knows which certificate it gives to clients.

    Attributes:
        server_cert: in PEM; None while there is none, or if somebody else has loaded one.
        by_name: the contexts that take its place for clients which ask for one of these names.
    """

    sslobject_class = _Handshake

    def __init__(self, protocol: int) -> None:
        self.server_cert: str | None = None
        self.by_name: dict[str, Context] = {}

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *args, **kwargs)
        waiting = SHAKING.get(None)
        if waiting and isinstance(made, _Handshake):
            made.client, made.outgoing = waiting.pop(), outgoing
        return made

    def load_cert_chain(self, *args: Any, **kwargs: Any) -> None:
        super().load_cert_chain(*args, **kwargs)
        self.server_cert = None

    def for_name(self, name: str) -> Context | None:
        """The context for clients that ask for *name*: of that name, else of ``*.`` and all but its first label."""
        name = name.lower().rstrip(".")
        return self.by_name.get(name) or self.by_name.get("*." + name.partition(".")[2])


class Made(NamedTuple):
    """A context, and the certificates that were read for it: the server's in the order of the options."""

    context: ssl.SSLContext
    chains: list[Chain]


class ContextMaker:
    """Makes contexts of the options; each time, the files are read anew, and the user's factory is called."""

    def __init__(self, config: Config) -> None:
        """Raises StartupError: the factory cannot be loaded; UsageError: options that make no sense together."""
        self._config = config
        self._factory = _factory(config)
        check_options(config)
        files = [config.ssl_certfile, config.ssl_keyfile, config.ssl_ca_certs]
        for _, certificate, key in config.ssl_sni:
            files += [certificate, key]
        self._files = [path for path in dict.fromkeys(files) if path]

    def look(self) -> Stamp:
        """How the files are at the moment."""
        return stamp_of(self._files)

    def make(self) -> Made:
        """A context for new connections. Raises StartupError: a file, or the factory; UsageError: an option."""
        if self._factory is None:
            return self._of_options()
        chains: list[Chain] = []

        def default() -> ssl.SSLContext:
            context, chains[:] = self._of_options()
            return context

        try:
            made = self._factory(self._config, default)
        except StartupError:
            raise
        except (Exception, SystemExit) as error:
            raise StartupError(f"--ssl-context-factory failed: {brief(error)}", user_traceback(error)) from error
        if inspect.iscoroutine(made):
            made.close()  # else Python warns that it was never awaited
        if not isinstance(made, ssl.SSLContext):
            raise StartupError(
                f"--ssl-context-factory returned an object of type {type(made).__name__}, expected an ssl.SSLContext"
            )
        if made.protocol is ssl.PROTOCOL_TLS_CLIENT:
            raise StartupError("--ssl-context-factory returned a context for clients, expected ssl.PROTOCOL_TLS_SERVER")
        return Made(made, chains)

    def _of_options(self) -> Made:
        config = self._config
        authorities: list[Chain] = []
        if config.ssl_ca_certs:
            where = f"--ssl-ca-certs {config.ssl_ca_certs!r}"
            authorities = [read_chain(where, config.ssl_ca_certs, authorities=True)]
        context = self._new(authorities)
        chains = []
        if config.ssl_certfile:
            chains.append(
                self._load(context, "--ssl-certfile", config.ssl_certfile, "--ssl-keyfile", config.ssl_keyfile)
            )
        for name, certificate, key in config.ssl_sni:
            other = self._new(authorities)
            chains.append(self._load(other, f"--ssl-sni {name}", certificate, f"--ssl-sni {name}", key))
            context.by_name.setdefault(name, other)
        if context.by_name:
            context.sni_callback = _choose
        return Made(context, chains + authorities)

    def _new(self, authorities: list[Chain]) -> Context:
        """A context with every setting, and no certificate yet."""
        config = self._config
        context = Context(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[config.ssl_min_version]
        # A client may make a server of TLS 1.2 work for ever by negotiating again; compression leaks secrets (CRIME).
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        if config.ssl_ciphers:
            try:
                context.set_ciphers(config.ssl_ciphers)
            except ssl.SSLError:
                raise UsageError(
                    f"--ssl-ciphers: found {config.ssl_ciphers!r}, in which OpenSSL knows no cipher of TLS 1.2; "
                    "expected names that 'openssl ciphers -v' lists, with colons between them"
                ) from None
        context.verify_mode = VERIFY_MODES[config.ssl_cert_reqs]
        for chain in authorities:
            try:
                context.load_verify_locations(cadata=b"".join(each.der for each in chain.certificates))
            except ssl.SSLError as error:
                raise StartupError(
                    f"{chain.where}: OpenSSL cannot read a certificate in it: {_reason(error)}"
                ) from None
        return context

    def _load(self, context: Context, option: str, path: str, key_option: str, key_path: str) -> Chain:
        """Load a certificate, and its key, which is in the same file where *key_path* is empty."""
        where = f"{option} {path!r}"
        key_where = f"{key_option} {key_path!r}" if key_path else where
        chain = read_chain(where, path)
        check_key(key_where, key_path or path, "" if key_path else "; is it in another file?")
        asked = False

        def password() -> str:
            # Without this callback, OpenSSL would ask on the terminal.
            nonlocal asked
            asked = True
            return self._config.ssl_keyfile_password

        try:
            # Opens the files once more, because it takes nothing but paths. If they were replaced just now, they have
            # another stamp than before they were read, and will be read again.
            context.load_cert_chain(path, key_path or None, password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = _reason(error)
            # The last one: of the certificates, there is none for this kind of key.
            if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
                raise StartupError(
                    f"{key_where}: found a private key that does not match {where}, expected that of the first "
                    "certificate there"
                ) from None
            if asked and not self._config.ssl_keyfile_password:
                raise StartupError(
                    f"{key_where}: found a private key that is encrypted, expected --ssl-keyfile-password"
                ) from None
            if asked:
                raise StartupError(
                    f"{key_where}: found a private key that --ssl-keyfile-password does not decrypt"
                ) from None
            raise StartupError(f"{where}: OpenSSL does not take this certificate and its key: {reason}") from None
        context.server_cert = pem(chain.certificates[0].der)
        return chain


def _choose(ssl_object: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
    """Give the connection the certificate that its client has asked for."""
    if name and isinstance(context, Context):
        found = context.for_name(name)
        if found is not None:
            ssl_object.context = found


def _factory(config: Config) -> Callable[..., Any] | None:
    factory = config.ssl_context_factory
    if not factory:
        return None
    if isinstance(factory, str):
        factory = load(factory, what="TLS context factory", app_dir=config.app_dir)
    if takes(factory, 2) is False:
        raise StartupError("--ssl-context-factory: expected a callable that takes the Config and a callable")
    return factory  # type: ignore[no-any-return]  # the option's kind takes nothing else


def _reason(error: Exception) -> str:
    """OpenSSL's own word for it, where it has one."""
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
