"""Measure a plan's models on a device: push, measure there, bring the results home."""

from __future__ import annotations

import uuid
from collections import Counter
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.binary_measure import check_plan, measure_by_binary
from benchmarks.from_binary import to_document
from benchmarks.from_runner import Origin, to_results
from benchmarks.plan import Model, Plan
from benchmarks.result import RESULT_SUFFIX, BenchmarkRecord, Setting
from benchmarks.runner_document import RunnerDocument, parse_document, refused
from devices.base import Description, Device
from devices.benchmark_binary import prepare
from devices.conversation import Conversation
from devices.shell_lock import shell_lock
from edgenet.atomic import write_files
from edgenet.errors import InputError
from edgenet.progress import Report
from edgenet.weights.cache import file_digest

LONGEST_PART_BYTES = 100  # a name has 255, of which the time and the suffix take 32


def measure(
    device: Device, name: str, plan: Plan, command: tuple[str, ...], report: Report, binary: str = ""
) -> list[BenchmarkRecord]:
    """Return one result a model of the plan, measured on a device that `name` stands for.

    `binary` is a benchmark_model, a path or https://...#sha256=HEX, for a device without Python. Raise MissingError for
    a device, a runtime or a delegate that is not there or is in use, GateFailed for a model that crashes or hangs
    there, or answers wrongly.
    """
    try:
        if binary:
            document, description = _by_binary(device, plan, binary, report)
        else:
            document, description = _by_runner(device, plan, report)
    finally:
        device.clean_up()
    origin = Origin(
        name=name,
        address=device.address,
        facts=description.facts,
        kind=description.kind,  # type: ignore[arg-type]  # a Description's kind is one of the four
        session_id=uuid.uuid4().hex,
        command=tuple(word.encode(errors="replace").decode() for word in command),  # names of files may be no UTF-8
        edgenet_version=version("edgenet"),
    )
    manifests = {model.manifest.sha256: model.manifest for model in plan.models if model.manifest}
    return to_results(document, origin, manifests)


def _by_runner(device: Device, plan: Plan, report: Report) -> tuple[RunnerDocument, Description]:
    with Conversation(device, report) as conversation:
        job = _job(plan, [_pushed(model, plan, conversation) for model in plan.models])
        content = conversation.measure(job)
    document = parse_document(content, f"the answer of {device.address}")
    check_answer(document, job, plan)
    return document, conversation.description


def _by_binary(device: Device, plan: Plan, binary: str, report: Report) -> tuple[RunnerDocument, Description]:
    check_plan(plan)
    report(f"connecting {device.address}", 0, 1)
    description = device.describe()
    try:
        with shell_lock(device, description.home):
            prepared = prepare(device, description, binary, report)
            paths = [device.push(model.path, report) for model in plan.models]
            session = measure_by_binary(device, prepared, paths, plan, report)
        return to_document(session, description, prepared, plan), description
    except ValidationError as error:
        raise refused(error, f"what {device.address} tells cannot be") from error


def check_answer(document: RunnerDocument, job: dict[str, Any], plan: Plan) -> None:
    """See that a device answers what it was asked, each model once in each setting; raise InputError."""
    asked = [(model["name"], model["sha256"], model["format"]) for model in job["models"]]
    settings = Counter(
        (index, Setting(threads=threads, processes=processes, batch=batch, affinity=plan.affinity, delegate=delegate))
        for index, delegate in enumerate(plan.delegate_of(model) for model in plan.models)
        for processes, batch, threads in product(plan.processes, plan.batches, plan.threads)
    )
    for what, told, wanted in (
        ("models", [(model.name, model.sha256, model.format) for model in document.models], asked),
        ("settings", Counter((row.model, row.setting) for row in document.measurements), settings),
        ("protocol", document.protocol, plan.protocol),
    ):
        if told != wanted:
            raise InputError(f"the device answers for other {what} than it was asked for", mend="measure again")


def write_results(results: list[BenchmarkRecord], folder: Path) -> list[Path]:
    """Write each result under a name that tells model, device and time; return the paths; raise InputError."""
    stems = Counter(Path(row.model.file).stem for row in results)
    names = [row.model.file if stems[Path(row.model.file).stem] > 1 else Path(row.model.file).stem for row in results]
    documents = {
        folder / result_name(name, row): (row.model_dump_json(indent=1) + "\n").encode()
        for name, row in zip(names, results, strict=True)
    }
    write_files(documents)
    return list(documents)


def result_name(model: str, result: BenchmarkRecord) -> str:
    """Return a result's file name: lite0-w8a8@pi4-20260131-120000.benchmark.json."""
    device = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in result.device.name)
    moment = result.session.started_at.replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
    return f"{_short(model)}@{_short(device)}-{moment}{RESULT_SUFFIX}"


def _short(text: str) -> str:
    """Return the end of a text, which tells most, in so many bytes that a file system takes two for one name."""
    return text.encode()[-LONGEST_PART_BYTES:].decode(errors="ignore")


def _pushed(model: Model, plan: Plan, conversation: Conversation) -> dict[str, Any]:
    golden = str(conversation.push(model.golden)) if model.golden else ""
    return {
        "name": model.label,
        "path": str(conversation.push(model.path)),
        "sha256": file_digest(model.path),
        "size_bytes": model.path.stat().st_size,
        "format": model.format,
        "golden": golden,
        "delegate": plan.delegate_of(model),
    }


def _job(plan: Plan, models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "models": models,
        "cached": True,
        "protocol": plan.protocol.model_dump(),
        "threads": list(plan.threads),
        "processes": list(plan.processes),
        "batches": list(plan.batches),
        "affinity": list(plan.affinity),
        "fix_governor": plan.fix_governor,
        "timeout_s": plan.timeout_s,
    }
