"""What a worker is told to run, and what it is called."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from miniasgi.config import Config
from miniasgi.workers.serving.spec import WorkerSpec
from tests.server.apps import Gate, hello
from tests.support import ROOT


def test_a_worker_is_called_by_its_place() -> None:
    assert WorkerSpec("a:b", Config(), 2).name == "worker 2"


def test_the_only_worker_has_no_name() -> None:
    assert WorkerSpec("a:b", Config()).name == ""


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("myapp:app", "myapp:app"),
        (hello, "hello"),
        (Gate(), "Gate"),
        (functools.partial(hello), "partial"),
        (None, "public other"),
    ],
)
def test_an_application_has_a_name_for_people(
    app: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in ("public", "other"):
        (tmp_path / directory).mkdir()
    config = Config(static=(("public", ""), ("other", "/x")))
    assert WorkerSpec(app, config).app_name == name


def test_what_has_been_loaded_is_called_as_it_was_named() -> None:
    assert WorkerSpec("myapp:app", Config(), loaded=hello).app_name == "myapp:app"


def test_a_specification_can_be_sent() -> None:
    spec = WorkerSpec("a:b", Config(port=1234), 3)
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_a_supervisor_that_has_one_loads_neither_server_nor_event_loop() -> None:
    script = (
        "import sys, miniasgi.workers.serving.spec; "
        "print([name for name in ('asyncio', 'miniasgi.server', 'miniasgi.static') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
