"""Which options make a server speak TLS, and which mean nothing without it."""

from __future__ import annotations

from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import UsageError
from miniasgi.server.tls.options import check_options, speaks_tls


@pytest.mark.parametrize(
    ("options", "enabled"),
    [({}, False), ({"ssl_certfile": "file"}, True), ({"ssl_context_factory": "module:make"}, True)],
)
def test_a_certificate_or_a_factory_makes_the_server_speak_tls(options: dict[str, Any], enabled: bool) -> None:
    assert speaks_tls(Config(**options)) is enabled


def test_options_of_tls_without_a_certificate_do_not_start_a_server_without_tls() -> None:
    with pytest.raises(UsageError, match=r"^--ssl-keyfile: needs --ssl-certfile$"):
        speaks_tls(Config(ssl_keyfile="file"))


def test_options_without_tls_make_sense() -> None:
    check_options(Config())
