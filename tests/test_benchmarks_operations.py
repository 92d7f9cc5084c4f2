"""The benchmarks of TLS and of what is switched on in operation; no test here judges a time."""

import asyncio
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

# Nothing of this runs where there is no /proc.
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux's /proc")
if sys.platform.startswith("linux"):
    from tests.benchmarks import __main__ as command_line
    from tests.benchmarks import apps, load, operations_servers, servers, targets
    from tests.benchmarks.exchange import Exchange
    from tests.benchmarks.measure import Bench, Plan
    from tests.benchmarks.operations_workloads import (
        ACCESS_NAME,
        LIMITED_NAME,
        OPERATIONS_WORKLOADS,
        PROXIED_CLIENTS_NAME,
        PROXIED_NAME,
    )
    from tests.benchmarks.script import Script
    from tests.benchmarks.server import ServerSpec, Start
    from tests.benchmarks.tls_workloads import HANDSHAKES_NAME, HANDSHAKES_RSA_NAME, TLS_HELLO_NAME, TLS_WORKLOADS
    from tests.benchmarks.workload import AccessLines, Family

    TLS = {spec.name: spec for spec in servers.SERVERS if spec.family == Family.TLS}
    OPERATIONS = {spec.name: spec for spec in servers.SERVERS if spec.family == Family.OPERATIONS}
    WORKLOADS = {workload.name: workload for workload in (*TLS_WORKLOADS, *OPERATIONS_WORKLOADS)}

CONTEXT: Any = object()


def answer_of(app: Any, **scope: Any) -> bytes:
    """The content that an application answers with."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("these applications read nothing")

    asyncio.run(app({"type": "http", **scope}, receive, send))
    content = sent[-1]["body"]
    assert isinstance(content, bytes)
    assert (b"content-length", b"%d" % len(content)) in sent[0]["headers"]
    return content


# --- servers


def test_every_server_with_tls_is_told_its_port_and_its_certificate(tmp_path: Path) -> None:
    for spec in TLS.values():
        start = Start(WORKLOADS[TLS_HELLO_NAME], 8123, tmp_path)
        told = " ".join(spec.command(start)) + "".join(path.read_text() for path in tmp_path.iterdir())
        assert "8123" in told
        assert start.certificate in told
        assert start.key in told


def command_of(spec: "ServerSpec", workload: str, folder: Path) -> list[str]:
    return spec.command(Start(WORKLOADS[workload], 8123, folder))


@pytest.mark.parametrize(
    ("server", "workload", "more", "less"),
    [
        ("miniasgi-access-text", "access-json", ["--access-log"], ["--no-access-log"]),
        ("miniasgi-access-json", "access-json", ["--access-log", "--log-format", "json"], ["--no-access-log"]),
        ("miniasgi-proxied", "proxied*", ["--proxy-headers"], ["--no-proxy-headers"]),
        ("miniasgi-limited", "limited", ["--limit-concurrency", "100"], []),
        ("miniasgi-limited-low", "limited", ["--limit-concurrency", "16"], []),
    ],
)
def test_a_server_differs_from_the_plain_one_by_what_is_measured(
    tmp_path: Path, server: str, workload: str, more: list[str], less: list[str]
) -> None:
    workloads = [each.name for each in OPERATIONS[server].can(OPERATIONS_WORKLOADS)]
    assert workloads == [name for name in WORKLOADS if fnmatchcase(name, workload)]
    for name in workloads:
        plain = command_of(OPERATIONS["miniasgi-plain"], name, tmp_path)
        command = command_of(OPERATIONS[server], name, tmp_path)
        assert [word for word in command if word not in plain] == more
        assert [word for word in plain if word not in command] == less


def test_the_last_word_to_uvicorn_about_proxies_is_to_believe_them(tmp_path: Path) -> None:
    uvicorn = OPERATIONS["uvicorn-operations"]
    for name in (PROXIED_NAME, PROXIED_CLIENTS_NAME):
        about_proxies = [word for word in command_of(uvicorn, name, tmp_path) if "proxy-headers" in word]
        assert about_proxies[-1] == "--proxy-headers"
    assert "--access-log" in command_of(uvicorn, ACCESS_NAME, tmp_path)
    assert "--limit-concurrency" in command_of(uvicorn, LIMITED_NAME, tmp_path)


def test_the_low_limit_makes_requests_wait_and_the_other_one_does_not() -> None:
    connections = WORKLOADS[LIMITED_NAME].connections
    assert operations_servers.LOW_LIMIT < connections < operations_servers.LIMIT


def test_who_writes_no_access_lines_is_not_expected_to() -> None:
    expected = {spec.name: spec.access_lines for spec in OPERATIONS.values() if spec.can([WORKLOADS[ACCESS_NAME]])}
    assert expected == {
        "miniasgi-plain": AccessLines.NONE,
        "miniasgi-access-text": AccessLines.TEXT,
        "miniasgi-access-json": AccessLines.JSON,
        "uvicorn-operations": AccessLines.TEXT,
    }


# --- workloads


@pytest.mark.parametrize(("name", "clients"), [("proxied", 1), ("proxied-clients", 4096)])
def test_a_proxy_s_requests_are_of_different_clients_with_one_address_each(name: str, clients: int) -> None:
    writes = [exchange.write for exchange in WORKLOADS[name].exchanges("/forwarded")]
    addresses = {write.partition(b"\r\nX-Forwarded-For: ")[2].partition(b"\r\n")[0] for write in writes}
    assert len(addresses) == len(writes) == clients
    assert all(address.startswith(apps.CLIENT_PREFIX.encode()) and b"," not in address for address in addresses)
    assert all(b"\r\nX-Forwarded-Proto: https\r\n" in write for write in writes)
    assert {write.count(b"\r\n") for write in writes} == {1 + 7 + 1}


@pytest.mark.parametrize(
    ("target", "client", "scheme", "is_right"),
    [
        (apps.FORWARDED_TARGET, "198.18.7.9", "https", True),
        (apps.FORWARDED_TARGET, "198.18.7.9", "http", False),
        (apps.FORWARDED_TARGET, "127.0.0.1", "https", False),
        (apps.IMMEDIATE_TARGET, "127.0.0.1", "http", True),
        (apps.IMMEDIATE_TARGET, "198.18.7.9", "https", False),
    ],
)
def test_the_application_behind_a_proxy_sees_who_is_believed(
    target: str, client: str, scheme: str, is_right: bool
) -> None:
    content = answer_of(apps.forwarded, path=target, client=(client, 0), scheme=scheme)
    assert (content == apps.HELLO) == is_right


@pytest.mark.parametrize(("target", "wrong"), [("/at-most-3", 0), ("/at-most-2", 1), ("/immediate", 0)])
def test_the_application_sees_whether_more_run_at_once_than_may(target: str, wrong: int) -> None:
    answers: list[bytes] = []

    async def send(message: Any) -> None:
        answers.extend([message["body"]] if "body" in message else [])

    async def ask_three() -> None:
        receive: Any = None
        await asyncio.gather(*(apps.waiting({"type": "http", "path": target}, receive, send) for _ in range(3)))

    asyncio.run(ask_three())
    assert sorted(content != apps.HELLO for content in answers) == [False] * (3 - wrong) + [True] * wrong
    assert apps._running == 0


def test_a_request_with_a_connection_to_itself_asks_for_its_end() -> None:
    for workload in WORKLOADS.values():
        closes = all(b"\r\nConnection: close\r\n" in exchange.write for exchange in workload.exchanges("/"))
        assert closes == workload.is_connection_each == workload.name.startswith("tls-handshakes")


def test_a_short_run_has_one_set_of_servers_for_each_kind_of_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(WORKLOADS[TLS_HELLO_NAME]), "is_missing", lambda workload: False)
    bench = Bench([*TLS.values(), *OPERATIONS.values()], Plan(1, 0.1, use_wrk=True, is_short=True))
    groups = command_line._groups(bench, set(WORKLOADS))
    assert [[workload.name for workload in group] for group in groups] == [
        [TLS_HELLO_NAME, HANDSHAKES_NAME],
        [HANDSHAKES_RSA_NAME],
        [ACCESS_NAME],
        [PROXIED_NAME],
        [PROXIED_CLIENTS_NAME],
        [LIMITED_NAME],
    ]


# --- load and results


@pytest.mark.parametrize(("context", "scheme"), [(None, "http"), (CONTEXT, "https")])
def test_wrk_is_told_to_speak_tls_where_it_has_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: Any, scheme: str
) -> None:
    counted = '{"requests": 1, "microseconds": 1, "octets": 1, "p99_microseconds": 1, "errors": {}}'
    wrk = tmp_path / "wrk"
    wrk.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/told\necho '{counted}'\n")
    wrk.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    exchange = Exchange(b"", b"")
    assert load.run_wrk(8123, Script([exchange], 64, tmp_path / "replay", False, context=context), 1.0).requests == 1
    assert f" {scheme}://127.0.0.1:8123/ -- " in (tmp_path / "told").read_text()


def test_targets_of_operations_are_compared_with_the_plain_server_and_those_of_tls_with_uvicorn() -> None:
    costs = {
        TLS_HELLO_NAME: {"miniasgi-tls": 12.0, "miniasgi-tls-asyncio": 9.0, "uvicorn-tls": 20.0},
        HANDSHAKES_NAME: {"miniasgi-tls": 440.0, "uvicorn-tls": 400.0},
        ACCESS_NAME: {"miniasgi-plain": 10.0, "miniasgi-access-text": 11.0, "miniasgi-access-json": 13.0},
    }
    workloads = {
        workload: {
            server: {"cpu_microseconds_per_request": cost, "runs": [{"cpu_microseconds": cost}]}
            for server, cost in measured.items()
        }
        for workload, measured in costs.items()
    }
    rows = [line.split() for line in targets.targets_text({"workloads": workloads}).splitlines() if ": " in line]
    assert [(row[0], row[1], row[3], *row[-3:]) for row in rows] == [
        ("tls-hello:", "miniasgi-tls", "uvicorn-tls", "0.60", "0.80", "yes"),
        ("tls-handshakes:", "miniasgi-tls", "uvicorn-tls", "1.10", "1.05", "NO"),
        ("access-json:", "miniasgi-access-text", "miniasgi-plain", "1.10", "1.15", "yes"),
        ("access-json:", "miniasgi-access-json", "miniasgi-plain", "1.30", "1.25", "NO"),
    ]
