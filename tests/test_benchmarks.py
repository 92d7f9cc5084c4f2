"""The benchmarks' own arithmetic and parsing; no test here judges a time."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import chart, comparison, cpu, floor, load, measure, probe, report, script, servers, targets
    from tests.benchmarks.exchange import Exchange
    from tests.benchmarks.server import Start
    from tests.benchmarks.workload import Family
    from tests.benchmarks.workloads import APPLICATION_WORKLOADS, HELLO, WORKLOADS

    STATIC = {workload.name: workload for workload in WORKLOADS if workload.family == Family.STATIC}

WRK_REPORT = """Running 1s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
Requests/sec:  75313.23
{"requests": 75601, "microseconds": 1003821, "octets": 9828130, "p99_microseconds": %d, "errors": {"connect": 0, \
"read": %d, "write": 0, "status": 0, "timeout": 0}}
"""


def results(workload: str = "hello", unit: str = "floor", **cpu_microseconds: float) -> dict[str, Any]:
    """Results of one workload as in the JSON, the servers named with _ for -."""
    run = {"requests": 10, "seconds": 1.0, "p99_seconds": None}
    return {
        "machine": {
            "date": "2026-01-02",
            "cpu": "A <fast> & good one",
            "kernel": "Linux",
            "python": "3",
            "packages": {},
        },
        "plan": {"rounds": 1, "seconds": 2.0},
        "workloads": {
            workload: {
                name.replace("_", "-"): {
                    "cpu_microseconds_per_request": cost,
                    f"times_{unit}": cost / cpu_microseconds[unit],
                    "runs": [{**run, "cpu_microseconds": cost}],
                }
                for name, cost in cpu_microseconds.items()
            }
        },
    }


def test_the_report_of_wrk_is_read() -> None:
    assert load.parse_wrk(WRK_REPORT % (8200, 0)) == load.LoadResult(75601, 1.003821, 9828130, 0.0082)


def test_a_percentile_of_zero_is_unknown() -> None:
    assert load.parse_wrk(WRK_REPORT % (0, 0)).p99_seconds is None


@pytest.mark.parametrize(
    "output", [WRK_REPORT % (8200, 1), "unable to connect to 127.0.0.1:1 Connection refused\n", ""]
)
def test_errors_that_wrk_counted_make_the_run_fail(output: str) -> None:
    with pytest.raises(load.LoadFailed):
        load.parse_wrk(output)


def test_the_time_on_a_cpu_is_the_first_number_of_schedstat() -> None:
    assert cpu.parse_schedstat("1018625 61893 1\n") == 1018625


def test_what_a_child_process_spends_is_counted() -> None:
    code = "import time\nwhile time.process_time() < 0.05: pass\nprint('', flush=True)\ninput()"
    shell = ["sh", "-c", '"$0" -c "$1"; exit', sys.executable, code]
    pipe = subprocess.PIPE
    with subprocess.Popen(shell, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        before = cpu.CpuReading({}, {})
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.01)
        tree = cpu.process_trees([process.pid])[process.pid]
        spent = cpu.spent_nanoseconds(before, cpu.read_cpu(tree))
        assert len(tree) == 2
        assert cpu.resident_octets(tree) > 1 << 20
        process.communicate("\n")
    assert spent >= 50_000_000


def test_time_of_a_process_whose_thread_ended_is_counted_in_ticks() -> None:
    before = cpu.CpuReading({(1, 1): 100, (1, 2): 50, (3, 3): 7}, {1: 1000, 3: 0})
    after = cpu.CpuReading({(1, 1): 130, (3, 3): 9}, {1: 5000, 3: 0})
    assert cpu.spent_nanoseconds(before, after) == 4000 + 2


def test_a_process_that_ended_makes_the_run_fail() -> None:
    with pytest.raises(cpu.ProcessEnded):
        cpu.spent_nanoseconds(cpu.CpuReading({}, {1: 0, 2: 0}), cpu.CpuReading({}, {1: 0}))


def test_the_tree_of_this_process_has_this_process() -> None:
    assert os.getpid() in cpu.process_trees([os.getpid()])[os.getpid()]


def test_ratios_are_medians_of_the_rounds_ratios_and_skip_failed_runs() -> None:
    def run(cost: float) -> comparison.Run:
        return comparison.Run(100, 1.0, cost, None)

    compared = comparison.Comparison(HELLO)
    compared.rounds = [
        {"floor": run(10), "granian": run(20)},
        {"floor": run(20), "granian": run(60)},
        {"floor": run(1), "granian": None},
        {"floor": run(10), "granian": run(50)},
    ]
    assert compared.times("granian", "floor") == 3
    assert compared.ratios("granian") == {"floor": 3, "uvicorn": None}
    assert compared.median("granian", "cpu_microseconds") == 50
    assert "3/4" in report.comparison_text(compared)


def test_servers_of_files_are_compared_with_nginx() -> None:
    compared = comparison.Comparison(STATIC["static-1k"])
    compared.rounds = [
        {"nginx": comparison.Run(100, 1.0, 10, None), "starlette-uvicorn": comparison.Run(100, 1.0, 500, None)}
    ]
    assert compared.ratios("starlette-uvicorn") == {"nginx": 50, "starlette": 1}
    assert "× nginx" in report.comparison_text(compared)


def test_every_workload_has_requests() -> None:
    for workload in WORKLOADS:
        for exchange in workload.exchanges("/files"):
            assert exchange.write.count(b" HTTP/1.1\r\nHost: ") == exchange.requests


def test_the_floor_has_an_answer_to_every_application_s_workload() -> None:
    for workload in APPLICATION_WORKLOADS:
        assert floor.constant_answer(workload).startswith(b"HTTP/1.1 200 OK\r\n")


def test_files_are_asked_for_under_the_server_s_prefix_always_in_the_same_order() -> None:
    workload = STATIC["static-10k-files"]
    writes = [exchange.write for exchange in workload.exchanges("/files")]
    assert len(set(writes)) == len(writes) == 10_000
    assert writes == [exchange.write for exchange in workload.exchanges("/files")]
    assert writes != sorted(writes)
    assert all(write.startswith(b"GET /files/folder-") for write in writes)
    assert len({path.partition("/")[0] for path in workload.files()}) == 100


def test_the_range_is_a_thousand_octets_of_the_file() -> None:
    workload = STATIC["static-range"]
    (content,) = workload.files().values()
    (exchange,) = workload.exchanges("")
    assert b"\r\nRange: bytes=1000-1999\r\n\r\n" in exchange.write
    assert exchange.content == content[1000:2000]
    assert exchange.status == 206


def test_a_request_is_repeated_with_the_etag_that_was_given() -> None:
    exchange = Exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"content")
    assert script.conditional(exchange, {b"etag": b'W/"1"'}) == Exchange(
        b'GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/"1"\r\n\r\n', b"", 304
    )
    with pytest.raises(probe.WrongAnswer, match="no ETag"):
        script.conditional(exchange, {})


def test_a_replay_holds_every_write_with_its_length(tmp_path: Path) -> None:
    script.write_replay([Exchange(b"GET /\n", b""), Exchange(b"GET /12\n", b"")], tmp_path / "replay")
    assert (tmp_path / "replay").read_bytes() == b"6\nGET /\n8\nGET /12\n"


@pytest.mark.parametrize(
    ("answer", "exchange", "complaint"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ("ok", 200), None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", ("ok", 200), None),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", ("", 304), None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ("ok", 206), "status 200 instead of 206"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", ("ok", 200), "instead of 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", ("ok", 200), "1 octets after"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", ("ok", 200), "not understood"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", ("ok", 200), "closed within"),
    ],
)
def test_an_answer_is_looked_at_strictly(answer: bytes, exchange: tuple[str, int], complaint: str | None) -> None:
    content, status = exchange
    with socket.create_server(("127.0.0.1", 0)) as listener, probe.Client(listener.getsockname()[1]) as client:
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(answer)
            accepted.shutdown(socket.SHUT_WR)
            asked = Exchange(b"GET / HTTP/1.1\r\n\r\n", content.encode(), status)
            if complaint is None:
                client.check(asked)
            else:
                with pytest.raises(probe.WrongAnswer, match=complaint):
                    client.check(asked)


def test_a_short_run_of_long_answers_is_not_left_to_wrk() -> None:
    long, short = STATIC["static-10m"], STATIC["static-1k"]
    plan = measure.Plan(1, 0.2, use_wrk=True, is_short=True)
    assert [(plan.seconds_of(each), plan.uses_wrk_for(each)) for each in (long, short)] == [(0.2, False), (0.2, True)]
    plan = measure.Plan(1, 1.0, use_wrk=True)
    assert [(plan.seconds_of(each), plan.uses_wrk_for(each)) for each in (long, short)] == [(3.0, True), (1.0, True)]


def test_the_browsers_requests_have_twelve_fields_and_differ() -> None:
    workload = next(workload for workload in WORKLOADS if workload.name == "browser")
    writes = [exchange.write for exchange in workload.exchanges("")]
    assert {write.count(b"\r\n") for write in writes} == {1 + 12 + 1}
    assert len(set(writes)) == len(writes)


def test_servers_are_chosen_by_globs_with_what_their_family_is_measured_by() -> None:
    assert [spec.name for spec in servers.choose("granian,uvicorn-h*-asyncio")] == [
        "floor",
        "uvicorn-httptools-asyncio",
        "granian",
    ]
    assert [spec.name for spec in servers.choose("starlette-*")] == ["nginx", "starlette-uvicorn"]
    assert [spec.name for spec in servers.choose("granian*")] == [
        *("floor", "granian"),
        *("nginx", "granian-static"),
        *("miniasgi-one-worker", "granian-workers"),
        *("uvicorn-websockets-sansio", "granian-websocket"),
        *("uvicorn-tls", "granian-tls"),
    ]
    with pytest.raises(ValueError, match="apache"):
        servers.choose("granian,apache*")


def test_every_server_of_files_has_a_command_that_names_its_port_and_the_files(tmp_path: Path) -> None:
    for spec in (spec for spec in servers.SERVERS if spec.family == Family.STATIC):
        start = Start(STATIC["static-1k"], 8000, tmp_path)
        told = " ".join(spec.command(start))
        told += "".join(path.read_text() for path in tmp_path.iterdir())
        assert "8000" in told
        assert str(start.site) in told or "static_apps" in told


def test_a_server_is_not_asked_for_what_it_cannot_do() -> None:
    granian = next(spec for spec in servers.SERVERS if spec.name == "granian-static")
    assert granian.can([STATIC["static-304"], STATIC["static-1k"]]) == [STATIC["static-1k"]]
    assert granian.cannot.keys() <= STATIC.keys()


def test_a_chart_is_xml_with_a_title_and_a_bar_for_each_server() -> None:
    measured = results(floor=8, miniasgi_handwritten_uvloop=16, uvicorn_httptools_uvloop=28, hypercorn=200)
    root = ElementTree.fromstring(chart.draw(measured))
    name = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{name}title")
    assert len(root.findall(f"{name}g/{name}rect")) == 4
    assert len(root.findall(f"{name}g/{name}line[@class='cut']")) == 1  # hypercorn's
    assert any("A <fast> & good one" in (text.text or "") for text in root.iter(f"{name}text"))


def test_a_chart_of_files_shows_none_of_the_applications() -> None:
    measured = results("static-1k", "nginx", nginx=9, miniasgi_static=12, starlette_uvicorn=500)
    measured["workloads"] |= results(floor=8, miniasgi_handwritten_uvloop=16)["workloads"]
    root = ElementTree.fromstring(chart.draw(measured, Family.STATIC))
    name = "{http://www.w3.org/2000/svg}"
    assert [bar.get("class") for bar in root.findall(f"{name}g/{name}rect")] == ["unit", "miniasgi", "peer"]
    assert "nginx" in str(root.findtext(f"{name}title"))


def test_targets_are_compared_with_the_fastest_parser() -> None:
    text = targets.targets_text(
        results(floor=8, miniasgi_handwritten_uvloop=14, miniasgi_h11_uvloop=80, uvicorn_httptools_uvloop=20)
    )
    rows = [line.split()[-3:] for line in text.splitlines() if line.startswith("hello: miniasgi-handwritten-uvloop")]
    assert rows == [["1.75", "1.90", "yes"], ["0.70", "0.62", "NO"]]


def test_targets_of_files_are_compared_with_nginx() -> None:
    text = targets.targets_text(results("static-1k", "nginx", nginx=10, miniasgi_static=17))
    rows = [line.split()[-3:] for line in text.splitlines() if line.startswith("static-1k: miniasgi-static × nginx")]
    assert rows == [["1.70", "1.60", "NO"]]
