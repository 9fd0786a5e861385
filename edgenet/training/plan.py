"""The stages of a training, computed before it begins: what is trained, at which side and how strongly regularized."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from edgenet.errors import InputError
from edgenet.training.recipe import Recipe, Technique

SIDE_STEP_PX = 16  # sides in between are whole multiples: half a stride-32 cell
SMALLEST_SIDE_PX = 32


@dataclass(frozen=True)
class Stage:
    """Some epochs of one kind; `strength` scales RandAugment's magnitude, mix_share and dropout."""

    name: str
    first_epoch: int
    epochs: int
    side_px: int
    strength: float
    frozen: bool  # the backbone is
    compress: tuple[Technique, ...] = ()  # what the network is taught beside its classes

    @property
    def end_epoch(self) -> int:
        """Return the first epoch after the stage."""
        return self.first_epoch + self.epochs


def plan_stages(recipe: Recipe, side_px: int) -> tuple[Stage, ...]:
    """Return the stages in order: a frozen warm-up if there is one, then fine-tuning in one or more."""
    warmup, total = recipe.schedule.warmup_epochs, recipe.schedule.epochs
    count = min(recipe.progressive.stages, total)
    stages = [Stage("warm-up", 0, warmup, _side(recipe, side_px, 0, count), 1.0, True)] if warmup else []
    begins = [warmup + total * index // count for index in range(count + 1)]
    for index in range(count):
        strength = _between(recipe.progressive.first_strength, index, count)
        side = _side(recipe, side_px, index, count)
        epochs = begins[index + 1] - begins[index]
        stages.append(Stage("fine-tuning", begins[index], epochs, side, strength, False))
    return tuple(part for stage in stages for part in _compressed(stage, recipe))


def refuse_too_short(recipe: Recipe) -> None:
    """Raise InputError for fewer epochs than there are ways of compression to begin in them."""
    names, epochs = recipe.compress.techniques, recipe.schedule.epochs
    if epochs < len(names):
        raise InputError(
            f"schedule.epochs = {epochs} are too few for {', '.join(names)}, one after the other",
            allowed=f"{len(names)} or more",
            mend="set schedule.epochs in the recipe",
        )


def compression_begins(recipe: Recipe) -> dict[Technique, int]:
    """Return the epoch in which each way of compression begins: fine-tuning is shared out evenly among them."""
    names, schedule = recipe.compress.techniques, recipe.schedule
    return {
        name: schedule.warmup_epochs + schedule.epochs * index // len(names) for index, name in enumerate(names)
    }  # fmt: skip


def _compressed(stage: Stage, recipe: Recipe) -> list[Stage]:
    """Return a stage in parts: a new one begins with each way of compression."""
    begins = compression_begins(recipe)
    if stage.frozen or not begins:
        return [stage]
    inside = [epoch for epoch in begins.values() if stage.first_epoch < epoch < stage.end_epoch]
    borders = [stage.first_epoch, *inside, stage.end_epoch]
    parts = []
    for first, end in pairwise(borders):
        done = tuple(name for name, epoch in begins.items() if epoch <= first)
        name = f"{stage.name} ({', '.join(done)})"
        parts.append(replace(stage, name=name, first_epoch=first, epochs=end - first, compress=done))
    return parts


def stage_of(stages: tuple[Stage, ...], epoch: int) -> Stage:
    """Return the stage that an epoch belongs to."""
    return next(stage for stage in stages if epoch < stage.end_epoch)


def _between(first: float, index: int, count: int) -> float:
    """Return the value of stage `index`, rising evenly from `first` to 1 at the last."""
    return first + (1 - first) * index / (count - 1) if count > 1 else 1.0


def _side(recipe: Recipe, side_px: int, index: int, count: int) -> int:
    exact = side_px * _between(recipe.progressive.first_side_share, index, count)
    rounded = SIDE_STEP_PX * round(exact / SIDE_STEP_PX)
    return side_px if index == count - 1 else min(side_px, max(SMALLEST_SIDE_PX, rounded))
