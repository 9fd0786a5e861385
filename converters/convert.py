"""From weights to verified files: the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.calibrate import Calibration, calibrate
from converters.calibration_source import CalibrationSet
from converters.ends import set_ends
from converters.entry import FLOAT_ENTRY, Entry, integer_entry
from converters.evidence import calibration_record, golden_vectors, preprocessing_record, tool_versions
from converters.evidence import verification_record, weights_record
from converters.float_file import build_float
from converters.network_check import network_error
from converters.quantize import quantize_model
from converters.ranges import Range
from edgenet.artifact import GOLDEN_SUFFIX, MODEL_SUFFIX, Artifact, sha256, stem, write_artifact
from edgenet.layers import Architecture, expand
from edgenet.manifest import CalibrationRecord, Manifest, VerificationRecord
from edgenet.precision import IoType, Precision
from edgenet.progress import Report, silent
from edgenet.weights.record import Weights

CALIBRATED: tuple[Precision, ...] = ("w8a8", "w8a16")


@dataclass(frozen=True)
class Probe:
    """Images that calibration does not see: raw pixels [side, side, 3], and where they are from."""

    images: Sequence[NDArray[np.uint8]]
    description: str


@dataclass(frozen=True)
class Job:
    """One conversion: what to write, from what, where to."""

    weights: Weights
    formats: tuple[tuple[Precision, IoType], ...]
    out: Path
    calibration: CalibrationSet | None  # needed for w8a8 and w8a16
    probe: Probe
    golden: Sequence[NDArray[np.uint8]]
    verify: bool = True
    command: tuple[str, ...] = ()


def convert(job: Job, report: Report = silent) -> list[Artifact]:
    """Write every format of `job` with its manifest and golden vectors; each is whole or not there.

    Raise GateFailed if the float graph does not compute the network, InputError for weights, images or a folder that
    cannot be used.
    """
    weights = job.weights
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    float_content = flatbuffer.write(build_float(architecture, weights, FLOAT_ENTRY))
    report("checking the network", 0, 1)
    error = network_error(float_content, architecture, weights, job.golden)
    report("checking the network", 1, 1)
    calibrated = _calibrate(job, architecture, report) if _needs_calibration(job) else None
    writer = _Writer(job, float_content, error, calibrated, report)
    return [writer.write(precision, io) for precision, io in job.formats]


def _needs_calibration(job: Job) -> bool:
    return any(precision in CALIBRATED for precision, _ in job.formats)


@dataclass(frozen=True)
class Calibrated:
    """The float graph that integer files are made from, and its ranges."""

    content: bytes
    entry: Entry
    calibration: Calibration


def _calibrate(job: Job, architecture: Architecture, report: Report) -> Calibrated:
    if job.calibration is None:
        raise ValueError("w8a8 and w8a16 need calibration images")
    entry = integer_entry(job.weights.preprocessing)
    content = flatbuffer.write(build_float(architecture, job.weights, entry))
    result = calibrate(content, entry, entry.ranges(job.weights.preprocessing), job.calibration, report)
    return Calibrated(content, entry, result)


@dataclass(frozen=True)
class _Writer:
    """What all formats of a job share."""

    job: Job
    float_content: bytes
    network_error: float
    calibrated: Calibrated | None
    report: Report

    def write(self, precision: Precision, io: IoType) -> Artifact:
        """Write one format."""
        content = self._content(precision, io)
        golden = golden_vectors(content, self.float_content, self.job.golden)
        name = stem(self.job.weights.variant.name, precision, self.job.weights.source)
        return write_artifact(self.job.out / name, content, golden, self._manifest(precision, io, content))

    def _content(self, precision: Precision, io: IoType) -> bytes:
        ranges = self._ranges(precision)
        if self.calibrated is None or ranges is None:
            return flatbuffer.write(quantize_model(self.float_content, precision, {}))
        entry = self.calibrated.entry
        model = quantize_model(self.calibrated.content, precision, ranges)
        set_ends(model, io, mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
        return flatbuffer.write(model)

    def _ranges(self, precision: Precision) -> dict[str, Range] | None:
        if self.calibrated is None or precision not in CALIBRATED:
            return None
        calibration = self.calibrated.calibration
        return calibration.ranges if precision == "w8a8" else calibration.wide

    def _manifest(self, precision: Precision, io: IoType, content: bytes) -> Manifest:
        weights, ranges = self.job.weights, self._ranges(precision)
        entry = self.calibrated.entry if self.calibrated and ranges is not None else FLOAT_ENTRY
        name = stem(weights.variant.name, precision, weights.source)
        return Manifest(
            file=f"{name}{MODEL_SUFFIX}",
            sha256=sha256(content),
            size_bytes=len(content),
            variant=weights.variant.name,
            precision=precision,
            io=io,
            side_px=weights.preprocessing.side_px,
            weights=weights_record(weights),
            preprocessing=preprocessing_record(weights.preprocessing, entry.describe()),
            network_error=self.network_error,
            calibration=self._calibration(ranges),
            verification=self._verification(precision, content),
            golden=f"{name}{GOLDEN_SUFFIX}",
            tool_versions=tool_versions(),
            command=self.job.command,
        )

    def _calibration(self, ranges: dict[str, Range] | None) -> CalibrationRecord | None:
        if self.calibrated is None or self.job.calibration is None or ranges is None:
            return None
        return calibration_record(self.job.calibration.manifest, self.calibrated.calibration, ranges)

    def _verification(self, precision: Precision, content: bytes) -> VerificationRecord | None:
        if not self.job.verify:
            return None
        self.report(f"verifying {precision}", 0, 1)
        probe = self.job.probe
        record = verification_record(content, self.float_content, probe.images, probe.description)
        self.report(f"verifying {precision}", 1, 1)
        return record
