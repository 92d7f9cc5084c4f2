"""Worker processes from outside: what is sent to them, which Python runs them, and how they begin and end."""

from __future__ import annotations

import ast
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.errors import StartupError
from miniasgi.workers.kinds.channel import Closed, Said
from miniasgi.workers.kinds.process import SIGNALS_HELD_BACK, ProcessWorker, interpreter_options, pack, unpack
from miniasgi.workers.serving.spec import WorkerSpec
from tests.server.apps import hello
from tests.support import descriptors

SERVES = "async def app(scope, receive, send):\n    assert scope['type'] == 'lifespan'\n"
TELLS = """
import os, sys
raise RuntimeError(repr({
    "argv": sys.argv, "path": sys.path, "optimize": sys.flags.optimize, "dev": sys.flags.dev_mode,
    "warnings": sys.warnoptions, "files": len(os.listdir("/proc/self/fd")),
}))
"""

Start = Callable[[str], ProcessWorker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a worker with an application of the given text; all have ended, and are let go of, after the test."""
    before = descriptors()
    workers: list[ProcessWorker] = []
    timers: list[threading.Timer] = []

    def start(text: str) -> ProcessWorker:
        (tmp_path / "mine.py").write_text(text)
        workers.append(ProcessWorker(WorkerSpec("mine:app", Config(port=0, app_dir=str(tmp_path)), 1)))
        timers.append(threading.Timer(30, workers[-1].signal, (signal.SIGKILL,)))  # what waits for it is to go on
        timers[-1].start()
        return workers[-1]

    yield start
    for worker, timer in zip(workers, timers, strict=True):
        timer.cancel()
        worker.signal(signal.SIGKILL)
        ended(worker)
        worker.close()
    assert descriptors() == before


def ended(worker: ProcessWorker) -> int:
    """Its exit status, once it has one."""
    if worker.exit_status() is None:
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    status = worker.exit_status()
    assert status is not None
    return status


def hear(worker: ProcessWorker, kind: str) -> Said:
    """The next message of that kind."""
    while True:
        for said in worker.channel.receive():
            if said["kind"] == kind:
                return said


def told(worker: ProcessWorker) -> Any:
    """What an application says that fails with it as its message."""
    message = hear(worker, "failed")["message"]
    return ast.literal_eval(message[message.index("{") :])


# What is sent


def test_a_specification_arrives_as_it_was() -> None:
    spec = WorkerSpec("myapp:app", Config(port=1, headers=["x: y"]), 2)
    assert unpack(pack(spec)) == spec
    folders = WorkerSpec(None, Config.from_options(static=["."]), 1)
    assert unpack(pack(folders)) == folders


def test_an_application_that_is_an_object_is_refused_in_a_line_that_says_what_to_do() -> None:
    with pytest.raises(StartupError) as caught:
        pack(WorkerSpec(hello, Config()))
    assert str(caught.value) == (
        "worker processes load the application themselves: give it as 'module:attribute', such as 'myapp:app', or use "
        "worker_class='thread'"
    )


def test_an_application_of_the_main_module_is_refused_in_a_line_that_says_what_to_do() -> None:
    with pytest.raises(StartupError) as caught:
        pack(WorkerSpec("__main__:app", Config()))
    assert str(caught.value) == (
        "'__main__:app': worker processes cannot import __main__: name the file's module instead, and call run() under "
        'if __name__ == "__main__"'
    )
    pack(WorkerSpec("package.__main__:app", Config()))  # can be imported


def test_nothing_is_started_for_an_application_that_is_refused() -> None:
    before = descriptors()
    with pytest.raises(StartupError):
        ProcessWorker(WorkerSpec(hello, Config()))
    assert descriptors() == before


# Which Python


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("python", ""),
        ("python -m miniasgi myapp:app -O", ""),
        ("python -O -m miniasgi -X dev", "-O"),
        ("python -OO -X dev -W error -m miniasgi", "-OO -X dev -W error"),
        ("python -Xdev -Werror -Wdefault script.py -O", "-Xdev -Werror -Wdefault"),
        ("python -OXdev script.py", "-O -Xdev"),
        ("python -uB -W error::UserWarning:mine -c code -O", "-uB -W error::UserWarning:mine"),
        ("python -Om miniasgi", "-O"),
        ("python -Ommodule -X dev", "-O"),
        ("python -ccode -X dev", ""),
        ("python -i script.py", ""),
        ("python -iO script.py", "-O"),
        ("python -x script.py", ""),
        ("python -O -", "-O"),
        ("python -O -- -X", "-O"),
        ("python -I script.py", "-I"),
        ("python --check-hash-based-pycs never -O script.py", "--check-hash-based-pycs never -O"),
        ("python --check-hash-based-pycs=never script.py", "--check-hash-based-pycs=never"),
        ("python -X", "-X "),
    ],
)
def test_the_options_of_this_python_are_told_from_those_of_its_program(line: str, options: str) -> None:
    assert interpreter_options(line.split(" ")) == (options.split(" ") if options else [])


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system does not show a process's files")
def test_a_worker_runs_as_its_supervisor_does(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["-O", "-X", "dev", "-W", "error::UserWarning:mine"]
    monkeypatch.setattr(sys, "orig_argv", ["python", *options, "-m", "miniasgi", "mine:app"])
    monkeypatch.setattr(sys, "argv", ["miniasgi", "mine:app", "--workers", "2"])
    path = ["/a/place", *sys.path]
    monkeypatch.setattr(sys, "path", [*path, tmp_path])  # a Path is none to Python either
    worker = start(TELLS)
    found = told(worker)
    assert found["optimize"] == 1
    assert found["dev"]
    assert "error::UserWarning:mine" in found["warnings"]
    assert found["argv"] == sys.argv
    assert [each for each in found["path"] if each != str(tmp_path)] == path
    assert ended(worker) == 3


@pytest.mark.slow
def test_a_worker_gets_no_files_but_its_channel(start: Start) -> None:
    held, other = os.pipe()
    os.set_inheritable(held, True)
    try:
        few = told(start(TELLS))["files"]
        more = [os.dup(held) for _ in range(20)]
        for each in more:
            os.set_inheritable(each, True)
        try:
            assert told(start(TELLS))["files"] == few
        finally:
            for each in more:
                os.close(each)
    finally:
        os.close(held)
        os.close(other)


# Beginning and ending


@pytest.mark.slow
def test_a_worker_says_that_it_is_ready_and_ends_when_it_is_told_to(start: Start) -> None:
    worker = start(SERVES)
    assert worker.name == f"process {worker.pid}"
    assert worker.fileno() == worker.channel.fileno()
    assert hear(worker, "ready")["loop"] in ("asyncio", "uvloop")
    assert worker.exit_status() is None
    worker.tell("stop", force=False, patient=False)
    assert ended(worker) == 0
    with pytest.raises(Closed):
        while True:
            worker.receive()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGQUIT"])
def test_what_a_terminal_sends_while_a_worker_starts_neither_ends_it_nor_gives_a_traceback(
    start: Start, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    worker = start(SERVES)
    assert worker.signal(getattr(signal, name))  # its Python has hardly begun
    hear(worker, "ready")
    assert worker.signal(getattr(signal, name))
    worker.tell("stop", force=False, patient=False)
    assert ended(worker) == 0
    assert "Traceback" not in capfd.readouterr().err


def test_the_supervisors_own_signals_are_held_back_no_longer_than_needed(start: Start) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert not before & SIGNALS_HELD_BACK
    start(SERVES)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_worker_that_was_killed_ends_with_the_signals_number_and_takes_no_other(start: Start) -> None:
    worker = start(SERVES)
    assert worker.signal(signal.SIGKILL)
    assert ended(worker) == -signal.SIGKILL
    assert worker.signal(signal.SIGTERM)
    worker.tell("stop", force=True)  # nobody gets it


def test_a_python_that_cannot_be_started_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    before = descriptors(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(StartupError, match=r"^cannot start a worker process: No such file or directory$"):
        ProcessWorker(WorkerSpec("mine:app", Config()))
    assert (descriptors(), signal.pthread_sigmask(signal.SIG_BLOCK, ())) == before
