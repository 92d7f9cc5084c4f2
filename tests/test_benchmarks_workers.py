"""The benchmarks of several workers: what is concluded from what was seen; no test here judges a time."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import apps, cpu, measure, probe, servers, targets, workers, workers_replace
    from tests.benchmarks.server import Start
    from tests.benchmarks.workers_poll import Attempt, Poller, read_process
    from tests.benchmarks.workers_probe import CONNECTIONS_TO_SEE_ALL, processes_of, wait_for_processes
    from tests.benchmarks.workers_replace import Kill, Reload, judge_kill, judge_reload
    from tests.benchmarks.workers_spread import Spread, spread_of
    from tests.benchmarks.workers_workloads import KILL, RELOAD, WORKERS_HELLO, idle, memory, spread
    from tests.benchmarks.workload import Family

    WORKERS = [spec for spec in servers.SERVERS if spec.family == Family.WORKERS]


def answer(content: bytes | int, status: bytes = b"200 OK") -> bytes:
    octets = content if isinstance(content, bytes) else b"%d" % content
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(octets), octets)


class Answerer:
    """Accepts connections in groups, and then answers one request on each; a number's place is its connection's."""

    def __init__(self, numbers: Iterable[int], at_once: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._numbers = iter(numbers)
        self._at_once = at_once
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        accepted: list[socket.socket] = []
        try:
            while True:
                # Not before all of a group are there is one of them answered.
                group = [self._listener.accept()[0] for _ in range(self._at_once)]
                accepted += group
                for connection in group:
                    assert connection.recv(1 << 16).startswith(b"GET /process HTTP/1.1\r\n")
                    connection.sendall(answer(next(self._numbers)))
        except OSError:  # the end of the test
            for connection in accepted:
                connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def answerers() -> Iterator[list[Answerer]]:
    started: list[Answerer] = []
    yield started
    for each in started:
        each.close()


def attempt(started: float, ended: float, process: int | None) -> "Attempt":
    return Attempt(started, ended, process, "" if process else "refused")


def call(app: Any, path: str) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the application waits for nothing")

    asyncio.run(app({"type": "http", "path": path}, receive, send))
    return sent


def test_the_application_says_hello_and_its_process_s_number() -> None:
    assert [call(apps.process_number, path)[1]["body"] for path in ("/", apps.PROCESS_TARGET)] == [
        apps.HELLO,
        str(os.getpid()).encode(),
    ]
    start = call(apps.process_number, apps.PROCESS_TARGET)[0]
    assert (b"content-length", b"%d" % len(str(os.getpid()))) in start["headers"]


def test_the_fastapi_application_answers_the_same() -> None:
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    from tests.benchmarks.fastapi_app import app

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench.example") as client:
            assert (await client.get("/")).content == apps.HELLO
            assert (await client.get(apps.PROCESS_TARGET)).text == str(os.getpid())
            assert (await client.post("/orders", json={"article": "tea"})).json() == {"article": "tea", "count": 1}

    asyncio.run(ask())


def test_connections_at_once_are_all_open_before_the_first_is_asked(answerers: list[Answerer]) -> None:
    answerers.append(Answerer([7, 8, 7], at_once=3))
    assert processes_of(answerers[0].port, 3) == [7, 8, 7]


def test_connections_in_turn_are_asked_before_the_next_one_is_opened(answerers: list[Answerer]) -> None:
    answerers.append(Answerer([7, 8, 7], at_once=1))
    assert processes_of(answerers[0].port, 3, is_at_once=False) == [7, 8, 7]


def test_workers_are_asked_until_all_have_answered(answerers: list[Answerer]) -> None:
    first = [1] * CONNECTIONS_TO_SEE_ALL
    answerers.append(Answerer(itertools.chain(first, itertools.cycle([1, 2])), CONNECTIONS_TO_SEE_ALL))
    assert wait_for_processes(answerers[0].port, 2, deadline=float("inf")) == {1, 2}


@pytest.mark.parametrize(("numbers", "found"), [([1], 1), ([1, 2, 3], 3)])
def test_fewer_workers_at_the_deadline_or_more_are_wrong(
    answerers: list[Answerer], numbers: list[int], found: int
) -> None:
    answerers.append(Answerer(itertools.cycle(numbers), CONNECTIONS_TO_SEE_ALL))
    with pytest.raises(probe.WrongAnswer, match=f"from {found} processes instead of 2"):
        wait_for_processes(answerers[0].port, 2, deadline=0.0)


def test_an_answer_is_a_process_number_when_it_is_whole() -> None:
    whole = answer(1234)
    assert [read_process(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    assert read_process(whole) == 1234


@pytest.mark.parametrize(
    "octets", [answer(1, b"503 Service Unavailable"), answer(b"Hello"), b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_an_answer_that_is_no_process_number_is_wrong(octets: bytes) -> None:
    with pytest.raises(probe.WrongAnswer, match="process number"):
        read_process(octets)


def test_a_poller_keeps_every_attempt_with_what_became_of_it() -> None:
    fates = iter([answer(5), b"", answer(6)])
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, Poller(listener.getsockname()[1]) as poller:
        listener.setblocking(False)

        def is_over() -> bool:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return len(poller.attempts) >= 3
            accepted.append(connection)
            connection.setblocking(True)
            connection.sendall(next(fates, answer(6)))
            connection.shutdown(socket.SHUT_WR)
            return False

        assert poller.run(is_over, 10.0)
        poller.finish()
        for connection in accepted:
            connection.close()
    assert {attempt.process for attempt in poller.attempts} == {5, 6, None}
    assert poller.processes == {5, 6}
    assert [attempt.failure for attempt in poller.attempts if attempt.process is None] == [
        "connection closed within an answer, after b''"
    ]
    assert all(attempt.started <= attempt.ended for attempt in poller.attempts)


def test_a_poller_where_nobody_listens_has_attempts_that_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Poller(port) as poller:
        poller.ask(2)
    assert [attempt.process for attempt in poller.attempts] == [None, None]
    assert all("Connection refused" in attempt.failure for attempt in poller.attempts)


def test_a_poller_says_when_the_time_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Poller(listener.getsockname()[1]) as poller:
        assert poller.run(lambda: False, 0.0) is False


def test_a_spread_is_relative_to_an_even_share_and_knows_workers_without_any() -> None:
    assert spread_of([1, 2, 1, 1], 2) == Spread(1.5, 0.5)
    assert spread_of([1, 2, 1, 2], 2) == Spread(1.0, 1.0)
    assert spread_of([1, 1, 2, 2], 4) == Spread(2.0, 0.0)


def test_a_reload_lasts_until_no_old_worker_answers_and_all_new_ones_have() -> None:
    before = [attempt(0.0, 0.1, 1), attempt(0.1, 0.2, 2)]
    after = [attempt(1.0, 2.0, 3), attempt(1.0, 2.5, None), attempt(2.0, 3.0, 4), attempt(3.0, 9.0, 4)]
    assert judge_reload(before + after, 1.0, {1, 2}, 2) == Reload(2.0, 6, 1)
    assert judge_reload([*before, *after, attempt(4.0, 5.0, 1)], 1.0, {1, 2}, 2).seconds == 4.0
    with pytest.raises(probe.WrongAnswer, match="1 new workers answered instead of 2"):
        judge_reload([*before, *after[:2]], 1.0, {1, 2}, 2)


def test_of_a_kill_only_later_connections_count() -> None:
    before = [attempt(0.0, 1.5, None), attempt(0.9, 1.1, 1)]
    after = [attempt(1.0, 1.25, 2), attempt(1.5, 3.5, None), attempt(1.5, 3.0, 3), attempt(2.5, 4.0, 3)]
    assert judge_kill(before + after, 1.0, {1, 2}) == Kill(0.25, 2.0, 2.0, 4, 1)
    with pytest.raises(probe.WrongAnswer, match="no new worker"):
        judge_kill([*before, *after[:2]], 1.0, {1, 2})


def test_a_request_that_failed_is_told_with_its_reason() -> None:
    class Server:
        spec = next(spec for spec in WORKERS if spec.name == "miniasgi-workers")

    seen: Any = Server()
    assert workers_replace._failed("workers-reload", seen, [attempt(0, 1, 5), attempt(0, 1, None)]) == (
        "workers-reload, miniasgi-workers: 1 of 2 requests failed, first: refused"
    )


def test_shared_memory_counts_once() -> None:
    own = [os.getpid()]
    assert 0 < cpu.proportional_octets(own) <= cpu.resident_octets(own)
    assert cpu.proportional_octets([]) == 0


def test_a_process_that_has_ended_does_not_run_even_before_it_is_waited_for() -> None:
    assert cpu.is_running(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not cpu.is_running(process.pid)


def test_every_server_with_workers_is_told_its_port_and_their_number(tmp_path: Path) -> None:
    assert {spec.name.split("-")[0] for spec in WORKERS} == {"miniasgi", "uvicorn", "granian", "gunicorn"}
    for spec in WORKERS:
        command = spec.command(Start(memory(3), 8123, tmp_path))
        assert command[command.index("--workers") + 1] == str(spec.workers_for(memory(3)))
        assert "8123" in " ".join(command)
        assert "tests.benchmarks.fastapi_app:app" in command


def test_servers_that_differ_in_an_option_are_measured_where_it_matters() -> None:
    def measured(workload: Any) -> list[str]:
        return [spec.name for spec in WORKERS if spec.can([workload])]

    peers = ["uvicorn-workers", "granian-workers", "gunicorn-workers"]
    assert measured(WORKERS_HELLO) == ["miniasgi-one-worker", "miniasgi-workers", *peers]
    assert measured(spread(2)) == ["miniasgi-workers-reuse-port", "miniasgi-workers-no-reuse-port", *peers]
    assert measured(memory(4)) == ["miniasgi-workers", "miniasgi-workers-preload", *peers, "gunicorn-workers-preload"]
    assert measured(RELOAD) == measured(KILL) == measured(idle(4)) == ["miniasgi-workers", *peers]


def test_one_worker_is_one_whatever_the_workload_asks_for() -> None:
    counts = {spec.name: spec.workers_for(WORKERS_HELLO) for spec in WORKERS}
    assert counts.pop("miniasgi-one-worker") == 1
    assert set(counts.values()) == {2}


def test_without_servers_with_workers_nothing_is_measured() -> None:
    bench = measure.Bench(servers.choose("granian-static"), measure.Plan(1, 0.1, use_wrk=False))
    assert workers.measure(bench, set(workers.MEASUREMENTS)) == {}


def test_targets_of_workers_are_read_from_the_results() -> None:
    def runs(cost: float, requests: int) -> dict[str, Any]:
        return {"runs": [{"requests": requests, "seconds": 2.0, "cpu_microseconds": cost}]}

    results = {
        "workloads": {
            "workers-hello": {
                "miniasgi-one-worker": runs(10, 500),
                "miniasgi-workers": runs(11, 1000),
                "uvicorn-workers": runs(20, 900),
                "granian-workers": runs(20, 1100),
            }
        },
        "workers-idle": {"medians": {"miniasgi-workers": {"supervisor": 0.001, "tree": 0.01}}},
        "workers-reload": {"miniasgi-workers": {"failed_requests": 2}},
    }
    lines = targets.targets_text(results).splitlines()
    assert [line.split()[-3:] for line in lines if line.startswith("workers-")] == [
        ["1.10", "1.05", "NO"],
        ["0.90", "1.00", "yes"],
        ["1.10", "1.00", "NO"],
        ["0.10", "0.20", "yes"],
        ["2.00", "0.00", "NO"],
    ]
