"""The error along the depth of a network as one SVG file: no script, no font, no other file; light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from converters.diagnosis import Diagnosis, LayerDiagnosis

WIDTH_PX, HEIGHT_PX = 960, 470
LEFT_PX, RIGHT_PX = 56, 944
ERROR_TOP_PX, ERROR_BOTTOM_PX = 84, 254
COST_TOP_PX, COST_BOTTOM_PX = 306, 416
NAMED = 5  # of the worst layers
LETTER_PX = 6.6  # of 11 px text, about
STYLE = """
svg { color-scheme: light dark; --ground: #fff; --text: #1b2026; --soft: #535d69; --line: #d8dde3; --main: #0b63ad;
  --warm: #c2570c; font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ground: #14171b; --text: #e7eaee; --soft: #a3adb8; --line: #353d46;
  --main: #79b8f2; --warm: #f0a15a; } }
.ground { fill: var(--ground); } text { fill: var(--soft); } .title { fill: var(--text); font-weight: 600; }
.head { font-size: 16px; } .tick { font-size: 11px; } .grid { stroke: var(--line); }
.error { fill: none; stroke: var(--main); stroke-width: 1.5; } .point { fill: var(--main); }
.worst { fill: var(--warm); }
.number { fill: var(--text); font-weight: 600; font-size: 11px; paint-order: stroke; stroke: var(--ground);
  stroke-width: 3; }
.weights { fill: var(--warm); } .activations { fill: var(--main); }
"""


def draw(diagnosis: Diagnosis) -> str:
    """Return the picture: SQNR of each layer's output above, below it what the layer alone costs the logits."""
    layers = sorted(diagnosis.layers, key=lambda row: row.depth)
    worst = diagnosis.layers[:NAMED]
    body = [*_head(diagnosis), *_stages(layers), *_errors(layers, worst), *_costs(layers, worst)]
    size = f'viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" width="{WIDTH_PX}" height="{HEIGHT_PX}"'
    name = escape(f"Error along the depth of {diagnosis.artifact.path.name}", {'"': "&quot;"})
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{name}">']
    lines += [f"<style>{STYLE}</style>", f'<rect class="ground" width="{WIDTH_PX}" height="{HEIGHT_PX}"/>']
    return "\n".join([*lines, *body, "</svg>", ""])


def _head(diagnosis: Diagnosis) -> Iterator[str]:
    share = diagnosis.agreement.agreement
    logits = f"{diagnosis.agreement.sqnr_db:.1f} dB" if math.isfinite(diagnosis.agreement.sqnr_db) else "equal"
    yield _text(16, 26, f"{diagnosis.artifact.path.name}: error along the depth", "title head")
    facts = f"{diagnosis.images}; logits {logits}; same top-1 as float on {100 * share.fraction:.0f} %"
    yield _text(16, 46, facts)
    yield _text(16, 72, "SQNR of each layer's output against float, dB (higher is better)", "title")
    yield _text(16, 294, "share of all layers' costs: what the layer's rounding alone does to the logits, %", "title")
    yield _text(RIGHT_PX - 92, 294, "activations", anchor="end")
    yield f'<rect class="activations" x="{RIGHT_PX - 176}" y="285" width="10" height="10"/>'
    yield _text(RIGHT_PX, 294, "weights", anchor="end")
    yield f'<rect class="weights" x="{RIGHT_PX - 62}" y="285" width="10" height="10"/>'


def _stages(layers: Sequence[LayerDiagnosis]) -> Iterator[str]:
    """Yield a line where each stage begins (the first two parts of a name), and its name where there is room."""
    slot_px = (RIGHT_PX - LEFT_PX) / len(layers)
    free_px = 0.0
    for stage, rows in groupby(layers, key=lambda row: ".".join(row.name.split(".")[:2])):
        members = list(rows)
        start_px = LEFT_PX + members[0].depth * slot_px
        for top_px, bottom_px in ((ERROR_TOP_PX, ERROR_BOTTOM_PX), (COST_TOP_PX, COST_BOTTOM_PX)):
            yield _line(start_px, top_px, start_px, bottom_px)
        width_px = LETTER_PX * len(stage)
        x_px = min(start_px, RIGHT_PX - width_px)
        if x_px >= free_px:
            yield _text(x_px, COST_BOTTOM_PX + 16, stage, "tick")
            free_px = x_px + width_px + 6


def _errors(layers: Sequence[LayerDiagnosis], worst: Sequence[LayerDiagnosis]) -> Iterator[str]:
    finite = [row.output.sqnr_db for row in layers if math.isfinite(row.output.sqnr_db)] or [0.0]
    low, high = min(0.0, *finite), max(10.0, *finite) * 1.05
    step = _step(high - low)
    for index in range(math.ceil(low / step), math.floor(high / step) + 1):
        y_px = _y(index * step, low, high, ERROR_TOP_PX, ERROR_BOTTOM_PX)
        yield _line(LEFT_PX, y_px, RIGHT_PX, y_px)
        yield _text(LEFT_PX - 8, y_px + 4, f"{index * step:g}", "tick", "end")
    points = [
        (_x(row, layers), _y(min(row.output.sqnr_db, high), low, high, ERROR_TOP_PX, ERROR_BOTTOM_PX)) for row in layers
    ]
    yield f'<polyline class="error" points="{" ".join(f"{x_px:.1f},{y_px:.1f}" for x_px, y_px in points)}"/>'
    for row, (x_px, y_px) in zip(layers, points, strict=True):
        css, radius_px = ("worst", 4.5) if row in worst else ("point", 2.5)
        yield f'<circle class="{css}" cx="{x_px:.1f}" cy="{y_px:.1f}" r="{radius_px}">{_title(row)}</circle>'
        if row in worst:
            yield _text(x_px, y_px - 8, str(worst.index(row) + 1), "number", "middle")


def _costs(layers: Sequence[LayerDiagnosis], worst: Sequence[LayerDiagnosis]) -> Iterator[str]:
    top = max(row.cost_share for row in layers) * 1.15 or 1.0
    for share in (0.0, max(row.cost_share for row in layers)):
        y_px = _y(share, 0, top, COST_TOP_PX, COST_BOTTOM_PX)
        yield _line(LEFT_PX, y_px, RIGHT_PX, y_px)
        yield _text(LEFT_PX - 8, y_px + 4, f"{100 * share:.0f}", "tick", "end")
    width_px = max(1.5, 0.7 * (RIGHT_PX - LEFT_PX) / len(layers))
    for row in layers:
        bottom_px: float = COST_BOTTOM_PX
        for css, share in (("activations", row.cost_share - row.weights_share), ("weights", row.weights_share)):
            height_px = (COST_BOTTOM_PX - COST_TOP_PX) * share / top
            bottom_px -= height_px
            place = f'x="{_x(row, layers) - width_px / 2:.1f}" y="{bottom_px:.1f}"'
            yield f'<rect class="{css}" {place} width="{width_px:.1f}" height="{height_px:.1f}">{_title(row)}</rect>'
        if row in worst:
            yield _text(_x(row, layers), bottom_px - 4, str(worst.index(row) + 1), "number", "middle")
    named = "   ".join(f"{number} {row.name} {100 * row.cost_share:.0f} %" for number, row in enumerate(worst, 1))
    yield _text(16, HEIGHT_PX - 14, named, "tick")


def _title(row: LayerDiagnosis) -> str:
    return f"<title>{escape(row.name)}: {row.output.sqnr_db:.1f} dB, {100 * row.cost_share:.1f} % of the cost</title>"


def _x(row: LayerDiagnosis, layers: Sequence[LayerDiagnosis]) -> float:
    return LEFT_PX + (row.depth + 0.5) * (RIGHT_PX - LEFT_PX) / len(layers)


def _y(value: float, low: float, high: float, top_px: float, bottom_px: float) -> float:
    return bottom_px - (bottom_px - top_px) * (value - low) / (high - low)


def _step(span: float) -> float:
    """Return a round distance of about five lines in `span`."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / 5)


def _line(x1_px: float, y1_px: float, x2_px: float, y2_px: float) -> str:
    return f'<line class="grid" x1="{x1_px:.1f}" y1="{y1_px:.1f}" x2="{x2_px:.1f}" y2="{y2_px:.1f}"/>'


def _text(x_px: float, y_px: float, content: str, css: str = "", anchor: str = "start") -> str:
    place = f'x="{x_px:.1f}" y="{y_px:.1f}" text-anchor="{anchor}"'
    return f'<text class="{css}" {place} xml:space="preserve">{escape(content)}</text>'
