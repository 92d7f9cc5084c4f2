"""The runs of one workload, and the figures that are drawn from them."""

import dataclasses
import statistics
from dataclasses import dataclass, field

from .servers import REFERENCES
from .workload import Workload


@dataclass(frozen=True)
class Run:
    """One server under load once."""

    requests: int
    seconds: float
    cpu_microseconds: float  # per request, of the whole process tree
    p99_seconds: float | None


@dataclass
class Comparison:
    """All runs of one workload; a failed run is None."""

    workload: Workload
    rounds: list[dict[str, Run | None]] = field(default_factory=list)

    def servers(self) -> list[str]:
        """Those that were measured, be it without success."""
        return list(self.rounds[0]) if self.rounds else []

    def runs(self, server: str) -> list[Run]:
        """The server's good runs."""
        return [run for turns in self.rounds if (run := turns.get(server))]

    def median(self, server: str, attribute: str) -> float | None:
        """The median over the server's good runs of one attribute of Run."""
        values = [value for run in self.runs(server) if (value := getattr(run, attribute)) is not None]
        return statistics.median(values) if values else None

    def requests_per_second(self, server: str) -> float | None:
        """The median over the server's good runs."""
        rates = [run.requests / run.seconds for run in self.runs(server)]
        return statistics.median(rates) if rates else None

    def times(self, server: str, other: str) -> float | None:
        """How many times the other's CPU per request: the median of each round's ratio."""
        ratios = [
            mine.cpu_microseconds / theirs.cpu_microseconds
            for turns in self.rounds
            if (mine := turns.get(server)) and (theirs := turns.get(other))
        ]
        return statistics.median(ratios) if ratios else None

    def ratios(self, server: str) -> dict[str, float | None]:
        """How many times the CPU per request of each server that the family is compared with."""
        return {name: self.times(server, other) for name, other in REFERENCES[self.workload.family].items()}

    def as_dict(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            server: {
                "cpu_microseconds_per_request": self.median(server, "cpu_microseconds"),
                **{f"times_{name}": ratio for name, ratio in self.ratios(server).items()},
                "requests_per_second": self.requests_per_second(server),
                "p99_seconds": self.median(server, "p99_seconds"),
                "runs": [dataclasses.asdict(run) if (run := turns.get(server)) else None for turns in self.rounds],
            }
            for server in self.servers()
        }
