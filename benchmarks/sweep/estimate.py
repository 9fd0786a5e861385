"""What a sweep has still to do, and about how long that takes: for `--dry-run`. Nothing is run or written.

The times are estimates: a rule of thumb for each step, scaled by what steps of its kind took in this folder where some
are recorded. The rules were taken from sweeps on a server with two cores of 2023; a sweep's own steps tell better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.accuracy.lineup import find_field
from benchmarks.sweep.data import open_data
from benchmarks.sweep.found import File, Found
from benchmarks.sweep.grid import Grid
from benchmarks.sweep.keys import benchmark_key, calibration_stamp, check_key, convert_key, evaluate_key, weights_choice
from benchmarks.sweep.record import Step
from benchmarks.sweep.store import Store, peek_store
from benchmarks.sweep.sweep import title
from converters.made import CALIBRATED
from devices.inventory import resolve
from devices.on_device.board import usable_cores
from edgenet.counts import count
from edgenet.labelled.classes import Classes
from edgenet.labelled.example import MOST_CLASSES
from edgenet.labelled.stream import open_labelled
from edgenet.layers import expand
from edgenet.photos import find_photos
from edgenet.precision import Precision
from edgenet.variants import parse_variant

# Rules of thumb: seconds of one process on one core of a server of 2023, a multiply-accumulate counted in billions.
CONVERT_S, CONVERT_S_PER_GMAC = 6.0, 12.0  # a file: the network, its check, its verification
CALIBRATED_TIMES = 2.0  # as long where activations are quantized
DECODE_S, IMAGE_S_PER_GMAC = 0.006, 0.035  # an image through a file
CHECK_S, CONNECT_S = 0.2, 3.0


Planned = tuple[Step, File, str]


@dataclass(frozen=True)
class PlannedCell:
    """A cell: which of its steps are recorded, which are not, and what those take. A file's steps count once."""

    variant: str
    precision: Precision
    device: str | None
    recorded: tuple[Step, ...]
    missing: tuple[Step, ...]
    duration_s: float


@dataclass(frozen=True)
class Estimate:
    """All cells; `elapsed_s` is what the clock would show with so many workers, devices beside them."""

    cells: tuple[PlannedCell, ...]
    workers: int
    elapsed_s: float
    basis: str

    def document(self) -> dict[str, Any]:
        """Return the estimate for JSON."""
        return {"kind": "sweep plan", "provenance": "estimated", **asdict(self)}


def estimate(grid: Grid, folder: Path) -> Estimate:
    """Return what is missing in a sweep's folder; raise InputError for data or photos that cannot be read."""
    images = _images(grid.data) if grid.data else 0
    with peek_store(folder) as store:
        recorded = _recorded(grid, store) if store else set()
        durations = store.durations() if store else []
    rules = {step: _rule_s(step, grid, images) for step in _steps(grid)}
    scales = _scales(durations, rules)
    left = {step: rule * scales.get(step[0], 1.0) for step, rule in rules.items() if step not in recorded}
    told: set[Planned] = set()
    cells = []
    for variant, precision, device in grid.cells():
        own = [
            step for step in rules if step[1] == (variant, precision) and (step[0] != "benchmark" or step[2] == device)
        ]
        new = [step for step in own if step in left and step not in told]
        told.update(new)
        done = tuple(dict.fromkeys(step[0] for step in own if step in recorded))
        missing = tuple(dict.fromkeys(step[0] for step in own if step in left))
        cells.append(PlannedCell(variant, precision, device, done, missing, sum(left[step] for step in new)))
    basis = "by rules of thumb" + (f", scaled by {len(durations)} steps that are recorded here" if durations else "")
    workers = usable_cores()
    return Estimate(tuple(cells), workers, _elapsed_s(left, workers), basis)


def _steps(grid: Grid) -> Iterator[Planned]:
    """Yield every step; the text is that of its target or device."""
    for variant, precision in product(grid.variants, grid.precisions):
        file: File = (variant, precision)
        yield "convert", file, ""
        yield from (("check", file, target) for target in grid.targets)
        if grid.data:
            yield "evaluate", file, ""
        yield from (("benchmark", file, device) for device in grid.devices)


def _recorded(grid: Grid, store: Store) -> set[Planned]:
    done: set[Planned] = set()
    photos = calibration_stamp(grid.calib)
    for variant, given in zip(grid.variants, grid.weights, strict=True):
        found, choice = Found(), weights_choice(variant, given)
        for precision in grid.precisions:
            entry = store.find(convert_key(grid, variant, precision, choice, photos))
            if entry:
                found.keep_model((variant, precision), entry)
                done.add(("convert", (variant, precision), ""))
        done |= {step for step, key in _keys(grid, found) if store.find(key)}
    return done


def _keys(grid: Grid, found: Found) -> Iterator[tuple[Planned, str]]:
    """Yield what hangs on the files of a variant that are recorded, each with its key."""
    hashes = {file: artifact.manifest.sha256 for file, artifact in found.models.items()}
    reference = next((digest for (_, precision), digest in hashes.items() if precision == "fp32"), "")
    data = ""
    if grid.data and hashes:
        data = open_data(grid.data, find_field([row.path for row in found.models.values()]).classes).identity
    for file, digest in hashes.items():
        yield from ((("check", file, target), check_key(digest, target)) for target in grid.targets)
        if data:
            held = "" if digest == reference else reference
            yield ("evaluate", file, ""), evaluate_key(digest, held, data, grid.max_unreadable)
        for device in grid.devices:
            yield ("benchmark", file, device), benchmark_key(digest, str(resolve(device)[0]), grid)


def _images(place: str) -> int:
    path = Path(place)
    if path.is_dir() and (found := find_photos(path).files):
        return len(found)
    return open_labelled(place, Classes(MOST_CLASSES)).count


def _rule_s(step: Planned, grid: Grid, images: int) -> float:
    kind, (variant, precision), _ = step
    gmacs = count(expand(parse_variant(variant))).macs / 1e9
    if kind == "convert":
        return (CONVERT_S + CONVERT_S_PER_GMAC * gmacs) * (CALIBRATED_TIMES if precision in CALIBRATED else 1)
    if kind == "evaluate":
        return images * (DECODE_S + IMAGE_S_PER_GMAC * gmacs)
    if kind == "check":
        return CHECK_S
    protocol = grid.protocol
    once_s = protocol.min_s + protocol.warmup_s * protocol.cold_starts + protocol.cooldown_s
    return CONNECT_S + len(grid.threads) * once_s


def _scales(durations: Sequence[tuple[str, str, float]], rules: Mapping[Planned, float]) -> dict[str, float]:
    """Return, for each kind of step, the time that recorded ones took over what the rules say of them."""
    names: dict[tuple[str, str], float] = {
        (kind, title(file, more)): rule for (kind, file, more), rule in rules.items()
    }
    taken: defaultdict[str, float] = defaultdict(float)
    ruled: defaultdict[str, float] = defaultdict(float)
    for kind, name, duration_s in durations:
        if (kind, name) in names:
            taken[kind] += duration_s
            ruled[kind] += names[kind, name]
    return {kind: taken[kind] / ruled[kind] for kind in taken if ruled[kind] > 0}


def _elapsed_s(left: Mapping[Planned, float], workers: int) -> float:
    """Return what the clock would show: other devices work beside this machine, which is measured at the end."""
    here = sum(duration_s for (kind, _, _), duration_s in left.items() if kind != "benchmark") / workers
    devices: defaultdict[str, float] = defaultdict(float)
    for (kind, _, device), duration_s in left.items():
        if kind == "benchmark":
            devices[str(resolve(device)[0])] += duration_s
    local_s = devices.pop("local", 0.0)
    return max([here, *devices.values()]) + local_s
