"""Verify the artifacts of a place: manifests, golden vectors, float network, photos, gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from converters.conversion import Say
from converters.golden_check import GoldenResult, check_golden
from converters.probe import procedural_probe
from converters.reference import float_reference
from converters.screen import read_screened
from converters.verify import compare
from converters.verify_photos import compare_on_photos
from edgenet.agreement import Agreement
from edgenet.artifact import Artifact, find_artifacts, read_golden
from edgenet.datasets import open_dataset
from edgenet.errors import InputError
from edgenet.photos import Skipped
from edgenet.progress import Report


@dataclass(frozen=True)
class VerifiedFile:
    """One file's result."""

    path: Path
    golden: GoldenResult
    agreement: Agreement

    @property
    def sqnr_db(self) -> float | None:
        """Return the logits' SQNR; None says that they are equal."""
        return self.agreement.sqnr_db if math.isfinite(self.agreement.sqnr_db) else None


@dataclass(frozen=True)
class Verified:
    """All files' results on the same images."""

    rows: tuple[VerifiedFile, ...]
    images: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the result for --json."""
        files = [
            {
                "path": str(row.path),
                "golden": {**asdict(row.golden), "passed": row.golden.passed},
                **asdict(row.agreement),
                "sqnr_db": row.sqnr_db,
            }
            for row in self.rows
        ]
        return {
            "images": self.images,
            "files": files,
            "skipped": [asdict(row) for row in self.skipped],
            "notes": self.notes,
        }


def verify(
    out: Path, data: Path | None, labels: Path | None, reference: Path | None, weights: str, report: Report, say: Say
) -> Verified:
    """Verify the artifacts at `out`; raise InputError for what cannot be read, or files that share no preprocessing."""
    artifacts = find_one_network(out)
    contents = []
    for index, artifact in enumerate(artifacts):
        report("loading files", index, len(artifacts))
        contents.append(read_screened(artifact.path))
    report("loading files", len(artifacts), len(artifacts))
    golden = [check_golden(content, read_golden(row)) for row, content in zip(artifacts, contents, strict=True)]
    float_content = float_reference(artifacts[0], reference, weights, say)
    agreements, images, skipped, notes = _compare(artifacts[0], float_content, contents, data, labels, report)
    notes += tuple(_learned_note(row) for row in artifacts if row.manifest.learned_ranges)
    rows = zip(artifacts, golden, agreements, strict=True)
    return Verified(tuple(VerifiedFile(row.path, check, found) for row, check, found in rows), images, skipped, notes)


def _learned_note(artifact: Artifact) -> str:
    return (
        f"the ranges and steps of {artifact.path.name} were learned in quantization-aware training: "
        "it follows the network in steps; what it is compared with is the network without them"
    )


def find_one_network(out: Path) -> list[Artifact]:
    """Return the artifacts at `out`, which one float network answers for; raise InputError."""
    artifacts = find_artifacts(out)
    groups = groupby(artifacts, key=lambda row: (row.manifest.weights.sha256, row.manifest.preprocessing.side_px))
    if len(list(groups)) > 1 or len({row.manifest.to_preprocessing() for row in artifacts}) > 1:
        raise InputError(f"{out} holds files of several networks", mend="verify them one by one")
    return artifacts


def _compare(
    first: Artifact,
    float_content: bytes,
    contents: Sequence[bytes],
    data: Path | None,
    labels: Path | None,
    report: Report,
) -> tuple[tuple[Agreement, ...], str, tuple[Skipped, ...], tuple[str, ...]]:
    preprocessing = first.manifest.to_preprocessing()
    if data is None:
        probe = procedural_probe(preprocessing)
        results = tuple(
            compare(float_content, content, probe.images, f"comparing file {number}", report)
            for number, content in enumerate(contents, 1)
        )
        return results, probe.description, (), ()
    known = first.manifest.weights
    dataset = open_dataset(data, known.num_classes - preprocessing.label_offset, labels, known.labels)
    result = compare_on_photos(float_content, contents, dataset, preprocessing, report)
    images = f"photos of {data}" + (f", labels by {dataset.rule}" if dataset.labelled else ", without labels")
    return result.agreements, images, result.skipped, dataset.notes


def failures(rows: Sequence[VerifiedFile], max_drop: float | None, min_agree: float | None) -> list[str]:
    """Return one sentence for each gate that a file does not pass."""
    found = []
    for row in rows:
        name, share = row.path.name, row.agreement.agreement
        if not row.golden.passed:
            off, allowed = row.golden.max_abs_error, row.golden.tolerance
            found.append(f"{name} is off its golden vectors by {off:.3g} (at most {allowed:.3g})")
        if min_agree is not None and share.fraction < min_agree:
            found.append(f"{name} agrees with float on {share.fraction:.4f} of the images (at least {min_agree:g})")
        accuracy = row.agreement.accuracy
        if max_drop is not None and accuracy and accuracy.drop.points > max_drop:
            found.append(f"{name} loses {accuracy.drop.points:.2f} points of top-1 (at most {max_drop:g})")
    return found
