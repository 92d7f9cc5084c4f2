"""Judges the server by Autobahn's test suite: `python -m tests.websocket.autobahn --help`.

The suite's program, wstest, needs a Python 2.7 of its own: `pip install autobahntestsuite` in a virtual environment
there, and `--wstest` names what that has put into its `bin`. So this is a command, and no part of the other tests.
"""

from __future__ import annotations

import argparse
import json
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = "tests.websocket.echo_app:app"
# Cases of group 9 send messages of 16 MiB, which the default only just allows.
MESSAGE_LIMIT = "64m"
START_SECONDS = 15.0
# The whole suite takes some minutes; after this it is stuck.
SUITE_SECONDS = 3600.0
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")
# What each group of the suite's version 25.10 is about. Groups 8 and 11 are empty.
GROUPS = {
    1: "messages",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragments",
    6: "UTF-8",
    7: "closing",
    9: "sizes",
    10: "fragments as the server sends them",
    12: "compression, different messages",
    13: "compression, different parameters",
}
# Room for what the suite says before it gives up.
LAST_LINES = 20


class Stuck(Exception):
    """The suite could not be run to its end; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What the suite thinks of one case."""

    case: str
    behaviour: str  # up to the end of the connection
    closing: str  # of the end itself

    @property
    def passed(self) -> bool:
        return self.behaviour in PASSED and self.closing in PASSED

    @property
    def group(self) -> int:
        return int(self.case.partition(".")[0])

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(map(int, self.case.split(".")))

    def __str__(self) -> str:
        return f"{self.case}: {self.behaviour}, closing: {self.closing}"


def main() -> int:
    """0 if every case has passed, 1 if some have not, 2 if the suite could not be run."""
    options = _parse_arguments()
    begin = time.monotonic()
    try:
        with _folder(options.report) as folder, _serving(options, folder) as port:
            outcomes = _run_suite(options, folder, port)
    except Stuck as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(summary(outcomes)))
    print(f"{time.monotonic() - begin:.0f} seconds")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.websocket.autobahn",
        description="Starts the server with an application that echoes, and runs the fuzzing client of Autobahn's "
        "test suite against it. Prints the cases that have not passed, and how many have.",
    )
    parser.add_argument("--wstest", default="wstest", metavar="PATH", help="the suite's program (wstest)")
    parser.add_argument("--cases", default="*", help="such as '1.*,2.*' (all)")
    parser.add_argument("--exclude", default="", metavar="CASES", help="such as '9.*,12.*,13.*', the longest (none)")
    parser.add_argument("--loop", help="the server's event loop")
    parser.add_argument("--http", help="the server's HTTP parser")
    parser.add_argument("--ws", help="the server's WebSocket implementation")
    parser.add_argument("--command", help="of another server; {port} in it is the port to listen on")
    parser.add_argument("--report", type=Path, metavar="DIRECTORY", help="keep the suite's own pages and the logs")
    options = parser.parse_args()
    if options.command and "{port}" not in options.command:
        parser.error("--command: expected {port} somewhere in it")
    return options


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Where the suite and the server may write."""
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="autobahn-") as name:
        yield Path(name)


@contextmanager
def _serving(options: argparse.Namespace, folder: Path) -> Iterator[int]:
    """The port of the server, which listens."""
    port = _free_port()
    command = _command(options, port)
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    with server:
        try:
            _wait_until_it_listens(server, port, log)
            yield port
            if server.poll() is not None:
                raise Stuck(f"the server has ended with status {server.returncode}:\n{_last_lines(log)}")
        finally:
            server.kill()


def _command(options: argparse.Namespace, port: int) -> list[str]:
    if options.command:
        return [word.replace("{port}", str(port)) for word in shlex.split(options.command)]
    command = [sys.executable, "-m", "miniasgi", APPLICATION, "--port", str(port), "--ws-max-size", MESSAGE_LIMIT]
    for name in ("loop", "http", "ws"):
        if value := getattr(options, name):
            command += [f"--{name}", value]
    return command


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_until_it_listens(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS).close()
            return
        except OSError:
            if server.poll() is not None:
                raise Stuck(f"the server has ended with status {server.returncode}:\n{_last_lines(log)}") from None
            if time.monotonic() > end:
                raise Stuck(f"nothing listens at port {port} after {START_SECONDS:.0f} seconds") from None
        time.sleep(0.05)  # any server's command may be given, so there is no event to wait for


def _run_suite(options: argparse.Namespace, folder: Path, port: int) -> list[Outcome]:
    specification = folder / "specification.json"
    specification.write_text(
        json.dumps(
            {
                "outdir": "pages",
                "servers": [{"agent": "server", "url": f"ws://127.0.0.1:{port}"}],
                "cases": options.cases.split(","),
                "exclude-cases": options.exclude.split(",") if options.exclude else [],
                "exclude-agent-cases": {},
            }
        )
    )
    report = folder / "pages" / "index.json"
    report.unlink(missing_ok=True)  # where the last run has been kept
    log = folder / "suite.log"
    with log.open("wb") as output:
        command = [options.wstest, "-m", "fuzzingclient", "-s", str(specification)]
        try:
            subprocess.run(command, cwd=folder, stdout=output, stderr=output, timeout=SUITE_SECONDS, check=False)
        except OSError as error:
            raise Stuck(f"{options.wstest}: {error.strerror}; expected Autobahn's wstest, as --wstest says") from error
        except subprocess.TimeoutExpired:
            raise Stuck(f"the suite is stuck after {SUITE_SECONDS:.0f} seconds:\n{_last_lines(log)}") from None
    # Its exit status is 0 either way; it writes this file at its end.
    if not report.exists():
        raise Stuck(f"the suite has not written its report:\n{_last_lines(log)}")
    outcomes = read_report(json.loads(report.read_text(encoding="utf-8"))["server"])
    if not outcomes:
        raise Stuck(f"{options.cases}: no case of the suite has such a name")
    return outcomes


def read_report(cases: Mapping[str, Mapping[str, object]]) -> list[Outcome]:
    """What the suite's index says of one server, in the order of the cases' numbers."""
    outcomes = [Outcome(case, str(each["behavior"]), str(each["behaviorClose"])) for case, each in cases.items()]
    return sorted(outcomes, key=lambda outcome: outcome.order)


def summary(outcomes: list[Outcome]) -> Iterator[str]:
    """A line for each case that has not passed, for each group, and for all."""
    yield from (f"FAILED {outcome}" for outcome in outcomes if not outcome.passed)
    for group in sorted({outcome.group for outcome in outcomes}):
        mine = [outcome for outcome in outcomes if outcome.group == group]
        counts = Counter("OK" if outcome.passed else "FAILED" for outcome in mine)
        noted = Counter(outcome.behaviour for outcome in mine if outcome.passed and outcome.behaviour != "OK")
        notes = "".join(f", {count} of them {behaviour}" for behaviour, count in sorted(noted.items()))
        yield f"{group:>2} {GROUPS.get(group, '?')}: {counts['OK']} of {len(mine)} passed{notes}"
    yield f"{sum(outcome.passed for outcome in outcomes)} of {len(outcomes)} cases passed"


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LAST_LINES:])


if __name__ == "__main__":
    sys.exit(main())
