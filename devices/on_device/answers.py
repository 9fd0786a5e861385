"""One model's answers to images that the host sent, as the bytes of its first output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.on_device.board import board_facts
from devices.on_device.files import check_content, mark_used
from devices.on_device.processes import MeasuringProcess


def collect_answers(
    job: dict[str, Any], root: Path, emit: Callable[[str, int, int], None], attend: Callable[[], None]
) -> dict[str, object]:
    """Run a job's model on each of its images and return the document; raise SessionFailed.

    The images are one .npy file [N, side, side, 3] uint8; an answer is the first output as it is, not scaled, base64.
    """
    (model,), (images,) = job["models"], job["inputs"]
    for file in (model, images):
        check_content(file)
        mark_used(file)
    process = MeasuringProcess(model["name"], job["timeout_s"], attend)
    try:
        process.ask(
            "load", path=model["path"], delegate=model["delegate"], threads=job["threads"], batch=1, affinity=[],
            golden="",
        )  # fmt: skip
        facts = process.answer()
        step, outputs = "{} there".format(model["name"]), []
        for index in range(job["images"]):
            emit(step, index, job["images"])
            process.ask("answer", images=images["path"], index=index)
            outputs.append(process.answer())
        emit(step, job["images"], job["images"])
    finally:
        process.close()
    return {
        "schema_version": 1,
        "kind": "answers",
        "board": board_facts(root),
        "runtime": facts["runtime"],
        "applied": facts["coverage"]["applied"],
        "dtype": outputs[0]["dtype"],
        "outputs": [row["values"] for row in outputs],
    }
