"""A worker process uses the package of its supervisor, whatever else is called miniasgi."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import miniasgi
from miniasgi.config import Config
from miniasgi.workers import child
from miniasgi.workers.kinds.process import ProcessWorker
from miniasgi.workers.serving.spec import WorkerSpec

OWN = os.path.abspath(str(miniasgi.__file__))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A directory with another package called miniasgi, which cannot be imported."""
    package = tmp_path / "other" / "miniasgi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('this is another package')\n")
    return package.parent


def test_its_own_package_comes_before_one_that_python_would_find(other: Path) -> None:
    script = (
        "import runpy, sys; found = runpy.run_path(sys.argv[1]); found['use_own_package'](); "
        "import miniasgi.workers.serving.spec; "
        "print(miniasgi.__file__); print(miniasgi.workers.serving.spec.__file__); print(miniasgi.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, child.__file__],
        cwd=other,
        env={**os.environ, "PYTHONPATH": str(other)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    spec = os.path.join(os.path.dirname(OWN), "workers", "serving", "spec.py")
    assert (done.stderr, done.stdout.splitlines()) == ("", [OWN, spec, miniasgi.__version__])


def test_it_does_nothing_when_it_is_only_imported() -> None:
    # As by an application that starts processes of its own: their main module is imported there under another name.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__mp_main__')",
            child.__file__,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_worker_finds_its_supervisors_package_and_the_application_where_the_supervisor_would(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asks_where.py").write_text("import miniasgi\nraise RuntimeError(f'it is {miniasgi.__file__}')\n")
    monkeypatch.setenv("PYTHONPATH", str(other))
    monkeypatch.setattr(sys, "path", [str(other), str(tmp_path), *sys.path])
    worker = ProcessWorker(WorkerSpec("asks_where:app", Config(port=0), 1))
    try:
        (said,) = worker.channel.receive()
        assert said["kind"] == "failed"
        assert f"it is {OWN}" in said["message"] + said["details"]
    finally:
        worker.close()
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        assert worker.exit_status() is not None
