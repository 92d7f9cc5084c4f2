"""Servers that cannot start: one message, the exit status that it deserves, and nobody left behind."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.workers.processes import APP, WorkersProcess, answered_by, needs_linux
from tests.workers.processes import KINDS as SUPERVISED

pytestmark = [pytest.mark.slow, needs_linux]

KINDS = {"alone": (), **SUPERVISED}
ALL_KINDS = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
ALL_SUPERVISED = pytest.mark.parametrize("options", SUPERVISED.values(), ids=SUPERVISED)


def end(server: WorkersProcess) -> int:
    """The exit status of *server*, which must end by itself, with all its processes."""
    with server.starting():
        status = server.exit_status(5)
        server.wait_until_gone(2)
    return status


@ALL_KINDS
def test_an_application_that_cannot_be_imported_ends_the_server_with_one_traceback(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    module = tmp_path / "broken.py"
    module.write_text("\n\nraise RuntimeError('tired')\n")
    four = ("--workers", "4") if options else ()
    server = WorkersProcess(*options, *four, "--app-dir", str(tmp_path), app="broken:app")
    assert end(server) == 3
    assert server.errors == [
        "Traceback (most recent call last):",
        f'  File "{module}", line 3, in <module>',
        "    raise RuntimeError('tired')",
        "RuntimeError: tired",
        "miniasgi: application 'broken:app': importing broken failed: RuntimeError: tired",
    ]


@ALL_KINDS
def test_an_application_that_does_not_exist_ends_the_server_with_one_line(options: tuple[str, ...]) -> None:
    server = WorkersProcess(*options, app="tests.workers.apps:bad_day")
    assert end(server) == 3
    assert len(server.errors) == 1
    assert "did you mean bad_days" in server.errors[0]


@ALL_KINDS
def test_a_start_up_that_fails_ends_the_server_with_one_line(options: tuple[str, ...]) -> None:
    server = WorkersProcess(*options, app="tests.workers.apps:failing")
    assert end(server) == 3
    assert len(server.errors) == 1
    assert "the database is on holiday" in server.errors[0]


@ALL_KINDS
def test_a_start_up_that_raises_ends_the_server_with_one_traceback(options: tuple[str, ...]) -> None:
    four = ("--workers", "4") if options else ()
    server = WorkersProcess(*options, *four, "--lifespan", "on")
    assert end(server) == 3
    assert (server.errors[0], server.errors[-2:]) == (
        "Traceback (most recent call last):",
        ["RuntimeError: no lifespan", "miniasgi: application start-up failed: RuntimeError('no lifespan')"],
    )
    assert len(server.lines("^Traceback|start-up failed")) == 2


@ALL_KINDS
def test_a_hook_that_fails_ends_the_server_with_one_traceback(options: tuple[str, ...]) -> None:
    server = WorkersProcess(*options, "--hooks", "tests.workers.apps:FailingHooks")
    assert end(server) == 3
    assert len(server.lines("^Traceback")) == 1
    assert [line for line in server.errors if line.startswith("miniasgi: ")] == [
        "miniasgi: hook on_worker_start failed: RuntimeError: this hook is rusty"
    ]


@ALL_SUPERVISED
def test_a_first_worker_that_dies_without_a_word_ends_the_server(options: tuple[str, ...]) -> None:
    server = WorkersProcess(*options, app="tests.workers.apps:dying")
    assert end(server) == 3
    assert len(server.lines("^miniasgi: a worker was killed by SIGKILL while it started")) == 1
    assert server.errors[-1].startswith("miniasgi: ")


@ALL_SUPERVISED
def test_an_address_that_is_in_use_is_found_before_any_worker_starts(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "talking.py").write_text("print('imported')\nimport sys; print('imported', file=sys.stderr)\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = WorkersProcess(*options, "--app-dir", str(tmp_path), "--port", port, app="talking:app")
        assert end(server) == 3
    assert len(server.errors) == 1
    assert re.match(rf"miniasgi: .*{port}.*in use", server.errors[0])


def test_options_that_contradict_each_other_end_with_status_2() -> None:
    server = WorkersProcess("--workers", "2", "--reload")
    assert end(server) == 2
    assert server.errors == [
        "miniasgi: --reload: found --workers 2, expected 1 (the other may come from WEB_CONCURRENCY or "
        "MINIASGI_WORKERS)"
    ]


# Programs that call run()

PROGRAM = """
import threading
import miniasgi
from tests.workers.apps import bad_days as app
"""


def program(tmp_path: Path, text: str) -> WorkersProcess:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM + text)
    return WorkersProcess(script=script)


@pytest.mark.parametrize("more", ["", "worker_class='thread', ", "preload=True, "], ids=SUPERVISED)
def test_a_program_that_starts_workers_without_a_guard_is_told_how_to(more: str, tmp_path: Path) -> None:
    server = program(tmp_path, f"miniasgi.run('program:app', workers=2, {more}port=0)")
    assert end(server) == 3
    fix = 'put the call under if __name__ == "__main__":'
    assert len([line for line in server.errors if line.startswith("miniasgi: ") and fix in line]) == 1
    assert len(server.lines("^Traceback")) <= 1


@pytest.mark.parametrize("more", ["", "worker_class='thread', ", "preload=True, "], ids=SUPERVISED)
def test_a_program_with_a_guard_may_start_workers(more: str, tmp_path: Path) -> None:
    with program(
        tmp_path, f"if __name__ == '__main__':\n    miniasgi.run('program:app', workers=2, {more}port=0)"
    ) as server:
        assert answered_by(server.port) in server.processes()


def test_an_application_that_is_an_object_is_no_business_of_worker_processes(tmp_path: Path) -> None:
    server = program(tmp_path, "miniasgi.run(app, workers=2, port=0)")
    assert end(server) == 3
    assert len(server.errors) == 1
    assert "or use worker_class='thread'" in server.errors[0]


def test_workers_cannot_be_started_from_a_thread(tmp_path: Path) -> None:
    server = program(
        tmp_path, f"threading.Thread(target=miniasgi.run, args=['{APP}'], kwargs=dict(workers=2, port=0)).start()"
    )
    assert end(server) == 0  # the thread has ended, and the program goes on
    assert server.errors == [
        "miniasgi: several workers need the main thread, where signals arrive; Server serves in any"
    ]
