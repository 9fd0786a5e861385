"""Write a float network in the precisions that were asked for, each file with its evidence."""

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
from converters.entry import FLOAT_ENTRY, Entry
from converters.evidence import (
    calibration_record,
    golden_vectors,
    preprocessing_record,
    tool_versions,
    verification_record,
)
from converters.quantize import ActivationData, quantize_model
from converters.ranges import Range
from edgenet.artifact import GOLDEN_SUFFIX, MODEL_SUFFIX, Artifact, sha256, stem, write_artifact
from edgenet.errors import InputError
from edgenet.manifest import CalibrationRecord, Manifest, VerificationRecord, WeightsRecord
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import Preprocessing
from edgenet.progress import Report, silent

CALIBRATED: tuple[Precision, ...] = ("w8a8", "w8a16")


@dataclass(frozen=True)
class FloatNetwork:
    """A float network as the files are made from it; `content` takes raw pixels 0–255."""

    variant: str
    content: bytes
    integer_content: bytes  # what w8a8 and w8a16 are made from, with the input that `entry` describes
    entry: Entry
    exact: dict[str, Range]  # ranges of the input, known beforehand
    weights: WeightsRecord
    preprocessing: Preprocessing
    network_error: float | None


@dataclass(frozen=True)
class Probe:
    """Images that calibration does not see: raw pixels [side, side, 3], and where they are from."""

    images: Sequence[NDArray[np.uint8]]
    description: str


@dataclass(frozen=True)
class Job:
    """What to write, where to, and on which images to prove it."""

    formats: tuple[tuple[Precision, IoType], ...]
    out: Path
    calibration: CalibrationSet | None  # w8a8 and w8a16 need it
    probe: Probe | None  # None: do not verify
    golden: Sequence[NDArray[np.uint8]]
    command: tuple[str, ...] = ()


def needs_calibration(precisions: Sequence[Precision]) -> bool:
    """Return whether one of the precisions has quantized activations."""
    return any(precision in CALIBRATED for precision in precisions)


def write_formats(network: FloatNetwork, job: Job, report: Report = silent) -> list[Artifact]:
    """Write every format of `job` with its manifest and golden vectors; each is whole or not there.

    Raise InputError for images or a folder that cannot be used.
    """
    calibration = None
    if needs_calibration([precision for precision, _ in job.formats]):
        if job.calibration is None:
            raise InputError("w8a8 and w8a16 need calibration images", mend="give --calib DIR, or --calib builtin")
        calibration = calibrate(network.integer_content, network.entry, network.exact, job.calibration, report)
    writer = _Writer(network, job, calibration, report)
    return [writer.write(precision, io) for precision, io in job.formats]


@dataclass(frozen=True)
class _Writer:
    """What all formats of a job share."""

    network: FloatNetwork
    job: Job
    calibration: Calibration | None
    report: Report

    def write(self, precision: Precision, io: IoType) -> Artifact:
        """Write one format."""
        content = self._content(precision, io)
        golden = golden_vectors(content, self.network.content, self.job.golden)
        name = stem(self.network.variant, precision, self.network.weights.source)
        return write_artifact(self.job.out / name, content, golden, self._manifest(name, precision, io, content))

    def _content(self, precision: Precision, io: IoType) -> bytes:
        data = self._data(precision)
        if data is None:
            return flatbuffer.write(quantize_model(self.network.content, precision))
        entry = self.network.entry
        if self.calibration and data is self.calibration.narrow:
            model = flatbuffer.read(self.calibration.narrow_content)
        else:
            model = quantize_model(self.network.integer_content, precision, data)
        set_ends(model, io, mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
        return flatbuffer.write(model)

    def _data(self, precision: Precision) -> ActivationData | None:
        if self.calibration is None or precision not in CALIBRATED:
            return None
        return self.calibration.narrow if precision == "w8a8" else self.calibration.wide

    def _manifest(self, name: str, precision: Precision, io: IoType, content: bytes) -> Manifest:
        data = self._data(precision)
        folding = (FLOAT_ENTRY if data is None else self.network.entry).describe()
        return Manifest(
            file=f"{name}{MODEL_SUFFIX}",
            sha256=sha256(content),
            size_bytes=len(content),
            variant=self.network.variant,
            precision=precision,
            io=io,
            side_px=self.network.preprocessing.side_px,
            weights=self.network.weights,
            preprocessing=preprocessing_record(self.network.preprocessing, folding),
            network_error=self.network.network_error,
            calibration=self._calibration(data),
            verification=self._verification(precision, content),
            golden=f"{name}{GOLDEN_SUFFIX}",
            tool_versions=tool_versions(),
            command=self.job.command,
        )

    def _calibration(self, data: ActivationData | None) -> CalibrationRecord | None:
        if self.calibration is None or self.job.calibration is None or data is None:
            return None
        return calibration_record(self.job.calibration.manifest, self.calibration, data)

    def _verification(self, precision: Precision, content: bytes) -> VerificationRecord | None:
        probe = self.job.probe
        if probe is None:
            return None
        return verification_record(
            content, self.network.content, probe.images, probe.description, precision, self.report
        )
