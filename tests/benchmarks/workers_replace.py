"""What clients notice while workers are replaced: all of them on SIGHUP, or one because it was killed."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from . import report
from .cpu import is_running
from .measure import Bench
from .probe import WrongAnswer
from .process import START_SECONDS, ServerProcess
from .workers_poll import Attempt, Poller
from .workers_workloads import KILL, RELOAD

# Before and after what is measured, so that failures at its edges are seen.
ATTEMPTS_AROUND = 50
REPLACE_SECONDS = 40.0


@dataclass(frozen=True)
class Reload:
    """One replacement of all workers."""

    seconds: float  # from the signal until no old worker answered and all new ones had
    requests: int
    failed: int


@dataclass(frozen=True)
class Kill:
    """One death of a worker; only connections made after it count."""

    first_answer_seconds: float  # from the signal
    longest_wait_seconds: float  # of one connection, from its beginning to its answer or failure
    replacement_seconds: float  # from the signal until a new process answered
    requests: int
    failed: int


def judge_reload(attempts: Sequence[Attempt], told: float, old: set[int], count: int) -> Reload:
    """What became of the workers that were *old* when the server was told.

    Raises:
        WrongAnswer: not *count* new ones have answered.
    """
    first: dict[int, float] = {}  # answers of new processes
    last_of_old = told
    for attempt in attempts:
        if attempt.process in old:
            last_of_old = max(last_of_old, attempt.ended)
        elif attempt.process is not None:
            first.setdefault(attempt.process, attempt.ended)
    if len(first) != count:
        raise WrongAnswer(f"{len(first)} new workers answered instead of {count}")
    failed = sum(attempt.process is None for attempt in attempts)
    return Reload(max(last_of_old, *first.values()) - told, len(attempts), failed)


def judge_kill(attempts: Sequence[Attempt], killed: float, before: set[int]) -> Kill:
    """What clients noticed that came after one of the workers of *before* had been killed.

    Raises:
        WrongAnswer: no new worker has answered.
    """
    after = [attempt for attempt in attempts if attempt.started >= killed]
    answered = [attempt for attempt in after if attempt.process is not None]
    replaced = [attempt.ended for attempt in answered if attempt.process not in before]
    if not replaced:
        raise WrongAnswer("no new worker answered")
    return Kill(
        min(attempt.ended for attempt in answered) - killed,
        max(attempt.ended - attempt.started for attempt in after),
        min(replaced) - killed,
        len(after),
        len(after) - len(answered),
    )


def measure_reload(bench: Bench) -> dict[str, object]:
    """Measure and print; a request that miniasgi fails is a failure of the whole run."""

    def once(server: ServerProcess) -> Reload:
        old = server.wait_for_workers(time.perf_counter() + START_SECONDS)
        with Poller(server.port) as poller:
            poller.ask(ATTEMPTS_AROUND)
            told = time.perf_counter()
            os.kill(server.pid, signal.SIGHUP)

            def is_over() -> bool:
                return len(poller.processes - old) >= len(old) and not any(is_running(pid) for pid in old)

            _see_the_end(poller, is_over, server)
            result = judge_reload(poller.attempts, told, old, len(old))
            if result.failed and server.spec.name.startswith("miniasgi"):
                bench.failures.append(_failed(RELOAD.name, server, poller.attempts))
        return result

    rounds = bench.in_turns(RELOAD, once)
    rows = {
        server: [
            report.figure(_median(each, lambda reload: reload.seconds), 2),
            f"{sum(reload.failed for reload in each):,}",
            f"{sum(reload.requests for reload in each):,}",
        ]
        for server, each in rounds.items()
    }
    title = f"{RELOAD.title}, with a request on a new connection every 2 ms"
    print(f"\n{report.rows_text(title, ('seconds', 'failed', 'of requests'), rows)}", flush=True)
    return {
        server: {
            "median_seconds": _median(each, lambda reload: reload.seconds),
            "failed_requests": sum(reload.failed for reload in each),
            "rounds": [asdict(reload) for reload in each],
        }
        for server, each in rounds.items()
    }


def measure_kill(bench: Bench) -> dict[str, object]:
    """Measure and print."""

    def once(server: ServerProcess) -> Kill:
        before = server.wait_for_workers(time.perf_counter() + START_SECONDS)
        with Poller(server.port) as poller:
            poller.ask(ATTEMPTS_AROUND)
            killed = time.perf_counter()
            os.kill(min(before), signal.SIGKILL)
            _see_the_end(poller, lambda: bool(poller.processes - before), server)
            return judge_kill(poller.attempts, killed, before)

    rounds = bench.in_turns(KILL, once)
    medians = {
        server: {
            "first_answer_seconds": _median(each, lambda kill: kill.first_answer_seconds),
            "longest_wait_seconds": _median(each, lambda kill: kill.longest_wait_seconds),
            "replacement_seconds": _median(each, lambda kill: kill.replacement_seconds),
        }
        for server, each in rounds.items()
    }
    columns = ("first answer ms", "longest wait ms", "replacement s", "failed", "of requests")
    rows = {
        server: [
            report.figure(_milliseconds(medians[server]["first_answer_seconds"]), 1),
            report.figure(_milliseconds(medians[server]["longest_wait_seconds"]), 1),
            report.figure(medians[server]["replacement_seconds"], 2),
            f"{sum(kill.failed for kill in each):,}",
            f"{sum(kill.requests for kill in each):,}",
        ]
        for server, each in rounds.items()
    }
    title = f"{KILL.title}, with a request on a new connection every 2 ms"
    print(f"\n{report.rows_text(title, columns, rows)}", flush=True)
    return {
        server: {"medians": medians[server], "rounds": [asdict(kill) for kill in each]}
        for server, each in rounds.items()
    }


def _see_the_end(poller: Poller, is_over: Callable[[], bool], server: ServerProcess) -> None:
    if not poller.run(lambda: is_over() or server.process.poll() is not None, REPLACE_SECONDS):
        raise WrongAnswer(f"not replaced within {REPLACE_SECONDS:g} s")
    if server.process.poll() is not None:
        raise WrongAnswer("it ended")
    poller.ask(ATTEMPTS_AROUND)
    poller.finish()


def _failed(workload: str, server: ServerProcess, attempts: Sequence[Attempt]) -> str:
    failures = [attempt.failure for attempt in attempts if attempt.process is None]
    return f"{workload}, {server.spec.name}: {len(failures)} of {len(attempts)} requests failed, first: {failures[0]}"


def _median(rounds: Sequence[Any], figure: Callable[[Any], float]) -> float | None:
    return median(figure(each) for each in rounds) if rounds else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
