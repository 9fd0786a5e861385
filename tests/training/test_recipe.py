"""Recipes: read from TOML, refused where they are wrong, and what they make of a training's stages."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenet.errors import InputError
from edgenet.training.plan import Stage, plan_stages, stage_of
from edgenet.training.recipe import (
    ProgressiveRecipe,
    Recipe,
    ScheduleRecipe,
    default_recipe,
    read_recipe,
    recipe_of_text,
)
from edgenet.variants import parse_variant


def _read(tmp_path: Path, text: str, variant: str = "lite0") -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_recipe(path, parse_variant(variant))


@dataclass(frozen=True)
class Wrong:
    text: str
    says: str


WRONG = (
    Wrong("[schedule]\nepoch = 3", "mine.toml: schedule.epoch = 3: .*; allowed: batch_size, warmup_epochs, epochs"),
    Wrong("[scheduel]\nepochs = 3", "mine.toml: scheduel = .*; allowed: schema_version, data, schedule"),
    Wrong("[schedule]\nepochs = 0", "schedule.epochs = 0: input should be greater than or equal to 1"),
    Wrong("[schedule]\nepochs = 2.5", "schedule.epochs = 2.5: input should be a valid integer"),
    Wrong("[schedule]\nbatch_size = 33", "schedule.batch_size = 33: input should be a multiple of 2"),
    Wrong("[schedule]\npeak_rate = nan", "schedule.peak_rate = nan"),
    Wrong(
        '[schedule]\nclass_weights = "some"', "schedule.class_weights = 'some': input should be 'balanced' or 'none'"
    ),
    Wrong("schedule = 3", "mine.toml: schedule = 3"),
    Wrong("schema_version = 2", "schema_version = 2"),
    Wrong("[schedule", "mine.toml is no TOML"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.text)
def test_a_wrong_recipe_is_refused(wrong: Wrong, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=wrong.says):
        _read(tmp_path, wrong.text)


def test_what_a_recipe_leaves_out_is_the_variants_default(tmp_path: Path) -> None:
    read = _read(tmp_path, "[schedule]\nepochs = 8\n", "v2-b0")
    assert read.schedule.epochs == 8
    assert read.progressive.stages == default_recipe(parse_variant("v2-b0")).progressive.stages == 4
    assert default_recipe(parse_variant("b0")).progressive.stages == 1


def test_toml_gives_the_same_recipe_back() -> None:
    recipe = Recipe(schedule=ScheduleRecipe(epochs=7, peak_rate=1e-5), progressive=ProgressiveRecipe(stages=3))
    assert recipe_of_text(recipe.toml, "recipe.toml") == recipe


@dataclass(frozen=True)
class Plan:
    name: str
    schedule: dict[str, int]
    progressive: ProgressiveRecipe
    side_px: int
    stages: tuple[Stage, ...]


PLANS = (
    Plan(
        "one stage", {"warmup_epochs": 2, "epochs": 5}, ProgressiveRecipe(), 224,
        (Stage("warm-up", 0, 2, 224, 1.0, True), Stage("fine-tuning", 2, 5, 224, 1.0, False)),
    ),
    Plan(
        "no warm-up", {"warmup_epochs": 0, "epochs": 3}, ProgressiveRecipe(), 96,
        (Stage("fine-tuning", 0, 3, 96, 1.0, False),),
    ),
    # V2-S of arXiv 2104.00298 goes from 128 to 300 px; a half of 300 is 150, rounded to 16s.
    Plan(
        "progressive", {"warmup_epochs": 1, "epochs": 9},
        ProgressiveRecipe(stages=3, first_side_share=0.5, first_strength=0.5), 300,
        (
            Stage("warm-up", 0, 1, 144, 1.0, True), Stage("fine-tuning", 1, 3, 144, 0.5, False),
            Stage("fine-tuning", 4, 3, 224, 0.75, False), Stage("fine-tuning", 7, 3, 300, 1.0, False),
        ),
    ),
    Plan(
        "fewer epochs than stages, a small side", {"warmup_epochs": 0, "epochs": 2}, ProgressiveRecipe(stages=4), 40,
        (Stage("fine-tuning", 0, 1, 32, 0.33, False), Stage("fine-tuning", 1, 1, 40, 1.0, False)),
    ),
)  # fmt: skip


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_stages(plan: Plan) -> None:
    recipe = Recipe(schedule=ScheduleRecipe.model_validate(plan.schedule), progressive=plan.progressive)
    stages = plan_stages(recipe, plan.side_px)
    assert stages == plan.stages
    assert [stage_of(stages, stage.first_epoch) for stage in stages] == list(stages)
    assert [stage_of(stages, stage.end_epoch - 1) for stage in stages] == list(stages)
