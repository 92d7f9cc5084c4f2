"""CPU per request, side by side: all servers stand ready, and short runs take turns.

Interleaving is what makes ratios trustworthy on a machine that has other work: what disturbs one
server's run disturbs its neighbours' runs of the same round.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .cpu import ProcessEnded, process_trees, read_cpu, spent_nanoseconds
from .load import LoadFailed, LoadResult, run_builtin, run_wrk, write_replay
from .probe import WrongAnswer, probe
from .process import LOG_FLUSH_SECONDS, ServerProcess, running
from .servers import FLOOR, UVICORN, ServerSpec
from .workloads import Workload

# A server that does nothing may use this much of a core before it is told.
IDLE_SHARE = 0.01
# For the kernel to account what the server did last.
SETTLE_SECONDS = 0.05
# How long a server may still work on a load that has ended before the next server's turn.
QUIET_SECONDS = 3.0


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int
    seconds: float
    warm_up_seconds: float
    use_wrk: bool


@dataclass(frozen=True)
class Run:
    """One server under load once."""

    requests: int
    seconds: float
    cpu_microseconds: float  # per request, of the whole process tree
    p99_seconds: float | None


@dataclass
class Comparison:
    """All runs of one workload; a failed run is None."""

    workload: Workload
    rounds: list[dict[str, Run | None]] = field(default_factory=list)

    def runs(self, server: str) -> list[Run]:
        """The server's good runs."""
        return [run for turns in self.rounds if (run := turns.get(server))]

    def median(self, server: str, attribute: str) -> float | None:
        """The median over the server's good runs of one attribute of Run."""
        values = [value for run in self.runs(server) if (value := getattr(run, attribute)) is not None]
        return statistics.median(values) if values else None

    def requests_per_second(self, server: str) -> float | None:
        """The median over the server's good runs."""
        rates = [run.requests / run.seconds for run in self.runs(server)]
        return statistics.median(rates) if rates else None

    def times(self, server: str, other: str) -> float | None:
        """How many times the other's CPU per request: the median of each round's ratio."""
        ratios = [
            mine.cpu_microseconds / theirs.cpu_microseconds
            for turns in self.rounds
            if (mine := turns.get(server)) and (theirs := turns.get(other))
        ]
        return statistics.median(ratios) if ratios else None

    def as_dict(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            server: {
                "cpu_microseconds_per_request": self.median(server, "cpu_microseconds"),
                "times_floor": self.times(server, FLOOR),
                "times_uvicorn": self.times(server, UVICORN),
                "requests_per_second": self.requests_per_second(server),
                "p99_seconds": self.median(server, "p99_seconds"),
                "runs": [dataclasses.asdict(run) if (run := turns.get(server)) else None for turns in self.rounds],
            }
            for server in (self.rounds[0] if self.rounds else {})
        }


class Bench:
    """Measures groups of workloads that one set of servers answers, and keeps what went wrong."""

    def __init__(self, specs: list[ServerSpec], plan: Plan) -> None:
        self.specs = specs
        self.plan = plan
        self.failures: list[str] = []  # what makes the result worthless, in words
        self.idle_shares: dict[str, float] = {}  # of a core, by servers that should have used none

    def compare(self, workloads: Sequence[Workload]) -> list[Comparison]:
        """Measure workloads that differ only in what the client does."""
        comparisons = [Comparison(workload) for workload in workloads]
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            replay = Path(folder) / "replay"
            write_replay(workloads[0], replay)
            with running(self.specs, workloads[0], self.failures) as servers:
                for server in servers:
                    self._warm_up(server, workloads[0], replay)
                for number in range(self.plan.rounds):
                    for comparison in comparisons:
                        comparison.rounds.append(self._round(number, servers, comparison.workload, replay))
                if workloads[0].access_log:
                    self._check_access_logs(servers, comparisons[0])
        return comparisons

    def _warm_up(self, server: ServerProcess, workload: Workload, replay: Path) -> None:
        if self.plan.warm_up_seconds:
            try:
                self._load(server, workload, replay, self.plan.warm_up_seconds)
            except (LoadFailed, WrongAnswer, OSError) as error:
                self.failures.append(f"{workload.name}, {server.spec.name}, warming up: {error}")
        if workload.access_log:
            time.sleep(LOG_FLUSH_SECONDS)
            server.take_log_lines()

    def _round(
        self, number: int, servers: list[ServerProcess], workload: Workload, replay: Path
    ) -> dict[str, Run | None]:
        # Each round begins with another server, so that none always follows the same one.
        first = number % max(1, len(servers))
        runs: dict[str, Run | None] = dict.fromkeys(server.spec.name for server in servers)
        for server in servers[first:] + servers[:first]:
            progress(f"{workload.name}, round {number + 1}: {server.spec.name}")
            try:
                runs[server.spec.name] = self._run(server, servers, workload, replay)
            except (LoadFailed, WrongAnswer, ProcessEnded, OSError) as error:
                self.failures.append(f"{workload.name}, {server.spec.name}: {error}{server.last_words()}")
        progress("")
        return runs

    def _run(self, server: ServerProcess, servers: list[ServerProcess], workload: Workload, replay: Path) -> Run:
        answer_octets = probe(server.port, workload)
        trees = process_trees([each.pid for each in servers])
        before = {pid: read_cpu(tree) for pid, tree in trees.items()}
        load = self._load(server, workload, replay, self.plan.seconds)
        time.sleep(SETTLE_SECONDS)
        after = {pid: read_cpu(tree) for pid, tree in process_trees([each.pid for each in servers]).items()}
        _wait_until_quiet(server)
        if server.pid not in after or server.pid not in before:
            raise ProcessEnded("ended while being measured")
        self._check_octets(load, answer_octets, workload)
        for idle in servers:
            if idle is not server and idle.pid in before and idle.pid in after:
                share = spent_nanoseconds(before[idle.pid], after[idle.pid]) / 1e9 / load.seconds
                if share > IDLE_SHARE:
                    key = f"{workload.name}: {idle.spec.name}"
                    self.idle_shares[key] = max(share, self.idle_shares.get(key, 0))
        nanoseconds = spent_nanoseconds(before[server.pid], after[server.pid])
        # wrk's percentiles take a write for one request, and mean nothing where it was several.
        p99 = load.p99_seconds if workload.requests_per_write == 1 else None
        return Run(load.requests, load.seconds, nanoseconds / 1000 / load.requests, p99)

    def _load(self, server: ServerProcess, workload: Workload, replay: Path, seconds: float) -> LoadResult:
        if self.plan.use_wrk:
            return run_wrk(server.port, workload, replay, seconds)
        return run_builtin(server.port, workload, seconds)

    def _check_octets(self, load: LoadResult, answer_octets: float, workload: Workload) -> None:
        """Refuse a run whose answers were not as long as the one that was checked whole.

        Raises:
            LoadFailed: they were not, beyond what connections were still receiving at the end.
        """
        expected = load.requests * answer_octets
        allowed = 0.02 * expected + workload.connections * workload.requests_per_write * answer_octets
        if abs(load.octets - expected) > allowed:
            raise LoadFailed(f"{load.requests} answers took {load.octets} octets instead of {expected:.0f}")

    def _check_access_logs(self, servers: list[ServerProcess], comparison: Comparison) -> None:
        time.sleep(LOG_FLUSH_SECONDS)
        for server in servers:
            name = server.spec.name
            lines, requests = server.take_log_lines(), sum(run.requests for run in comparison.runs(name))
            if name != FLOOR and lines < requests:
                where = f"{comparison.workload.name}, {name}"
                self.failures.append(f"{where}: {lines} access lines for {requests} requests")


def _wait_until_quiet(server: ServerProcess) -> None:
    deadline = time.perf_counter() + QUIET_SECONDS
    spent, pause = 1.0, 0.02
    while spent > IDLE_SHARE * pause and time.perf_counter() < deadline:
        before = read_cpu(process_trees([server.pid]).get(server.pid, []))
        time.sleep(pause)
        after = read_cpu(process_trees([server.pid]).get(server.pid, []))
        spent = spent_nanoseconds(before, after) / 1e9


def progress(text: str) -> None:
    """Say on one line of a terminal what is going on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
