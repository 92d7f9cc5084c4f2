"""The measurements as text."""

from collections.abc import Mapping, Sequence

from .comparison import Comparison
from .servers import REFERENCES, UVICORN

Row = Sequence[str]


def table(header: Row, rows: Sequence[Row]) -> str:
    """Columns aligned: the first to the left, figures to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())
    return "\n".join(lines)


def comparison_text(comparison: Comparison) -> str:
    """One workload: a line for each server; the spread is how much the dearest run cost above the cheapest."""
    ratios = (f"× {name}" for name in REFERENCES[comparison.workload.family])
    unit = comparison.workload.unit
    header = ("server", f"CPU µs/{unit}", *ratios, f"{unit}s/s", "p99 ms", "runs", "spread")
    rows = []
    for server in comparison.servers():
        p99 = comparison.median(server, "p99_seconds")
        rows.append(
            (
                server,
                figure(comparison.median(server, "cpu_microseconds"), 2),
                *(figure(ratio, 2) for ratio in comparison.ratios(server).values()),
                figure(comparison.requests_per_second(server), 0),
                figure(p99 and p99 * 1000, 2),
                f"{len(comparison.runs(server))}/{len(comparison.rounds)}",
                _spread([run.cpu_microseconds for run in comparison.runs(server)]),
            )
        )
    connections = comparison.workload.connections
    return f"{comparison.workload.title} ({connections} connections)\n\n{table(header, rows)}"


def _spread(values: Sequence[float]) -> str:
    """How far apart the runs were: large on a machine with other work, and then more rounds are due."""
    return f"{(max(values) / min(values) - 1):.0%}" if len(values) > 1 else "–"


def flatness_text(comparisons: Sequence[Comparison]) -> str:
    """CPU per request by number of connections."""
    counts = [comparison.workload.connections for comparison in comparisons]
    header = ["server", *(f"{count} connections" for count in counts), "most / least"]
    rows = []
    for server in comparisons[0].servers():
        medians = [comparison.median(server, "cpu_microseconds") for comparison in comparisons]
        known = [median for median in medians if median]
        spread = max(known) / min(known) if len(known) == len(medians) else None
        rows.append([server, *(figure(median, 2) for median in medians), figure(spread, 2)])
    return f"hello, CPU µs per request by connections\n\n{table(header, rows)}"


def values_text(
    title: str, column: str, values: dict[str, float | None], decimals: int, reference: str = UVICORN
) -> str:
    """One figure for each server, and its ratio to uvicorn's."""
    uvicorn = values.get(reference)
    rows = [
        (server, figure(value, decimals), figure(value / uvicorn if value and uvicorn else None, 2))
        for server, value in values.items()
    ]
    return f"{title}\n\n{table(('server', column, '× uvicorn'), rows)}"


def rows_text(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A line of figures for each server."""
    return f"{title}\n\n{table(('server', *columns), [(server, *cells) for server, cells in rows.items()])}"


def figure(value: float | None, decimals: int) -> str:
    """A number for a reader; a dash for none."""
    return "–" if value is None else f"{value:,.{decimals}f}"
