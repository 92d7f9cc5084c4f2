"""Server processes: started, pinned to one core if the workload says so, and ended whatever happens."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .access_lines import Written, read_log
from .certificates import authority_in, client_context, write_certificate
from .probe import WrongAnswer, wait_for_answer
from .server import SITE_VARIABLE, ServerSpec, Start, site_in
from .workers_probe import wait_for_processes
from .workload import Family, Workload

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0
STOP_SECONDS = 3.0
# Longer than servers hold access lines back before they write them.
LOG_FLUSH_SECONDS = 1.3

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = _CORES[0], _CORES[-1]

# Variables that would change a server's configuration or make Python slower.
_DROPPED_PREFIXES = ("MINIASGI_", "UVICORN_", "GRANIAN_", "GUNICORN_", "HYPERCORN_", "WEB_CONCURRENCY", "PYTHON")


def environment(site: Path) -> dict[str, str]:
    """The variables servers get: ours without what would configure them, the checkout importable, the site."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED_PREFIXES)}
    return kept | {"PYTHONPATH": str(ROOT), SITE_VARIABLE: str(site)}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_descriptor_limit() -> int:
    """Raise the soft limit of descriptors to the hard one, for us and for the servers; return it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = 1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


class ServerProcess:
    """One running server, with its standard output and error in files of their own."""

    def __init__(self, spec: ServerSpec, workload: Workload, folder: Path) -> None:
        self.spec = spec
        self.workload = workload
        self.port = free_port()
        self.authority = authority_in(folder) if workload.key else None  # of its certificate, if it speaks TLS
        start = Start(workload, self.port, folder)
        self._output = folder / f"{spec.name}-{self.port}.out"
        self._errors = folder / f"{spec.name}-{self.port}.err"
        with self._output.open("ab") as output, self._errors.open("ab") as errors:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                spec.command(start),
                cwd=ROOT,
                env=environment(start.site),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                preexec_fn=_pin_to_server_core if workload.is_pinned else None,
            )

    @property
    def pid(self) -> int:
        """The root of the server's process tree."""
        return self.process.pid

    def wait_until_ready(self) -> float:
        """Return the seconds from the start to the first right answer, or until each of several workers has given one.

        Raises:
            WrongAnswer: there was none, or not from as many workers; with the end of what the server wrote to
                standard error.
        """
        exchange = self.workload.exchanges(self.spec.prefix)[0]
        context = client_context(self.authority) if self.authority else None
        deadline = self.started + START_SECONDS
        try:
            wait_for_answer(self.port, exchange, deadline, lambda: self.process.poll() is not None, context)
            if self.spec.family == Family.WORKERS:
                self.wait_for_workers(deadline)
        except WrongAnswer as error:
            raise WrongAnswer(f"no right answer: {error}{self.last_words()}") from None
        return time.perf_counter() - self.started

    def wait_for_workers(self, deadline: float) -> set[int]:
        """Return the numbers of the processes that answer, when each of the workers has.

        Raises:
            WrongAnswer: they were fewer at the deadline (of time.perf_counter), or more.
        """
        return wait_for_processes(self.port, self.spec.workers_for(self.workload), deadline)

    def last_words(self) -> str:
        """The end of the server's standard error, to add to a message; empty when it wrote nothing."""
        lines = self._errors.read_text(errors="replace").strip().splitlines()[-4:]
        return "".join(f"\n    | {line}" for line in lines)

    def take_log(self) -> Written:
        """The lines on standard output since the last call; they are forgotten."""
        written = read_log(self._output)
        os.truncate(self._output, 0)
        return written

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """End the whole group: asked first, then forced."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def _write_files(workload: Workload, site: Path) -> None:
    for name, content in workload.files().items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _pin_to_server_core() -> None:
    os.sched_setaffinity(0, {SERVER_CORE})


@contextlib.contextmanager
def running(
    specs: list[ServerSpec], workloads: Sequence[Workload], failures: list[str]
) -> Iterator[list[ServerProcess]]:
    """The servers that started and answered rightly; the others are told in *failures*. All end with the block.

    Each is started for the first of the workloads that it can do, and with the files of all of them.
    """
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, contextlib.ExitStack() as stack:
        for each in workloads:
            _write_files(each, site_in(Path(folder)))
        if key := workloads[0].key:
            write_certificate(key, Path(folder))
        servers: list[ServerProcess] = []
        for spec in specs:
            server = ServerProcess(spec, spec.can(workloads)[0], Path(folder))
            stack.callback(server.stop)
            servers.append(server)
        ready: list[ServerProcess] = []
        for server in servers:
            try:
                server.wait_until_ready()
                ready.append(server)
            except WrongAnswer as error:
                failures.append(f"{server.workload.name}, {server.spec.name}: {error}")
        yield ready
        # All are asked before the first is waited for.
        for server in servers:
            server.ask_to_stop()
