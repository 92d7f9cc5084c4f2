"""Errors that are found late: options by their flags, and where their values come from."""

from __future__ import annotations

import pytest

from miniasgi.config.explained import explained
from miniasgi.config.sources import Origin, Source
from miniasgi.errors import StartupError, UsageError

ORIGINS = {
    "app": Origin(Source.FILE, "my.toml"),
    "workers": Origin(Source.ENVIRONMENT, "WEB_CONCURRENCY"),
    "reload": Origin(Source.COMMAND_LINE, "--reload"),
    "ssl_ciphers": Origin(Source.FILE, "my.toml"),
    "access_logfile": Origin(Source.ENVIRONMENT, "MINIASGI_ACCESS_LOGFILE (from .env)"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot listen on 127.0.0.1:80", "cannot listen on 127.0.0.1:80"),
        (
            "--access-logfile /a: Permission denied",
            "--access-logfile /a: Permission denied "
            "(--access-logfile is from the environment, MINIASGI_ACCESS_LOGFILE (from .env))",
        ),
        # What is typed is seen.
        (
            "--reload: found --workers 2",
            "--reload: found --workers 2 (--workers is from the environment, WEB_CONCURRENCY)",
        ),
        (
            "ssl_ciphers: needs ssl_certfile",
            "--ssl-ciphers: needs --ssl-certfile (--ssl-ciphers is from the file, my.toml)",
        ),
        ("--pid /x/--workers/ssl_ciphers.pid: no", "--pid /x/--workers/ssl_ciphers.pid: no"),
        ("--no-such thing", "--no-such thing"),
        ("application 'a:b': no", "application 'a:b': no (APP is from the file, my.toml)"),
    ],
)
def test_an_option_is_called_by_its_flag_and_by_where_it_comes_from(text: str, expected: str) -> None:
    error = explained(UsageError(text, "Traceback"), ORIGINS)
    assert (str(error), error.details, error.exit_status) == (expected, "Traceback", 2)


def test_what_is_no_error_of_an_option_may_have_such_a_word() -> None:
    error = explained(StartupError("module a has no attribute ssl_ciphers"), ORIGINS)
    assert (str(error), error.exit_status) == ("module a has no attribute ssl_ciphers", 3)


def test_what_has_not_been_said_anywhere_comes_from_nowhere() -> None:
    assert str(explained(UsageError("--port: taken"), {})) == "--port: taken"
