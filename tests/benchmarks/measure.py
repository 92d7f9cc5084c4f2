"""CPU per request, side by side: all servers stand ready, and short runs take turns.

Interleaving is what makes ratios trustworthy on a machine that has other work: what disturbs one
server's run disturbs its neighbours' runs of the same round.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .access_lines import complaint
from .comparison import Comparison, Run
from .cpu import ProcessEnded, process_trees, read_cpu, spent_nanoseconds
from .handshakes import run_handshakes
from .load import LoadFailed, LoadResult, run_builtin, run_wrk
from .probe import WrongAnswer, probe
from .process import LOG_FLUSH_SECONDS, ServerProcess, running
from .script import Script, prepare
from .server import ServerSpec
from .websocket_process import WebSocketLoad
from .workload import Family, Workload

# A server that does nothing may use this much of a core before it is told.
IDLE_SHARE = 0.01
# For the kernel to account what the server did last.
SETTLE_SECONDS = 0.05
# How long a server may still work on a load that has ended before the next server's turn.
QUIET_SECONDS = 3.0

T = TypeVar("T")
# By the names of servers.
Scripts = Mapping[str, Script]


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int
    seconds: float
    use_wrk: bool
    is_short: bool = False  # only to see whether all answer rightly

    def seconds_of(self, workload: Workload) -> float:
        """The length of one run."""
        return self.seconds if self.is_short else max(self.seconds, workload.least_seconds)

    def uses_wrk_for(self, workload: Workload) -> bool:
        """Whether wrk makes the load; in too short a run it would see no answer's end."""
        return self.use_wrk and self.seconds_of(workload) >= workload.least_seconds


class Bench:
    """Measures groups of workloads that one set of servers answers, and keeps what went wrong."""

    def __init__(self, specs: list[ServerSpec], plan: Plan) -> None:
        self.specs = specs
        self.plan = plan
        self.failures: list[str] = []  # what makes the result worthless, in words
        self.idle_shares: dict[str, float] = {}  # of a core, by servers that should have used none

    def specs_of(self, family: Family) -> list[ServerSpec]:
        """The servers of one family."""
        return [spec for spec in self.specs if spec.family == family]

    def compare(self, workloads: Sequence[Workload]) -> list[Comparison]:
        """Measure workloads that differ only in the files that there are, and in what the client does."""
        comparisons = [Comparison(workload) for workload in workloads]
        specs = [spec for spec in self.specs_of(workloads[0].family) if spec.can(workloads)]
        with (
            tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
            running(specs, workloads, self.failures) as servers,
        ):
            scripts = [self._prepare(servers, workload, Path(folder)) for workload in workloads]
            for server in servers:
                self._warm_up(server, workloads[0], scripts[0])
            for number in range(self.plan.rounds):
                for comparison, script in zip(comparisons, scripts, strict=True):
                    comparison.rounds.append(self._round(number, servers, comparison.workload, script))
            if workloads[0].access_log:
                self._check_access_logs(servers, comparisons[0])
        return comparisons

    def in_turns(self, workload: Workload, measure: Callable[[ServerProcess], T]) -> dict[str, list[T]]:
        """What each server of the workload's family gave in each round, where it did; all stand ready meanwhile."""
        specs = [spec for spec in self.specs_of(workload.family) if spec.can([workload])]
        with running(specs, [workload], self.failures) as servers:
            given: dict[str, list[T]] = {server.spec.name: [] for server in servers}
            for number in range(self.plan.rounds):
                for server in _from_another(servers, number):
                    progress(f"{workload.name}, round {number + 1}: {server.spec.name}")
                    try:
                        given[server.spec.name].append(measure(server))
                    except (WrongAnswer, ProcessEnded, OSError) as error:
                        self.failures.append(f"{workload.name}, {server.spec.name}: {error}{server.last_words()}")
        progress("")
        return given

    def _prepare(self, servers: list[ServerProcess], workload: Workload, folder: Path) -> Scripts:
        scripts: dict[str, Script] = {}
        for server in servers:
            if not server.spec.can([workload]):
                continue
            replay = folder / f"{workload.name}-{server.spec.name}"
            try:
                scripts[server.spec.name] = prepare(server.port, server.spec.prefix, workload, replay, server.authority)
            except (WrongAnswer, OSError) as error:
                self.failures.append(f"{workload.name}, {server.spec.name}: {error}{server.last_words()}")
        return scripts

    def _warm_up(self, server: ServerProcess, workload: Workload, scripts: Scripts) -> None:
        if not self.plan.is_short and (script := scripts.get(server.spec.name)):
            try:
                with _loaded(server, script, workload.warm_up_seconds, self.plan.use_wrk) as load:
                    load()
            except (LoadFailed, WrongAnswer, OSError) as error:
                self.failures.append(f"{workload.name}, {server.spec.name}, warming up: {error}")
        if workload.access_log:
            time.sleep(LOG_FLUSH_SECONDS)
            server.take_log()

    def _round(
        self, number: int, servers: list[ServerProcess], workload: Workload, scripts: Scripts
    ) -> dict[str, Run | None]:
        measured = [server for server in servers if server.spec.name in scripts]
        runs: dict[str, Run | None] = dict.fromkeys(server.spec.name for server in measured)
        for server in _from_another(measured, number):
            name = server.spec.name
            progress(f"{workload.name}, round {number + 1}: {name}")
            try:
                runs[name] = self._run(server, servers, workload, scripts[name])
            except (LoadFailed, WrongAnswer, ProcessEnded, OSError) as error:
                self.failures.append(f"{workload.name}, {name}: {error}{server.last_words()}")
        progress("")
        return runs

    def _run(self, server: ServerProcess, servers: list[ServerProcess], workload: Workload, script: Script) -> Run:
        answer_octets = probe(server.port, script.exchanges[0], script.context)
        pids = [each.pid for each in servers]
        with _loaded(server, script, self.plan.seconds_of(workload), self.plan.uses_wrk_for(workload)) as run:
            before = {pid: read_cpu(tree) for pid, tree in process_trees(pids).items()}
            load = run()
            time.sleep(SETTLE_SECONDS)
            after = {pid: read_cpu(tree) for pid, tree in process_trees(pids).items()}
        _wait_until_quiet(server)
        if server.pid not in after or server.pid not in before:
            raise ProcessEnded("ended while being measured")
        _check_octets(load, answer_octets, script)
        for idle in servers:
            if idle is not server and idle.pid in before and idle.pid in after:
                share = spent_nanoseconds(before[idle.pid], after[idle.pid]) / 1e9 / load.seconds
                if share > IDLE_SHARE:
                    key = f"{workload.name}: {idle.spec.name}"
                    self.idle_shares[key] = max(share, self.idle_shares.get(key, 0))
        nanoseconds = spent_nanoseconds(before[server.pid], after[server.pid])
        # wrk's percentiles take a write for one request, and mean nothing where it was several.
        p99 = load.p99_seconds if script.requests_per_write == 1 else None
        return Run(load.requests, load.seconds, nanoseconds / 1000 / load.requests, p99)

    def _check_access_logs(self, servers: list[ServerProcess], comparison: Comparison) -> None:
        time.sleep(LOG_FLUSH_SECONDS)
        for server in servers:
            name = server.spec.name
            requests = sum(run.requests for run in comparison.runs(name))
            if wrong := complaint(server.take_log(), server.spec.access_lines, requests):
                self.failures.append(f"{comparison.workload.name}, {name}: {wrong}")


def _from_another(servers: list[ServerProcess], number: int) -> list[ServerProcess]:
    """The servers in turn; each round begins with another one, so that none always follows the same one."""
    first = number % max(1, len(servers))
    return servers[first:] + servers[:first]


@contextlib.contextmanager
def _loaded(server: ServerProcess, script: Script, seconds: float, use_wrk: bool) -> Iterator[Callable[[], LoadResult]]:
    """The load, to be run within the block: sessions of WebSockets are open all that time, others only in the run."""
    if script.messages:
        with WebSocketLoad(server.port, script.messages, script.connections, script.is_pinned) as load:
            yield lambda: load.run(seconds)
    elif script.is_connection_each:
        yield lambda: run_handshakes(server.port, script, seconds)
    elif use_wrk:
        yield lambda: run_wrk(server.port, script, seconds)
    else:
        yield lambda: run_builtin(server.port, script, seconds)


def _check_octets(load: LoadResult, answer_octets: float, script: Script) -> None:
    """Refuse a run whose answers were not as long as the one that was checked whole.

    Raises:
        LoadFailed: they were not, beyond what connections were still receiving at the end.
    """
    if load.octets is None:
        return
    expected = load.requests * answer_octets
    allowed = 0.02 * expected + script.connections * script.requests_per_write * answer_octets
    if abs(load.octets - expected) > allowed:
        raise LoadFailed(f"{load.requests} answers took {load.octets} octets instead of {expected:.0f}")


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
