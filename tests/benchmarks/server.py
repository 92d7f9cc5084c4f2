"""What a server is: its name, what it needs, its command line."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from .certificates import certificate_in, key_in
from .workload import AccessLines, Family, Workload

# Of the directory with the files to serve, for what is not told it on its command line.
SITE_VARIABLE = "BENCHMARKS_SITE"
# Where Debian has servers, which is not on everybody's path.
_MORE_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Start:
    """What a server is started for."""

    workload: Workload
    port: int
    folder: Path  # for files of the server's own: there until it has ended

    @property
    def site(self) -> Path:
        """The directory with the files to serve."""
        return site_in(self.folder)

    @property
    def certificate(self) -> str:
        """The file with the certificate to show; there if the workload asks for TLS."""
        return str(certificate_in(self.folder))

    @property
    def key(self) -> str:
        """The file with the key to it."""
        return str(key_in(self.folder))


@dataclass(frozen=True)
class ServerSpec:
    """A server as it is measured."""

    name: str
    requires: tuple[str, ...]  # importable modules
    command: Callable[[Start], list[str]]  # may write a configuration into the folder
    family: Family = Family.APPLICATION
    program: str | None = None  # that it is, if it is not run by this Python
    prefix: str = ""  # of the paths of files, or the path by which it is asked
    cannot: Mapping[str, str] = field(default_factory=dict)  # names of workloads, and why not
    only: tuple[str, ...] = ()  # names of the workloads that it is for; empty: all of its family
    workers: int | None = None  # that it always has; None: as many as the workload asks for
    access_lines: AccessLines = AccessLines.TEXT  # that it writes, where the workload asks for an access log

    def can(self, workloads: Sequence[Workload]) -> list[Workload]:
        """Those of the workloads that it is for and has an answer to."""
        mine = [workload for workload in workloads if not self.only or workload.name in self.only]
        return [workload for workload in mine if workload.name not in self.cannot]

    def workers_for(self, workload: Workload) -> int:
        """How many of its processes answer."""
        return workload.workers if self.workers is None else self.workers

    def missing(self) -> list[str]:
        """What it requires and this Python, or this machine, does not have."""
        missing = [name for name in self.requires if not _is_importable(name)]
        if self.program and not find_program(self.program):
            missing.append(self.program)
        return missing


def site_in(folder: Path) -> Path:
    """Where the files to serve are, in the folder of a group of servers."""
    return folder / "site"


def find_program(name: str) -> str | None:
    """The path of an installed program."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), _MORE_PATHS]))


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module with this Python."""
    return [sys.executable, "-m", name, *arguments]


def uvicorn_command(app: str, start: Start, http: str, loop: str, *options: str) -> list[str]:
    """The command that runs an application on uvicorn."""
    access_log = "--access-log" if start.workload.access_log else "--no-access-log"
    common = ["--port", str(start.port), "--http", http, "--loop", loop, access_log]
    return module("uvicorn", app, *common, "--timeout-keep-alive", "75", "--no-proxy-headers", *options)


def granian_command(start: Start, *options: str) -> list[str]:
    """The command that runs the workload's application on granian."""
    workers = str(start.workload.workers)
    common = ["--interface", "asgi", "--workers", workers, "--loop", "uvloop", "--port", str(start.port)]
    common += ["--backlog", "4096", "--backpressure", "8192"]
    common += ["--access-log"] if start.workload.access_log else ["--no-log"]
    return module("granian", *common, *options, start.workload.app)


def gunicorn_command(start: Start, *options: str) -> list[str]:
    """The command that runs the workload's application on gunicorn's own ASGI workers."""
    common = ["--worker-class", "asgi", "--asgi-loop", "uvloop", "--workers", str(start.workload.workers)]
    common += ["--bind", f"127.0.0.1:{start.port}", "--worker-connections", "10000", "--keep-alive", "75"]
    common += ["--no-control-socket", *(["--access-logfile", "-"] if start.workload.access_log else [])]
    return module("gunicorn", *common, *options, start.workload.app)


def hypercorn_command(start: Start, *options: str) -> list[str]:
    """The command that runs the workload's application on hypercorn."""
    common = ["--worker-class", "uvloop", "--workers", "1", "--bind", f"127.0.0.1:{start.port}", "--keep-alive", "75"]
    common += ["--access-logfile", "-"] if start.workload.access_log else []
    return module("hypercorn", *common, *options, start.workload.app)


def _is_importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
