"""Draws the results as one SVG: bars of CPU per request, a panel for each workload.

python -m tests.benchmarks.chart results.json chart.svg
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .servers import FLOOR, SERVERS, UVICORN
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
# Bars beyond this many times uvicorn's are cut, or the rest could not be compared.
CUT_TIMES_UVICORN = 1.6

STYLE = """
  text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 20px; font-weight: 600 }
  .panel { font-size: 15px; font-weight: 600 }
  .note, .label { fill: #59636e }
  .label { font-variant-numeric: tabular-nums }
  .ours { font-weight: 600 }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  rect.floor { fill: #b7bfc8 } rect.miniasgi { fill: #0f7b6c } rect.peer { fill: #8fa3bf }
  .line { stroke: #d1d9e0 } .cut { stroke: #ffffff; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note, .label { fill: #9198a1 }
    .page { fill: #0d1117; stroke: #3d444d }
    rect.floor { fill: #59636e } rect.miniasgi { fill: #2bb39f } rect.peer { fill: #5f7596 }
    .line { stroke: #3d444d } .cut { stroke: #0d1117 }
  }
"""


def draw(results: Mapping[str, Any]) -> str:
    """The chart of what `--json` wrote."""
    about = results["machine"]
    titles = {workload.name: workload.title for workload in WORKLOADS}
    panels = [(titles.get(name, name), servers) for name, servers in results["workloads"].items() if servers]
    rows = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    parts: list[str] = []
    top = HEADER_HEIGHT
    for row in rows:
        for column, (title, servers) in enumerate(row):
            parts.append(_panel(title, servers, MARGIN + column * (PANEL_WIDTH + MARGIN), top))
        top += PANEL_TITLE_HEIGHT + BAR_STEP * max(len(servers) for _, servers in row) + MARGIN
    width = MARGIN + COLUMNS * (PANEL_WIDTH + MARGIN)
    return _document(width, top + 8, about, results["plan"], parts)


def _document(width: int, height: int, about: Mapping[str, Any], plan: Mapping[str, Any], parts: list[str]) -> str:
    title = "CPU time per request, as a multiple of the floor: shorter is better"
    machine = f"{about['date']}, {about['cpu']}, {about['kernel']}, {about['python']}"
    method = f"medians of {plan['rounds']} interleaved runs of {plan['seconds']:g} s"
    floor = "The floor: uvloop answering constant octets, parsing nothing. A bar with a gap goes on."
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
        _text(MARGIN, 58, f"{machine}; {method}. {floor}", "note"),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(title: str, servers: Mapping[str, Any], left: int, top: int) -> str:
    order = [spec.name for spec in SERVERS]
    bars = [(name, servers[name]) for name in sorted(servers, key=order.index) if servers[name]["times_floor"]]
    longest = max((figures["times_floor"] for _, figures in bars), default=1.0)
    if reference := servers.get(UVICORN, {}).get("times_floor"):
        longest = min(longest, max(CUT_TIMES_UVICORN * reference, _longest_of_ours(bars)))
    bottom = top + PANEL_TITLE_HEIGHT + BAR_STEP * len(bars) - 4
    axis = left + NAME_WIDTH
    parts = [
        "<g>",
        _text(left, top + 20, title, "panel"),
        f'<line class="line" x1="{axis}" y1="{top + PANEL_TITLE_HEIGHT - 3}" x2="{axis}" y2="{bottom}"/>',
    ]
    for number, (name, figures) in enumerate(bars):
        parts.append(_bar(name, figures, longest, left, top + PANEL_TITLE_HEIGHT + number * BAR_STEP))
    parts.append("</g>")
    return "\n".join(parts)


def _longest_of_ours(bars: list[tuple[str, Any]]) -> float:
    return max((figures["times_floor"] for name, figures in bars if name.startswith("miniasgi")), default=0.0)


def _bar(name: str, figures: Mapping[str, Any], longest: float, left: int, top: int) -> str:
    times = figures["times_floor"]
    axis, baseline = left + NAME_WIDTH, top + BAR_HEIGHT - 3
    length = BAR_SPACE * min(times, longest) / longest
    kind = "floor" if name == FLOOR else "miniasgi" if name.startswith("miniasgi") else "peer"
    label = f"{times:.2f} ×  ({_microseconds(figures['cpu_microseconds_per_request'])} µs)"
    parts = [
        _text(axis - 8, baseline, name.replace("-", " "), "ours" if kind == "miniasgi" else "", anchor="end"),
        f'<rect class="{kind}" x="{axis}" y="{top}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
        _text(axis + length + 7, baseline, label, "label"),
    ]
    if times > longest:  # a slanted gap: this bar goes on
        gap = axis + length - 16
        parts.append(f'<line class="cut" x1="{gap}" y1="{top + BAR_HEIGHT + 1}" x2="{gap + 6}" y2="{top - 1}"/>')
    return "\n".join(parts)


def _microseconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> str:
    ending = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{ending}>{escape(content)}</text>'


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())))
