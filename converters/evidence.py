"""Put together what lies beside a file: its verification, its golden vectors, its manifest."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from converters.calibrate import Calibration
from converters.calibration_source import CalibrationManifest
from converters.quantize import ActivationData
from converters.verify import all_logits, compare, layer_errors
from edgenet.artifact import Golden
from edgenet.manifest import (
    CalibrationRecord,
    PreprocessingRecord,
    RangeRecord,
    SkippedRecord,
    VerificationRecord,
    WeightsRecord,
)
from edgenet.preprocessing import Preprocessing
from edgenet.progress import Report
from edgenet.weights.record import Weights

_TOOLS = (
    "edgenet", "numpy", "flatbuffers", "ai-edge-litert", "litert-quantizer", "tensorflow", "tf-keras", "pillow", "onnx",
    "onnxruntime",
)  # fmt: skip


def tool_versions() -> dict[str, str]:
    """Return the versions of everything that has a hand in a file; a package that is not installed is left out."""
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _TOOLS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def golden_vectors(content: bytes, float_content: bytes, pixels: Sequence[NDArray[np.uint8]]) -> Golden:
    """Run a file and the float file on raw pixels [side, side, 3] and keep both answers."""
    own = np.stack(list(all_logits(content, pixels)))
    reference = np.stack(list(all_logits(float_content, pixels)))
    return Golden(np.stack(list(pixels)), own, reference)


def verification_record(
    content: bytes,
    float_content: bytes,
    images: Sequence[NDArray[np.uint8]],
    probe: str,
    name: str,
    report: Report,
) -> VerificationRecord:
    """Hold a file against the float file on images that calibration did not see; `name` is for the progress."""
    agreement = compare(float_content, content, images, f"verifying {name}", report)
    worst = layer_errors(float_content, content, images, f"layers of {name}", report)[0]
    share = agreement.agreement
    return VerificationRecord(
        images=agreement.images,
        probe=probe,
        agreement=share.fraction,
        agreement_low=share.low,
        agreement_high=share.high,
        sqnr_db=_finite(agreement.sqnr_db),
        max_abs_error=agreement.max_abs_error,
        worst_layer=worst.name,
        worst_layer_sqnr_db=_finite(worst.sqnr_db),
    )


def _finite(value: float) -> float | None:
    """JSON has no infinity: None says that there was no error at all."""
    return value if math.isfinite(value) else None


def weights_record(weights: Weights) -> WeightsRecord:
    """Return where the weights came from, for the manifest."""
    return WeightsRecord(
        source=weights.source,
        origin=weights.origin,
        sha256=weights.sha256,
        num_classes=weights.num_classes,
        padding=weights.convention.padding,
        batch_norm_epsilon=weights.convention.batch_norm_epsilon,
        notes=weights.notes,
        whole_model=weights.whole_model,
        labels=weights.labels,
        widths=dict(weights.widths),
    )


def preprocessing_record(preprocessing: Preprocessing, folding: str) -> PreprocessingRecord:
    """Return the preprocessing record for the manifest, with how much of it the file does itself."""
    return PreprocessingRecord(
        side_px=preprocessing.side_px,
        crop_rule=preprocessing.crop_rule,
        crop_fraction=preprocessing.crop_fraction,
        interpolation=preprocessing.interpolation,
        mean=preprocessing.mean,
        std=preprocessing.std,
        channel_order=preprocessing.channel_order,
        label_offset=preprocessing.label_offset,
        folding=folding,
    )


def calibration_record(
    images: CalibrationManifest, calibration: Calibration, data: ActivationData, method: str
) -> CalibrationRecord:
    """Return what the ranges were made from, for the manifest."""
    return CalibrationRecord(
        kind=images.kind,
        source=images.source,
        seed=images.seed,
        wanted=images.wanted,
        used=images.used,
        pixels_sha256=images.pixels_sha256,
        files={file.name: file.sha256 for file in images.files},
        skipped=tuple(SkippedRecord(name=row.name, reason=row.reason) for row in images.skipped),
        notes=images.notes,
        method=method,
        candidates_sqnr_db={name: _finite(round(value, 2)) for name, value in calibration.candidates_sqnr_db.items()},
        ranges={name: RangeRecord(low=row.low, high=row.high) for name, row in data.ranges.items()},
    )
