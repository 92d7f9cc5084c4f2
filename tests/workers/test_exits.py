"""How the end of a process is described, and what memory it is said to hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from miniasgi.workers.system.exits import describe, resident_octets

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, "exited with status 0"),
        (1, "exited with status 1"),
        (143, "exited with status 143"),
        (-signal.SIGTERM, "was killed by SIGTERM"),
        (-77, "was killed by signal 77"),
        (None, "has gone, nobody knows how"),
        (-signal.SIGKILL, "was killed by SIGKILL; unless somebody did that, the kernel did for lack of memory"),
    ],
)
def test_an_end_is_described(status: int | None, expected: str) -> None:
    assert describe(status) == expected


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"])
def test_a_crash_points_to_native_code(name: str) -> None:
    assert describe(-signal.Signals[name]) == (
        f"was killed by {name}; native code has crashed, most likely an extension module's"
    )


def test_the_status_is_subprocess_s_own() -> None:
    process = subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"], check=False)
    assert describe(process.returncode) == "was killed by SIGTERM"


def statm(proc: Path, content: bytes) -> Path:
    (proc / "12").mkdir()
    (proc / "12" / "statm").write_bytes(content)
    return proc


def test_resident_memory_is_the_second_number_in_pages(tmp_path: Path) -> None:
    statm(tmp_path, b"5000 300 200 1 0 400 0\n")
    assert resident_octets(12, tmp_path) == 300 * PAGE


@pytest.mark.parametrize("content", [b"", b"5000", b"5000 many 200\n"])
def test_memory_that_cannot_be_understood_is_not_known(tmp_path: Path, content: bytes) -> None:
    assert resident_octets(12, statm(tmp_path, content)) is None


def test_memory_of_a_process_that_has_gone_is_not_known(tmp_path: Path) -> None:
    assert resident_octets(12, tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system has no /proc/PID/statm")
def test_this_process_holds_memory() -> None:
    # 4 MiB: no Python gets along with less.
    for pid in ("self", os.getpid()):
        found = resident_octets(pid)
        assert found is not None
        assert found > 4 * 1024 * 1024


def test_the_end_of_a_process_waits_for_no_thread_and_loses_no_output() -> None:
    code = (
        "import logging, sys, threading\n"
        "from logging.handlers import MemoryHandler\n"
        "from miniasgi.workers.system.exits import end_process\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "target = logging.StreamHandler()\n"
        "logging.getLogger().addHandler(MemoryHandler(100, target=target))\n"
        "logging.warning('kept back until the end')\n"
        "print('not flushed yet', end='')\n"
        "end_process(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (7, "not flushed yet", "kept back until the end\n")


@pytest.mark.parametrize(
    "stream", ["None", "open('/dev/full', 'w')", "(lambda file: file.close() or file)(sys.stdout)"]
)
def test_a_process_ends_with_its_status_whatever_becomes_of_its_output(stream: str) -> None:
    code = (
        "import sys\n"
        "from miniasgi.workers.system.exits import end_process\n"
        f"sys.stdout = {stream}\n"
        "if sys.stdout and not sys.stdout.closed: sys.stdout.write('lost')\n"
        "end_process(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize(("at_once", "expected"), [(False, "registered"), (True, "")])
def test_what_is_registered_for_the_end_is_called_unless_it_is_to_be_at_once(at_once: bool, expected: str) -> None:
    code = (
        "import atexit\n"
        "from miniasgi.workers.system.exits import end_process\n"
        "atexit.register(print, 'registered', end='')\n"
        f"end_process(0, at_once={at_once})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
