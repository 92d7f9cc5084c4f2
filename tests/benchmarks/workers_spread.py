"""How evenly connections spread over workers: what the busiest and the idlest got, times an even share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from . import report
from .measure import Bench
from .process import ServerProcess
from .workers_probe import processes_of
from .workers_workloads import spread

WORKER_COUNTS = (2, 4)
CONNECTION_COUNTS = (64, 1000)


@dataclass(frozen=True)
class Spread:
    """Of one set of connections; 1 is an even share."""

    busiest: float
    idlest: float


def spread_of(processes: Sequence[int], workers: int) -> Spread:
    """How the connections that these processes answered are spread; a worker may have got none."""
    shares = [count * workers / len(processes) for count in Counter(processes).values()]
    return Spread(max(shares), min(shares) if len(shares) >= workers else 0.0)


def measure(bench: Bench) -> dict[str, object]:
    """Measure and print; return everything by workers, server, and set of connections."""
    is_short = bench.plan.is_short
    connections = CONNECTION_COUNTS[:1] if is_short else CONNECTION_COUNTS
    return {str(workers): _measure(bench, workers, connections) for workers in WORKER_COUNTS[: 1 if is_short else 2]}


def _measure(bench: Bench, workers: int, connections: Sequence[int]) -> dict[str, object]:
    def spreads(server: ServerProcess) -> dict[str, Spread]:
        return {
            f"{count:,} {how}": spread_of(processes_of(server.port, count, is_at_once), workers)
            for count in connections
            for how, is_at_once in (("at once", True), ("in turn", False))
        }

    rounds = bench.in_turns(spread(workers), spreads)
    medians = {server: _medians(each) for server, each in rounds.items()}
    columns = next((list(each) for each in medians.values() if each), [])
    title = f"connections of the busiest and of the idlest of {workers} workers, times an even share"
    rows = {server: [_cell(each.get(column)) for column in columns] for server, each in medians.items()}
    print(f"\n{report.rows_text(title, columns, rows)}", flush=True)
    return {
        server: {
            "medians": {column: asdict(value) for column, value in medians[server].items()},
            "rounds": [{column: asdict(value) for column, value in each.items()} for each in rounds[server]],
        }
        for server in rounds
    }


def _medians(rounds: Sequence[Mapping[str, Spread]]) -> dict[str, Spread]:
    return {
        column: Spread(median(each[column].busiest for each in rounds), median(each[column].idlest for each in rounds))
        for column in (rounds[0] if rounds else ())
    }


def _cell(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.busiest:.2f} / {spread.idlest:.2f}"
