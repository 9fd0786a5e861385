"""What each stage of a repair keeps of the float network's answers, on photos that its calibration never saw.

    python -m benchmarks.peers.repair_bars DIR [--variant b0 --weights FILE] [--folds 2] [--json]
    python -m benchmarks.peers.repair_bars DIR --builtin [--variant lite0]

DIR holds labelled photos, as `edgenet verify --data` takes them. They are split in folds; each photo is judged by files
that were calibrated on the other folds alone, with the ladder's own probe taken from these. With --builtin procedural
images calibrate, and all photos judge. Bars are those that the project sets itself; a missed one exits with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.ratios import exit_with, machine, positive
from converters import flatbuffer
from converters.calibrate import Calibration, calibrate
from converters.calibration_source import BUILTIN
from converters.conversion import DEFAULT_SAMPLES
from converters.convert import float_network
from converters.ends import set_ends
from converters.job import FloatNetwork
from converters.probe import golden_images, open_images, surest_probe
from converters.quantize import quantize_model
from converters.repair.bench import Bench, Trial
from converters.repair.climb import Step
from converters.repair.gate import Gate
from converters.repair.ladder import climb_ladder
from converters.verify import all_logits
from edgenet.agreement import Comparison
from edgenet.datasets import Dataset, Sample, open_dataset
from edgenet.photos import Skipped, load_photo
from edgenet.preprocessing import crop_photo
from edgenet.progress import silent
from edgenet.variants import parse_variant
from edgenet.weights.load import load_weights
from edgenet.weights.record import Weights

SCHEMA_VERSION = 1
GATE = Gate("cpu", max_latency_cost=1.25)
MIN_MAX, PLAIN, INTEGER, MIXED, WIDE = (
    "min-max", "plain w8a8", "full integer, repaired", "mixed, repaired", "w8a16",
)  # fmt: skip
# Least share of the answers that are kept, and the most points of top-1 lost, by where the calibration images are from.
PHOTO_BARS = {INTEGER: (0.96, 100.0), MIXED: (0.98, 100.0), WIDE: (0.99, 100.0)}
BUILTIN_BARS = {INTEGER: (0.99, 0.5)}


@dataclass
class Row:
    """One stage in all folds together."""

    name: str
    comparison: Comparison = field(default_factory=Comparison)
    latency_ratios: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Fold:
    """A source of calibration images, and the photos that judge."""

    calib: str
    judged: Sequence[Sample]


def folds(dataset: Dataset, count: int, folder: Path) -> Iterator[Fold]:
    """Yield folds of every `count`-th photo; `folder` gets links to the other photos."""
    for number in range(count):
        others = folder / str(number)
        others.mkdir()
        for index, sample in enumerate(dataset.samples):
            if index % count != number:
                (others / f"{index:06}{sample.file.path.suffix}").symlink_to(sample.file.path.resolve())
        yield Fold(str(others), dataset.samples[number::count])


def climbed(network: FloatNetwork, fold: Fold) -> tuple[dict[str, Trial], Calibration, float]:
    """Return the trials of the stages, the calibration, and the seconds of everything that `convert` would do."""
    begin = time.perf_counter()
    images, probe = open_images(fold.calib, network.preprocessing, DEFAULT_SAMPLES, 0)
    calibration = calibrate(network.integer_content, network.entry, network.exact, images, silent)
    if probe.is_procedural:
        probe = surest_probe(network)
    outcome = climb_ladder(Bench(network, calibration, images, probe, silent), GATE, _tell)
    kept = [step for step in outcome.steps if step.kept]
    stages = {
        MIN_MAX: outcome.steps[0].trial,
        PLAIN: next(step.trial for step in outcome.steps if step.rung == "bias correction"),
        INTEGER: [step.trial for step in kept if step.trial.full_integer][-1],
        MIXED: outcome.best,
    }
    return stages, calibration, time.perf_counter() - begin


def _tell(step: Step) -> None:
    trial = step.trial
    _say(
        f"  {step.rung}: {trial.agreement.agreement.fraction:.3f}, crossed {trial.crossed:.3f}, "
        f"{trial.agreement.sqnr_db:.1f} dB, {trial.latency_ratio:.2f} times, {step.duration_s:.0f} s, "
        f"{'kept' if step.kept else 'not kept'}"
    )


def wide_file(network: FloatNetwork, calibration: Calibration) -> bytes:
    """Return the w8a16 file."""
    model, entry = quantize_model(network.integer_content, "w8a16", calibration.wide), network.entry
    set_ends(model, "float32", mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
    return flatbuffer.write(model)


def measure(given: argparse.Namespace) -> tuple[list[Row], list[float]]:
    """Return the rows and the seconds that each fold's calibration and ladder took."""
    weights = load_weights(given.weights, parse_variant(given.variant), say=_say)
    dataset = open_dataset(given.folder, weights.num_classes - weights.preprocessing.label_offset)
    network = float_network(weights, golden_images(weights.preprocessing))
    rows = {name: Row(name) for name in (MIN_MAX, PLAIN, INTEGER, MIXED, WIDE)}
    durations_s = []
    with tempfile.TemporaryDirectory() as folder:
        source = [Fold(BUILTIN, dataset.samples)] if given.builtin else folds(dataset, given.folds, Path(folder))
        for fold in source:
            _say(f"calibrated on {'procedural images' if given.builtin else 'the other folds'}")
            stages, calibration, duration_s = climbed(network, fold)
            durations_s.append(duration_s)
            for name, trial in stages.items():
                rows[name].latency_ratios.append(trial.latency_ratio)
                rows[name].shares.append(trial.high_precision_share)
            files = {name: trial.made.content for name, trial in stages.items()}
            _judge(network, weights, {**files, WIDE: wide_file(network, calibration)}, fold.judged, rows)
    return list(rows.values()), durations_s


def _judge(
    network: FloatNetwork, weights: Weights, files: dict[str, bytes], judged: Sequence[Sample], rows: dict[str, Row]
) -> None:
    images, labels = [], []
    for sample in judged:
        photo = load_photo(sample.file)
        if not isinstance(photo, Skipped) and sample.class_index is not None:
            images.append(crop_photo(photo.image, weights.preprocessing))
            labels.append(sample.class_index + weights.preprocessing.label_offset)
    expected = np.stack(list(all_logits(network.content, images)))
    for name, content in files.items():
        rows[name].comparison.add(expected, np.stack(list(all_logits(content, images))), np.asarray(labels))


def reached(row: Row, bars: dict[str, tuple[float, float]]) -> bool:
    """Return whether a row keeps enough answers and loses no more points than its bar allows."""
    if row.name not in bars:
        return True
    result = row.comparison.result()
    least, most = bars[row.name]
    return result.agreement.fraction >= least and (result.accuracy is None or result.accuracy.drop.points <= most)


def cells(row: Row, bars: dict[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return a row of the table."""
    result = row.comparison.result()
    share, accuracy = result.agreement, result.accuracy
    bar = bars.get(row.name)
    return (
        row.name,
        f"{100 * share.fraction:.1f} % ({100 * share.low:.1f}–{100 * share.high:.1f})",
        f"{result.sqnr_db:.1f} dB",
        f"{accuracy.drop.points:.1f}" if accuracy else "",
        f"{100 * max(row.shares):.1f} %" if row.shares else "",
        ", ".join(f"{ratio:.2f}" for ratio in row.latency_ratios),
        f">= {100 * bar[0]:g} % {'ok' if reached(row, bars) else 'MISSED'}" if bar else "",
    )


def main() -> int:
    """Print a row a stage; return the exit code: 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="labelled photos")
    parser.add_argument("--variant", default="lite0", metavar="NAME", help="default lite0")
    parser.add_argument("--weights", default="packaged", metavar="W", help="as for edgenet convert; default packaged")
    parser.add_argument("--folds", type=positive, default=2, metavar="K", help="parts of the photos; default 2")
    parser.add_argument("--builtin", action="store_true", help="calibrate on procedural images")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    given, host = parser.parse_args(), machine()
    bars = BUILTIN_BARS if given.builtin else PHOTO_BARS
    rows, durations_s = measure(given)
    if given.json:
        print(json.dumps(_document(given, host, rows, durations_s, bars), indent=2))
    else:
        heads = ("", "same top-1 as float", "logit SQNR", "drop, points", "MACs > 8 bit", "times the latency", "bar")
        for name, *others in (heads, *(cells(row, bars) for row in rows)):
            print(f"{name:24}{others[0]:>26}{others[1]:>12}{others[2]:>14}{others[3]:>14}{others[4]:>20}  {others[5]}")
        print(f"calibration and ladder: {', '.join(f'{value:.0f} s' for value in durations_s)}")
        print(f"{host['cpu']}, {host['cores']} cores, load {host['load']:.1f} before the start")
    return 0 if all(reached(row, bars) for row in rows) else 1


def _document(
    given: argparse.Namespace,
    host: dict[str, Any],
    rows: Sequence[Row],
    durations_s: Sequence[float],
    bars: dict[str, tuple[float, float]],
) -> dict[str, Any]:
    results = [
        {
            "name": row.name, **asdict(row.comparison.result()), "latency_ratios": row.latency_ratios,
            "high_precision_shares": row.shares, "reached": reached(row, bars),
        }
        for row in rows
    ]  # fmt: skip
    flags = {"variant": given.variant, "weights": given.weights, "folds": 0 if given.builtin else given.folds}
    return {
        "schema_version": SCHEMA_VERSION, "benchmark": "repair_bars", "machine": host, **flags,
        "durations_s": durations_s, "rows": results,
    }  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    exit_with(main)
