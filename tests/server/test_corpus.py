"""The cases in tests/cases, sent over real sockets to each parser on each loop, with no failure and no warning."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any

import pytest

from tests.cases import run_http11
from tests.support import ROOT, ServerProcess

CASES: list[dict[str, Any]] = json.loads((ROOT / "tests/cases/http11.json").read_text())["cases"]

# One case of each kind of thing that can straddle two reads.
CUT_CASES = re.compile(
    r"^(base-|ex-|ch-ext-|ch-trailer|ch-dataend|cn-close|rl-abs|hd-val-cr|host-ows|cl-surplus|pl-head|up-h2c|ws-|up-ws)"
)


def settings(port: int, **changes: object) -> argparse.Namespace:
    values = {"host": "127.0.0.1", "port": port, "scale": 1.0, "retries": 1, "concurrency": 40}
    modes = {"dribble": False, "split": False, "split_stride": 1, "split_max": 600}
    return argparse.Namespace(**(values | modes | changes))


def problems(port: int, cases: list[dict[str, Any]], **changes: object) -> list[str]:
    """What is wrong with the answers to *cases*; a warning is wrong too.

    What is, is asked once more, alone and with more time: a busy machine makes the server no other one.
    """
    results: list[dict[str, Any]] = []
    for more in ({}, {"concurrency": 1, "scale": 4.0}):
        runner, results = asyncio.run(run_http11.run_all(settings(port, **(changes | more)), cases))
        assert runner is not None, "the server is not there"
        assert runner.use_stats
        assert results
        wrong = {each["id"] for each in results if each["verdict"] != "pass"}
        cases = [case for case in cases if case["id"] in wrong]
        if not cases:
            break
    return [f"{r['id']}: {r['verdict']} {r['problem']}, got {r['got']}" for r in results if r["verdict"] != "pass"]


def server(parser: str, loop: str) -> ServerProcess:
    options = ("--app-dir", "tests/cases", "--port", "0", "--no-access-log")
    return ServerProcess("echo_app:app", *options, "--http", parser, "--loop", loop)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["whole", "dribbled"])
def test_every_case_is_answered_as_it_must_be(parser_name: str, loop_name: str, how: str) -> None:
    with server(parser_name, loop_name) as running:
        assert problems(running.port, CASES, dribble=how == "dribbled") == []


@pytest.mark.slow
def test_where_octets_are_cut_changes_no_answer(parser_name: str) -> None:
    cases = [case for case in CASES if CUT_CASES.search(case["id"])]
    assert len(cases) > 20
    with server(parser_name, "asyncio") as running:
        assert problems(running.port, cases, split=True, split_stride=11, concurrency=80) == []
