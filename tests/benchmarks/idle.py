"""What a server costs besides requests: memory of idle connections, and time to its first answer."""

import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from .cpu import process_trees, resident_octets
from .measure import progress
from .probe import Client, WrongAnswer
from .process import ServerProcess, running
from .server import ServerSpec
from .workloads import HELLO

# Before the first reading, so that what the server allocates once is not counted as a connection's.
WARM_UP_CONNECTIONS = 64
WARM_UP_REQUESTS = 20
# For buffers that are freed a moment after the answer.
SETTLE_SECONDS = 1.0


def idle_memory(specs: list[ServerSpec], connections: int, failures: list[str]) -> dict[str, float]:
    """Resident octets per idle keep-alive connection, by server: each has had one request answered.

    Python keeps freed memory, so the figure is what the connections made the server grow by.
    """
    grown: dict[str, float] = {}
    for spec in specs:
        progress(f"memory: {spec.name}")
        with running([spec], [HELLO], failures) as servers:
            for server in servers:
                try:
                    grown[spec.name] = _grown_by(server, connections) / connections
                except (WrongAnswer, OSError) as error:
                    failures.append(f"memory, {spec.name}: {error}")
    progress("")
    return grown


def first_answer(specs: list[ServerSpec], repetitions: int, failures: list[str]) -> dict[str, list[float]]:
    """Seconds from starting the command to its first right answer, by server, one at a time in turns."""
    seconds: dict[str, list[float]] = {spec.name: [] for spec in specs}
    # The first turn fills the disk cache and compiles modules; it is not counted.
    for turn in range(repetitions + 1):
        for spec in specs:
            progress(f"first answer: {spec.name}")
            taken = _time_first_answer(spec, failures)
            if turn and taken is not None:
                seconds[spec.name].append(taken)
    progress("")
    return seconds


def median_or_none(values: list[float]) -> float | None:
    """The median, or None of nothing."""
    return statistics.median(values) if values else None


def _grown_by(server: ServerProcess, connections: int) -> int:
    exchange = HELLO.exchanges("")[0]
    with contextlib.ExitStack() as stack:
        for client in [stack.enter_context(Client(server.port)) for _ in range(WARM_UP_CONNECTIONS)]:
            for _ in range(WARM_UP_REQUESTS):
                client.check(exchange)
    time.sleep(SETTLE_SECONDS)
    before = _resident(server)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(connections):
            client = stack.enter_context(Client(server.port))
            client.check(exchange)
            clients.append(client)
        time.sleep(SETTLE_SECONDS)
        grown = _resident(server) - before
        # Still open? A connection that the server closed would have been counted as cheap.
        for client in (clients[0], clients[-1]):
            client.check(exchange)
    return grown


def _resident(server: ServerProcess) -> int:
    return resident_octets(process_trees([server.pid])[server.pid])


def _time_first_answer(spec: ServerSpec, failures: list[str]) -> float | None:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        server = ServerProcess(spec, HELLO, Path(folder))
        try:
            return server.wait_until_ready()
        except WrongAnswer as error:
            failures.append(f"first answer, {spec.name}: {error}")
            return None
        finally:
            server.stop()
