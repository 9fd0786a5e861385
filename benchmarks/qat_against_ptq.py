"""Int8 after quantization-aware training against int8 after training: top-1 on the images that validated both runs.

    python -m benchmarks.qat_against_ptq RUN QAT_RUN --data DIR [--samples 200] [--json]

RUN is a run of edgenet train, QAT_RUN one of `edgenet train --weights RUN --qat`, DIR the folder of class folders that
both were trained on. The first is converted with `--int8` after calibration on its own training images, the second with
what it learned. The exit code is 1 where the second file is right less often than the first.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from converters.calibration_source import stretches
from converters.conversion import DEFAULT_SAMPLES, Request, run
from converters.verify import all_logits
from edgenet.agreement import Proportion, proportion
from edgenet.artifact import sha256
from edgenet.errors import EdgenetError, InputError
from edgenet.photos import Skipped, decode_photo
from edgenet.precision import Precision, default_io
from edgenet.preprocessing import Preprocessing, crop_photo
from edgenet.progress import silent
from edgenet.weights.record import Weights
from edgenet.weights.run_folder import run_weights

SCHEMA_VERSION = 1
SPLIT_NAME = "split.csv"  # file, class, part (train or val), sha256
Pixels = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Row:
    """One file's share of right answers."""

    file: str
    top1: Proportion


def measure(given: argparse.Namespace) -> list[Row]:
    """Return top-1 of both float files and both int8 files; raise InputError for runs that do not belong together."""
    plain, learned = run_weights(given.run), run_weights(given.qat_run)
    if plain.learned or not learned.learned:
        raise InputError("the first run is one without --qat, the second one with it")
    if (plain.labels, plain.preprocessing) != (learned.labels, learned.preprocessing):
        raise InputError("the runs have other classes or another preprocessing", mend="train the second from the first")
    split = _split(given.run)
    if _split(given.qat_run) != split:
        raise InputError("the runs were not validated on the same images", mend="train both on the same data")
    validating = [row for row in split if row["part"] == "val"]
    images = [_pixels(given.data, row, plain.preprocessing) for row in validating]
    classes = np.array([plain.labels.index(row["class"]) for row in validating])
    with TemporaryDirectory(prefix="edgenet-") as folder:
        source = _calibration(given, [row for row in split if row["part"] == "train"], plain, Path(folder))
        files = {
            "float": _converted(plain, "fp32", "builtin", given.samples, Path(folder) / "float"),
            "int8 after training (PTQ)": _converted(plain, "w8a8", source, given.samples, Path(folder) / "ptq"),
            "float weights of the QAT run": _converted(learned, "fp32", "builtin", given.samples, Path(folder) / "q32"),
            "int8 after QAT": _converted(learned, "w8a8", "builtin", given.samples, Path(folder) / "qat"),
        }
    return [Row(name, _top1(content, images, classes)) for name, content in files.items()]


def _split(folder: Path) -> list[dict[str, str]]:
    with (folder / SPLIT_NAME).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _pixels(data: Path, row: dict[str, str], record: Preprocessing) -> NDArray[np.uint8]:
    try:
        content = (data / row["file"]).read_bytes()
    except OSError as error:
        raise InputError(f"{data / row['file']}: {error.strerror}", mend="give the folder of the training") from error
    photo = decode_photo(row["file"], content)
    if isinstance(photo, Skipped) or sha256(content) != row["sha256"]:
        raise InputError(f"{data / row['file']} is not the image of the training", mend="give the training's folder")
    return crop_photo(photo.image, record)


def _calibration(given: argparse.Namespace, rows: Sequence[dict[str, str]], weights: Weights, folder: Path) -> str:
    """Write some of the training images as an array file and return its name."""
    chosen = [rows[stretch.first] for stretch in stretches(len(rows), given.samples, 0)]
    path = folder / "calibration.npz"
    np.savez(path, images=np.stack([_pixels(given.data, row, weights.preprocessing) for row in chosen]))
    return str(path)


def _converted(weights: Weights, precision: Precision, calib: str, samples: int, out: Path) -> bytes:
    request = Request(weights.variant, ((precision, default_io(precision)),), "", calib, samples, model=weights)
    [artifact] = run(request, out, False, (), silent, _say)
    return artifact.path.read_bytes()


def _top1(content: bytes, images: Pixels, classes: NDArray[np.intp]) -> Proportion:
    answers = np.array([int(logits.argmax()) for logits in all_logits(content, images)])
    return proportion(int((answers == classes).sum()), len(classes))


def main() -> int:
    """Print a row a file; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="trained without --qat")
    parser.add_argument("qat_run", type=Path, metavar="QAT_RUN", help="trained from it with --qat")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="class folders of both trainings")
    parser.add_argument("--samples", type=int, default=DEFAULT_SAMPLES, metavar="N", help="calibration images")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    given = parser.parse_args()
    try:
        rows = measure(given)
    except EdgenetError as error:
        _say(f"error: {error}")
        return error.exit_code
    _, ptq, _, qat = rows
    if given.json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, "benchmark": "qat_against_ptq",
                          "rows": [asdict(row) for row in rows]}, indent=2))  # fmt: skip
    else:
        print(f"top-1 on {ptq.top1.images} validation images of {given.data}")
        for row in rows:
            share = row.top1
            print(f"{row.file:32}{share.fraction:>9.2%}  ({share.low:.2%}–{share.high:.2%})")
        print(f"QAT - PTQ: {100 * (qat.top1.fraction - ptq.top1.fraction):+.2f} points")
    return 0 if qat.top1.hits >= ptq.top1.hits else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
