"""Options for workers and sockets that do not go together: each pair is refused in one line, and alone each is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import UsageError
from miniasgi.workers.check import check


@pytest.fixture
def statm(tmp_path: Path) -> str:
    """In the place of the system's file, so that the tests do not depend on the system."""
    path = tmp_path / "statm"
    path.touch()
    return str(path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"workers": None},
        {"workers": 4, "preload": True},
        {"workers": 4, "worker_class": "thread"},
        {"reload": True},
        {"reload": True, "worker_class": "thread"},
        {"limit_max_requests": 1},
        {"limit_max_requests": 1, "limit_max_requests_jitter": 1},
        {"workers_lifetime": 1, "workers_lifetime_jitter": 1},
        {"workers_max_rss": "1g"},
        {"uds": "/run/a", "uds_mode": "600", "uds_owner": "www"},
        {"bind": [":80", "unix:/run/a"], "uds_mode": "600", "uds_owner": "www"},
    ],
    ids=str,
)
def test_what_goes_together_is_let_through(options: dict[str, Any], statm: str) -> None:
    check(Config.from_options(**options), statm=statm)


FROM = "(the other may come from WEB_CONCURRENCY or MINIASGI_WORKERS)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reload": True, "workers": 4}, f"--reload: found --workers 4, expected 1 {FROM}"),
        ({"reload": True, "workers": "auto"}, f"--reload: found --workers auto, expected 1 {FROM}"),
        (
            {"reload": True, "preload": True},
            "--preload: found --reload, too, expected one of them: what is loaded once cannot change",
        ),
        (
            {"preload": True, "worker_class": "thread"},
            "--preload: found --worker-class thread, expected process: threads load the application once anyway",
        ),
        ({"uds_mode": "600"}, "--uds-mode: found no --uds and no --bind unix:PATH, expected one of them"),
        (
            {"bind": ":80", "fd": 3, "uds_owner": "www"},
            "--uds-owner: found no --uds and no --bind unix:PATH, expected one of them",
        ),
        (
            {"workers_lifetime_jitter": 5},
            "--workers-lifetime-jitter: found no --workers-lifetime, expected one to add it to",
        ),
        (
            {"limit_max_requests_jitter": 5},
            "--limit-max-requests-jitter: found no --limit-max-requests, expected one to add it to",
        ),
        (
            # The one that is there is not the one that is added to.
            {"limit_max_requests_jitter": 5, "workers_lifetime": 5},
            "--limit-max-requests-jitter: found no --limit-max-requests, expected one to add it to",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(options: dict[str, Any], message: str, statm: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(Config.from_options(**options), statm=statm)
    assert str(caught.value) == message


def test_memory_is_limited_only_where_the_system_tells_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    check(Config(), statm=missing)
    with pytest.raises(UsageError) as caught:
        check(Config(workers_max_rss=1 << 20), statm=missing)
    assert str(caught.value) == (
        f"--workers-max-rss: found no {missing}, expected a system that says there how much memory a process has"
    )
