"""`edgenet verify`: hold written files against their float network, on photos, with gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress
from edgenet.cli.verify_cells import ACCURACY_FIGURES, accuracy_figures, interval
from edgenet.cli.written import decibels
from edgenet.errors import GateFailed, InputError

if TYPE_CHECKING:
    from converters.verification import Verified
    from edgenet.agreement import Agreement

OutPath = Annotated[
    Path, typer.Argument(metavar="OUT", show_default=False, help="A .tflite or .onnx file, or its folder.")
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Photos: class folders, or flat with a CSV.")]
Labels = Annotated[
    Path | None, typer.Option("--labels", metavar="CSV", help="file,class_index[,name]; DIR/labels.csv unless given.")
]
Reference = Annotated[
    Path | None, typer.Option("--reference", metavar="FILE", help="The float .tflite file to compare with.")
]
WeightsFlag = Annotated[
    str, typer.Option("--weights", metavar="FILE", help="Where the weights file is that the network was made from.")
]
MaxDrop = Annotated[
    float | None, typer.Option("--max-drop", metavar="P", help="Fail if top-1 falls by more percentage points.")
]
MinAgree = Annotated[
    float | None, typer.Option("--min-agree", metavar="F", help="Fail under this share of equal top-1 classes, 0 to 1.")
]
Runtimes = Annotated[
    str,
    typer.Option(
        "--runtimes",
        metavar="LIST",
        help="all, or some of xnnpack, builtin, reference (TFLite kernels), onnxruntime: run in each, tabulate all.",
    ),
]
Devices = Annotated[
    list[str] | None,
    typer.Option("--device", metavar="D", help="With --runtimes: there as well, as benchmark's; may be repeated."),
]

AGREEMENT = (
    Column("\nfile"),
    Column("golden\nvectors"),
    Column("same top-1\nas float", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("logit\nSQNR dB", numeric=True),
)
ACCURACY = (Column("\nfile"), *ACCURACY_FIGURES)

GATE_MEND = "convert again with more photos (--calib), or with --fp16"
GOLDEN_MEND = "the file or the runtime is not what it was when the file was written: convert again"


def command(
    out: OutPath,
    data: Data = None,
    labels: Labels = None,
    reference: Reference = None,
    weights: WeightsFlag = "",
    max_drop: MaxDrop = None,
    min_agree: MinAgree = None,
    runtimes: Runtimes = "",
    device: Devices = None,
    as_json: Json = False,
) -> None:
    """Check files against their manifests, their golden vectors and their float network.

    Without --data the float network is compared on procedural images; with photos the figures mean something, and with
    labels accuracy is told too. Exits with 1 under a gate.

    \b
    edgenet verify lite0-w8a8.tflite --data photos --max-drop 1.0 --min-agree 0.95
    edgenet verify lite0 --data photos --runtimes all --device ssh://pi@raspberrypi.local
    """
    from converters import verification
    from converters.cross_runtime import Source
    from edgenet.cli import verify_runtimes

    _check_gates(data, max_drop, min_agree)
    if labels and not data:
        raise InputError("--labels needs photos", mend="add --data DIR")
    if device and not runtimes:
        raise InputError("--device needs --runtimes", mend="add --runtimes all")
    if runtimes:
        source = Source(out, data, labels, reference, weights)
        verify_runtimes.run(source, runtimes, device or [], max_drop, min_agree, as_json)
        return
    with StepProgress() as report:
        result = verification.verify(out, data, labels, reference, weights, report, say)
    if max_drop is not None and result.rows[0].agreement.accuracy is None:
        raise InputError("--max-drop needs labels", mend="add --labels CSV, or name the class folders by class index")
    failures = verification.failures(result.rows, max_drop, min_agree)
    if as_json:
        emit_json({**result.document(), "failures": failures})
    else:
        _show(result)
    if failures:
        intact = all(row.golden.passed for row in result.rows)
        raise GateFailed("; ".join(failures), mend=GATE_MEND if intact else GOLDEN_MEND)
    next_command(f"edgenet info {result.rows[0].path}")


def _check_gates(data: Path | None, max_drop: float | None, min_agree: float | None) -> None:
    if min_agree is not None and not 0 <= min_agree <= 1:
        raise InputError(f"--min-agree cannot be {min_agree:g}", allowed="a share from 0 to 1")
    if max_drop is not None and not -100 <= max_drop <= 100:
        raise InputError(f"--max-drop cannot be {max_drop:g}", allowed="percentage points from -100 to 100")
    if max_drop is not None and data is None:
        raise InputError("--max-drop needs labelled photos", mend="add --data DIR")


def _show(result: Verified) -> None:
    show(f"{result.rows[0].agreement.images} images: {result.images}")
    for note in result.notes:
        say(f"note: {note}")
    for row in result.skipped[:5]:
        say(f"skipped: {row.name}: {row.reason}")
    if len(result.skipped) > 5:
        say(f"skipped: {len(result.skipped) - 5} more")
    show()
    show_table(AGREEMENT, [_agreement_cells(row) for row in result.rows])
    if result.rows[0].agreement.accuracy:
        show()
        show_table(ACCURACY, [_accuracy_cells(row.path.name, row.agreement) for row in result.rows])


def _agreement_cells(row: Any) -> list[str]:
    share = row.agreement.agreement
    golden = "equal" if row.golden.max_abs_error == 0 else f"within {row.golden.max_abs_error:.2g}"
    return [
        row.path.name,
        golden if row.golden.passed else f"OFF by {row.golden.max_abs_error:.2g}",
        f"{100 * share.fraction:.1f} %",
        interval(share),
        decibels(row.sqnr_db),
    ]


def _accuracy_cells(name: str, agreement: Agreement) -> list[str]:
    if agreement.accuracy is None:
        raise ValueError("an unlabelled result has no accuracy")
    return [name, *accuracy_figures(agreement.accuracy)]
