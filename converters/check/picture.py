"""Where each op of a network runs, as one SVG file: no script, no font, no other file; light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from converters.check.report import CheckReport, OperatorReport
from converters.check.verdict import Place

WIDTH_PX, HEIGHT_PX = 960, 300
LEFT_PX, RIGHT_PX = 16, 944
TOP_PX, BOTTOM_PX = 84, 204
BAND_PX = 14  # the strip under the bars that shows the parts
LETTER_PX = 6.6  # of 11 px text, about
LEAST_PX = 2.0  # of a bar, so that an op without work is still seen
CSS = {Place.ACCELERATED: "on", Place.UNCERTAIN: "doubt", Place.CPU: "off"}
STYLE = """
svg { color-scheme: light dark; --ground: #fff; --text: #1b2026; --soft: #535d69; --line: #d8dde3; --on: #0b63ad;
  --doubt: #a8860b; --off: #c2570c; font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans",
  sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ground: #14171b; --text: #e7eaee; --soft: #a3adb8; --line: #353d46;
  --on: #79b8f2; --doubt: #d9bd4a; --off: #f0a15a; } }
.ground { fill: var(--ground); } text { fill: var(--soft); } .title { fill: var(--text); font-weight: 600; }
.head { font-size: 16px; } .tick { font-size: 11px; } .grid { stroke: var(--line); }
.on { fill: var(--on); } .doubt { fill: var(--doubt); } .off { fill: var(--off); }
"""


def draw(report: CheckReport) -> str:
    """Return the picture: a bar an op, as high as its work, in the colour of its place; the parts as a strip below."""
    rows = report.operators
    size = f'viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" width="{WIDTH_PX}" height="{HEIGHT_PX}"'
    name = escape(f"Where the ops of {report.file} run", {'"': "&quot;"})
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{name}">']
    lines += [f"<style>{STYLE}</style>", f'<rect class="ground" width="{WIDTH_PX}" height="{HEIGHT_PX}"/>']
    lines += [*_head(report), *_bars(rows), *_strip(rows), *_stages(rows), *_reasons(report)]
    return "\n".join([*lines, "</svg>", ""])


def _head(report: CheckReport) -> Iterator[str]:
    yield _text(16, 26, f"{report.file} on {report.title}", "title head")
    shares = [(Place.ACCELERATED, f"{len(report.accelerated)} on {report.accelerator}"),
              (Place.UNCERTAIN, f"{len(report.uncertain)} may be unmapped"),
              (Place.CPU, f"{len(report.others) - len(report.uncertain)} on the CPU")]  # fmt: skip
    x_px = 16.0
    for place, words in shares:
        yield f'<rect class="{CSS[place]}" x="{x_px:.1f}" y="38" width="10" height="10"/>'
        yield _text(x_px + 15, 47, words)
        x_px += 15 + 7 * len(words) + 20
    yield _text(16, 74, "work of each op: multiply-accumulates, on a square-root scale", "title")


def _bars(rows: Sequence[OperatorReport]) -> Iterator[str]:
    most = max((row.macs for row in rows), default=0) or 1
    for row in rows:
        height_px = max(LEAST_PX, (BOTTOM_PX - TOP_PX) * math.sqrt(row.macs / most))
        place = f'x="{_x(row.index, rows):.2f}" y="{BOTTOM_PX - height_px:.1f}"'
        size = f'width="{max(0.5, 0.8 * _slot_px(rows)):.2f}" height="{height_px:.1f}"'
        yield f'<rect class="{CSS[row.place]}" {place} {size}>{_title(row)}</rect>'


def _strip(rows: Sequence[OperatorReport]) -> Iterator[str]:
    """Yield one block for each run of ops in one place."""
    for place, group in groupby(rows, key=lambda row: row.place):
        members = list(group)
        start_px, width_px = _x(members[0].index, rows), _slot_px(rows) * len(members)
        box = f'x="{start_px:.2f}" y="{BOTTOM_PX + 4}" width="{width_px:.2f}" height="{BAND_PX}"'
        words = f"ops {members[0].index} to {members[-1].index}: {place.words}"
        yield f'<rect class="{CSS[place]}" {box}><title>{escape(words)}</title></rect>'


def _stages(rows: Sequence[OperatorReport]) -> Iterator[str]:
    """Yield a line where each stage begins, and its name where it fits."""
    free_px = 0.0
    for stage, group in groupby(rows, key=lambda row: _stage(row.layer)):
        x_px = _x(next(group).index, rows)
        yield f'<line class="grid" x1="{x_px:.1f}" y1="{TOP_PX}" x2="{x_px:.1f}" y2="{BOTTOM_PX}"/>'
        short = stage[:20]
        if x_px >= free_px and x_px + LETTER_PX * len(short) <= RIGHT_PX:
            yield _text(x_px, BOTTOM_PX + BAND_PX + 20, short, "tick")
            free_px = x_px + LETTER_PX * len(short) + 8


def _stage(layer: str) -> str:
    """Return the part of a layer's name that its neighbours share.

    >>> _stage("blocks.1.0.conv_dw"), _stage("MobilenetV2/expanded_conv_3/add;other")
    ('blocks.1', 'expanded_conv_3')
    """
    first = layer.partition(";")[0]
    parts = first.split("/")
    return parts[len(parts) > 2] if len(parts) > 1 else ".".join(first.split(".")[:2])


def _reasons(report: CheckReport) -> Iterator[str]:
    """Yield the first three ops that decide over others."""
    for number, row in enumerate([row for row in report.others if row.own][:3]):
        yield _text(
            16, BOTTOM_PX + BAND_PX + 42 + 15 * number, f"op {row.index}, {row.name}: {row.reason}"[:140], "tick"
        )


def _title(row: OperatorReport) -> str:
    words = f"{row.index} {row.name} {row.layer}: {row.place.words}{', ' + row.reason if row.reason else ''}"
    return f"<title>{escape(words)}</title>"


def _slot_px(rows: Sequence[OperatorReport]) -> float:
    return (RIGHT_PX - LEFT_PX) / max(1, len(rows))


def _x(index: int, rows: Sequence[OperatorReport]) -> float:
    return LEFT_PX + index * _slot_px(rows)


def _text(x_px: float, y_px: float, content: str, css: str = "") -> str:
    return f'<text class="{css}" x="{x_px:.1f}" y="{y_px:.1f}" xml:space="preserve">{escape(content)}</text>'
