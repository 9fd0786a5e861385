"""From counts to figures with their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from benchmarks.accuracy.lineup import Reference
from benchmarks.accuracy.record import (
    BINNING,
    AgreementRecord,
    BinRecord,
    CalibrationErrorRecord,
    ClassRecord,
    DataRecord,
    FileRecord,
    PassedOverRecord,
    ShareRecord,
)
from benchmarks.accuracy.tally import BINS, Tally
from benchmarks.result import ModelRecord
from edgenet.agreement import proportion
from edgenet.artifact import Artifact
from edgenet.labelled.stream import LabelledImages
from edgenet.labelled.unreadable import SkippedCount
from edgenet.manifest import InputRecord, SkippedRecord

BACKGROUND = -1  # the class of an answer that no image of the data has


def file_record(
    artifact: Artifact, name: str, tally: Tally, names: Mapping[int, str], reference: Reference | None
) -> FileRecord:
    """Return the figures of one file from its counts; `names` are those of the data's classes by index."""
    manifest = artifact.manifest
    offset = manifest.preprocessing.label_offset
    answers = Counter({(label - offset, given - offset): count for (label, given), count in tally.answers.items()})
    return FileRecord(
        name=name,
        model=ModelRecord(
            file=artifact.path.name,
            sha256=manifest.sha256,
            size_bytes=manifest.size_bytes,
            format="onnx" if artifact.path.suffix == ".onnx" else "tflite",
            variant=manifest.variant,
            precision=manifest.precision,
            weights=manifest.weights.source,
        ),
        preprocessing=InputRecord(**{key: getattr(manifest.preprocessing, key) for key in InputRecord.model_fields}),
        top1=share(tally.top1, tally.images),
        top5=share(tally.top5, tally.images),
        agreement=_agreement(tally, reference),
        calibration_error=calibration_error(tally),
        classes=class_records(answers, names),
        confusion=tuple((label, given, count) for (label, given), count in sorted(answers.items())),
    )


def share(hits: int, images: int) -> ShareRecord:
    """Return a share with its Wilson interval."""
    found = proportion(hits, images)
    return ShareRecord(hits=hits, images=images, fraction=found.fraction, low=found.low, high=found.high)


def _agreement(tally: Tally, reference: Reference | None) -> AgreementRecord | None:
    if tally.comparison is None or reference is None:
        return None
    found = tally.comparison.result()
    if found.accuracy is None:
        raise ValueError("an evaluation has labels")
    drop = found.accuracy.drop
    return AgreementRecord(
        reference=reference.name,
        reference_sha256=reference.sha256,
        same_top1=share(found.agreement.hits, found.agreement.images),
        sqnr_db=found.sqnr_db if math.isfinite(found.sqnr_db) else None,
        drop_points=drop.points,
        drop_low_points=drop.low_points,
        drop_high_points=drop.high_points,
    )


def calibration_error(tally: Tally) -> CalibrationErrorRecord:
    """Return the sum over the bins of |right - confidence| / images, equation 3 of the paper, with its bins."""
    counts = zip(tally.bin_images.tolist(), tally.bin_right.tolist(), tally.bin_confidence.tolist(), strict=True)
    rows = list(counts)
    expected = sum(abs(right - confidence) for _, right, confidence in rows) / tally.images
    bins = tuple(
        BinRecord(
            low=number / BINS,
            high=(number + 1) / BINS,
            images=images,
            accuracy=right / images if images else None,
            mean_confidence=confidence / images if images else None,
        )
        for number, (images, right, confidence) in enumerate(rows)
    )
    return CalibrationErrorRecord(expected=expected, binning=BINNING, bins=bins)


def data_record(
    place: str,
    data: LabelledImages,
    classes: int,
    images: int,
    sha256: str,
    unreadable: SkippedCount,
    classes_with_images: int,
) -> DataRecord:
    """Return what was evaluated on: a labelled set, as it was opened and as it turned out."""
    return DataRecord(
        place=place.encode(errors="replace").decode(),  # names of files may be no UTF-8
        kind=data.kind,
        labels_by=data.rule,
        images=images,
        sha256=sha256,
        unreadable=_passed_over(unreadable),
        passed_over=_passed_over(data.passed_over),
        classes=classes,
        classes_with_images=classes_with_images,
    )


def _passed_over(rows: SkippedCount) -> PassedOverRecord:
    first = tuple(SkippedRecord(name=row.name, reason=row.reason) for row in rows)
    return PassedOverRecord(count=rows.count, first=first)


def class_records(answers: Mapping[tuple[int, int], int], names: Mapping[int, str]) -> tuple[ClassRecord, ...]:
    """Return each class that is a label or an answer, by its index."""
    images, given = Counter[int](), Counter[int]()
    for (label, answer), count in answers.items():
        images[label] += count
        given[answer] += count
    rows = []
    for index in sorted(images.keys() | given.keys()):
        right = answers.get((index, index), 0)
        rows.append(
            ClassRecord(
                class_index=index,
                label=class_name(index, names),
                recall=share(right, images[index]) if images[index] else None,
                answers=given[index],
                precision=right / given[index] if given[index] else None,
            )
        )
    return tuple(rows)


def class_name(index: int, names: Mapping[int, str]) -> str:
    """Return what a class is called."""
    return names.get(index, "background" if index <= BACKGROUND else str(index))
