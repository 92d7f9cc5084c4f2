"""What the project promises itself, compared with what was measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .operations_servers import MINIASGI_ACCESS_JSON, MINIASGI_ACCESS_TEXT, MINIASGI_PLAIN
from .operations_workloads import ACCESS_NAME
from .report import figure, table
from .servers import FLOOR, UVICORN
from .static_servers import MINIASGI_STATIC, NGINX
from .tls_servers import MINIASGI_TLS, UVICORN_TLS
from .tls_workloads import HANDSHAKES_NAME, HANDSHAKES_RSA_NAME, TLS_HELLO_NAME
from .websocket_servers import GRANIAN_WEBSOCKET, MINIASGI_WEBSOCKET, UVICORN_WEBSOCKETS
from .websocket_workloads import ECHO_4K_NAME, ECHO_64_NAME
from .websocket_workloads import MEMORY_NAME as WEBSOCKET_MEMORY_NAME
from .workers_servers import GRANIAN_WORKERS, MINIASGI_WORKERS, ONE_WORKER, UVICORN_WORKERS
from .workers_workloads import HELLO_NAME, IDLE_NAME, RELOAD_NAME

# Stands for whichever of miniasgi's parsers costs least in that workload, on uvloop.
FASTEST = "miniasgi"
FASTEST_OF = ("miniasgi-handwritten-uvloop", "miniasgi-httptools-uvloop", "miniasgi-h11-uvloop")
GRANIAN = "granian"
# Stands for whichever of uvicorn's ways with WebSockets costs least in that workload.
BEST_UVICORN = "uvicorn"


@dataclass(frozen=True)
class Target:
    """At most so many times another server's CPU per request in one workload."""

    workload: str
    other: str
    at_most: float
    server: str = FASTEST


TARGETS = (
    Target("hello", FLOOR, 1.9),
    Target("hello", UVICORN, 0.62),
    Target("hello", GRANIAN, 0.72),
    Target("access-log", FLOOR, 2.1),
    Target("access-log", UVICORN, 0.35),
    Target("browser", UVICORN, 0.70),
    Target("browser", GRANIAN, 0.95),
    Target("echo-1k", UVICORN, 0.65),
    Target("echo-1k", GRANIAN, 0.45),
    Target("echo-64k", UVICORN, 1.0),
    Target("echo-64k", GRANIAN, 1.0),
    Target("chunks", UVICORN, 0.50),
    Target("chunks", GRANIAN, 0.80),
    Target("pipelined", GRANIAN, 0.60),
    Target("starlette", UVICORN, 0.80),
    Target("starlette", GRANIAN, 1.0),
    Target("hello", "uvicorn-h11-uvloop", 0.75, "miniasgi-h11-uvloop"),
    Target("hello", "uvicorn-httptools-asyncio", 0.75, "miniasgi-handwritten-asyncio"),
    Target("static-1k", NGINX, 1.6, MINIASGI_STATIC),
    Target("static-16k", NGINX, 2.0, MINIASGI_STATIC),
    Target("static-100k", NGINX, 1.4, MINIASGI_STATIC),
    Target("static-10m", NGINX, 1.2, MINIASGI_STATIC),
    Target("static-304", NGINX, 1.6, MINIASGI_STATIC),
    Target("static-10k-files", NGINX, 2.5, MINIASGI_STATIC),
    Target(HELLO_NAME, ONE_WORKER, 1.05, MINIASGI_WORKERS),
    Target(ECHO_64_NAME, BEST_UVICORN, 0.85, MINIASGI_WEBSOCKET),
    Target(ECHO_64_NAME, GRANIAN_WEBSOCKET, 0.50, MINIASGI_WEBSOCKET),
    Target(ECHO_4K_NAME, BEST_UVICORN, 0.85, MINIASGI_WEBSOCKET),
    Target(ECHO_4K_NAME, GRANIAN_WEBSOCKET, 0.50, MINIASGI_WEBSOCKET),
    Target(TLS_HELLO_NAME, UVICORN_TLS, 0.80, MINIASGI_TLS),
    # On a par: most of it is OpenSSL's, and the same for both.
    Target(HANDSHAKES_NAME, UVICORN_TLS, 1.05, MINIASGI_TLS),
    Target(HANDSHAKES_RSA_NAME, UVICORN_TLS, 1.05, MINIASGI_TLS),
    Target(ACCESS_NAME, MINIASGI_PLAIN, 1.15, MINIASGI_ACCESS_TEXT),
    Target(ACCESS_NAME, MINIASGI_PLAIN, 1.25, MINIASGI_ACCESS_JSON),
)
# They answer at most as many requests a second as miniasgi, with as many workers.
NOT_FASTER = (UVICORN_WORKERS, GRANIAN_WORKERS)
SUPERVISOR_PERCENT = 0.2  # of a core, with nothing to do
MEMORY_KIBIBYTES = 3.0
WEBSOCKET_MEMORY_KIBIBYTES = 12.0
FIRST_ANSWER_TIMES_UVICORN = 0.7
FLATNESS = 1.10


def targets_text(results: Mapping[str, Any]) -> str:
    """Each target that this run can speak of, and whether it was reached."""
    rows = [row for target in TARGETS if (row := _target_row(target, results["workloads"]))]
    rows += _other_rows(results) + _workers_rows(results) + _websocket_rows(results)
    if not rows:
        return "targets: this run speaks of none"
    return "targets\n\n" + table(("what", "measured", "at most", "reached"), rows)


def times(workload: Mapping[str, Any], server: str, other: str) -> float | None:
    """The median of each round's ratio of CPU per request, from the results' JSON."""
    if server not in workload or other not in workload:
        return None
    return _median_ratio(workload[server]["runs"], workload[other]["runs"], lambda run: run["cpu_microseconds"])


def times_as_fast(workload: Mapping[str, Any], server: str, other: str) -> float | None:
    """The median of each round's ratio of requests per second, from the results' JSON."""
    if server not in workload or other not in workload:
        return None
    return _median_ratio(
        workload[server]["runs"], workload[other]["runs"], lambda run: run["requests"] / run["seconds"]
    )


def _median_ratio(mine: Sequence[Any], theirs: Sequence[Any], figure: Callable[[Any], float]) -> float | None:
    ratios = [figure(one) / figure(other) for one, other in zip(mine, theirs, strict=True) if one and other]
    return median(ratios) if ratios else None


def fastest(workload: Mapping[str, Any]) -> str | None:
    """The least costly of miniasgi's parsers."""
    return _least_costly(workload, FASTEST_OF)


def _least_costly(workload: Mapping[str, Any], servers: Sequence[str]) -> str | None:
    costs = {
        server: cost
        for server in servers
        if (cost := workload.get(server, {}).get("cpu_microseconds_per_request")) is not None
    }
    return min(costs, key=lambda server: costs[server]) if costs else None


def _target_row(target: Target, workloads: Mapping[str, Any]) -> tuple[str, ...] | None:
    workload = workloads.get(target.workload, {})
    server = fastest(workload) if target.server == FASTEST else target.server
    other = _least_costly(workload, UVICORN_WEBSOCKETS) if target.other == BEST_UVICORN else target.other
    if server is None or other is None or (measured := times(workload, server, other)) is None:
        return None
    return _row(f"{target.workload}: {server} × {other}", measured, target.at_most)


def _other_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    server = fastest(results["workloads"].get("hello", {})) or FASTEST_OF[0]
    rows = []
    if (octets := results.get("memory", {}).get("octets_each", {}).get(server)) is not None:
        rows.append(_row(f"memory of an idle connection, KiB: {server}", octets / 1024, MEMORY_KIBIBYTES))
    seconds = results.get("startup", {}).get("median_seconds", {})
    if (mine := seconds.get(server)) and (uvicorn := seconds.get(UVICORN)):
        rows.append(_row(f"first answer: {server} × {UVICORN}", mine / uvicorn, FIRST_ANSWER_TIMES_UVICORN))
    return rows + _flatness_rows(results.get("connections", {}), server)


def _workers_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for other in NOT_FASTER:
        workload = results["workloads"].get(HELLO_NAME, {})
        if (measured := times_as_fast(workload, other, MINIASGI_WORKERS)) is not None:
            rows.append(_row(f"{HELLO_NAME}, requests/s: {other} × {MINIASGI_WORKERS}", measured, 1.0))
    if idle := results.get(IDLE_NAME, {}).get("medians", {}).get(MINIASGI_WORKERS):
        what = f"{IDLE_NAME}, supervisor's CPU, % of a core: {MINIASGI_WORKERS}"
        rows.append(_row(what, idle["supervisor"] * 100, SUPERVISOR_PERCENT))
    if reload := results.get(RELOAD_NAME, {}).get(MINIASGI_WORKERS):
        rows.append(_row(f"{RELOAD_NAME}, failed requests: {MINIASGI_WORKERS}", reload["failed_requests"], 0))
    return rows


def _websocket_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    each = results.get(WEBSOCKET_MEMORY_NAME, {}).get("octets_each", {})
    if (octets := each.get(MINIASGI_WEBSOCKET)) is None:
        return []
    what = f"{WEBSOCKET_MEMORY_NAME}, KiB: {MINIASGI_WEBSOCKET}"
    return [_row(what, octets / 1024, WEBSOCKET_MEMORY_KIBIBYTES)]


def _flatness_rows(connections: Mapping[str, Any], server: str) -> list[tuple[str, ...]]:
    costs = _costs_by_connections(connections, server)
    floor = _costs_by_connections(connections, FLOOR)
    # With one connection each request also wakes the process, and with a thousand the kernel's share grows. The
    # floor pays both, so what is above the floor is the server's own.
    own = {count: cost - floor[count] for count, cost in costs.items() if count > 1 and count in floor}
    rows = []
    for what, chosen in (("CPU", costs), ("CPU above the floor", own)):
        if len(chosen) > 1 and min(chosen.values()) > 0:
            spread = max(chosen.values()) / min(chosen.values())
            between = f"{min(chosen)} to {max(chosen)} connections"
            rows.append(_row(f"most / least {what}, {between}: {server}", spread, FLATNESS))
    return rows


def _costs_by_connections(connections: Mapping[str, Any], server: str) -> dict[int, float]:
    return {
        int(count): cost
        for count, servers in connections.items()
        if (cost := servers.get(server, {}).get("cpu_microseconds_per_request")) is not None
    }


def _row(what: str, measured: float, at_most: float) -> tuple[str, ...]:
    return what, figure(measured, 2), figure(at_most, 2), "yes" if measured <= at_most else "NO"
