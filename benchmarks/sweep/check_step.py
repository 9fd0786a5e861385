"""Step `check`: what each target will take of a file, by the published rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.sweep.found import File
from benchmarks.sweep.keys import check_key
from benchmarks.sweep.loop import Task
from benchmarks.sweep.store import Ran
from benchmarks.sweep.sweep import Sweep, title
from benchmarks.sweep.tasks import Timed, check_file
from edgenet.artifact import Artifact


def checks(sweep: Sweep, file: File, artifact: Artifact) -> Iterator[Task]:
    """Yield a task for each target that a file has not been held against."""
    for target in sweep.grid.targets:
        entry = sweep.store.find(check_key(artifact.manifest.sha256, target))
        if entry is None:
            arguments = (artifact.path.name, artifact.path.read_bytes(), target)
            then = partial(_then, sweep, file, artifact, target)
            yield Task(f"check {title(file, target)}", check_file, arguments, then)
        else:
            sweep.found.checks[file, target] = entry
            sweep.tick()


def _then(sweep: Sweep, file: File, artifact: Artifact, target: str, ended: Timed[dict[str, Any]] | Exception) -> None:
    if isinstance(ended, Exception):
        sweep.fail("check", file, ended)
    else:
        ran = Ran("check", title(file, target), check_key(artifact.manifest.sha256, target), ended.duration_s)
        report = (json.dumps(ended.result, indent=1, sort_keys=True) + "\n").encode()
        sweep.found.checks[file, target] = sweep.keep(ran, _summary(ended.result), {f"check-{target}.json": report})
    sweep.tick()


def _summary(document: dict[str, Any]) -> dict[str, Any]:
    if document["refusal"]:
        return {"operators": 0, "accelerated": 0, "uncertain": 0, "estimated_s": {}, "refusal": document["refusal"]}
    return {
        "refusal": "",
        "operators": document["operators"],
        "accelerated": len(document["accelerated_ops"]),
        "uncertain": document["uncertain_operators"],
        "estimated_s": {row["bus"]: row["latency_s"] for row in document["latency"]},
    }
