"""How long a search will take, from training steps that are timed before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from edgenet.layers import expand
from edgenet.native_noise import quiet_native_stderr
from edgenet.scaling.candidate import PHI, Candidate
from edgenet.scaling.record import SearchRecord
from edgenet.training.recipe import recipe_of_text

TIMED = 3  # other programs that run by chance meanwhile can hold up a step for seconds
BACKWARD = 3  # a training step is about three times the work of an answer: forward, and twice that back


def step_duration_s(candidate: Candidate, classes: int, batch_size: int) -> float:
    """Return how long a training step takes here: the shortest of three that are run op by op, after a first one.

    Compiling the graph, as training does, would take as long as hundreds of steps of a small network; without it a step
    takes up to half as long again.
    """
    with quiet_native_stderr():
        import tensorflow as tf

        from edgenet.network import build_network

        model = build_network(expand(candidate.coefficients.variant(PHI), classes, candidate.side_px))
    images = tf.zeros((batch_size, candidate.side_px, candidate.side_px, 3))
    return min([_step_s(tf, model, images) for _ in range(1 + TIMED)][1:])


def _step_s(tf: Any, model: Any, images: Any) -> float:
    began_s = time.monotonic()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images, training=True))
    tape.gradient(loss, model.trainable_variables)[0].numpy()  # waits for all of it
    return time.monotonic() - began_s


def search_duration_s(search: SearchRecord, left: Sequence[Candidate]) -> float:
    """Return about how long the steps and validations of the candidates that are left will take, in seconds.

    One candidate is timed, and the others are taken to differ as their multiply-accumulates do.
    """
    batch_size = recipe_of_text(search.recipe, "the search's recipe").schedule.batch_size
    step_s = step_duration_s(left[0], len(search.labels), batch_size)
    steps = search.steps + search.epochs * search.val_images / batch_size / BACKWARD
    return sum(step_s * steps * row.counts.macs / left[0].counts.macs for row in left)


def told(duration_s: float) -> str:
    """Return a duration for people: 40 s, 12 min, 3.5 h."""
    if duration_s < 90:
        return f"{duration_s:.0f} s"
    return f"{duration_s / 60:.0f} min" if duration_s < 5400 else f"{duration_s / 3600:.1f} h"
