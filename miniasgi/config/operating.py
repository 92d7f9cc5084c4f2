"""The options of who runs a server: certificates, proxies, logs, limits, time, development."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .kinds import (
    DIRECTORIES,
    FILE,
    FLAG,
    GLOBS,
    KIB,
    SWITCH,
    automatic,
    choice,
    duration,
    size,
    text,
    whole,
)
from .operating_kinds import CERT_REQS, FACTORY, FIELD_NAME, LOG_FILE, LOG_FORMAT, PASSWORD, PEERS, PROXY_FIELDS, SNI
from .options import option

__all__ = ["OperatingOptions"]


# fmt: off
@dataclass(frozen=True, init=False, repr=False, eq=False)  # for Config alone to make
class OperatingOptions:
    """See miniasgi.config.Config."""

    ssl_certfile: str = option("", FILE, group="TLS", aliases=("--certfile",),
        help="Certificate, and those between it and its authority, in PEM; makes the server speak HTTPS. Read again "
             "when the file changes.")
    ssl_keyfile: str = option("", FILE, group="TLS", aliases=("--keyfile",), needs="ssl_certfile",
        help="Private key in PEM; else it is in the file of the certificate.")
    ssl_keyfile_password: str = option("", PASSWORD, group="TLS", needs="ssl_certfile",
        help="What private keys are encrypted with. Other users of the machine can read a command line, but not the "
             "environment.")
    ssl_sni: tuple[tuple[str, str, str], ...] = option((), SNI, group="TLS", needs="ssl_certfile",
        help="Certificate and key for clients that ask for the host NAME, which may be *.DOMAIN; the first that fits "
             "counts, and --ssl-certfile where none does.")
    ssl_min_version: str = option("1.2", choice("1.2", "1.3"), group="TLS", needs="ssl_certfile",
        help="Oldest version of TLS that is spoken.")
    ssl_ciphers: str = option("", text("CIPHERS", "a list of ciphers as OpenSSL has it", str.isascii), group="TLS",
        aliases=("--ciphers",), needs="ssl_certfile",
        help="Ciphers of TLS 1.2, as OpenSSL names them; else those that Python chooses.")
    ssl_ca_certs: str = option("", FILE, group="TLS", aliases=("--ca-certs",), needs="ssl_certfile",
        help="Certificates of the authorities for clients' certificates, in PEM.")
    ssl_cert_reqs: str = option("none", CERT_REQS, group="TLS", aliases=("--cert-reqs",), needs="ssl_certfile",
        help="Whether clients are asked for a certificate, and refused without one; 0, 1 and 2 mean the same.")
    ssl_context_factory: Any = option("", FACTORY, group="TLS",  # noqa: RUF009
        help="Called with the Config and with a callable that makes the context of all other options; what it returns "
             "is used. In Python it may be a callable.")

    proxy_headers: tuple[str, ...] = option(("for", "proto"), PROXY_FIELDS, group="Proxies",
        help="What is believed of the X-Forwarded fields of trusted proxies: some of for, proto, host, port and "
             "prefix; x-forwarded is all of these, forwarded the field Forwarded (RFC 7239) instead. Alone it is "
             "for,proto.")
    forwarded_allow_ips: tuple[str, ...] = option(("127.0.0.1", "::1", "unix:"), PEERS, group="Proxies",
        variable="FORWARDED_ALLOW_IPS",
        help="Proxies that are trusted: addresses, networks, unix: for who connects to a Unix domain socket, * for "
             "everybody, none for nobody.")
    proxy_protocol: bool = option(False, FLAG, group="Proxies",
        help="Have trusted proxies begin each connection with the PROXY protocol, version 1 or 2.")

    log_level: str = option("info", choice("critical", "error", "warning", "info", "debug", "trace"), group="Logging",
        help="Least severe message that the miniasgi.server logger writes.")
    access_log: bool = option(True, SWITCH, group="Logging",
        help="One line for each request, from the miniasgi.access logger.")
    log_format: str = option("text", choice("text", "json"), group="Logging",
        help="How the lines of both logs are written; json is one object a line.")
    access_log_format: str = option("default", LOG_FORMAT, group="Logging",
        aliases=("--access-logformat", "--access-log-fmt"),
        help="What access lines say: default, common, combined, json, or a text with gunicorn's atoms such as %(h)s.")
    access_logfile: str = option("-", LOG_FILE, group="Logging",
        help="File for access lines; - is standard output.")
    error_logfile: str = option("-", LOG_FILE, group="Logging", aliases=("--log-file",),
        help="File for the server's own lines; - is standard error.")
    log_config: str = option("", FILE, group="Logging",
        help="Configuration of Python's logging, as .json, .toml, .yaml or .ini; what it says of the two loggers wins.")
    use_colors: bool | None = option(None, automatic(SWITCH), group="Logging",
        help="Colour the server's lines; auto does on a terminal.")
    request_id: str = option("", FIELD_NAME, group="Logging",
        help="Name of a field that identifies each request, such as X-Request-ID: taken from trusted proxies, else "
             "made.")


    limit_request_line: int = option(16 * KIB, size(), group="Limits",
        help="Longest request line; a longer one is answered 414.")
    # The alias is as gunicorn spells it.
    limit_request_field_size: int = option(16 * KIB, size(), group="Limits", aliases=("--limit-request-field_size",),
        help="Longest single field, name and value; a longer one is answered 431.")
    # 100: as Apache's LimitRequestFields.
    limit_request_fields: int = option(100, whole(1), group="Limits",
        help="Most fields in a request; more are answered 431.")
    limit_request_head: int = option(64 * KIB, size(), group="Limits", aliases=("--h11-max-incomplete-event-size",),
        help="Longest request head, all lines together; a longer one is answered 431.")
    limit_request_body: int | None = option(None, size(optional=True), group="Limits",
        help="Longest request content, after any chunked coding is undone; more is answered 413.")
    limit_concurrency: int | None = option(None, whole(1, optional=True), group="Limits",
        help="Most requests that run at once; further ones wait.")
    limit_queue: int = option(1000, whole(0), group="Limits",
        help="Most requests that wait for --limit-concurrency; further ones are answered 503.")

    timeout_request_header: float = option(10.0, duration(), group="Timeouts",
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
    timeout_queue: float = option(30.0, duration(), group="Timeouts",
        help="For a request to wait for --limit-concurrency; then 503.")
    timeout_ssl_handshake: float = option(10.0, duration(), group="Timeouts",
        help="For a client's TLS handshake; then the connection is cut.")

    reload: bool = option(False, FLAG, group="Development",
        help="Start again whenever a source file changes.")
    reload_dir: tuple[str, ...] = option((), DIRECTORIES, group="Development", needs="reload",
        help="Directory to look for changes in, with all below it; else that of --app-dir.")
    reload_include: tuple[str, ...] = option((), GLOBS, group="Development", needs="reload",
        help="Files to look at beside *.py.")
    reload_exclude: tuple[str, ...] = option((), GLOBS, group="Development", needs="reload",
        help="Files and directories not to look at, beside .*, __pycache__, node_modules and virtual environments.")
    reload_delay: float = option(0.25, duration(), group="Development", needs="reload",
        help="Between two looks, where the watchfiles package is not installed.")
    open: bool = option(False, FLAG, group="Development",
        help="Open the browser when the server has started.")
    live_reload: bool = option(False, FLAG, group="Development", needs="static",
        help="Reload pages of static files in the browser when a file changes; nothing is cached then.")
    # fmt: on
