"""What users do with a server that has workers: its pid file, hooks, log files, signals, and run() in a program."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.support import ask, connect, read_all
from tests.workers.processes import KINDS as SUPERVISED
from tests.workers.processes import WorkersProcess, answered_by, content, needs_linux, request, watch

pytestmark = [pytest.mark.slow, needs_linux]

KINDS = {"alone": (), **SUPERVISED}
ALL_KINDS = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
ALL_SUPERVISED = pytest.mark.parametrize("options", SUPERVISED.values(), ids=SUPERVISED)

APPS = "tests.workers.apps"


def serving(server: WorkersProcess, options: tuple[str, ...]) -> set[int]:
    """The processes that serve, as soon as all of them have answered."""
    return server.wait_for_workers(2 if options in (KINDS["process"], KINDS["preload"]) else 1)


# The pid file


@ALL_KINDS
def test_the_pid_file_names_the_process_to_send_signals_to(options: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "server.pid"
    with WorkersProcess(*options, "--pid", str(file)) as server:
        assert file.read_text() == f"{server.pid}\n"
        second = WorkersProcess(*options, "--pid", str(file))
        with second.starting():
            assert second.exit_status(5) == 3
        assert len(second.errors) == 1
        assert f"process {server.pid}, which it names, is alive" in second.errors[0]
        assert file.read_text() == f"{server.pid}\n"
        server.signal(signal.SIGHUP)  # nor do new workers touch it
        server.wait_for("SIGHUP" if options == () else "has been loaded anew")
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert not list(tmp_path.iterdir())


def test_the_pid_file_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "server.pid"
    with WorkersProcess("--workers", "2", "--pid", str(file)) as first:
        first.signal(signal.SIGKILL)
        first.wait_until_gone(5)
        # Gone for the file only when its parent, which is the test, has been told.
        assert first.exit_status() == -signal.SIGKILL
        assert file.read_text() == f"{first.pid}\n"
    with WorkersProcess("--workers", "2", "--pid", str(file)) as second:
        assert second.lines(f"names process {first.pid}, which has gone; it is replaced")
        assert file.read_text() == f"{second.pid}\n"


# Hooks


@ALL_KINDS
def test_hooks_are_called_in_their_order_and_each_in_its_process(options: tuple[str, ...]) -> None:
    with WorkersProcess(*options, "--hooks", f"{APPS}:Hooks") as server:
        workers = serving(server, options)
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
    calls = [line.split()[1:] for line in server.lines("^hook ")]
    count = 2 if options else 1
    names = [name for name, _, _ in calls]
    assert names == (["on_start"] + ["on_worker_start"] * count + ["on_worker_stop"] * count + ["on_stop"])
    assert calls[0][1:] == calls[-1][1:] == ["None", str(server.pid)]
    started, stopped = calls[1 : count + 1], calls[count + 1 : -1]
    assert sorted(worker for _, worker, _ in started) == (["1", "2"] if options else ["None"])
    assert {int(process) for _, _, process in started} == workers
    assert sorted(each[1:] for each in started) == sorted(each[1:] for each in stopped)


# How many


def test_an_environment_variable_says_how_many_workers_there_are() -> None:
    with WorkersProcess(environ={"WEB_CONCURRENCY": "2"}) as server:
        assert server.wait_for_workers(2) == set(server.processes())


def test_threads_are_added_and_taken_away_by_signals_too() -> None:
    with WorkersProcess(*KINDS["thread"], "--log-level", "debug") as server:
        server.signal(signal.SIGTTIN)
        server.wait_for("3 worker threads are wanted now")
        names: set[str] = set()
        end = time.monotonic() + 10
        while len(names) < 3:
            assert time.monotonic() < end, f"only {names} answer"
            names.add(content(ask(server.port, "/thread")))
        (process,) = server.processes()
        assert names == {f"{process} miniasgi worker {number}" for number in (1, 2, 3)}
        server.signal(signal.SIGTTOU)
        server.wait_for(r"worker 3 \(.*has ended")
        assert {content(ask(server.port, "/thread")) for _ in range(20)} <= names - {f"{process} miniasgi worker 3"}


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU])
def test_a_single_process_says_what_a_signal_would_do(number: signal.Signals) -> None:
    with WorkersProcess() as server:
        server.signal(number)
        server.wait_for(f"{number.name} .* only where there is a supervisor, as with --workers 2")
        assert answered_by(server.port) == server.pid


# Log files


@ALL_KINDS
def test_sigusr1_opens_log_files_again_in_all_processes(options: tuple[str, ...], tmp_path: Path) -> None:
    log, moved = tmp_path / "app.log", tmp_path / "app.log.1"
    environ = {"TESTS_LOG": str(log)}

    def fill() -> None:
        """Log until each worker has written to the file."""
        workers = serving(server, options)
        end = time.monotonic() + 10
        while not log.exists() or {int(line.split()[-1]) for line in log.read_text().splitlines()} < workers:
            assert time.monotonic() < end, "not all workers write to the file"
            ask(server.port, "/log")

    with WorkersProcess("--factory", *options, app=f"{APPS}:logging_to_file", environ=environ) as server:
        fill()
        log.rename(moved)
        assert content(ask(server.port, "/log"))
        assert not log.exists()
        server.signal(signal.SIGUSR1)
        fill()
        size = moved.stat().st_size
        for _ in range(10):
            ask(server.port, "/log")
        assert moved.stat().st_size == size


LOG_CONFIG = """
version = 1
disable_existing_loggers = false
[handlers.file]
class = "logging.FileHandler"
filename = "{path}"
[loggers."miniasgi.server"]
handlers = ["file", "console"]
level = "INFO"
[handlers.console]
class = "logging.StreamHandler"
"""


@ALL_SUPERVISED
def test_sighup_opens_log_files_again_in_the_supervisor_too(options: tuple[str, ...], tmp_path: Path) -> None:
    log, moved, config = (tmp_path / name for name in ("server.log", "server.log.1", "log.toml"))
    config.write_text(LOG_CONFIG.format(path=log))
    with WorkersProcess(*options, "--log-config", str(config)) as server:
        log.rename(moved)
        server.signal(signal.SIGHUP)
        server.wait_for("has been loaded anew")
        assert "loading the application anew" in log.read_text()
        assert "loading" not in moved.read_text()


# Signals to a worker


@ALL_SUPERVISED
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_a_signal_ends_is_replaced(options: tuple[str, ...], number: signal.Signals) -> None:
    with WorkersProcess(*options) as server:
        victim = min(serving(server, options))
        with watch([victim]) as watched:
            os.kill(victim, number)
            line = server.wait_for(rf"\(process {victim}\) .*replaced")
            assert ("it was sent SIGTERM" if number is signal.SIGTERM else "was killed by SIGKILL") in line
            watched.wait(10)
        assert victim not in serving(server, options)
        assert len(server.lines("replaced")) == 1


@ALL_SUPERVISED
def test_a_worker_that_is_told_to_leave_answers_what_it_has_begun(options: tuple[str, ...]) -> None:
    with WorkersProcess(*options) as server, connect(server.port) as client:
        request(client, "/last")
        victim = int(server.wait_for("begin /last").split()[2])
        with watch([victim]) as watched:
            os.kill(victim, signal.SIGTERM)
            assert content(read_all(client)) == "the last one"
            watched.wait(10)
        assert answered_by(server.port) in server.processes()


def test_signals_that_a_terminal_sends_to_all_are_ignored_by_workers() -> None:
    with WorkersProcess(*KINDS["process"]) as server:
        workers = server.wait_for_workers(2)
        for pid in workers:
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU):
                os.kill(pid, number)
        assert server.wait_for_workers(2) == workers, server.errors
        assert len(server.errors) == 1


def test_sigusr2_makes_a_worker_write_its_stacks() -> None:
    with WorkersProcess(*KINDS["process"]) as server:
        worker = answered_by(server.port)
        os.kill(worker, signal.SIGUSR2)
        server.wait_for(r"^(Current thread|Thread) 0x")
        server.wait_for("in run_worker")
        assert worker in server.wait_for_workers(2)


def test_a_process_that_preloads_and_is_killed_is_made_good_when_it_is_needed() -> None:
    with WorkersProcess(*KINDS["preload"]) as server:
        workers = server.wait_for_workers(2)
        (zygote,) = set(server.processes()) - workers
        os.kill(zygote, signal.SIGKILL)
        server.wait_for(rf"the process that preloads the application \(process {zygote}\) was killed by SIGKILL")
        os.kill(min(workers), signal.SIGKILL)
        server.wait_for("is replaced")
        assert len(server.wait_for_workers(2) - workers) == 1


# run() in a program


def test_a_program_may_serve_an_object_with_threads(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import miniasgi\n"
        "from tests.workers.apps import bad_days\n"
        "if __name__ == '__main__':\n"
        "    miniasgi.run(bad_days, workers=2, worker_class='thread', port=0)\n"
        "    print('on we go')\n"
    )
    with WorkersProcess(script=script, stdout=-1) as server:
        assert server.processes() == []
        assert answered_by(server.port) == server.pid
        before = _threads(server.pid)
        server.signal(signal.SIGHUP)
        server.wait_for("has been loaded anew")
        assert re.fullmatch(rf"{server.pid} miniasgi worker [12]", content(ask(server.port, "/thread")))
        assert _threads(server.pid) - before
        server.signal(signal.SIGTERM)
        assert server.stdout is not None
        assert server.stdout.read().splitlines()[-1] == "on we go"
        assert server.exit_status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_without_a_guard_is_told_of_it(tmp_path: Path, workers: int) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import miniasgi\n"
        "from tests.workers.apps import bad_days\n"
        f"miniasgi.run('program:bad_days', workers={workers}, port=0)\n"
    )
    server = WorkersProcess(script=script)
    with server.starting():
        assert server.exit_status(5) == 3
    (line,) = server.lines("^miniasgi: ")
    assert 'put the call under if __name__ == "__main__":, so that only the program itself makes it' in line


def test_a_program_whose_loop_runs_is_told_how_to_serve_in_it(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import asyncio, miniasgi\n"
        "async def main():\n"
        "    miniasgi.run('tests.workers.apps:bad_days', port=0)\n"
        "asyncio.run(main())\n"
    )
    server = WorkersProcess(script=script)
    with server.starting():
        assert server.exit_status(5) == 3
    (line,) = server.errors
    assert line.startswith("miniasgi: an event loop runs in this thread already, as in a notebook: ")


def _threads(pid: int) -> set[int]:
    return {int(each) for each in os.listdir(f"/proc/{pid}/task")}


# What an application leaves behind


THREADS = """
import sys, threading
from tests.workers.apps import bad_days, say

def leave():
    threading.main_thread().join()
    say("Python waits")
    threading.Event().wait({seconds})

def make():
    threading.Thread(target=leave, name="the exporter").start()
    return bad_days
"""


def leaving(directory: Path, seconds: float | None) -> tuple[str, ...]:
    """Options for an application, leaving:make, with a thread that goes on for so long after the server."""
    (directory / "leaving.py").write_text(THREADS.format(seconds=seconds))
    return ("--factory", "--app-dir", str(directory))


@ALL_KINDS
def test_threads_that_the_application_leaves_hold_no_process_up(options: tuple[str, ...], tmp_path: Path) -> None:
    more = (*leaving(tmp_path, None), "--timeout-graceful-shutdown", "0.2")
    with WorkersProcess(*options, *more, app="leaving:make") as server:
        server.signal(signal.SIGTERM)
        assert server.exit_status(5) == 0
        server.wait_until_gone(2)
        said = "error the application has left threads that do not end; the process ends without them: the exporter$"
        assert len(server.lines(said)) == (not options)


def test_a_thread_that_ends_in_time_is_waited_for_without_a_word(tmp_path: Path) -> None:
    with WorkersProcess(*leaving(tmp_path, 0.1), app="leaving:make") as server:
        server.signal(signal.SIGTERM)
        assert server.exit_status(5) == 0
        assert server.errors[-1] == "Python waits"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_while_python_waits_for_threads_ends_the_process(tmp_path: Path, number: signal.Signals) -> None:
    with WorkersProcess(*leaving(tmp_path, None), app="leaving:make") as server:
        server.signal(signal.SIGINT)
        server.wait_for("Python waits")
        server.signal(number)
        assert server.exit_status(5) == -number
        assert server.errors[-1] == "Python waits"
