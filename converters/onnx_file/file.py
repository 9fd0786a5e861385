"""The bytes of an .onnx file: translated, described, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from converters.flatbuffer import Model
from converters.model_file import LIMIT_BYTES
from converters.onnx_file.ends import output_steps
from converters.onnx_file.gains import gains_facts
from converters.onnx_file.options import OnnxOptions
from converters.onnx_file.ort_file import WRITTEN_LEVEL, ort_bytes, runtime_name
from converters.onnx_file.translate import translate
from edgenet.artifact import sha256
from edgenet.errors import InputError
from edgenet.manifest import OnnxRecord, OrtRecord
from edgenet.precision import Precision

if TYPE_CHECKING:
    from onnx import ModelProto

ORT_SUFFIX = ".ort"
_WEIGHT_BITS: dict[Precision, Literal[8, 16, 32]] = {"fp32": 32, "fp16": 16, "w8": 8}


@dataclass(frozen=True)
class OnnxFile:
    """An .onnx file with its record, and the files that belong to it by their names."""

    content: bytes
    record: OnnxRecord
    more: dict[str, bytes]


def write_onnx(
    model: Model, name: str, precision: Precision, options: OnnxOptions, facts: Mapping[str, str]
) -> OnnxFile:
    """Return a TFLite model as an .onnx file called `name` + .onnx; `facts` become its metadata.

    Raise InputError for an op that has no counterpart, or a file beyond the 2 GiB of a protobuf message.
    """
    facts = {**facts, **gains_facts(model)}
    message = translate(model, options)
    scale, zero_point = output_steps(message.graph, message.graph.output[0].name)
    if scale:
        facts = {**facts, "output_scale": repr(scale), "output_zero_point": str(zero_point)}
    for key, value in sorted(facts.items()):
        message.metadata_props.add(key=key, value=value)
    content = _checked(message)
    record = OnnxRecord(
        opset=options.opset,
        ir_version=message.ir_version,
        activations=options.activations if precision == "w8a8" else "float32",
        weight_bits=options.weight_bits if precision == "w8a8" else _WEIGHT_BITS[precision],
        cpu=options.cpu if precision == "w8a8" else None,
        ort=None,
    )
    if not options.ort:
        return OnnxFile(content, record, {})
    optimized, file = ort_bytes(content), name + ORT_SUFFIX
    ort = OrtRecord(
        file=file,
        sha256=sha256(optimized),
        size_bytes=len(optimized),
        level=WRITTEN_LEVEL,
        written_by=runtime_name(),
    )
    return OnnxFile(content, record.model_copy(update={"ort": ort}), {file: optimized})


def _checked(message: ModelProto) -> bytes:
    """Return the bytes of a message that ONNX's own checker and shape inference agree with."""
    import onnx

    size_bytes = message.ByteSize()
    if size_bytes > LIMIT_BYTES:
        raise InputError(f"the .onnx file would have {size_bytes} bytes", allowed=f"at most {LIMIT_BYTES} (2 GiB)")
    onnx.checker.check_model(message, full_check=True)
    return bytes(message.SerializeToString(deterministic=True))
