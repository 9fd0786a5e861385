"""How `convert` and `quantize` show what they wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgenet.cli.compressed import documents, show_compression
from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.cli.repaired import check_repair, show_recipe, show_repair

if TYPE_CHECKING:
    from benchmarks.compression import Compressed
    from edgenet.artifact import Artifact
    from edgenet.manifest import VerificationRecord

COLUMNS = (
    Column("file"),
    Column("MB", numeric=True),
    Column("ends"),
    Column("same top-1\nas float", numeric=True),
    Column("95 % interval", numeric=True),
    Column("logit\nSQNR dB", numeric=True),
    Column("worst layer (dB)"),
)
# Below these, a file deserves a warning. Procedural images look like no class in particular, so that rounding changes
# more of their answers: a lite0 that keeps 99 % of the answers to photos keeps about 90 % of these.
LOW_AGREEMENT, LOW_PROCEDURAL_AGREEMENT = 0.9, 0.75
LONGEST_NAME = 32
COMPRESSED_ADVICE = "what was taken out of it is missed: train it again from there (edgenet train), or take out less"


def show_written(artifacts: Sequence[Artifact], as_json: bool, compressed: Sequence[Compressed] = ()) -> None:
    """Show the files that were written with their evidence; what must not be overlooked comes last."""
    if as_json:
        told = {"compression": documents(compressed)} if compressed else {}
        emit_json({"artifacts": [_document(artifact) for artifact in artifacts], **told})
    else:
        _show(artifacts)
        show_compression(compressed)
    for line in _warnings(artifacts):
        warn(line)
    for artifact in artifacts:
        check_repair(artifact.manifest)
    next_command(f"edgenet verify {artifacts[-1].path} --data PHOTOS")


def _document(artifact: Artifact) -> dict[str, Any]:
    # Ranges of each tensor stay in the manifest: they would bury everything else.
    manifest = artifact.manifest.model_dump(mode="json", exclude={"calibration": {"ranges"}, "schema_version": True})
    return {"path": str(artifact.path), **manifest}


def _show(artifacts: Sequence[Artifact]) -> None:
    first = artifacts[0].manifest
    verification = first.verification
    if first.network_error is not None:
        show(f"float graph against the tf_keras network: {first.network_error:.1e} of the largest logit")
    calibration = next((row.manifest.calibration for row in artifacts if row.manifest.calibration), None)
    if calibration:
        show(f"calibrated on {calibration.used} images ({calibration.source}), ranges by {calibration.method}")
        for note in calibration.notes:
            say(f"note: {note}")
    for artifact in artifacts:
        if artifact.manifest.repair:
            show_repair(artifact.manifest.repair)
            break
    if verification:
        show(f"verified on {verification.probe}")
    show()
    show_table(COLUMNS, [_cells(artifact) for artifact in artifacts])
    for artifact in artifacts:
        _show_ort(artifact)
    for artifact in artifacts:
        if artifact.manifest.recipe:
            show_recipe(artifact.manifest)
            break  # the files of one run share it, whatever their format


def _show_ort(artifact: Artifact) -> None:
    ort = artifact.manifest.onnx.ort if artifact.manifest.onnx else None
    if ort:
        path, megabytes = artifact.path.with_name(ort.file), f"{ort.size_bytes / 1e6:.1f} MB"
        show(f"{path}: {megabytes}, answers like {artifact.path.name}, for {ort.written_by} and later ones")


def _cells(artifact: Artifact) -> list[str]:
    manifest = artifact.manifest
    return [str(artifact.path), f"{manifest.size_bytes / 1e6:.1f}", manifest.io, *_evidence(manifest.verification)]


def _evidence(verification: VerificationRecord | None) -> list[str]:
    if verification is None:
        return ["not verified", "", "", ""]
    interval = f"{100 * verification.agreement_low:.1f}–{100 * verification.agreement_high:.1f} %"
    worst = f"{_shortened(verification.worst_layer)} ({decibels(verification.worst_layer_sqnr_db)})"
    return [f"{100 * verification.agreement:.1f} %", interval, decibels(verification.sqnr_db), worst]


def _shortened(name: str) -> str:
    """Return a layer name that fits a table; other tools' names can be hundreds of characters long."""
    return name if len(name) <= LONGEST_NAME else f"...{name[-LONGEST_NAME:]}"


def decibels(value: float | None) -> str:
    """Return a ratio in decibels as text; None says that both sides are equal."""
    return "equal" if value is None else f"{value:.1f}"


def _is_procedural(probe: str) -> bool:
    return probe.endswith("procedural images")  # a folder of photos may have any name


def _lowest(probe: str) -> float:
    return LOW_PROCEDURAL_AGREEMENT if _is_procedural(probe) else LOW_AGREEMENT


def _advice(probe: str) -> str:
    if _is_procedural(probe):
        return "they are harder to tell apart than photos: judge it with edgenet verify FILE --data PHOTOS"
    return "calibrate on more photos, or take --dynamic or --fp16"


def _warnings(artifacts: Sequence[Artifact]) -> list[str]:
    first = artifacts[0].manifest
    lines = list(first.weights.notes)
    if first.weights.source == "random":
        lines.append("RANDOM WEIGHTS: these files classify nothing, and agreement with the float network means little")
        return lines
    for artifact in artifacts:
        verification = artifact.manifest.verification
        if verification and verification.agreement < _lowest(verification.probe):
            advice = COMPRESSED_ADVICE if artifact.manifest.to_compression() else _advice(verification.probe)
            lines.append(
                f"{artifact.path.name} agrees with the float network on {100 * verification.agreement:.1f} % of "
                f"{verification.probe} only; {advice}"
            )
    return lines
