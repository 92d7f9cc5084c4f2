"""What workers cost when nobody asks anything: memory of the whole tree, and CPU of those who watch."""

import time
from statistics import median

from . import report
from .cpu import process_trees, proportional_octets, read_cpu, spent_nanoseconds
from .measure import SETTLE_SECONDS as ACCOUNTED_SECONDS
from .measure import Bench, progress
from .process import running
from .workers_servers import UVICORN_WORKERS
from .workers_workloads import idle, memory
from .workload import Family

# What workers allocate, and what supervisors do when they start, is over by then.
SETTLE_SECONDS = 1.0
WINDOW_SECONDS = 3.0
MEMORY_REPETITIONS = 3


def measure_memory(bench: Bench) -> dict[str, object]:
    """Measure and print: proportional octets of each server's tree, each of whose workers has answered.

    One server at a time runs, or what they share of the same Python would be divided among them all.
    """
    workers = 2 if bench.plan.is_short else 4
    workload = memory(workers)
    if workload.is_missing():
        print(f"\nskipped: {workload.name}, which needs {workload.requires}")
        return {}
    specs = [spec for spec in bench.specs_of(Family.WORKERS) if spec.can([workload])]
    octets: dict[str, list[int]] = {spec.name: [] for spec in specs}
    for _ in range(1 if bench.plan.is_short else min(MEMORY_REPETITIONS, bench.plan.rounds)):
        for spec in specs:
            progress(f"{workload.name}: {spec.name}")
            with running([spec], [workload], bench.failures) as servers:
                for server in servers:
                    time.sleep(0 if bench.plan.is_short else SETTLE_SECONDS)
                    octets[spec.name].append(proportional_octets(process_trees([server.pid]).get(server.pid, [])))
    progress("")
    medians = {server: median(each) if each else None for server, each in octets.items()}
    mebibytes = {server: each and each / 2**20 for server, each in medians.items()}
    title = f"memory of {workers} idle workers with FastAPI, the whole tree, proportional set size"
    print(f"\n{report.values_text(title, 'MiB', mebibytes, 1, UVICORN_WORKERS)}", flush=True)
    return {"workers": workers, "median_octets": medians, "octets": octets}


def measure_cpu(bench: Bench) -> dict[str, object]:
    """Measure and print: shares of a core that supervisors, and whole trees, use in a few seconds; all at once."""
    workload = idle(2 if bench.plan.is_short else 4)
    window = 0.1 if bench.plan.is_short else WINDOW_SECONDS
    shares: dict[str, list[tuple[float, float]]] = {}
    specs = [spec for spec in bench.specs_of(Family.WORKERS) if spec.can([workload])]
    with running(specs, [workload], bench.failures) as servers:
        time.sleep(0 if bench.plan.is_short else SETTLE_SECONDS)
        for number in range(bench.plan.rounds):
            progress(f"{workload.name}, round {number + 1}")
            pids = {server.spec.name: server.pid for server in servers}
            for name, share in _shares(pids, window).items():
                shares.setdefault(name, []).append(share)
    progress("")
    medians = {
        server: {"supervisor": median(own for own, _ in each), "tree": median(tree for _, tree in each)}
        for server, each in shares.items()
    }
    rows = {server: [f"{each['supervisor']:.2%}", f"{each['tree']:.2%}"] for server, each in medians.items()}
    title = f"CPU of {workload.workers} idle workers, of one core, over {window:g} s"
    print(f"\n{report.rows_text(title, ('supervisor', 'whole tree'), rows)}", flush=True)
    return {
        "workers": workload.workers,
        "medians": medians,
        "rounds": {
            server: [{"supervisor": own, "tree": tree} for own, tree in each] for server, each in shares.items()
        },
    }


def _shares(pids: dict[str, int], seconds: float) -> dict[str, tuple[float, float]]:
    """Of a core, by servers: the supervisor's and the whole tree's."""
    time.sleep(ACCOUNTED_SECONDS)
    trees = process_trees(list(pids.values()))
    started = time.perf_counter()
    before = {pid: (read_cpu([pid]), read_cpu(trees[pid])) for pid in trees}
    time.sleep(seconds)
    elapsed = time.perf_counter() - started
    shares = {}
    for name, pid in pids.items():
        if pid in before:
            own, tree = before[pid]
            spent = spent_nanoseconds(own, read_cpu([pid])), spent_nanoseconds(tree, read_cpu(trees[pid]))
            shares[name] = spent[0] / 1e9 / elapsed, spent[1] / 1e9 / elapsed
    return shares
