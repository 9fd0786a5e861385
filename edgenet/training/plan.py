"""The stages of a training, computed before it begins: what is trained, at which side and how strongly regularized."""

from __future__ import annotations

from dataclasses import dataclass

from edgenet.training.recipe import Recipe

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
    return tuple(stages)


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
