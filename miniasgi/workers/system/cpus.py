"""How many CPUs this process may use, and what follows from that.

Knows affinity and the CPU quotas of control groups, both versions. Does not know what a worker is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["executor_threads", "locks_threads", "usable_cpus"]

# 100 ms: the kernel's period where none is written beside a quota (Documentation/admin-guide/cgroup-v2.rst).
_USUAL_PERIOD = "100000"


def usable_cpus(root: Path = Path("/")) -> int:
    """How many CPUs' time this process can get, at least 1; *root* is where ``proc`` and ``sys`` are looked for.

    The CPUs that it may be scheduled on, bounded by the quotas of its control group and of those above, rounded up:
    who may use one and a half needs two to use them. What cannot be read or understood counts as no quota.
    """
    return min([_schedulable(), *_quotas(root), *_quotas_of_version_1(root)])


def executor_threads(cpus: int) -> int:
    """How many threads for what blocks suit *cpus*: as many as Python's own executor would start."""
    return min(32, cpus + 4)


def _schedulable() -> int:
    # Since Python 3.13; it also honours PYTHON_CPU_COUNT and -X cpu_count.
    count = getattr(os, "process_cpu_count", None)
    if count is None and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return (count or os.cpu_count)() or 1


def _quotas(root: Path) -> Iterator[int]:
    """The quotas of version 2, where a group's is also bounded by those of the groups that it is in."""
    for _, path in _memberships(root, version=2):
        # "unified": where version 2 is beside version 1.
        for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
            for group in _lineage(root / mount, path):
                quota, _, period = _read(group / "cpu.max").partition(" ")
                yield from _rounded_up(quota, period or _USUAL_PERIOD)


def _quotas_of_version_1(root: Path) -> Iterator[int]:
    for controllers, path in _memberships(root, version=1):
        if "cpu" in controllers.split(","):
            # Mounted under all their names together, to which the single name is only usually a link.
            for mount in {"cpu", controllers}:
                for group in _lineage(root / "sys/fs/cgroup" / mount, path):
                    yield from _rounded_up(_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us"))


def _memberships(root: Path, version: int) -> Iterator[tuple[str, str]]:
    """The control groups that this process is in: which controllers' (version 2 names none), and their paths."""
    for line in _read(root / "proc/self/cgroup").split("\n"):
        # cgroups(7): hierarchy-ID:controller-list:cgroup-path, with 0 and nothing for version 2.
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and (number == "0" and not controllers) == (version == 2):
            yield controllers, path


def _lineage(mount: Path, path: str) -> Iterator[Path]:
    """The directory of the group *path* and those of all the groups above it, as far as they can be seen."""
    yield mount
    group = mount / path.lstrip("/")
    # Within a container the path may be the host's, while the mount begins with the container's own group. Then the
    # mount is all that counts: a part of the path that happens to exist is another group. ".." leads out of the mount.
    if ".." not in group.parts and group.is_dir():
        while group != mount:
            yield group
            group = group.parent


def _rounded_up(quota: str, period: str) -> Iterator[int]:
    """The whole CPUs that *quota* microseconds in each *period* take, if these are two positive numbers."""
    # Without a limit the quota is "max" in version 2, and -1 in version 1.
    if _is_positive(quota) and _is_positive(period):
        yield -(-int(quota) // int(period))


def _is_positive(text: str) -> bool:
    # 18 digits fit into the kernel's own numbers.
    return text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0


def _read(path: Path) -> str:
    try:
        # Names of groups are octets, as names of files are.
        return os.fsdecode(path.read_bytes()).strip()
    except OSError:
        return ""


def locks_threads() -> bool:
    """Whether this Python lets only one thread run at a time."""
    import sysconfig  # for this alone

    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return True
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return bool(is_enabled()) if is_enabled is not None else True
