"""The exceptions, and what the user is told of them."""

from __future__ import annotations

import pytest

from miniasgi import errors
from miniasgi.errors import ClientDisconnected, MiniasgiError, RequestError, StartupError, UsageError


@pytest.mark.parametrize(
    ("error", "report"),
    [
        (StartupError("no such thing"), "miniasgi: no such thing"),
        (StartupError("two\nlines"), "miniasgi: two lines"),
        (StartupError("a\x1b[31mb\x9b\udcff\u202eé"), "miniasgi: a\\x1b[31mb\\x9b\\udcff\\u202eé"),
        (UsageError("bad", "Traceback:\n  here\n"), "Traceback:\n  here\nminiasgi: bad"),
    ],
)
def test_a_report_ends_with_one_line(error: StartupError, report: str) -> None:
    assert error.report() == report


def test_every_refusal_has_a_status_for_its_answer() -> None:
    refusals = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, RequestError)]
    assert sorted({refusal.status for refusal in refusals}) == [400, 408, 413, 414, 417, 431, 501, 503, 505]


def test_a_client_that_has_gone_is_an_os_error_as_asgi_wants_it() -> None:
    assert issubclass(ClientDisconnected, OSError)
    assert issubclass(ClientDisconnected, MiniasgiError)


def test_a_bad_option_and_a_failed_start_have_their_exit_statuses() -> None:
    assert (UsageError.exit_status, StartupError.exit_status) == (2, 3)
