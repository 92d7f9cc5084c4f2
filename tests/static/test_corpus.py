"""The cases of tests/cases/static.json, for the server on each parser and loop, and StaticFiles under another one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases import run_static
from tests.support import ROOT

DOCUMENT: dict[str, Any] = json.loads((ROOT / "tests/cases/static.json").read_text())
CASES: list[dict[str, Any]] = DOCUMENT["cases"]

# What each profile of the cases is on the command line, and in Python.
OPTIONS: dict[str, tuple[list[str], str]] = {
    "default": ([], ""),
    "listing": (["--listing"], "listing=('html', 'json')"),
    "precompressed": (["--precompressed"], "precompressed=('br', 'zstd', 'gzip')"),
    "spa": (["--spa"], "spa='index.html'"),
    "notfound": ([], ""),  # the page is found by its name
    "cleanurls": (["--clean-urls"], "clean_urls=True"),
    "mounted": ([], ""),
}

Make = Callable[[str, int, str, str], tuple[list[str], dict[str, str]]]


def miniasgi(*options: str) -> Make:
    def make(root: str, port: int, scratch: str, profile: str) -> tuple[list[str], dict[str, str]]:
        folder = root + ":/static" if profile == "mounted" else root
        command = ["-m", "miniasgi", "--static", folder, "--port", str(port), "--no-access-log"]
        return [sys.executable, *command, *OPTIONS[profile][0], *options], {"PYTHONPATH": str(ROOT)}

    return make


def uvicorn(root: str, port: int, scratch: str, profile: str) -> tuple[list[str], dict[str, str]]:
    """StaticFiles as an application of another server."""
    pairs = [(root, "/static" if profile == "mounted" else "")]
    text = f"from miniasgi.static import StaticFiles\n\napp = StaticFiles({pairs!r}, {OPTIONS[profile][1]})\n"
    module = f"served_{profile}"
    Path(scratch, f"{module}.py").write_text(text)
    options = ("--app-dir", scratch, "--port", str(port), "--no-access-log", "--log-level", "error")
    return [sys.executable, "-m", "uvicorn", f"{module}:app", *options], {"PYTHONPATH": str(ROOT)}


def verdicts(make: Make) -> dict[str, tuple[str, str]]:
    """What is said of each case that is not passed, and why: failed, died of, left out or not asked at all."""
    arguments = argparse.Namespace(tame=False, only=None, log=None, verbose=False)
    found: dict[str, tuple[str, str]] = run_static.evaluate("server", make, DOCUMENT, arguments)
    assert found.keys() == {case["id"] for case in CASES}
    return {name: verdict for name, verdict in found.items() if verdict[0] != "pass"}


@pytest.fixture(autouse=True)
def without_a_pause_after_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_static.Server, "settle", 0)


def test_every_profile_of_the_cases_is_served() -> None:
    assert OPTIONS.keys() == set(run_static.PROFILES)
    assert {case["profile"] for case in CASES} == OPTIONS.keys()
    assert len({case["id"] for case in CASES}) == len(CASES) > 100


@pytest.mark.slow
@pytest.mark.parametrize("parser_name", ["handwritten", "httptools", "h11"])
def test_every_case_is_answered_as_it_must_be_whatever_parses(parser_name: str) -> None:
    for package in {"uvloop", parser_name} - {"handwritten"}:
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    assert verdicts(miniasgi("--http", parser_name, "--loop", "uvloop")) == {}


@pytest.mark.slow
def test_every_case_is_answered_as_it_must_be_on_the_loop_of_python() -> None:
    assert verdicts(miniasgi("--loop", "asyncio")) == {}


@pytest.mark.slow
def test_every_case_is_answered_as_it_must_be_without_a_memory() -> None:
    assert verdicts(miniasgi("--static-cache", "off")) == {}


@pytest.mark.slow
def test_every_case_is_answered_as_it_must_be_under_another_server() -> None:
    pytest.importorskip("uvicorn", reason="the package uvicorn is not installed")
    assert verdicts(uvicorn) == {}
