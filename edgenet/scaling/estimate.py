"""How long a search will take, from one training step that is timed before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from edgenet.layers import expand
from edgenet.native_noise import quiet_native_stderr
from edgenet.scaling.candidate import PHI, Candidate
from edgenet.scaling.record import SearchRecord
from edgenet.training.recipe import recipe_of_text

BACKWARD = 3  # a training step is about three times the work of an answer: forward, and twice that back


def step_duration_s(candidate: Candidate, classes: int, batch_size: int) -> float:
    """Return how long a training step takes here, by the second of two without a compiled graph: seconds, not exact."""
    with quiet_native_stderr():
        import tensorflow as tf

        from edgenet.network import build_network

        model = build_network(expand(candidate.coefficients.variant(PHI), classes, candidate.side_px))
    images = tf.zeros((batch_size, candidate.side_px, candidate.side_px, 3))
    _step(tf, model, images)
    began_s = time.monotonic()
    _step(tf, model, images)
    return time.monotonic() - began_s


def _step(tf: Any, model: Any, images: Any) -> None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images, training=True))
    tape.gradient(loss, model.trainable_variables)[0].numpy()


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
