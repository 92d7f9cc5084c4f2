"""The options of who runs a server: names that other servers have for them, and what belongs to what."""

from __future__ import annotations

import pytest

from miniasgi.config import OPTIONS

BY_NAME = {option.name: option for option in OPTIONS}


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("--certfile", "ssl_certfile"),
        ("--keyfile", "ssl_keyfile"),
        ("--ca-certs", "ssl_ca_certs"),
        ("--cert-reqs", "ssl_cert_reqs"),
        ("--ciphers", "ssl_ciphers"),
        ("--access-logformat", "access_log_format"),
        ("--access-log-fmt", "access_log_format"),
        ("--log-file", "error_logfile"),
        ("--keep-alive", "timeout_keep_alive"),
        ("--graceful-timeout", "timeout_graceful_shutdown"),
        ("--h11-max-incomplete-event-size", "limit_request_head"),
    ],
)
def test_other_servers_names_are_taken(flag: str, name: str) -> None:
    assert flag in BY_NAME[name].aliases


def test_whatever_tells_of_a_certificate_needs_one() -> None:
    tls = {option.name for option in OPTIONS if option.group == "TLS"}
    needing = {option.name for option in OPTIONS if option.needs == "ssl_certfile"}
    assert tls - needing == {"ssl_certfile", "ssl_context_factory"}


def test_who_is_trusted_can_be_said_for_all_servers_at_once() -> None:
    assert BY_NAME["forwarded_allow_ips"].variable == "FORWARDED_ALLOW_IPS"
