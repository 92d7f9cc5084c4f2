"""The measurements of servers with several workers, by name; the one with load alone is a workload like others."""

from collections.abc import Callable, Mapping

from . import workers_idle, workers_replace, workers_spread
from .measure import Bench
from .workers_workloads import IDLE_NAME, KILL_NAME, MEMORY_NAME, RELOAD_NAME, SPREAD_NAME
from .workload import Family

# Each prints what it has measured, and returns it for the JSON.
MEASUREMENTS: Mapping[str, Callable[[Bench], dict[str, object]]] = {
    SPREAD_NAME: workers_spread.measure,
    MEMORY_NAME: workers_idle.measure_memory,
    RELOAD_NAME: workers_replace.measure_reload,
    KILL_NAME: workers_replace.measure_kill,
    IDLE_NAME: workers_idle.measure_cpu,
}


def measure(bench: Bench, wanted: set[str]) -> dict[str, object]:
    """What was measured, by the measurements' names."""
    if not bench.specs_of(Family.WORKERS):
        return {}
    return {name: measurement(bench) for name, measurement in MEASUREMENTS.items() if name in wanted}
