"""The server as a user starts it: what it prints, how it ends, and what it does without the packages it likes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT, ServerProcess, ask, read_all

APP = "tests.server.apps:bad_days"

# What takes packages away: run before anything is imported.
BLOCK = """
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""


def without(*names: str) -> str:
    return BLOCK.format(names=set(names))


def run(*arguments: str, before: str = "", environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    start = f"import sys\n{before}\nfrom miniasgi.cli import main\nsys.exit(main())"
    command = [sys.executable, *(["-c", start] if before else ["-m", "miniasgi"]), *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **(environ or {})},
    )


# Starting and stopping


@pytest.mark.slow
def test_one_line_says_where_the_server_is(loop_name: str, parser_name: str) -> None:
    with ServerProcess(APP, "--port", "0", "--loop", loop_name, "--http", parser_name) as server:
        (line,) = server.errors
        python = re.escape(sys.version.split()[0])
        assert re.fullmatch(
            rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d info miniasgi [\w.]+ on http://127\.0\.0\.1:{server.port} "
            rf"\({loop_name}, {parser_name} parser, Python {python}, process {server.pid}\); Ctrl-C stops it",
            line,
        )
        assert ask(server.port).endswith(b"hello")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((APP,), "/"),
        (("--static", ".:/a"), "/a/"),
        (("--static", ".:/a b", "--static", ".:/c"), "/a%20b/"),
        (("--static", ".:/a", "--static", "."), "/"),
        (("--static", ".:/a", APP), "/"),
    ],
)
def test_the_browser_is_shown_where_there_is_something(arguments: tuple[str, ...], path: str) -> None:
    before = "import webbrowser; webbrowser.open = lambda url: print(url, file=sys.stderr, flush=True) or True"
    with ServerProcess(*arguments, "--port", "0", "--open", before=before) as server:
        assert server.wait_for("^http") == f"http://127.0.0.1:{server.port}{path}\n"


@pytest.mark.slow
def test_a_missing_browser_is_told_and_the_server_goes_on() -> None:
    before = "import webbrowser; webbrowser.open = lambda url: False"
    with ServerProcess(APP, "--port", "0", "--open", before=before) as server:
        line = server.wait_for("browser")
        assert line[20:] == f"warning no browser was found to open http://127.0.0.1:{server.port}/\n"
        assert ask(server.port).endswith(b"hello")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_with_status_0_and_no_traceback(loop_name: str, number: signal.Signals) -> None:
    with ServerProcess(APP, "--port", "0", "--loop", loop_name) as server:
        with server.connect() as idle:
            server.signal(number)
            assert read_all(idle) == b""
        assert server.exit_status() == 0
        assert [line.split(" ", 3)[3] for line in server.errors[1:]] == ["stopping"]


@pytest.mark.slow
def test_an_endless_stream_does_not_hold_a_stopping_server_up(loop_name: str) -> None:
    options = ("--port", "0", "--loop", loop_name, "--timeout-graceful-shutdown", "0.3")
    with ServerProcess(APP, *options) as server, server.connect() as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(10) == b"HTTP/1.1 2"
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert time.monotonic() - begun < 2
        assert not any("Traceback" in line for line in server.errors)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["/block", "/never-read"])
def test_a_second_signal_ends_the_server_at_once_whatever_the_application_does(target: str) -> None:
    with ServerProcess(APP, "--port", "0") as server, server.connect() as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        server.wait_for(f"begin {target}")
        server.signal(signal.SIGINT)
        if target == "/never-read":
            server.wait_for("stopping")
        else:
            time.sleep(0.1)  # nothing tells that a signal has come to a process that is blocked
        begun = time.monotonic()
        server.signal(signal.SIGINT)
        assert server.exit_status() == 130
        assert time.monotonic() - begun < 1
        assert not any("Traceback" in line for line in server.errors)


@pytest.mark.slow
def test_access_lines_go_to_standard_output_and_none_is_lost() -> None:
    with ServerProcess(APP, "--port", "0", stdout=subprocess.PIPE) as server:
        with server.connect() as client:
            client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(1000)))
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).count(b"hello") == 1000
        server.signal(signal.SIGTERM)
        assert server.stdout is not None
        lines = server.stdout.read().splitlines()
        assert server.exit_status() == 0
    assert [re.sub(r'.*"GET /(\d+) HTTP/1.1" 200 5 .*', r"\1", line) for line in lines] == [
        str(number) for number in range(1000)
    ]


@pytest.mark.slow
def test_a_reader_of_the_access_log_may_go(loop_name: str) -> None:
    with ServerProcess(APP, "--port", "0", "--loop", loop_name, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.close()
        for _ in range(3):
            with server.connect() as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 300)
                client.shutdown(socket.SHUT_WR)
                assert read_all(client).count(b"hello") == 300
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert [line.split(" ", 3)[3] for line in server.errors[1:] if "stopping" not in line] == [
            "access lines are lost: [Errno 32] Broken pipe"
        ]


# Not starting


@pytest.mark.slow
def test_a_port_in_use_is_one_line_and_status_3(loop_name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(APP, "--port", str(port), "--loop", loop_name)
    assert ended.returncode == 3
    assert ended.stderr == f"miniasgi: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.slow
def test_a_bad_option_is_one_line_and_status_2() -> None:
    for options in (["--port", "many"], ["--no-such-option"]):
        ended = run(APP, *options)
        assert ended.returncode == 2
        assert re.fullmatch(rf"miniasgi: {options[0]}: .+\n", ended.stderr)


BROKEN = {
    "raises.py": ("raises:app", "1 / 0\n", r"(?s)Traceback.*raises\.py.*ZeroDivisionError.*\nminiasgi: .*raises.*\n"),
    "empty.py": ("empty:app", "", r"miniasgi: .*has no attribute app.*\n"),
    "number.py": ("number:app", "app = 3\n", r"miniasgi: .*expected a callable\n"),
    "syntax.py": (
        "syntax:app",
        "def app(:\n",
        r"(?s).*def app\(:.*\nminiasgi: .*syntax error in .*syntax\.py, line 1\n",
    ),
    "other.py": ("missing:app", "", r"miniasgi: .*no module named missing.*\n"),
    "failed.py": (
        "failed:app",
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n",
        r"miniasgi: application start-up failed: no database\n",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_an_application_that_cannot_be_served_is_said_clearly_with_status_3(tmp_path: Path, name: str) -> None:
    reference, text, expected = BROKEN[name]
    (tmp_path / name).write_text(text)
    ended = run(reference, "--app-dir", str(tmp_path), "--port", "0")
    assert ended.returncode == 3
    assert re.fullmatch(expected, ended.stderr)
    assert "miniasgi/" not in ended.stderr.replace("miniasgi: ", ""), "the user's traceback, not the server's"


# Without the packages


@pytest.mark.slow
def test_without_any_of_its_packages_the_server_serves_and_says_so_in_one_line() -> None:
    before = without("uvloop", "httptools", "h11")
    with ServerProcess(APP, "--port", "0", before=before) as server:
        assert ask(server.port).endswith(b"hello")
        missing, _ = server.errors
        assert missing.endswith(
            "info not installed: uvloop, httptools, h11; serving on asyncio with the hand-written parser"
        )
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0


@pytest.mark.slow
@pytest.mark.parametrize("package", ["h11", "httptools", "uvloop"])
def test_a_package_that_is_asked_for_and_missing_is_one_line_and_status_3(package: str) -> None:
    option = "--loop" if package == "uvloop" else "--http"
    ended = run(APP, "--port", "0", option, package, before=without(package))
    assert ended.returncode == 3
    assert ended.stderr == f"miniasgi: {option} {package}: the package {package} is not installed\n"


# Embedding in the simplest way


@pytest.mark.slow
def test_run_serves_an_application_and_returns(tmp_path: Path) -> None:
    before = (
        "import miniasgi, tests.server.apps; miniasgi.run(tests.server.apps.bad_days, port=0); "
        "print('done', file=sys.stderr); sys.exit(7)"
    )
    with ServerProcess(before=before) as server:
        assert ask(server.port).endswith(b"hello")
        server.signal(signal.SIGINT)
        assert server.exit_status() == 7
        assert server.errors[-1] == "done"
