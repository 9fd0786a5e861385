"""How `edgenet scale` shows a family of variants, a search and a choice by latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.coefficients import COEFFICIENTS_NAME, Coefficients
from edgenet.counts import count
from edgenet.errors import GateFailed, InputError
from edgenet.layers import expand
from edgenet.scaling.latency_record import LatencyRecord, PointRecord
from edgenet.scaling.outcome import ranked
from edgenet.scaling.record import SEARCH_NAME, OutcomeRecord, ScoreRecord, SearchRecord, TrialRecord

if TYPE_CHECKING:
    from edgenet.variants import Variant

MOST_SHOWN_PHI = 7  # B7
MIB = 2**20
FAMILY_COLUMNS = (
    Column("phi", numeric=True),
    Column("depth", numeric=True),
    Column("width", numeric=True),
    Column("side px", numeric=True),
    Column("dropout", numeric=True),
    Column("blocks", numeric=True),
    Column("params M", numeric=True),
    Column("MACs M", numeric=True),
    Column("x phi 0", numeric=True),
    Column("int8 MiB", numeric=True),
)
SEARCH_COLUMNS = (
    Column("alpha\ndepth", numeric=True),
    Column("beta\nwidth", numeric=True),
    Column("gamma\nside", numeric=True),
    Column("side\npx", numeric=True),
    Column("params\nM", numeric=True),
    Column("MACs\nx phi 0", numeric=True),
    Column("top-1\n%", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("\n"),
)
LATENCY_COLUMNS = (
    Column("phi", numeric=True),
    Column("side px", numeric=True),
    Column("params M", numeric=True),
    Column("MACs M", numeric=True),
    Column("median ms", numeric=True),
    Column("95 % interval", numeric=True),
    Column("p90 ms", numeric=True),
    Column("runs", numeric=True),
    Column(""),
)


def show_family(coefficients: Coefficients, file: Path | None, as_json: bool) -> None:
    """Show what each whole phi makes of the base, exactly."""
    rows: list[tuple[float, Variant]] = []
    for phi in range(MOST_SHOWN_PHI + 1):
        try:
            rows.append((phi, coefficients.variant(phi)))
        except InputError:  # the side has grown too large
            break
    base_macs = count(expand(rows[0][1])).macs
    if as_json:
        emit_json({"coefficients": coefficients.model_dump(), "variants": [_family_record(*row) for row in rows]})
        return
    show(f"{coefficients.spelling}: {coefficients.base} scaled by {coefficients.title} to the power of PHI")
    show(f"alpha beta^2 gamma^2 = {coefficients.product:.3f}: the work of each step, but for rounding")
    show()
    show_table(FAMILY_COLUMNS, [_family_cells(phi, variant, base_macs) for phi, variant in rows])
    spelled = f"scaled:1@{file}" if file else rows[1][1].name.replace("scaled-", "scaled:")
    next_command(f"edgenet info {spelled}")


def _family_cells(phi: float, variant: Variant, base_macs: int) -> list[str]:
    counts = count(expand(variant))
    return [
        f"{phi:g}",
        f"{variant.depth:.2f}",
        f"{variant.width:.2f}",
        str(variant.side_px),
        f"{variant.dropout:g}",
        str(counts.blocks),
        f"{counts.trainable / 1e6:.2f}",
        f"{counts.macs / 1e6:,.0f}",
        f"{counts.macs / base_macs:.1f}",
        f"{counts.int8_size_bytes / MIB:.1f}",
    ]


def _family_record(phi: float, variant: Variant) -> dict[str, object]:
    counts = count(expand(variant))
    return {
        "phi": phi,
        "variant": variant.name,
        "depth": variant.depth,
        "width": variant.width,
        "side_px": variant.side_px,
        "dropout": variant.dropout,
        "blocks": counts.blocks,
        "parameters": counts.trainable,
        "macs": counts.macs,
        "int8_size_bytes": counts.int8_size_bytes,
    }


def show_search(record: SearchRecord, out: Path, as_json: bool) -> None:
    """Show a finished search: every candidate, the best first, and what its lead is worth."""
    outcome = record.outcome
    if outcome is None:
        raise ValueError("a search that is not finished has nothing to show")
    if as_json:
        document = record.model_dump(mode="json", exclude={"schema_version"})
        emit_json({"path": str(out), "coefficients_file": str(out / COEFFICIENTS_NAME), **document})
    else:
        show_table(SEARCH_COLUMNS, [_search_cells(*pair, outcome) for pair in ranked(record.trials)])
        show()
        show(f"{outcome.coefficients.title}, of {len(record.trials)} candidates, {record.epochs} epochs each:")
        for note in outcome.notes:
            show(f"  {note}")
        show(f"{out / COEFFICIENTS_NAME}: these coefficients; {out / SEARCH_NAME}: everything about the search")
    next_command(f"edgenet train --variant scaled:1@{out} --data {record.data} --out {out}-scaled")


def _search_cells(trial: TrialRecord, score: ScoreRecord, outcome: OutcomeRecord) -> list[str]:
    factors = trial.coefficients
    mark = "taken" if factors == outcome.coefficients else "within noise" if factors in outcome.within_noise else ""
    return [
        f"{factors.alpha:g}",
        f"{factors.beta:g}",
        f"{factors.gamma:g}",
        str(trial.side_px),
        f"{trial.parameters / 1e6:.2f}",
        f"{trial.macs_ratio:.2f}",
        f"{100 * score.accuracy:.1f}",
        f"{100 * score.accuracy_low:.1f}-{100 * score.accuracy_high:.1f}",
        mark,
    ]


def show_latency(record: LatencyRecord, as_json: bool) -> None:
    """Show what was measured; raise GateFailed where not even phi 0 meets the limit."""
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        show_table(LATENCY_COLUMNS, [_latency_cells(point, record) for point in record.points])
    if record.provenance == "emulated":
        warn(f"{record.device} is emulated: these times say nothing of a real device")
    for note in record.notes:
        say(f"note: {note}")
    limit = f"{1e3 * record.max_s:g} ms"
    if record.variant is None:
        raise _too_slow(record, limit)
    if not as_json:
        show(f"{_spelled(record.variant)} is the largest within {limit} on {record.device} ({record.device_model},")
        threads = f"{record.threads} thread{'s' if record.threads > 1 else ''}"
        show(f"{record.runtime}, {threads}); intervals are those of one session each")
    next_command(f"edgenet info {_spelled(record.variant)}")


def _too_slow(record: LatencyRecord, limit: str) -> GateFailed:
    first, smaller = record.points[0], []
    if record.precision != "w8a8":
        smaller.append("--precision w8a8")
    if record.coefficients.base != "lite0":
        smaller.append("--base lite0")
    what = "phi 0 is too close to tell whether it meets" if _is_close(first, record) else "not even phi 0 meets"
    return GateFailed(
        f"{what} {limit} on {record.device}: {first.title} in {record.precision}",
        mend=", ".join(["try a longer --max-ms", "more --threads", *smaller]),
    )


def _is_close(point: PointRecord, record: LatencyRecord) -> bool:
    return not point.meets and point.median_low_s <= record.max_s


def _latency_cells(point: PointRecord, record: LatencyRecord) -> list[str]:
    mark = (
        "taken"
        if point.phi == record.phi
        else "meets"
        if point.meets
        else "too close"
        if _is_close(point, record)
        else "too slow"
    )
    return [
        f"{point.phi:g}",
        str(point.side_px),
        f"{point.parameters / 1e6:.2f}",
        f"{point.macs / 1e6:,.0f}",
        f"{1e3 * point.median_s:.2f}",
        f"{1e3 * point.median_low_s:.2f}-{1e3 * point.median_high_s:.2f}",
        f"{1e3 * point.p90_s:.2f}",
        str(point.runs),
        mark,
    ]


def _spelled(name: str) -> str:
    """Return a variant's name as people write it."""
    return name.replace("scaled-", "scaled:", 1)
