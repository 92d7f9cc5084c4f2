"""Load: wrk on its own core, or a small generator for machines without wrk, whose times mean nothing."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .probe import Client
from .process import CLIENT_CORE
from .script import Script

REPLAY = Path(__file__).with_name("replay.lua")


class LoadFailed(Exception):
    """Some request was not answered, or not with a good status."""


@dataclass(frozen=True)
class LoadResult:
    """What a load generator counted."""

    requests: int
    seconds: float
    octets: int | None  # of answers, heads included; None if each was looked at
    p99_seconds: float | None


def has_wrk() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def run_wrk(port: int, script: Script, seconds: float) -> LoadResult:
    """Run wrk with one thread for that long.

    Raises:
        LoadFailed: wrk counted an error, or failed itself.
    """
    # wrk knows whole seconds only; an interrupt ends it earlier, with its report.
    command = ["wrk", "--threads", "1", "--connections", str(script.connections), "--latency"]
    command += ["--duration", f"{math.ceil(seconds)}s", "--script", str(REPLAY)]
    scheme = "https" if script.context else "http"
    command += [f"{scheme}://127.0.0.1:{port}/", "--", str(script.replay)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=pin_to_client_core if script.is_pinned else None,
    )
    try:
        try:
            whole = seconds == math.ceil(seconds)
            output, _ = process.communicate(timeout=seconds + 20 if whole else seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
    return parse_wrk(output)


def pin_to_client_core() -> None:
    """Keep the current process on the load's core."""
    os.sched_setaffinity(0, {CLIENT_CORE})


def parse_wrk(output: str) -> LoadResult:
    """Read the line of JSON that replay.lua ends wrk's report with.

    Raises:
        LoadFailed: there is none, or it counts errors or no requests.
    """
    line = next((line for line in reversed(output.splitlines()) if line.startswith("{")), None)
    if line is None:
        raise LoadFailed(f"wrk reported nothing: {output.strip()[-500:]!r}")
    report = json.loads(line)
    errors = {kind: count for kind, count in report["errors"].items() if count}
    if errors or not report["requests"]:
        counted = ", ".join(f"{count} × {kind}" for kind, count in errors.items()) or "nothing answered"
        raise LoadFailed(f"wrk counted errors: {counted}, among {report['requests']} requests")
    # 0 is what wrk says when it does not know.
    p99 = report["p99_microseconds"] / 1e6 or None
    return LoadResult(report["requests"], report["microseconds"] / 1e6, int(report["octets"]), p99)


def p99(latencies: Sequence[float]) -> float:
    """What at most one in a hundred took longer than."""
    return sorted(latencies)[len(latencies) * 99 // 100]


def run_builtin(port: int, script: Script, seconds: float) -> LoadResult:
    """Send on a few connections in turn for that long, checking every answer whole.

    Raises:
        WrongAnswer: an answer was not the right one.
    """
    turn, requests = 0, 0
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(port, context=script.context)) for _ in range(min(script.connections, 8))]
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            for client in clients:
                exchange = script.exchanges[turn % len(script.exchanges)]
                client.check(exchange)
                turn += 1
                requests += exchange.requests
        elapsed = time.perf_counter() - started
        return LoadResult(requests, elapsed, sum(client.octets_read for client in clients), None)
