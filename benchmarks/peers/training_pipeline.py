"""Hold a training step fed by the input pipeline against the same step fed by one batch that stays in memory.

    python -m benchmarks.peers.training_pipeline PHOTOS [--rounds N] [--json]

PHOTOS is a folder of JPEG photos; lite0 is fine-tuned on them at its own side with the default recipe. Each round makes
a new pipeline, lets two steps go by until its buffers are in use, and takes the mean of the next five.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.peers.ratios import Ratio, Side, arguments, exit_with, interleaved, machine, show
from edgenet.labelled.example import Example
from edgenet.photos import find_photos
from edgenet.progress import silent
from edgenet.training.recipe import Recipe, ScheduleRecipe
from edgenet.training.scan import Scanned
from edgenet.training.session import Session
from edgenet.training.setup import Request, first_weights, with_head
from edgenet.training.split import Split
from edgenet.variants import parse_variant

BAR = 1.15
CLASSES = 10  # given in turn: what a photo shows costs no time
IDLE_STEPS, STEPS = 2, 5


def session_of(photos: Path) -> Session:
    """Return a fine-tuning of lite0 on the photos."""
    from edgenet.training.strategy import open_devices, set_precision

    recipe = Recipe(schedule=ScheduleRecipe(warmup_epochs=0))
    set_precision("single")
    files = find_photos(photos).files
    examples = [Example(file.name, index % CLASSES, file.path) for index, file in enumerate(files)]
    labels = tuple(str(index) for index in range(CLASSES))
    split = Split(labels, tuple(Scanned(example, "") for example in examples), (), ())
    request = Request(parse_variant("lite0"), photos, Path(), recipe, "packaged")
    weights = with_head(first_weights(request, print), labels, 0)
    devices = open_devices("single", recipe.schedule.batch_size)
    return Session(weights, recipe, split, 0, devices, Path(), silent, print)


class Bench:
    """The stage that is run, and its two sources of batches."""

    def __init__(self, session: Session) -> None:
        from edgenet.network import build_network, load_weights_into
        from edgenet.training.loop import first_values
        from edgenet.training.pipeline import TrainingData
        from edgenet.training.stage_run import StageRun, stage_augmentation
        from edgenet.training.state import ProgressRecord

        network = build_network(session.architecture(), convention=session.weights.convention)
        load_weights_into(network, session.architecture(), session.weights)
        examples = [row.example for row in session.split.train]
        self._data = TrainingData(examples, session.seed, session.recipe.schedule.batch_size)
        progress = ProgressRecord(epoch=0, step=0, history=())
        stage = StageRun(session, self._data, progress, first_values(network.get_weights()))
        self._settings = stage_augmentation(session, stage.stage)
        self._rows = session.devices.rows(session.recipe.schedule.batch_size)
        self._step = stage.model.make_train_function()
        self._cached = self._pipeline(0).take(1).cache().repeat()
        self._round = 0

    def _pipeline(self, first_step: int) -> Any:
        return self._data.batches(first_step, first_step + IDLE_STEPS + STEPS, self._rows, self._settings)

    def fed(self) -> float:
        """Return the seconds of a step whose batch the pipeline makes meanwhile."""
        self._round += 1
        return self._timed(iter(self._pipeline(self._round * (IDLE_STEPS + STEPS))))

    def cached(self) -> float:
        """Return the seconds of a step whose batch is there already."""
        return self._timed(iter(self._cached))

    def _timed(self, batches: Any) -> float:
        for _ in range(IDLE_STEPS):
            self._step(batches)
        start = time.perf_counter()
        for _ in range(STEPS):
            float(self._step(batches)["loss"])
        return (time.perf_counter() - start) / STEPS


def main() -> int:
    """Print the ratio; return the exit code."""
    parser = arguments(str(__doc__))
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of JPEG photos")
    given, host = parser.parse_args(), machine()
    session = session_of(given.photos)
    bench = Bench(session)
    sides: dict[str, Side] = {"pipeline": bench.fed, "cached": bench.cached}
    runs = interleaved(sides, given.rounds)
    what = f"training step of lite0, batch {session.recipe.schedule.batch_size}, pipeline against a cached batch"
    row = Ratio(what, runs["pipeline"], runs["cached"], BAR, "of theirs")
    return show("training_pipeline", host, [row], [f"{len(session.split.train)} photos"], given.json)


if __name__ == "__main__":
    exit_with(main)
