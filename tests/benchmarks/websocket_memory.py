"""What idle WebSocket sessions cost: by how much a server grows for each."""

import time

from . import report
from .cpu import process_trees, resident_octets
from .idle import SETTLE_SECONDS, WARM_UP_CONNECTIONS, WARM_UP_REQUESTS
from .load import LoadFailed
from .measure import Bench, progress
from .process import ServerProcess, running
from .websocket_process import WebSocketLoad
from .websocket_servers import UVICORN_SANSIO
from .websocket_workloads import MEMORY, MEMORY_MESSAGES
from .workload import Family

SESSIONS = 2000
SESSIONS_WHEN_SHORT = 50


def measure(bench: Bench, limit: int) -> dict[str, object]:
    """Measure and print: resident octets for each session that has had one message echoed; at most *limit* sessions.

    Python keeps freed memory, so the figure is what the sessions made the server grow by.
    """
    sessions = SESSIONS_WHEN_SHORT if bench.plan.is_short else min(SESSIONS, limit)
    octets: dict[str, float] = {}
    for spec in bench.specs_of(Family.WEBSOCKET):
        progress(f"{MEMORY.name}: {spec.name}")
        with running([spec], [MEMORY], bench.failures) as servers:
            for server in servers:
                try:
                    octets[spec.name] = _grown_by(server, sessions, 0 if bench.plan.is_short else SETTLE_SECONDS)
                except (LoadFailed, OSError) as error:
                    bench.failures.append(f"{MEMORY.name}, {spec.name}: {error}{server.last_words()}")
    progress("")
    each = {server: grown / sessions for server, grown in octets.items()}
    kibibytes: dict[str, float | None] = {server: grown / 1024 for server, grown in each.items()}
    title = f"memory, {sessions} idle WebSocket sessions, not compressed"
    print(f"\n{report.values_text(title, 'KiB each', kibibytes, 2, UVICORN_SANSIO)}", flush=True)
    return {"connections": sessions, "octets_each": each}


def _grown_by(server: ServerProcess, sessions: int, settle_seconds: float) -> int:
    with WebSocketLoad(server.port, MEMORY_MESSAGES, WARM_UP_CONNECTIONS) as load:
        for _ in range(WARM_UP_REQUESTS):
            load.run(0.0)
    time.sleep(settle_seconds)
    before = _resident(server)
    with WebSocketLoad(server.port, MEMORY_MESSAGES, sessions) as load:
        load.run(0.0)
        time.sleep(settle_seconds)
        grown = _resident(server) - before
        # Still open? A session that the server ended would have been counted as cheap.
        load.run(0.0)
    return grown


def _resident(server: ServerProcess) -> int:
    return resident_octets(process_trees([server.pid])[server.pid])
