"""One command for all measurements: `python -m tests.benchmarks --help`."""

import argparse
import dataclasses
import json
import os
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import chart, machine, report, websocket_memory, workers
from .comparison import Comparison
from .idle import first_answer, idle_memory, median_or_none
from .load import has_wrk
from .measure import Bench, Plan
from .process import CLIENT_CORE, SERVER_CORE, raise_descriptor_limit
from .server import ServerSpec
from .servers import always_measured, choose
from .targets import targets_text
from .websocket_workloads import MEMORY_NAME as WEBSOCKET_MEMORY
from .workload import Family, Workload
from .workloads import HELLO, WORKLOADS

MEMORY, STARTUP, CONNECTIONS = "memory", "startup", "connections"
OTHER_MEASUREMENTS = (MEMORY, STARTUP, CONNECTIONS, *workers.MEASUREMENTS, WEBSOCKET_MEMORY)
CONNECTION_COUNTS = (1, 10, 100, 1000)
# Families whose workloads are all asked of the same application.
ONE_APPLICATION = (Family.STATIC, Family.WEBSOCKET, Family.TLS)


def main() -> int:
    """Measure what the command line asks for; 1 when some server failed, 2 when nothing could be measured."""
    options = _parse_arguments()
    signal.signal(signal.SIGTERM, _end)
    limit = raise_descriptor_limit()
    specs = _present(options.servers)
    use_wrk = has_wrk()
    if not use_wrk and not options.short:
        print("wrk is missing: install it (Debian: apt install wrk), or measure nothing with --short", file=sys.stderr)
        return 2
    plan = Plan(options.rounds, options.seconds, use_wrk, options.short)
    bench = Bench(specs, plan)
    about = machine.describe()
    print(_heading(about, plan))
    wanted = _wanted(options.workloads)
    comparisons = _compare(bench, wanted)
    results: dict[str, object] = {"machine": about, "plan": dataclasses.asdict(plan)}
    results["workloads"] = {comparison.workload.name: comparison.as_dict() for comparison in comparisons}
    if bench.specs_of(Family.APPLICATION):
        if CONNECTIONS in wanted:
            results[CONNECTIONS] = _measure_connections(bench, options.short)
        if MEMORY in wanted:
            results[MEMORY] = _measure_memory(bench, 50 if options.short else min(5000, limit - 500))
        if STARTUP in wanted:
            results[STARTUP] = _measure_startup(bench, 1 if options.short else 7)
    results |= workers.measure(bench, wanted)
    if WEBSOCKET_MEMORY in wanted and bench.specs_of(Family.WEBSOCKET):
        results[WEBSOCKET_MEMORY] = websocket_memory.measure(bench, limit - 500)
    if not options.short:
        print(f"\n{targets_text(results)}")
    return _finish(bench, results, options)


def _parse_arguments() -> argparse.Namespace:
    names = [workload.name for workload in WORKLOADS] + list(OTHER_MEASUREMENTS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measures ASGI servers side by side: CPU per request, speed, memory, time to start.",
        epilog="Measured always, with others of their kind: the floor, nginx for files, one worker, uvicorn for "
        "WebSockets and TLS, miniasgi without options. Names: globs.",
    )
    parser.add_argument("--servers", help="which servers (all; with --short only miniasgi)")
    parser.add_argument("--workloads", default="*", help=f"which of {', '.join(names)} (all)")
    parser.add_argument("--rounds", type=int, help="runs of each server and workload (5)")
    parser.add_argument("--seconds", type=float, help="length of one run (2)")
    parser.add_argument("--short", action="store_true", help="check in a moment that all answer rightly; judge no time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw a chart of the applications")
    parser.add_argument("--static-svg", type=Path, metavar="FILE", help="draw a chart of the files")
    options = parser.parse_args()
    options.servers = options.servers or ("miniasgi-*" if options.short else "*")
    options.rounds = options.rounds or (1 if options.short else 5)
    options.seconds = options.seconds or (0.15 if options.short else 2.0)
    try:
        choose(options.servers)
        _wanted(options.workloads)
    except ValueError as error:
        parser.error(str(error))
    return options


def _wanted(patterns: str) -> set[str]:
    names = [workload.name for workload in WORKLOADS] + list(OTHER_MEASUREMENTS)
    globs = [glob.strip() for glob in patterns.split(",") if glob.strip()]
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise ValueError(f"no workload is named {glob!r}: there are {', '.join(names)}")
    return {name for name in names if any(fnmatchcase(name, glob) for glob in globs)}


def _present(patterns: str) -> list[ServerSpec]:
    specs = choose(patterns)
    for spec in specs:
        if missing := spec.missing():
            print(f"skipped: {spec.name}, which needs {', '.join(missing)}")
    return [spec for spec in specs if not spec.missing()]


def _heading(about: dict[str, object], plan: Plan) -> str:
    packages = about["packages"]
    assert isinstance(packages, dict)
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    generator = f"wrk {about['wrk']}" if plan.use_wrk else "a built-in load generator (wrk is missing)"
    return (
        f"{about['date']} on {about['cpu']}, {about['cores']} cores, {about['kernel']}\n"
        f"{about['python']}, {generator}; {versions}\n"
        f"medians of {plan.rounds} interleaved runs of {plan.seconds} s; "
        f"server on core {SERVER_CORE}, load on core {CLIENT_CORE} (several workers: both anywhere); "
        f"load average {about['load_average_at_start']:.2f}"
    )


def _compare(bench: Bench, wanted: set[str]) -> list[Comparison]:
    comparisons = []
    for group in _groups(bench, wanted):
        for comparison in bench.compare(group):
            print(f"\n{report.comparison_text(comparison)}", flush=True)
            for spec in bench.specs_of(comparison.workload.family):
                if reason := spec.cannot.get(comparison.workload.name):
                    print(f"without {spec.name}: {reason}")
            comparisons.append(comparison)
    return comparisons


def _groups(bench: Bench, wanted: set[str]) -> list[list[Workload]]:
    """Workloads that are measured with the same processes: each by itself, but a short run takes some together."""
    groups: list[list[Workload]] = []
    for workload in WORKLOADS:
        if workload.name not in wanted or not bench.specs_of(workload.family):
            continue
        if workload.is_missing():
            print(f"\nskipped: {workload.name}, which needs {workload.requires}")
        elif bench.plan.is_short and groups and _have_one_server(groups[-1][0], workload):
            groups[-1].append(workload)
        else:
            groups.append([workload])
    return groups


def _have_one_server(one: Workload, other: Workload) -> bool:
    """Whether servers that are started for one of the workloads can answer the other one, too."""
    return one.family == other.family in ONE_APPLICATION and one.key == other.key


def _measure_connections(bench: Bench, is_short: bool) -> dict[str, object]:
    counts = CONNECTION_COUNTS[:2] if is_short else CONNECTION_COUNTS
    workloads = [dataclasses.replace(HELLO, name=f"hello-{count}", connections=count) for count in counts]
    comparisons = bench.compare(workloads)
    print(f"\n{report.flatness_text(comparisons)}", flush=True)
    return {str(each.workload.connections): each.as_dict() for each in comparisons}


def _measure_memory(bench: Bench, connections: int) -> dict[str, object]:
    octets = idle_memory(bench.specs_of(Family.APPLICATION), connections, bench.failures)
    kibibytes: dict[str, float | None] = {server: value / 1024 for server, value in octets.items()}
    title = f"memory, {connections} idle connections"
    print(f"\n{report.values_text(title, 'KiB each', kibibytes, 2)}", flush=True)
    return {"connections": connections, "octets_each": octets}


def _measure_startup(bench: Bench, repetitions: int) -> dict[str, object]:
    seconds = first_answer(bench.specs_of(Family.APPLICATION), repetitions, bench.failures)
    medians = {server: median_or_none(values) for server, values in seconds.items()}
    milliseconds = {server: value and value * 1000 for server, value in medians.items()}
    print(f"\n{report.values_text('from start to the first answer', 'ms', milliseconds, 0)}", flush=True)
    return {"median_seconds": medians, "seconds": seconds}


def _finish(bench: Bench, results: dict[str, object], options: argparse.Namespace) -> int:
    notes = [f"{who} used {share:.1%} of a core while idle" for who, share in bench.idle_shares.items()]
    if SERVER_CORE == CLIENT_CORE:
        notes.append("one core only: servers and load share it")
    results |= {"load_average_at_end": os.getloadavg()[0], "notes": notes, "failures": bench.failures}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.svg:
        options.svg.write_text(chart.draw(results))
    if options.static_svg:
        options.static_svg.write_text(chart.draw(results, Family.STATIC))
    for note in notes:
        print(f"\nnote: {note}")
    for failure in bench.failures:
        print(f"\nFAILED: {failure}")
    measured = {spec.name for spec in bench.specs} - {always_measured(family) for family in Family}
    if not measured:
        print("\nFAILED: nothing is installed but what servers are compared with")
        return 2
    if bench.failures:
        print(f"\n{len(bench.failures)} failures: these results are not to be trusted")
        return 1
    if options.short:
        print("\nall servers answered rightly; the times of so short a run mean nothing")
    return 0


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that no server is left behind."""
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
