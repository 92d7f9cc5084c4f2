"""What process trees cost, as Linux's /proc tells it: CPU nanoseconds and memory."""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_NANOSECONDS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class ProcessEnded(Exception):
    """A process of the tree ended while it was being measured, so its CPU time is lost."""


@dataclass(frozen=True)
class CpuReading:
    """CPU nanoseconds used so far by each task and, more coarsely, by each process of a tree."""

    tasks: dict[tuple[int, int], int]  # by process and task; empty where the kernel has no schedstat
    processes: dict[int, int]  # in steps of one clock tick; counts the ended threads too


def process_trees(roots: list[int]) -> dict[int, list[int]]:
    """The processes of each root's tree: descendants, and whatever stayed in the root's session."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))):
            parents[int(entry.name)] = int(fields[1]), int(fields[3])
    trees: dict[int, list[int]] = {root: [root] for root in roots if root in parents}
    for pid, (_, session) in parents.items():
        ancestor = pid
        while ancestor in parents and ancestor not in trees:
            ancestor = parents[ancestor][0]
        root = ancestor if ancestor in trees else session
        if root in trees and pid != root:
            trees[root].append(pid)
    return trees


def read_cpu(pids: list[int]) -> CpuReading:
    """What the processes have used until now."""
    tasks: dict[tuple[int, int], int] = {}
    processes: dict[int, int] = {}
    for pid in pids:
        if not (fields := _stat_fields(pid)):
            continue
        processes[pid] = (int(fields[11]) + int(fields[12])) * _NANOSECONDS_PER_TICK
        tasks |= _read_tasks(pid)
    return CpuReading(tasks, processes)


def spent_nanoseconds(before: CpuReading, after: CpuReading) -> int:
    """The CPU time between two readings of one tree.

    A process in which a thread ended counts by its clock ticks, which the kernel keeps for ended threads too.

    Raises:
        ProcessEnded: a process of *before* is not in *after*.
    """
    if ended := before.processes.keys() - after.processes.keys():
        raise ProcessEnded(f"ended while being measured: process {', '.join(map(str, sorted(ended)))}")
    coarse = {pid for pid, _ in before.tasks.keys() - after.tasks.keys()}
    coarse |= after.processes.keys() - {pid for pid, _ in after.tasks}
    fine = sum(used - before.tasks.get(task, 0) for task, used in after.tasks.items() if task[0] not in coarse)
    return fine + sum(after.processes[pid] - before.processes.get(pid, 0) for pid in coarse)


def resident_octets(pids: list[int]) -> int:
    """The resident memory of the processes together."""
    return sum(_memory_octets(pid, "Rss:") for pid in pids)


def proportional_octets(pids: list[int]) -> int:
    """The memory of the processes together, where what several share counts once: each has its part of it."""
    return sum(_memory_octets(pid, "Pss:") for pid in pids)


def is_running(pid: int) -> bool:
    """Whether the process is there, and has not ended."""
    return bool(_stat_fields(pid))


def parse_schedstat(text: str) -> int:
    """The nanoseconds on a CPU: the first of schedstat's three numbers."""
    return int(text.split()[0])


def _read_tasks(pid: int) -> dict[tuple[int, int], int]:
    tasks: dict[tuple[int, int], int] = {}
    try:
        for entry in (PROC / str(pid) / "task").iterdir():
            tasks[pid, int(entry.name)] = parse_schedstat((entry / "schedstat").read_text())
    except (OSError, IndexError):  # a task that is just ending, or a kernel without schedstat
        return {}
    return tasks


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; none when the process is gone or a zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The name stands in parentheses and may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] == "Z" else fields


def _memory_octets(pid: int, name: str) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
