"""How `convert` and `quantize` show a repair: every trial of the climb, and the recipe that a file was made by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenet.cli.console import Column, show, show_table
from edgenet.errors import GateFailed

if TYPE_CHECKING:
    from edgenet.manifest import Manifest, RepairRecord, RepairStepRecord

COLUMNS = (
    Column("\nrung"),
    Column("same top-1\nas float", numeric=True),
    Column("same, errors\ncrossed", numeric=True),
    Column("logit\nSQNR dB", numeric=True),
    Column("\nMB", numeric=True),
    Column("times the\nlatency", numeric=True),
    Column("MACs above\n8 bits", numeric=True),
    Column("full\ninteger"),
    Column("\nkept"),
)


def show_repair(record: RepairRecord) -> None:
    """Show the table of a climb."""
    show(f"repaired for {record.target}, judged on {record.images} images: {record.probe}")
    show()
    show_table(COLUMNS, [_cells(step) for step in record.steps])
    show()


def _cells(step: RepairStepRecord) -> list[str]:
    return [
        step.rung,
        f"{100 * step.agreement:.1f} %",
        f"{100 * step.crossed_agreement:.1f} %",
        "equal" if step.sqnr_db is None else f"{step.sqnr_db:.1f}",
        f"{step.size_bytes / 1e6:.1f}",
        f"{step.latency_ratio:.2f}",
        f"{100 * step.high_precision_share:.1f} %",
        "yes" if step.full_integer else "no",
        "yes" if step.kept else "no",
    ]


def show_recipe(manifest: Manifest) -> None:
    """Show the recipe of a file as `--recipe` takes it."""
    if manifest.recipe is not None:
        show()
        show(f"# the recipe of {manifest.file}, for --recipe")
        show(manifest.recipe.rstrip())


def check_repair(manifest: Manifest) -> None:
    """Raise GateFailed for a file whose repair did not reach its gate, or that is not what was repaired any more."""
    record = manifest.repair
    if record is None:
        return
    own = manifest.verification
    if record.passed and own is not None and own.agreement < record.min_agree:
        # The ladder judges .tflite files. ONNX Runtime rounds otherwise, and weights for x86 without VNNI have 7 bits.
        seven = manifest.onnx is not None and manifest.onnx.weight_bits == 7
        raise GateFailed(
            f"{manifest.file} agrees with float on {own.agreement:.4f} of {own.images} images (at least "
            f"{record.min_agree:g}), though the repair of its .tflite passed",
            mend="--onnx-cpu x86-vnni keeps 8-bit weights" if seven else "calibrate on more photos (--calib)",
        )
    if record.passed:
        return
    best = next(step for step in reversed(record.steps) if step.kept)
    raise GateFailed(
        f"{manifest.file} agrees with float on {best.agreement:.4f} of {record.images} images, on "
        f"{best.crossed_agreement:.4f} with their errors crossed (at least {record.min_agree:g} of both); "
        f"it is the best of {len(record.steps)} and is kept",
        mend="calibrate on more photos (--calib), allow more latency (--max-latency-cost), or take --dynamic",
    )
