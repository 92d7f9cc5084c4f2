"""What is said when a server has started, and what a browser is shown."""

from __future__ import annotations

import importlib.util
import logging
import queue
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from miniasgi import __version__
from miniasgi.config import Config
from miniasgi.workers import greeting
from miniasgi.workers.greeting import greet

PYTHON = ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines that have been logged, with their levels."""
    caplog.set_level(logging.INFO, "miniasgi.server")
    return lambda: [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


Said = Callable[[], list[str]]


def test_one_line_says_where_the_server_is_and_what_it_runs_on(said: Said) -> None:
    urls = ["http://127.0.0.1:80", "http://[::1]:80"]
    greet("a:b", Config(), urls, "uvloop", "process 12")
    assert said() == [
        f"INFO miniasgi {__version__} on http://127.0.0.1:80 and http://[::1]:80 "
        f"(uvloop, handwritten parser, Python {PYTHON}, process 12); Ctrl-C stops it"
    ]


def test_a_parser_that_was_chosen_is_named(said: Said) -> None:
    greet("a:b", Config(http="h11"), ["http://h:1"], "uvloop", "process 12")
    assert "(uvloop, h11 parser, " in said()[0]


def test_folders_are_named_with_their_places(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    greet(None, Config(static=(("a", "/x"), (str(tmp_path), ""))), ["http://h:1"], "uvloop", "process 12")
    assert said()[1:] == [f"INFO serving {tmp_path / 'a'} at /x/", f"INFO serving {tmp_path} at /"]


# Packages that are not there


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the packages that are taken to be installed."""
    names = {"uvloop", "httptools", "h11"}

    def find_spec(name: str) -> ModuleSpec | None:
        if name == "refused":
            raise ImportError
        return importlib.util.spec_from_loader(name, None) if name in names else None

    monkeypatch.setattr(greeting, "find_spec", find_spec)
    return names


@pytest.mark.parametrize(
    ("missing", "named"), [({"uvloop"}, "uvloop"), ({"uvloop", "httptools", "h11"}, "uvloop, httptools, h11")]
)
def test_packages_that_would_make_it_faster_are_named(
    said: Said, installed: set[str], missing: set[str], named: str
) -> None:
    installed -= missing
    greet("a:b", Config(), ["http://h:1"], "asyncio", "process 12")
    assert said()[0] == f"INFO not installed: {named}; serving on asyncio with the hand-written parser"
    assert len(said()) == 2


@pytest.mark.parametrize(
    ("missing", "loop", "config"),
    [
        ({"h11"}, "asyncio", Config()),  # asyncio for another reason
        ({"uvloop"}, "asyncio", Config(loop="asyncio")),  # as was asked for
        ({"httptools"}, "uvloop", Config()),
    ],
)
def test_packages_of_which_nobody_feels_the_lack_are_not(
    said: Said, installed: set[str], missing: set[str], loop: str, config: Config
) -> None:
    installed -= missing
    greet("a:b", config, ["http://h:1"], loop, "process 12")
    assert len(said()) == 1


def test_a_package_that_somebody_refuses_is_not_installed(installed: set[str]) -> None:
    assert not greeting._is_installed("refused")
    assert greeting._is_installed("uvloop")


# The browser


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[queue.SimpleQueue[str]]:
    """What a browser is shown."""
    urls: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(webbrowser, "open", lambda url: urls.put(url) or True)
    yield urls
    assert urls.empty()


@pytest.mark.parametrize(
    ("listens", "url"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80/"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80/"),
        ("http://[::]:80", "http://[::1]:80/"),
        ("http://[::1]:80", "http://[::1]:80/"),
    ],
)
def test_a_browser_is_shown_an_address_of_this_machine(shown: queue.SimpleQueue[str], listens: str, url: str) -> None:
    greet("a:b", Config(open=True), [listens, "http://other:80"], "uvloop", "process 12")
    assert shown.get(timeout=10) == url


def test_without_being_asked_for_no_browser_is_shown_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "_open_browser", lambda url: pytest.fail(url))
    greet("a:b", Config(), ["http://h:1"], "uvloop", "process 12")


@pytest.mark.parametrize(
    ("urls", "url"),
    [
        (["https://0.0.0.0:443"], "https://127.0.0.1:443/"),
        (["unix:/run/a", "http://h:1", "http://h:2"], "http://h:1/"),
    ],
)
def test_a_browser_is_shown_the_first_address_that_it_can_open(
    shown: queue.SimpleQueue[str], urls: list[str], url: str
) -> None:
    greet("a:b", Config(open=True), urls, "uvloop", "process 12")
    assert shown.get(timeout=10) == url


@pytest.mark.usefixtures("shown")
def test_no_browser_can_open_a_unix_domain_socket(said: Said) -> None:
    greet("a:b", Config(open=True), ["unix:/run/a", "unix:/run/b"], "uvloop", "process 12")
    assert " on unix:/run/a and unix:/run/b (uvloop, " in said()[0]
    assert said()[1:] == [
        "WARNING --open: no browser can be shown unix:/run/a or unix:/run/b, expected an address of TCP"
    ]


@pytest.mark.parametrize(
    ("app", "mounts", "path"),
    [
        ("a:b", ["/x"], "/"),
        (None, ["/x", ""], "/"),
        (None, ["/a b", "/x"], "/a%20b/"),
    ],
)
def test_a_browser_is_shown_where_there_is_something(
    shown: queue.SimpleQueue[str], tmp_path: Path, app: Any, mounts: list[str], path: str
) -> None:
    config = Config(open=True, static=tuple((str(tmp_path), mount) for mount in mounts))
    greet(app, config, ["http://h:1"], "uvloop", "process 12")
    assert shown.get(timeout=10) == f"http://h:1{path}"


def test_a_missing_browser_is_said(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    greet("a:b", Config(open=True), ["http://h:1"], "uvloop", "process 12")
    for thread in threading.enumerate():
        if thread.name == "miniasgi-open":
            thread.join(10)
    assert said()[1:] == ["WARNING no browser was found to open http://h:1/"]
