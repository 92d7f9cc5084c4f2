"""usable_cpus() under a root that the test has made: affinity, and the quotas of both versions of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from miniasgi.workers.system.cpus import executor_threads, usable_cpus

MANY = 64


@pytest.fixture(autouse=True)
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """More CPUs than any quota in these tests allows."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: MANY, raising=False)


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def version_2(root: Path, maximum: str | bytes, path: str = "/", group: str = "") -> Path:
    return write(root, {"proc/self/cgroup": f"0::{path}\n", f"sys/fs/cgroup/{group}/cpu.max": maximum})


def version_1(root: Path, quota: str, period: str, mount: str = "cpu", path: str = "/", group: str = "") -> Path:
    directory = f"sys/fs/cgroup/{mount}/{group}"
    return write(
        root,
        {
            "proc/self/cgroup": f"5:memory:/other\n4:cpu,cpuacct:{path}\n1:name=systemd:/\n",
            f"{directory}/cpu.cfs_quota_us": quota,
            f"{directory}/cpu.cfs_period_us": period,
        },
    )


# Affinity


def test_python_s_own_count_is_taken_where_it_has_one(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == MANY


def test_before_that_count_the_affinity_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "process_cpu_count")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5} if process == 0 else set(), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert usable_cpus(tmp_path) == 3


def test_without_affinity_all_cpus_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "process_cpu_count")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert usable_cpus(tmp_path) == 8


def test_a_count_that_cannot_be_had_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: None)
    assert usable_cpus(tmp_path) == 1


def test_a_quota_above_the_affinity_changes_nothing(tmp_path: Path) -> None:
    assert usable_cpus(version_2(tmp_path, "12800000 100000\n")) == MANY


# Version 2


@pytest.mark.parametrize(
    ("maximum", "cpus"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("200001 100000\n", 3),
        ("5000 100000\n", 1),
        ("300000 50000\n", 6),
        ("300000\n", 3),
        ("max 100000\n", MANY),
    ],
)
def test_a_quota_is_rounded_up(tmp_path: Path, maximum: str, cpus: int) -> None:
    assert usable_cpus(version_2(tmp_path, maximum)) == cpus


@pytest.mark.parametrize(
    "maximum",
    [
        "",
        "\n",
        "200000 0",
        "0 100000",
        "-1 100000",
        "two 100000",
        "200000 often",
        "200000 100000 1",
        "2e5 100000",
        "٢00000 100000",
        "1" * 5000 + " 1",
        b"\xff\xfe",
    ],
)
def test_a_malformed_quota_is_none(tmp_path: Path, maximum: str | bytes) -> None:
    assert usable_cpus(version_2(tmp_path, maximum)) == MANY


def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max/is a directory": ""})
    assert usable_cpus(tmp_path) == MANY


@pytest.mark.parametrize(("own", "above", "top", "cpus"), [(2, 3, 4, 2), (4, 2, 3, 2), (4, 3, 2, 2)])
def test_the_smallest_quota_of_all_groups_above_counts(
    tmp_path: Path, own: int, above: int, top: int, cpus: int
) -> None:
    quotas = {"app.slice/web.service": own, "app.slice": above, "": top}
    for group, quota in quotas.items():
        version_2(tmp_path, f"{quota}00000 100000", "/app.slice/web.service", group)
    assert usable_cpus(tmp_path) == cpus


def test_another_group_s_quota_does_not_count(tmp_path: Path) -> None:
    version_2(tmp_path, "100000 100000", group="app/other")
    version_2(tmp_path, "300000 100000", "/app/web", "app/web")
    assert usable_cpus(tmp_path) == 3


def test_a_path_that_only_the_host_knows_means_the_container_s_mount(tmp_path: Path) -> None:
    version_2(tmp_path, "100000 100000", group="system.slice")
    assert usable_cpus(version_2(tmp_path, "300000 100000", "/system.slice/docker-1.scope")) == 3


def test_a_path_that_leads_out_of_the_mount_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"sys/fs/beside/cpu.max": "100000 100000"})
    assert usable_cpus(version_2(tmp_path, "300000 100000", "/../beside")) == 3


def test_a_path_may_be_no_text_and_have_colons(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup" / os.fsdecode(b"a:b\xff")
    directory.mkdir(parents=True)
    (directory / "cpu.max").write_text("200000 100000")
    write(tmp_path, {"proc/self/cgroup": b"0::/a:b\xff\n"})
    assert usable_cpus(tmp_path) == 2


@pytest.mark.parametrize("memberships", ["", "\n", "0:/", "0::\n", "nonsense", b"0::/\0\n"])
def test_malformed_memberships_are_survived(tmp_path: Path, memberships: str | bytes) -> None:
    assert usable_cpus(write(tmp_path, {"proc/self/cgroup": memberships})) == MANY


def test_a_quota_beside_version_1_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/unified/app/cpu.max": "200000 100000"})
    assert usable_cpus(tmp_path) == 2


# Version 1


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1_is_read_wherever_it_is_mounted(tmp_path: Path, mount: str) -> None:
    assert usable_cpus(version_1(tmp_path, "250000\n", "100000\n", mount)) == 3


@pytest.mark.parametrize(("quota", "period"), [("-1", "100000"), ("200000", ""), ("200000", "0"), ("x", "100000")])
def test_version_1_without_a_quota_has_none(tmp_path: Path, quota: str, period: str) -> None:
    assert usable_cpus(version_1(tmp_path, quota, period)) == MANY


def test_version_1_counts_the_groups_above_too(tmp_path: Path) -> None:
    version_1(tmp_path, "400000", "100000", path="/docker/1", group="docker/1")
    version_1(tmp_path, "200000", "100000", path="/docker/1", group="docker")
    assert usable_cpus(tmp_path) == 2


def test_version_1_in_a_container_means_the_mount(tmp_path: Path) -> None:
    assert usable_cpus(version_1(tmp_path, "200000", "100000", path="/docker/1")) == 2


def test_another_controller_s_group_does_not_count(tmp_path: Path) -> None:
    version_1(tmp_path, "100000", "100000", group="other")
    assert usable_cpus(version_1(tmp_path, "300000", "100000")) == 3


# What follows


@pytest.mark.parametrize(("cpus", "threads"), [(1, 5), (8, 12), (28, 32), (64, 32)])
def test_threads_are_four_more_than_cpus_and_at_most_32(cpus: int, threads: int) -> None:
    assert executor_threads(cpus) == threads
