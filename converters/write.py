"""Write a float network in the precisions that were asked for, each file with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from converters import flatbuffer
from converters.calibrate import Calibration, calibrate
from converters.card import Facts, with_card
from converters.compress.network import compression_record
from converters.dense_as_convolution import dense_as_convolution
from converters.ends import set_ends
from converters.entry import FLOAT_ENTRY
from converters.evidence import (
    calibration_record,
    golden_vectors,
    preprocessing_record,
    tool_versions,
    verification_record,
)
from converters.job import FloatNetwork, Job
from converters.made import CALIBRATED, LEARNED, Made, make
from converters.onnx_file.facts import file_facts
from converters.onnx_file.file import write_onnx
from converters.onnx_file.seven_bits import round_to_seven_bits
from converters.probe import surest_probe
from edgenet.artifact import (
    GOLDEN_SUFFIX,
    MODEL_SUFFIX,
    ONNX_SUFFIX,
    Artifact,
    FileFormat,
    beside,
    sha256,
    stem,
    write_artifact,
)
from edgenet.errors import InputError
from edgenet.manifest import (
    CalibrationRecord,
    Manifest,
    OnnxRecord,
    PreprocessingRecord,
    VerificationRecord,
)
from edgenet.precision import IoType, Precision
from edgenet.progress import Report, silent


def needs_calibration(precisions: Sequence[Precision], *, learned: bool = False) -> bool:
    """Return whether one of the precisions has quantized activations whose ranges were not `learned` in training."""
    return any(precision in CALIBRATED and not (learned and precision == "w8a8") for precision in precisions)


def write_formats(
    network: FloatNetwork, job: Job, report: Report = silent, say: Callable[[str], None] = lambda text: None
) -> list[Artifact]:
    """Write every format of `job` with its manifest and golden vectors; each is whole or not there.

    `say` is told how each rung of a repair went. A repair that is interrupted still writes its best file so far.
    Raise InputError for images or a folder that cannot be used.
    """
    calibration = None
    if needs_calibration([precision for precision, _ in job.formats], learned=network.learned is not None):
        if job.calibration is None:
            raise InputError("w8a8 and w8a16 need calibration images", mend="give --calib DIR, or --calib builtin")
        calibration = calibrate(
            network.integer_content, network.entry, network.exact, job.calibration, report, network.keeps_sums
        )
    if job.repair and job.probe and job.probe.is_procedural:
        job = replace(job, probe=surest_probe(network))
    writer = _Writer(network, job, calibration, report, say)
    artifacts = [artifact for precision, io in job.formats for artifact in writer.write(precision, io)]
    for artifact in artifacts:
        if artifact.manifest.repair and artifact.manifest.repair.interrupted:
            say(f"interrupted: {artifact.path} is the best file so far, and its manifest says so")
            raise KeyboardInterrupt
    return artifacts


@dataclass(frozen=True)
class _File:
    """A model file and what goes with it; `more` are further files by their names."""

    name: str
    content: bytes
    onnx: OnnxRecord | None
    more: Mapping[str, bytes]


@dataclass(frozen=True)
class _Writer:
    """What all formats of a job share."""

    network: FloatNetwork
    job: Job
    calibration: Calibration | None
    report: Report
    say: Callable[[str], None]

    def write(self, precision: Precision, io: IoType) -> list[Artifact]:
        """Write one precision in every file format."""
        made = make(self.network, self.job, self.calibration, precision, self.report, self.say)
        files = [self._file(made, precision, io, kind) for kind in self.job.files.formats]
        return [self._artifact(made, file, precision, io) for file in files]

    def _artifact(self, made: Made, file: _File, precision: Precision, io: IoType) -> Artifact:
        golden = golden_vectors(file.content, self.network.reference, self.job.golden)
        manifest = self._manifest(made, file, precision, io)
        return write_artifact(self.job.out, file.content, golden, manifest, file.more)

    def _file(self, made: Made, precision: Precision, io: IoType, kind: FileFormat) -> _File:
        model, entry = made.model, self.network.entry
        if made.data is not None:
            if kind == "onnx" and self.job.files.onnx.weight_bits == 7:
                round_to_seven_bits(model, flatbuffer.read(made.float_content), made.data.means)
            if self._for_edgetpu(precision):
                dense_as_convolution(model)
            set_ends(model, io, mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
        name = stem(self.network.variant, precision, self.network.weights.source, self.network.marks)
        if kind == "tflite":
            return _File(f"{name}{MODEL_SUFFIX}", with_card(model, self._facts(made, precision, io)), None, {})
        facts = file_facts(self.network.variant, precision, io, self.network.weights, self._preprocessing(made))
        written = write_onnx(model, name, precision, self.job.files.onnx, facts)
        return _File(f"{name}{ONNX_SUFFIX}", written.content, written.record, written.more)

    def _facts(self, made: Made, precision: Precision, io: IoType) -> Facts:
        target = self.job.target if self._for_edgetpu(precision) else None
        return Facts(
            self.network.variant, precision, io, self.network.weights, self._preprocessing(made), made.recipe, target
        )

    def _for_edgetpu(self, precision: Precision) -> bool:
        return self.job.target == "edgetpu" and precision == "w8a8"

    def _preprocessing(self, made: Made) -> PreprocessingRecord:
        entry = FLOAT_ENTRY if made.data is None else self.network.entry
        return preprocessing_record(self.network.preprocessing, entry.describe())

    def _manifest(self, made: Made, file: _File, precision: Precision, io: IoType) -> Manifest:
        return Manifest(
            file=file.name,
            sha256=sha256(file.content),
            size_bytes=len(file.content),
            variant=self.network.variant,
            precision=precision,
            io=io,
            side_px=self.network.preprocessing.side_px,
            weights=self.network.weights,
            preprocessing=self._preprocessing(made),
            network_error=self.network.network_error,
            calibration=self._calibration(made),
            learned_ranges=self.network.learned.record if self.network.learned and precision == "w8a8" else None,
            verification=self._verification(precision, file.content),
            golden=beside(Path(file.name), GOLDEN_SUFFIX).name,
            onnx=file.onnx,
            recipe=made.recipe,
            repair=made.repair,
            compression=compression_record(self.network, made.content),
            target=self.job.target if self._for_edgetpu(precision) else None,
            tool_versions=tool_versions(),
            command=self.job.command,
        )

    def _calibration(self, made: Made) -> CalibrationRecord | None:
        if self.calibration is None or self.job.calibration is None or made.data is None or made.ranges_by == LEARNED:
            return None
        return calibration_record(self.job.calibration.manifest, self.calibration, made.data, made.ranges_by)

    def _verification(self, precision: Precision, content: bytes) -> VerificationRecord | None:
        probe = self.job.probe
        if probe is None:
            return None
        return verification_record(
            content, self.network.reference, probe.images, probe.description, precision, self.report
        )
