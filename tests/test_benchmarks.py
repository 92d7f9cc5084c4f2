"""The benchmarks' own arithmetic and parsing; no test here judges a time."""

import os
import subprocess
import sys
import time
from typing import Any
from xml.etree import ElementTree

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import chart, cpu, floor, load, measure, report, servers, targets
    from tests.benchmarks.workloads import HELLO, WORKLOADS

WRK_REPORT = """Running 1s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
Requests/sec:  75313.23
{"requests": 75601, "microseconds": 1003821, "octets": 9828130, "p99_microseconds": %d, "errors": {"connect": 0, \
"read": %d, "write": 0, "status": 0, "timeout": 0}}
"""


def results(**cpu_microseconds: float) -> dict[str, Any]:
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
            "hello": {
                name.replace("_", "-"): {
                    "cpu_microseconds_per_request": cost,
                    "times_floor": cost / cpu_microseconds["floor"],
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
    def run(cost: float) -> measure.Run:
        return measure.Run(100, 1.0, cost, None)

    comparison = measure.Comparison(HELLO)
    comparison.rounds = [
        {"floor": run(10), "granian": run(20)},
        {"floor": run(20), "granian": run(60)},
        {"floor": run(1), "granian": None},
        {"floor": run(10), "granian": run(50)},
    ]
    assert comparison.times("granian", "floor") == 3
    assert comparison.median("granian", "cpu_microseconds") == 50
    assert "3/4" in report.comparison_text(comparison)


def test_every_workload_has_requests_and_the_floor_an_answer_to_them() -> None:
    for workload in WORKLOADS:
        for write in workload.writes():
            assert write.count(b" HTTP/1.1\r\nHost: ") == workload.requests_per_write
        assert floor.constant_answer(workload).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_browsers_requests_have_twelve_fields_and_differ() -> None:
    writes = next(workload for workload in WORKLOADS if workload.name == "browser").writes()
    assert {write.count(b"\r\n") for write in writes} == {1 + 12 + 1}
    assert len(set(writes)) == len(writes)


def test_servers_are_chosen_by_globs_and_the_floor_always() -> None:
    assert [spec.name for spec in servers.choose("granian,uvicorn-h*-asyncio")] == [
        "floor",
        "uvicorn-httptools-asyncio",
        "granian",
    ]
    with pytest.raises(ValueError, match="apache"):
        servers.choose("granian,apache*")


def test_a_chart_is_xml_with_a_title_and_a_bar_for_each_server() -> None:
    measured = results(floor=8, miniasgi_handwritten_uvloop=16, uvicorn_httptools_uvloop=28, hypercorn=200)
    root = ElementTree.fromstring(chart.draw(measured))
    name = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{name}title")
    assert len(root.findall(f"{name}g/{name}rect")) == 4
    assert len(root.findall(f"{name}g/{name}line[@class='cut']")) == 1  # hypercorn's
    assert any("A <fast> & good one" in (text.text or "") for text in root.iter(f"{name}text"))


def test_targets_are_compared_with_the_fastest_parser() -> None:
    text = targets.targets_text(
        results(floor=8, miniasgi_handwritten_uvloop=14, miniasgi_h11_uvloop=80, uvicorn_httptools_uvloop=20)
    )
    rows = [line.split()[-3:] for line in text.splitlines() if line.startswith("hello: miniasgi-handwritten-uvloop")]
    assert rows == [["1.75", "1.90", "yes"], ["0.70", "0.62", "NO"]]
