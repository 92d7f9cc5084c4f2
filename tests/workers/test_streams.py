"""Processes that are started without standard input, output or error, or with ones that take nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no shell that closes descriptors")

OPENED = """
import os, socket, subprocess, sys
from miniasgi.workers.system.streams import open_standard_streams
open_standard_streams()
open_standard_streams()  # finds nothing to do
print("lost"); print("lost", file=sys.stderr)
numbers = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)]
heirs = subprocess.run([sys.executable, "-c", "import os; [os.fstat(each) for each in range(3)]"]).returncode
with open(sys.argv[1], "w") as file:
    print(numbers, sys.stdin.read(), socket.socket().fileno() > 2, heirs, file=file)
"""


def run(closed: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python with the descriptors closed that the shell's words *closed* name."""
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, *arguments]
    return subprocess.run(words, cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


@pytest.mark.parametrize("closed", ["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_the_null_device(closed: str, tmp_path: Path) -> None:
    done = run(closed, "-c", OPENED, str(tmp_path / "told"))
    assert (tmp_path / "told").read_text() == "[0, 1, 2]  True 0\n"
    assert done.returncode == 0
    # Those that are open are left alone.
    assert (b"lost" in done.stdout, b"lost" in done.stderr) == (">&-" not in closed.split(), "2>&-" not in closed)


SERVED = """
import os, signal, threading, sys
from tests.support import ask
from pathlib import Path
import re, time
import miniasgi
log = sys.argv[1]
def use():
    while not (found := re.search(r"127\\.0\\.0\\.1:(\\d+)", Path(log).read_text() if Path(log).exists() else "")):
        time.sleep(0.01)
    Path(log + ".answer").write_bytes(ask(int(found[1])))
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=use, daemon=True).start()
miniasgi.run("tests.server.apps:bad_days", port=0, error_logfile=log, loop=sys.argv[2])
"""


@pytest.mark.slow
def test_a_server_without_streams_serves_and_stops(loop_name: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run("<&- >&- 2>&-", "-c", SERVED, str(log), loop_name)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "log.answer").read_bytes().endswith(b"hello")
    assert log.read_text().splitlines()[-1].endswith("info stopping")


SAID = """
import os, sys
from miniasgi.workers.system.streams import say
target = os.dup(2)
os.dup2(os.open(sys.argv[1], os.O_WRONLY), 2)
say("lost")
os.dup2(target, 2)
say("written")
"""


@pytest.mark.parametrize("buffering", [(), ("-u",)], ids=["buffered", "unbuffered"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_what_cannot_be_said_is_gone_and_what_is_said_after_it_is_not(buffering: tuple[str, ...]) -> None:
    done = run("", *buffering, "-c", SAID, "/dev/full")
    assert (done.returncode, done.stderr) == (0, b"written\n")


@pytest.mark.parametrize("buffering", [(), ("-u",)], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("target", ["2>&-", "2>/dev/full"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_error_that_nobody_reads_leaves_its_exit_status(target: str, buffering: tuple[str, ...]) -> None:
    script = "import miniasgi; miniasgi.run('no.such:app')"
    done = run(target, *buffering, "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
