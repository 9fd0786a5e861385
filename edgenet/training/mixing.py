"""Mixup and cutmix on pairs of neighbours in a batch, so that a batch cut into replicas mixes the same pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgenet.training.draws import Draws

Tensor = Any


@dataclass(frozen=True)
class Mixing:
    """How much is mixed: `share` of the pairs, half of those by either way where both have an alpha."""

    mixup_alpha: float
    cutmix_alpha: float
    share: float

    def __call__(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return images [B, side, side, 3] and targets [B, classes], each mixed with its partner's or left alone."""
        if not self.share or not (self.mixup_alpha or self.cutmix_alpha):
            return images, targets
        cuts = _of_pair(draws.uniform("mix.way")) < self._cutmix_share
        chosen = _of_pair(draws.uniform("mix.chosen")) < self.share
        kept = tf.where(cuts, self._kept(draws, "cut", self.cutmix_alpha), self._kept(draws, "mixup", self.mixup_alpha))
        kept = tf.where(chosen, kept, 1.0)
        side = images.shape[1]
        inside = _boxes(kept, _of_pair(draws.uniform("mix.centre", 2)), side)
        area = tf.reduce_mean(inside, axis=(1, 2, 3))  # what the box covers inside of the image
        other = tf.where(cuts[:, None, None, None], inside, (1 - kept)[:, None, None, None])
        share = tf.where(cuts, area, 1 - kept)[:, None]
        return images + other * (_partners(images) - images), targets + share * (_partners(targets) - targets)

    @property
    def _cutmix_share(self) -> float:
        return (self.cutmix_alpha > 0) / ((self.cutmix_alpha > 0) + (self.mixup_alpha > 0))

    def _kept(self, draws: Draws, name: str, alpha: float) -> Tensor:
        return _of_pair(draws.beta(f"mix.{name}", alpha) if alpha else tf.ones(draws.rows))


def _of_pair(numbers: Tensor) -> Tensor:
    """Give both rows of each pair the first one's numbers."""
    return tf.repeat(numbers[::2], 2, axis=0)


def _partners(rows: Tensor) -> Tensor:
    """Swap the two rows of each pair."""
    shape = rows.shape[1:]
    return tf.reshape(tf.reverse(tf.reshape(rows, (-1, 2, *shape)), [1]), (-1, *shape))


def _boxes(kept: Tensor, centres: Tensor, side: int) -> Tensor:
    """Return masks [B, side, side, 1], 1 in a box of area 1 - kept around its centre (arXiv 1905.04899)."""
    half = tf.sqrt(1 - kept)[:, None] / 2
    places = (tf.range(side, dtype=tf.float32)[None] + 0.5) / side
    down, right = (tf.cast(tf.abs(places - centres[:, axis, None]) < half, tf.float32) for axis in (0, 1))
    return (down[:, :, None] * right[:, None, :])[..., None]
