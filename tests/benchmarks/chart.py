"""Draws the results of a family of servers as one SVG: bars of CPU per request, a panel for each workload.

python -m tests.benchmarks.chart results.json chart.svg [static.svg]
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .servers import FLOOR, REFERENCES, SERVERS, UVICORN, always_measured
from .static_servers import NGINX
from .workload import Family
from .workloads import WORKLOADS

COLUMNS = 2
PANEL_WIDTH = 610
MARGIN = 28
HEADER_HEIGHT = 84
PANEL_TITLE_HEIGHT = 34
BAR_HEIGHT = 15
BAR_STEP = 21
NAME_WIDTH = 236
LABEL_WIDTH = 128
BAR_SPACE = PANEL_WIDTH - NAME_WIDTH - LABEL_WIDTH
# Bars beyond this many times another server's are cut, or the rest could not be compared.
CUT_TIMES = {Family.APPLICATION: (UVICORN, 1.6), Family.STATIC: (NGINX, 6.0)}
UNIT_NOTES = {
    Family.APPLICATION: "The floor: uvloop answering constant octets, parsing nothing.",
    Family.STATIC: "nginx: one process, sendfile, a cache of opened files.",
}


@dataclass(frozen=True)
class Bar:
    """One server's."""

    name: str
    times: float  # the CPU of the server that is always measured
    microseconds: float

    @property
    def kind(self) -> str:
        """The bar's class in STYLE."""
        if any(self.name == always_measured(family) for family in Family):
            return "unit"
        return "miniasgi" if self.name.startswith("miniasgi") else "peer"


STYLE = """
  text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 20px; font-weight: 600 }
  .panel { font-size: 15px; font-weight: 600 }
  .note, .label { fill: #59636e }
  .label { font-variant-numeric: tabular-nums }
  .ours { font-weight: 600 }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  rect.unit { fill: #b7bfc8 } rect.miniasgi { fill: #0f7b6c } rect.peer { fill: #8fa3bf }
  .line { stroke: #d1d9e0 } .cut { stroke: #ffffff; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note, .label { fill: #9198a1 }
    .page { fill: #0d1117; stroke: #3d444d }
    rect.unit { fill: #59636e } rect.miniasgi { fill: #2bb39f } rect.peer { fill: #5f7596 }
    .line { stroke: #3d444d } .cut { stroke: #0d1117 }
  }
"""


def draw(results: Mapping[str, Any], family: Family = Family.APPLICATION) -> str:
    """The chart of what `--json` wrote about one family."""
    titles = {workload.name: workload.title for workload in WORKLOADS if workload.family == family}
    panels = [(titles[name], servers) for name, servers in results["workloads"].items() if servers and name in titles]
    rows = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    parts: list[str] = []
    top = HEADER_HEIGHT
    for row in rows:
        for column, (title, servers) in enumerate(row):
            parts.append(_panel(title, family, servers, MARGIN + column * (PANEL_WIDTH + MARGIN), top))
        top += PANEL_TITLE_HEIGHT + BAR_STEP * max(len(servers) for _, servers in row) + MARGIN
    width = MARGIN + COLUMNS * (PANEL_WIDTH + MARGIN)
    return _document(width, top + 8, results, family, parts)


def _document(width: int, height: int, results: Mapping[str, Any], family: Family, parts: list[str]) -> str:
    about, plan = results["machine"], results["plan"]
    unit = "the floor" if always_measured(family) == FLOOR else always_measured(family)
    title = f"CPU time per request, as a multiple of {unit}: shorter is better"
    machine = f"{about['date']}, {about['cpu']}, {about['kernel']}, {about['python']}"
    method = f"medians of {plan['rounds']} interleaved runs of {plan['seconds']:g} s"
    note = f"{UNIT_NOTES[family]} A bar with a gap goes on."
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    description = f"{machine}; {method}. {versions}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        _text(MARGIN, 36, title, "title"),
        _text(MARGIN, 58, f"{machine}; {method}. {note}", "note"),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(title: str, family: Family, servers: Mapping[str, Any], left: int, top: int) -> str:
    order = [spec.name for spec in SERVERS]
    ratio, (other, cut) = f"times_{next(iter(REFERENCES[family]))}", CUT_TIMES[family]
    bars = [
        Bar(name, times, servers[name]["cpu_microseconds_per_request"])
        for name in sorted(servers, key=order.index)
        if (times := servers[name][ratio])
    ]
    longest = max((bar.times for bar in bars), default=1.0)
    if reference := next((bar.times for bar in bars if bar.name == other), None):
        longest = min(longest, max(cut * reference, _longest_of_ours(bars)))
    bottom = top + PANEL_TITLE_HEIGHT + BAR_STEP * len(bars) - 4
    axis = left + NAME_WIDTH
    parts = [
        "<g>",
        _text(left, top + 20, title, "panel"),
        f'<line class="line" x1="{axis}" y1="{top + PANEL_TITLE_HEIGHT - 3}" x2="{axis}" y2="{bottom}"/>',
    ]
    for number, bar in enumerate(bars):
        parts.append(_draw_bar(bar, longest, left, top + PANEL_TITLE_HEIGHT + number * BAR_STEP))
    parts.append("</g>")
    return "\n".join(parts)


def _longest_of_ours(bars: list[Bar]) -> float:
    return max((bar.times for bar in bars if bar.kind == "miniasgi"), default=0.0)


def _draw_bar(bar: Bar, longest: float, left: int, top: int) -> str:
    axis, baseline = left + NAME_WIDTH, top + BAR_HEIGHT - 3
    length = BAR_SPACE * min(bar.times, longest) / longest
    label = f"{bar.times:.2f} ×  ({_microseconds(bar.microseconds)} µs)"
    parts = [
        _text(axis - 8, baseline, bar.name.replace("-", " "), "ours" if bar.kind == "miniasgi" else "", anchor="end"),
        f'<rect class="{bar.kind}" x="{axis}" y="{top}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
        _text(axis + length + 7, baseline, label, "label"),
    ]
    if bar.times > longest:  # a slanted gap: this bar goes on
        gap = axis + length - 16
        parts.append(f'<line class="cut" x1="{gap}" y1="{top + BAR_HEIGHT + 1}" x2="{gap + 6}" y2="{top - 1}"/>')
    return "\n".join(parts)


def _microseconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> str:
    ending = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{ending}>{escape(content)}</text>'


if __name__ == "__main__":
    measured = json.loads(Path(sys.argv[1]).read_text())
    for family, path in zip(CUT_TIMES, sys.argv[2:], strict=False):
        Path(path).write_text(draw(measured, family))
