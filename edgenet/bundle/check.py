"""Check a bundle again: every file by its hash, and the golden vectors through the runtime here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.loaded import LoadedModel
from converters.metadata_read import read_metadata
from converters.runtime import load_runner
from converters.screen import read_screened
from edgenet.artifact import sha256
from edgenet.bundle.record import (
    BUNDLE_NAME,
    BundleRecord,
    GoldenDocument,
    GoldenRecord,
    read_record,
)
from edgenet.errors import InputError
from edgenet.labels import read_labels
from edgenet.photos import open_upright
from edgenet.preprocessing import crop_photo


@dataclass(frozen=True)
class CaseResult:
    """One golden vector, run here; pixels in levels, logits in the model's units."""

    photo: str
    best: str
    max_pixel_error: int
    max_logit_error: float


@dataclass(frozen=True)
class CheckResult:
    """What was found; `failures` says in words what is not as it was promised."""

    record: BundleRecord
    document: GoldenDocument | None
    cases: tuple[CaseResult, ...]
    failures: tuple[str, ...]


def check_bundle(folder: Path) -> CheckResult:
    """Check a bundle; raise InputError for a folder that is none. What is merely wrong in it is told, not raised."""
    record = read_record(folder / BUNDLE_NAME, BundleRecord)
    failures = list(_changed_files(folder, record))
    if failures:  # what is not what was written is not run
        return CheckResult(record, None, (), tuple(failures))
    labels = read_labels(str(folder / record.labels), record.num_classes)
    golden = read_record(folder / record.golden, GoldenDocument)
    content = read_screened(folder / record.model)
    found = read_metadata(content)
    if not found or found.identity != record.source.identity:
        failures.append(f"{record.model} does not name the manifest of {record.source.file}")
    if found and found.labels() != labels:
        failures.append(f"{record.model} has other labels than {record.labels}")
    runner = load_runner(content)
    place = (folder / record.golden).parent
    cases = tuple(_case(place, row, record, runner, labels) for row in golden.cases)
    return CheckResult(record, golden, cases, (*failures, *_off(cases, golden)))


def _changed_files(folder: Path, record: BundleRecord) -> Iterator[str]:
    for row in record.files:
        path = folder / row.file
        if any(part.is_symlink() for part in (path, *path.parents) if folder in part.parents):
            yield f"{row.file} is a link"
        elif not path.is_file():
            yield f"{row.file} is missing"
        elif path.stat().st_size != row.size_bytes or sha256(path.read_bytes()) != row.sha256:
            yield f"{row.file} is not what was written (sha256 differs)"
    named = {row.file for row in record.files}
    for name in (record.model, record.labels, record.golden):
        if name not in named:
            yield f"{name} is not among the files"


def _case(
    place: Path, row: GoldenRecord, record: BundleRecord, runner: LoadedModel, labels: Sequence[str]
) -> CaseResult:
    pixels = crop_photo(open_upright(place / row.photo), record.photos.to_preprocessing())
    promised = _pixels(place / row.seen, record.photos.side_px)
    logits = runner.logits(pixels)
    if len(logits) != record.num_classes or not all(0 <= answer.index < len(logits) for answer in row.top):
        raise InputError(f"{row.photo} has answers that the model cannot give", mend="bundle again")
    apart = [abs(float(logits[answer.index]) - answer.logit) for answer in row.top]
    error = int(np.abs(pixels.astype(np.int16) - promised.astype(np.int16)).max())
    return CaseResult(row.photo, labels[int(np.argmax(logits))], error, max(apart, default=0.0))


def _pixels(path: Path, side_px: int) -> NDArray[np.uint8]:
    pixels = np.asarray(open_upright(path))
    if pixels.shape != (side_px, side_px, 3):
        raise InputError(f"{path.name} is {list(pixels.shape)}", allowed=f"[{side_px}, {side_px}, 3]")
    return pixels


def _off(cases: Sequence[CaseResult], golden: GoldenDocument) -> Iterator[str]:
    for row in cases:
        if row.max_pixel_error > golden.pixel_tolerance:
            yield f"{row.photo}: what the network sees is off by {row.max_pixel_error} levels"
        if row.max_logit_error > golden.logit_tolerance:
            yield f"{row.photo}: logits are off by {row.max_logit_error:.3g}, allowed {golden.logit_tolerance:.3g}"
