"""One network through the runtimes of this machine and of devices: `edgenet verify --runtimes`."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from benchmarks.result import RuntimeRecord
from benchmarks.runner_document import RunnerBoard, Text, refused
from converters.conversion import Say
from converters.cross_runtime import Answers, Source, StudiedFile, Study, answers_here, prepare
from converters.cross_table import CrossTable, tabulate
from converters.loaded import TensorInfo, decode
from converters.runtimes import Asked, Runtime
from devices.base import Device, DeviceFull, DeviceLost, DeviceTimeout
from devices.conversation import Conversation
from devices.open import open_device
from edgenet.artifact import sha256
from edgenet.errors import GateFailed, InputError, MissingError
from edgenet.manifest import Record
from edgenet.progress import Report

# A runtime's word in the on-device runner. The reference kernels are not run there: boards take minutes for an image
# of a larger variant, and plain C computes there what it computes here.
DELEGATES = {"xnnpack": "xnnpack", "builtin": "cpu", "onnxruntime": "cpu"}
TIMEOUT_S = 120.0  # of one answer on a device


class AnswersDocument(Record):
    """What the runner gives for one model; `outputs` are the bytes of its first output for each image, base64."""

    schema_version: Literal[1]
    kind: Literal["answers"]
    board: RunnerBoard
    runtime: RuntimeRecord
    applied: Text
    dtype: Literal["float32", "uint8", "int8"]
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]


def verify_runtimes(source: Source, asked: Asked, devices: Sequence[str], report: Report, say: Say) -> CrossTable:
    """Run the files of `source` in each runtime here and on each device, and tabulate how they agree.

    Raise InputError for what cannot be read or accepted, MissingError for a device or a runtime that is not there or is
    in use, GateFailed for a file that crashes a device's runtime.
    """
    there = [runtime for runtime in asked.runtimes if runtime.name in DELEGATES]
    if devices and not there:
        names = ", ".join(DELEGATES)
        raise InputError(f"{asked.runtimes[0].name} is not run on devices", allowed=names, mend="add one to --runtimes")
    if len(set(devices)) < len(devices):
        raise InputError("a device was named twice", mend="name each once")
    opened = [(name, open_device(name)) for name in devices]
    study = prepare(source, asked, there * len(devices), report, say)
    answers = answers_here(study, asked, report)
    for name, device in opened:
        answers += answers_there(study, Asked(tuple(there), asked.lenient), name, device, report)
    table = tabulate(study, answers)
    if all(row.agreement is None for row in table.rows) and not table.broken:
        raise MissingError(f"no file could be run; {table.rows[0].runtime}: {table.rows[0].reason}")
    return table


def answers_there(study: Study, asked: Asked, name: str, device: Device, report: Report) -> list[Answers]:
    """Run every file in each runtime that takes it on a device that `name` stands for; nothing is left running there.

    A model or a runtime that fails there is an answer with its reason under "all", else it is raised.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, np.stack(study.images.pixels))
        try:
            with Conversation(device, report) as conversation:
                inputs = _pushed(conversation, images, "images.npy")
                for file in study.files:
                    for runtime in (row for row in asked.runtimes if row.takes(file.name)):
                        found.append(_answers(conversation, study, file, runtime, inputs, name, asked.lenient))
        finally:
            device.clean_up()
    return found


def _pushed(conversation: Conversation, path: Path, name: str) -> dict[str, Any]:
    content = path.read_bytes()
    pushed = str(conversation.push(path))
    return {"name": name, "path": pushed, "sha256": sha256(content), "golden": ""}


def _answers(
    conversation: Conversation,
    study: Study,
    file: StudiedFile,
    runtime: Runtime,
    inputs: dict[str, Any],
    name: str,
    lenient: bool,
) -> Answers:
    label, machine = f"{runtime.name} @ {name}", conversation.description.machine
    try:
        if file.end is None:
            raise MissingError(f"{runtime.name} is not installed here, to tell the steps of {file.name}")
        model = {**_pushed(conversation, file.artifact.path, file.name), "delegate": DELEGATES[runtime.name]}
        job = {
            "models": [model], "inputs": [inputs], "images": len(study.images.pixels), "threads": 1,
            "timeout_s": TIMEOUT_S,
        }  # fmt: skip
        content = conversation.answer(job)
    except (MissingError, GateFailed) as error:
        if not lenient or isinstance(error, DeviceLost | DeviceTimeout | DeviceFull):
            raise
        return Answers(file.name, label, machine, "", None, str(error))
    document = parse_answers(content, f"the answer of {name}")
    logits = _logits(document, file.end, study, name)
    emulated = f"emulated by {document.board.emulated_by}" if document.board.emulated_by else ""
    untouched = "XNNPACK took no node there" if runtime.name == "xnnpack" and not document.applied else ""
    return Answers(
        file=file.name,
        runtime=label,
        machine=document.board.machine,
        version=f"{document.runtime.name} {document.runtime.version}",
        logits=logits,
        note=", ".join(filter(None, (emulated, untouched))),
    )


def parse_answers(content: bytes, name: str) -> AnswersDocument:
    """Validate a runner's document of answers; raise InputError with the first thing that is wrong in it."""
    try:
        return AnswersDocument.model_validate_json(content)
    except ValidationError as error:
        raise refused(error, f"{name} is not what the runner gives") from error


def _logits(document: AnswersDocument, end: TensorInfo, study: Study, name: str) -> NDArray[np.float32]:
    """Return logits [images, classes] as real numbers; raise InputError for other types or sizes than the file's."""
    classes = study.float_logits.shape[1]
    size_bytes = classes * end.dtype.itemsize
    try:
        outputs = [base64.b64decode(text, validate=True) for text in document.outputs]
    except binascii.Error as error:
        raise InputError(f"{name} gives outputs that are no base64", mend="try again") from error
    fits = len(outputs) == len(study.images.pixels) and all(len(row) == size_bytes for row in outputs)
    if document.dtype != end.dtype.name or not fits:
        wanted = f"{len(study.images.pixels)} outputs of {size_bytes} bytes, {end.dtype.name}"
        raise InputError(f"{name} gives other outputs than it was asked for", allowed=wanted, mend="try again")
    little = end.dtype.newbyteorder("<")
    return decode(np.stack([np.frombuffer(row, little).astype(end.dtype) for row in outputs]), end)
