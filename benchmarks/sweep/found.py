"""What a sweep knows at one moment: the steps of each file, and what failed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sweep.record import FailureRecord
from benchmarks.sweep.store import Entry
from edgenet.artifact import MANIFEST_SUFFIX, MODEL_SUFFIX, Artifact, beside, read_manifest
from edgenet.precision import Precision

File = tuple[str, Precision]  # a variant at a precision
ANY_DEVICE: str | None = None


@dataclass
class Found:
    """Entries by file, and by target or device where there are several; failures of a file hold on every device."""

    models: dict[File, Artifact] = field(default_factory=dict)
    checks: dict[tuple[File, str], Entry] = field(default_factory=dict)
    evaluations: dict[File, Entry] = field(default_factory=dict)
    benchmarks: dict[tuple[File, str], Entry] = field(default_factory=dict)
    failures: dict[tuple[File, str | None], list[FailureRecord]] = field(default_factory=lambda: defaultdict(list))
    data: dict[str, Any] | None = None  # the document of a DataRecord

    def keep_model(self, file: File, entry: Entry) -> None:
        """Remember a file that was converted, whose hash the store has checked.

        Raise InputError if its manifest is not one of this version.
        """
        path = next(path for path in entry.files if path.suffix == MODEL_SUFFIX)
        self.models[file] = Artifact(path, read_manifest(beside(path, MANIFEST_SUFFIX)))

    def keep_evaluation(self, file: File, entry: Entry) -> None:
        """Remember what a file answered, and to what."""
        self.evaluations[file] = entry
        self.data = self.data or entry.document["data"]

    def fail(self, file: File, failure: FailureRecord, device: str | None = ANY_DEVICE) -> None:
        """Remember that a step of a file gave no result, on one device or at all."""
        self.failures[file, device].append(failure)
