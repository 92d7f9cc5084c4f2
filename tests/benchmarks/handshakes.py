"""Load of connections that are each for one request, over TLS: each begins with a full handshake.

wrk is no use here, for it resumes the session of the connection before. This runs in a process of its own:

    python -m tests.benchmarks.handshakes --port 8000 --authority authority.pem --seconds 1 --clients 16 --exchange '{}'
"""

import argparse
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .certificates import client_context
from .exchange import Exchange
from .load import LoadFailed, LoadResult, p99, pin_to_client_core
from .probe import Client, WrongAnswer
from .process import ROOT
from .script import Script
from .server import module

# For the process to start, and for the last answers to come.
MORE_SECONDS = 30.0


def run_handshakes(port: int, script: Script, seconds: float) -> LoadResult:
    """Let every client of the script connect, ask and be left, again and again for that long.

    Raises:
        LoadFailed: an answer was wrong or missing, or a connection failed.
    """
    assert script.authority is not None
    write, content = (octets.decode("latin-1") for octets in (script.exchanges[0].write, script.exchanges[0].content))
    options = ["--port", str(port), "--authority", str(script.authority), "--seconds", str(seconds)]
    options += ["--clients", str(script.connections), "--exchange", json.dumps([write, content])]
    try:
        ended = subprocess.run(
            module("tests.benchmarks.handshakes", *options),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + MORE_SECONDS,
            preexec_fn=pin_to_client_core if script.is_pinned else None,
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"the load of handshakes has not ended within {seconds + MORE_SECONDS:g} s") from None
    if ended.returncode:
        raise LoadFailed(f"the load of handshakes: {ended.stderr.strip()[-500:]}")
    counted = json.loads(ended.stdout)
    return LoadResult(counted["requests"], counted["seconds"], None, counted["p99_seconds"])


def shake_hands(port: int, context: ssl.SSLContext, exchange: Exchange, until: float) -> Sequence[float]:
    """One client's latencies: until that time (of time.perf_counter), and at least once.

    Raises:
        WrongAnswer: an answer was not the right one, or the connection was kept, or its session was another's.
        OSError: a connection failed.
    """
    latencies: list[float] = []
    while not latencies or time.perf_counter() < until:
        started = time.perf_counter()
        with Client(port, context=context) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            if client.socket.session_reused:
                raise WrongAnswer("a session was resumed, and no full handshake made")
            client.check(exchange)
            client.check_end()
        latencies.append(time.perf_counter() - started)
    return latencies


def main() -> int:
    """Do what the command line says, and print what was counted; 1 after an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.handshakes")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--exchange", type=json.loads, required=True, help="what is written and answered, as JSON")
    options = parser.parse_args()
    write, content = (text.encode("latin-1") for text in options.exchange)
    context, exchange = client_context(options.authority), Exchange(write, content)
    # Threads: while one of them computes a handshake or waits for the server, the others have Python to themselves.
    with ThreadPoolExecutor(options.clients) as threads:
        started = time.perf_counter()
        until = started + options.seconds
        clients = [threads.submit(shake_hands, options.port, context, exchange, until) for _ in range(options.clients)]
    elapsed = time.perf_counter() - started
    try:
        latencies = [latency for client in clients for latency in client.result()]
    except (WrongAnswer, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    counted = {"requests": len(latencies), "seconds": elapsed, "p99_seconds": p99(latencies)}
    print(json.dumps(counted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
