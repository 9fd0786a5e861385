"""The manifest: the evidence that lies beside each artifact, as a strict JSON document."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edgenet.compression import NOTHING, Compression, parse_compression
from edgenet.errors import InputError
from edgenet.first_fault import first_fault
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import SMALLEST_CROP, CropRule, Interpolation, Preprocessing

SCHEMA_VERSION = 1
PixelLevel = Annotated[float, Field(ge=0, le=255)]
Positive = Annotated[float, Field(gt=0)]


def _plain(name: str) -> str:
    if name != Path(name).name or name in ("", ".."):
        raise ValueError("not a plain file name: what belongs to a manifest lies beside it")
    return name


FileName = Annotated[str, AfterValidator(_plain)]


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WeightsRecord(Record):
    """Where the weights came from; sha256 is that of the file that was read ("model": a .tflite file)."""

    source: Literal["packaged", "imagenet", "file", "random", "model"]
    origin: str
    sha256: str
    num_classes: int
    padding: Literal["same", "symmetric"] | None  # None: a model file, which holds its convolutions as they are
    batch_norm_epsilon: float | None
    notes: tuple[str, ...] = ()
    whole_model: bool = False  # the file was a model fine-tuned elsewhere, given by --from
    labels: tuple[str, ...] = ()  # the name of each class; (): not known, as ImageNet's
    widths: dict[str, int] = Field(
        default_factory=dict
    )  # of the layers that channel pruning made narrower than the variant's


class InputRecord(Record):
    """The preprocessing record, pixel units."""

    side_px: int
    crop_rule: CropRule
    crop_fraction: Annotated[float, Field(ge=SMALLEST_CROP, le=1)]
    interpolation: Interpolation
    mean: tuple[PixelLevel, PixelLevel, PixelLevel]
    std: tuple[Positive, Positive, Positive]
    channel_order: Literal["rgb"]
    label_offset: int

    def to_preprocessing(self) -> Preprocessing:
        """Return the record that calibration, verify and the app use."""
        return Preprocessing(**{name: getattr(self, name) for name in InputRecord.model_fields})


class PreprocessingRecord(InputRecord):
    """The preprocessing record, and how much of it the file does itself."""

    folding: str  # how mean and std are part of the file: the file itself takes raw pixels 0–255


class RangeRecord(Record):
    """The real numbers that an activation tensor's steps cover."""

    low: float
    high: float


class SkippedRecord(Record):
    """An image that was not used, and why."""

    name: str
    reason: str


class CalibrationRecord(Record):
    """What the ranges were made from."""

    kind: Literal["builtin", "folder", "array"]
    source: str  # as the user named it
    seed: int
    wanted: int  # images
    used: int  # images
    pixels_sha256: str  # of all pixels in order
    files: dict[str, str]  # name -> sha256
    skipped: tuple[SkippedRecord, ...]
    notes: tuple[str, ...]
    method: str  # which way of choosing ranges won
    # Each way's logit SQNR on calibration images, what the choice rests on; None: the logits are equal.
    candidates_sqnr_db: dict[str, float | None]
    ranges: dict[str, RangeRecord]


class LearnedRangesRecord(Record):
    """Ranges that quantization-aware training learned: nothing was calibrated."""

    origin: str  # the training
    sha256: str  # of the file of its run that holds them
    one_scale: tuple[str, ...]  # layers whose channels share the scale of their weights before batch norms are folded
    ranges: dict[str, RangeRecord]


class VerificationRecord(Record):
    """The written file against the float network, on images that calibration did not see."""

    images: int
    probe: str
    agreement: float
    agreement_low: float  # 95 % Wilson interval
    agreement_high: float
    sqnr_db: float | None  # None: the logits are equal
    max_abs_error: float
    worst_layer: str
    worst_layer_sqnr_db: float | None


class OrtRecord(Record):
    """The .ort file beside an .onnx file: its graph, optimized for any processor, in ONNX Runtime's own format."""

    file: FileName
    sha256: str
    size_bytes: int
    level: Literal["all but NCHWc"]  # which optimizations; NCHWc is a layout for the processor that writes the file
    written_by: str  # that ONNX Runtime and later ones read it


class OnnxRecord(Record):
    """What is particular to an .onnx file."""

    opset: int
    ir_version: int
    activations: Literal["float32", "uint8", "int8"]
    weight_bits: Literal[7, 8, 16, 32]  # 7: 8-bit weights that keep to -64..64
    cpu: Literal["x86-vnni", "x86-avx2", "arm"] | None  # what the two were chosen for; None: there was no choice
    ort: OrtRecord | None


class RepairStepRecord(Record):
    """One trial of a repair: a recipe, what its file showed on the probe and what it cost."""

    rung: str
    recipe: str  # TOML, as --recipe takes it
    agreement: float
    agreement_low: float  # 95 % Wilson interval
    agreement_high: float
    crossed_agreement: float  # each image's errors laid on each image's logits: steadier than counting
    sqnr_db: float | None  # None: the logits are equal
    size_bytes: int  # with int8 ends
    latency_ratio: float  # measured on the converting machine, one thread, in turns with the plain w8a8 file
    full_integer: bool  # every op is an 8-bit one, which an Edge TPU asks for
    high_precision_share: float  # of the multiply-accumulates
    kept: bool  # it was the best file so far
    duration_s: float


class RepairRecord(Record):
    """How a file was repaired; the last step that was kept is the file."""

    target: Literal["cpu", "npu", "edgetpu"]
    min_agree: float
    max_latency_cost: float
    probe: str
    images: int
    passed: bool
    interrupted: bool  # the ladder was not climbed to its end
    steps: tuple[RepairStepRecord, ...]


class LayerRecord(Record):
    """The weights of one layer as the file holds them."""

    name: str
    weights: int
    zero_share: float
    values: int  # different ones


class CompressionRecord(Record):
    """What a network lost before it was written, and what of that its file shows; training asks for nothing here."""

    prune: str  # as --prune takes it; "": nothing was asked for
    clusters: int  # different values a layer may have; 0: any
    macs_share: float  # of the multiply-accumulates, left
    left_alone: str  # which layers are neither pruned nor clustered, and why
    uncompressed: str  # stem of the fp32 file of the network as it was before; "": nothing was asked for
    layers: tuple[LayerRecord, ...]

    def to_compression(self) -> Compression:
        """Return what was asked for; raise InputError for what cannot be."""
        return parse_compression(self.prune, self.clusters)


CompilerTarget = Literal["edgetpu"]


class StatusRecord(Record):
    """A row of the compiler's operation log: so many ops of one kind, and what became of them."""

    operator: str
    count: int
    status: str


class LeftRecord(Record):
    """An op of the model that the compiled file leaves to the CPU."""

    index: int  # in the model
    operator: str
    layer: str
    status: str  # the compiler's words; several where its log does not tell ops of one kind apart
    predicted: Literal["mapped", "may be unmapped", "CPU"]
    mend: str


class CompiledFileRecord(Record):
    """A file that the compiler wrote, as it was read afterwards; bytes are those of the chip's own programs in it."""

    file: FileName
    sha256: str
    size_bytes: int
    accelerated_parts: int  # custom ops
    minimum_runtime: int
    instruction_bytes: int
    cached_parameter_bytes: int
    streamed_parameter_bytes: int


class CompilationRecord(Record):
    """What a compiler made of a model: by its logs, by its files, and by what was predicted."""

    target: CompilerTarget
    compiler_version: str
    place: str  # where it ran: its path here, docker:IMAGE, ssh://HOST
    arguments: tuple[str, ...]
    source_file: FileName
    source_sha256: str
    compiled_with: tuple[FileName, ...]  # models that share the chip's memory with this one
    compile_s: float
    log: dict[str, int]  # what its log says of the model; sizes as rounded there. A pipeline's has a sum over segments
    operators: int  # of the model
    mapped_operators: int
    statuses: tuple[StatusRecord, ...]
    left: tuple[LeftRecord, ...]
    doubts: int  # ops of which nothing published said where they would run
    disagreements: tuple[str, ...]  # with what was predicted, and between log and file
    files: tuple[CompiledFileRecord, ...]  # more than one: the segments of a pipeline


class Manifest(Record):
    """Everything that is known about one artifact."""

    schema_version: Literal[1] = 1
    file: FileName
    sha256: str
    size_bytes: int
    variant: str
    precision: Precision
    io: IoType
    side_px: int
    weights: WeightsRecord
    preprocessing: PreprocessingRecord
    # The float32 graph against the tf_keras network, max abs logit error / max abs logit; None: there is no network.
    network_error: float | None
    calibration: CalibrationRecord | None
    learned_ranges: LearnedRangesRecord | None = None  # instead of a calibration
    verification: VerificationRecord | None
    golden: FileName  # file name of the golden inputs and outputs
    onnx: OnnxRecord | None = None
    recipe: str | None = None  # of a w8a8 file: TOML, as --recipe takes it
    repair: RepairRecord | None = None
    compression: CompressionRecord | None = None
    target: CompilerTarget | None = None  # the compiler whose limits a w8a8 .tflite file keeps
    compilation: CompilationRecord | None = None  # of a file that a compiler made of an artifact
    tool_versions: dict[str, str]
    command: tuple[str, ...]

    def to_preprocessing(self) -> Preprocessing:
        """Return the preprocessing record that calibration, verify and the app use."""
        return self.preprocessing.to_preprocessing()

    def to_compression(self) -> Compression:
        """Return what of the network was asked to go when it was converted; raise InputError for what cannot be."""
        return self.compression.to_compression() if self.compression else NOTHING


# What is left out where a manifest is shown: the range of each tensor would bury everything else.
EACH_RANGE: dict[str, Any] = {"calibration": {"ranges"}, "learned_ranges": {"ranges"}}


class SourceManifest(BaseModel):
    """The part of any manifest that tells its schema apart, read before the rest."""

    schema_version: int = Field(default=0)


def parse_manifest(content: bytes, name: str) -> Manifest:
    """Parse a manifest; raise InputError with the first thing that is wrong in it."""
    try:
        version = SourceManifest.model_validate_json(content).schema_version
        if version != SCHEMA_VERSION:
            raise InputError(f"{name} has schema_version {version}", allowed=str(SCHEMA_VERSION), mend="convert again")
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{name} is not a manifest: {first_fault(error)}", mend="convert again") from error
