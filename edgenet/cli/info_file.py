"""`edgenet info FILE`: what a file holds, and what its manifest says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from converters.metadata_read import read_metadata
from converters.onnx_file.summary import summarize_onnx
from converters.screen import read_screened
from converters.tflite_summary import End, Summary, summarize
from edgenet.artifact import MANIFEST_SUFFIX, ONNX_SUFFIX, beside, find_artifacts
from edgenet.cli.console import Column, emit_json, next_command, show, show_table
from edgenet.cli.info_compiled import is_compiled, show_compiled
from edgenet.cli.info_metadata import metadata_document, show_metadata
from edgenet.manifest import EACH_RANGE, Manifest

OP_COLUMNS = (Column("op"), Column("version", numeric=True), Column("count", numeric=True))


def show_file(path: Path, as_json: bool) -> None:
    """Show a model file of any origin; raise InputError for one that cannot be loaded, or belies its manifest."""
    is_tflite = path.suffix != ONNX_SUFFIX
    if is_tflite and is_compiled(path):
        show_compiled(path, as_json)
        return
    content = read_screened(path)
    summary = summarize(content) if is_tflite else summarize_onnx(content)
    metadata = read_metadata(content) if is_tflite else None
    manifest = _manifest(path)
    if as_json:
        document = manifest.model_dump(mode="json", exclude=EACH_RANGE) if manifest else None
        told = metadata_document(metadata)
        emit_json({"path": str(path), **asdict(summary), "metadata": told, "manifest": document})
        return
    _show_summary(path, summary)
    if is_tflite:
        show(f"signatures: {', '.join(summary.signatures) or 'none'}")
        show_metadata(metadata, manifest)
    if manifest is None:
        show("no manifest beside it: preprocessing, weights and accuracy are not known")
    else:
        _show_manifest(manifest)
    show()
    show_table(OP_COLUMNS, [(op.name, str(op.version), str(op.count)) for op in summary.ops])
    if manifest is None:
        verb = "quantize" if is_tflite else "convert --from"
        next_command(f"edgenet {verb} {path} --int8 --calib PHOTOS")
    else:
        next_command(f"edgenet verify {path} --data PHOTOS")


def _manifest(path: Path) -> Manifest | None:
    return find_artifacts(path)[0].manifest if beside(path, MANIFEST_SUFFIX).exists() else None


def _show_summary(path: Path, summary: Summary) -> None:
    show(f"{path.name}: {summary.size_bytes / 1e6:.1f} MB, sha256 {summary.sha256}")
    if summary.description:
        show(f"description: {summary.description}")
    for word, ends in (("input", summary.inputs), ("output", summary.outputs)):
        for end in ends:
            show(f"{word}: {end.name} {end.type} {list(end.shape)}{_quantization(end)}")


def _quantization(end: End) -> str:
    return f", scale {end.scale:g}, zero point {end.zero_point}" if end.scale else ""


def _show_manifest(manifest: Manifest) -> None:
    record, weights, verification = manifest.preprocessing, manifest.weights, manifest.verification
    show(f"variant: {manifest.variant}, {manifest.precision}")
    show(f"weights: {weights.source}, {weights.origin}, sha256 {weights.sha256[:16]}...")
    for line in _compression(manifest):
        show(line)
    show(
        f"photos: {record.crop_rule.replace('_', ' ')} {record.crop_fraction:g}, {record.interpolation}, raw RGB 0-255"
    )
    show(f"mean {_numbers(record.mean)}, std {_numbers(record.std)}: {record.folding}")
    if verification:
        show(
            f"verified on {verification.probe}: same top-1 as float on {100 * verification.agreement:.1f} % "
            f"({100 * verification.agreement_low:.1f}–{100 * verification.agreement_high:.1f} %)"
        )


def _compression(manifest: Manifest) -> Iterator[str]:
    record, widths = manifest.compression, manifest.weights.widths
    if widths:
        fewest = ", ".join(
            f"{name} {channels}" for name, channels in sorted(widths.items(), key=lambda row: row[1])[:3]
        )
        yield f"channels: {len(widths)} layers are narrower than the variant's (fewest: {fewest})"
    if record:
        weights = sum(row.weights for row in record.layers)
        zeros = sum(row.weights * row.zero_share for row in record.layers)
        asked = record.to_compression().spelled or "nothing, it was trained so"
        left = f", {100 * record.macs_share:.1f} % of the multiply-accumulates" if record.macs_share < 1 else ""
        yield f"compression: asked for {asked}; {100 * zeros / max(1, weights):.1f} % of the weights are zero{left}"


def _numbers(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{value:g}" for value in values)
