"""Which options of TLS make sense together, and whether they ask for it. Light: a server without TLS loads no more."""

from __future__ import annotations

from ...config import OPTIONS, Config
from ...errors import UsageError

__all__ = ["check_options", "speaks_tls"]

# 1024: PEM_BUFSIZE, more than which OpenSSL does not take.
MOST_PASSWORD_OCTETS = 1024


def speaks_tls(config: Config) -> bool:
    """Whether the server is to speak TLS.

    Raises UsageError: it is not, but there are options that only TLS has.
    """
    if config.ssl_certfile or config.ssl_context_factory:
        return True
    check_options(config)
    return False


def check_options(config: Config) -> None:
    """Raises UsageError: an option that means nothing without another one, or with it."""
    for option in OPTIONS:
        # A factory may bring the certificate, and use every other setting by calling its default().
        alone = config.ssl_context_factory and option.name not in ("ssl_keyfile", "ssl_sni")
        if option.needs == "ssl_certfile" and not config.ssl_certfile and not alone:
            if getattr(config, option.name) != option.default:
                raise UsageError(f"{option.flag}: needs --ssl-certfile")
    if config.ssl_cert_reqs != "none" and not config.ssl_ca_certs and not config.ssl_context_factory:
        raise UsageError(
            f"--ssl-cert-reqs: found {config.ssl_cert_reqs}, expected --ssl-ca-certs with the authorities of clients, "
            "too"
        )
    if config.ssl_ca_certs and config.ssl_cert_reqs == "none" and not config.ssl_context_factory:
        raise UsageError("--ssl-ca-certs: no client is asked for a certificate, expected --ssl-cert-reqs, too")
    if config.ssl_ciphers and config.ssl_min_version == "1.3":
        raise UsageError("--ssl-ciphers: means nothing with --ssl-min-version 1.3, expected only one of both")
    octets = len(config.ssl_keyfile_password.encode("utf-8", "replace"))
    if octets > MOST_PASSWORD_OCTETS:
        raise UsageError(f"--ssl-keyfile-password: found {octets} octets, expected at most {MOST_PASSWORD_OCTETS}")
