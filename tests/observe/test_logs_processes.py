"""The logs of a server as its users have it: processes, files, signals, and what keeps it from starting."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support import ROOT, ServerProcess

pytestmark = pytest.mark.slow

APP = "tests.server.apps:hello"


def get(port: int, path: str) -> None:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"User-Agent": 'a"b\\'})
    with urllib.request.urlopen(asked, timeout=10) as response:
        response.read()


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_both_logs_of_all_processes_are_json_in_a_file_each(workers: str, tmp_path: Path) -> None:
    errors, access = tmp_path / "errors", tmp_path / "access"
    with ServerProcess(
        APP, "--port", "0", "--workers", workers, "--log-format", "json", "--access-logfile", str(access)
    ) as server:
        for number in range(20):
            get(server.port, f"/{number}")
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        said = [json.loads(line) for line in server.errors]
    assert {each["logger"] for each in said} == {"miniasgi.server"}
    found = [json.loads(line) for line in lines(access)]
    assert sorted(each["target"] for each in found) == sorted(f"/{number}" for number in range(20))
    assert {(each["status"], each["octets"], each["user_agent"]) for each in found} == {(200, 5, 'a"b\\')}
    if workers == "1":
        assert {each["pid"] for each in found} == {server.pid} and "worker" not in found[0]
    else:
        assert server.pid not in {each["pid"] for each in found}
        assert {each["worker"] for each in found} <= {"worker 1", "worker 2"}
        assert {each.get("worker") for each in said} == {None, "worker 1", "worker 2"}
    assert not errors.exists()


def test_moved_files_are_opened_again_by_all_processes(tmp_path: Path) -> None:
    access, old = tmp_path / "access", tmp_path / "old"
    options = ("--port", "0", "--workers", "2", "--access-logfile", str(access), "--access-log-format", "%(U)s")
    with ServerProcess(APP, *options) as server:
        for number in range(10):
            get(server.port, f"/old/{number}")
        access.rename(old)
        server.signal(signal.SIGUSR1)
        # Nobody says that it is done: until the file is there again, requests go on.
        number = 0
        while not (access.exists() and lines(access)):
            get(server.port, f"/new/{number}")
            number += 1
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
    everything = lines(old) + lines(access)
    assert sorted(everything) == sorted(
        [f"/old/{each}" for each in range(10)] + [f"/new/{each}" for each in range(number)]
    )


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--error-logfile", "none/log"], 2, "miniasgi: --error-logfile none/log: No such file or directory"),
        (["--access-logfile", "none/log"], 2, "miniasgi: --access-logfile none/log: No such file or directory"),
        (
            ["--access-log-format", "%(S)s"],
            2,
            "miniasgi: --access-log-format: found '%(S)s', which is no atom; did you",
        ),
        (["--log-config", "none.toml"], 2, "miniasgi: --log-config none.toml: No such file or directory"),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_wrong_keeps_the_server_from_starting(
    arguments: list[str], status: int, said: str, workers: str
) -> None:
    command = [sys.executable, "-m", "miniasgi", APP, "--port", "0", "--workers", workers, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1


LOADS = """
import logging
from tests.server.apps import hello

logging.getLogger("miniasgi.server").info("imported")
logging.getLogger("app").warning("a line of its own")
"""

LOGS = """version = 1
[formatters.named]
format = "%(name)s: %(message)s"
[handlers.stream]
class = "logging.StreamHandler"
formatter = "named"
[root]
handlers = ["stream"]
[loggers.miniasgi]
level = "INFO"
"""


@pytest.mark.parametrize("options", [[], ["-w", "2"], ["-w", "2", "--preload"], ["-w", "2", "-k", "thread"]])
def test_a_configuration_of_logging_is_in_effect_before_the_application_is_loaded(
    options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "loads.py").write_text(LOADS)
    (tmp_path / "logs.toml").write_text(LOGS + 'handlers = ["stream"]\npropagate = false\n')
    arguments = ("--app-dir", str(tmp_path), "--port", "0", "--log-config", str(tmp_path / "logs.toml"))
    with ServerProcess("loads:hello", *arguments, *options) as server:
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        said = server.errors
    assert all(line.startswith(("miniasgi.server: ", "app: ")) for line in said)
    ready = next(number for number, line in enumerate(said) if "http://" in line)
    for line in ("miniasgi.server: imported", "app: a line of its own"):
        assert line in said[:ready]
