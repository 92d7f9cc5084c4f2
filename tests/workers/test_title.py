"""Titles of processes, with a package in the place of setproctitle that takes notes."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from miniasgi.workers.system.title import set_title, title


@pytest.mark.parametrize(
    ("role", "app", "expected"),
    [
        ("supervisor", "myapp:app", "miniasgi: supervisor myapp:app"),
        ("worker 2", "myapp:app", "miniasgi: worker 2 myapp:app"),
        ("supervisor", "", "miniasgi: supervisor"),
    ],
)
def test_a_title_names_the_role_and_the_application(role: str, app: str, expected: str) -> None:
    assert title(role, app) == expected


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a package in the place of setproctitle is given."""
    given: list[str] = []
    package = ModuleType("setproctitle")
    package.setproctitle = given.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "setproctitle", package)
    return given


def test_the_package_is_given_the_title(given: list[str]) -> None:
    set_title("miniasgi: supervisor myapp:app")
    assert given == ["miniasgi: supervisor myapp:app"]


def test_octets_that_are_not_utf_8_are_not_given_to_the_package(given: list[str]) -> None:
    set_title("miniasgi: server \udcff\udcfe:app")
    assert given == ["miniasgi: server ??:app"]


def test_without_the_package_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "setproctitle", None)
    set_title("miniasgi: supervisor myapp:app")
