"""How to train, as a frozen record with TOML as its file form: every number that is not the data's or the network's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from edgenet.compression import FEWEST_CLUSTERS, MOST_CLUSTERS
from edgenet.errors import InputError
from edgenet.toml_file import Record, parse_toml, read_toml
from edgenet.variants import Variant

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
CountOrNone = Annotated[int, Field(ge=0, le=100_000)]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Alpha = Annotated[float, Field(ge=0, le=10)]


class DataRecipe(Record):
    """Which images are used, and for what."""

    val_share: Annotated[float, Field(ge=0.01, le=0.9)] = 0.2  # of each class
    max_unreadable_share: Share = 0.01  # more than this and the data set itself is wrong
    crop_fraction: Share = 0.0  # of the shorter side, for validation and deployment; 0: as the weights were made for


class ScheduleRecipe(Record):
    """How long, how fast and towards what."""

    batch_size: Annotated[int, Field(ge=2, le=65_536, multiple_of=2)] = 32  # over all devices; mixing goes in pairs
    warmup_epochs: CountOrNone = 2  # with the backbone frozen
    epochs: Count = 20  # of fine-tuning, after those
    head_rate: Rate = 3e-3  # while the backbone is frozen
    peak_rate: Rate = 3e-4  # of the classifier while fine-tuning
    depth_decay: Annotated[float, Field(gt=0, le=1)] = 0.93  # rate of a block over the rate of the next one
    ramp_epochs: Annotated[float, Field(ge=0, le=100)] = 1.0  # from rate 0 to the peak
    last_rate_share: Share = 0.01  # of the peak, where the cosine ends
    # The published 0.99 is for 100 000s of steps: a short training would end before its statistics had arrived.
    batch_norm_momentum: Annotated[float, Field(ge=0.5, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999  # of the weights' moving average
    patience_epochs: Count = 8  # without a better validation result
    class_weights: Literal["balanced", "none"] = "balanced"


class AugmentRecipe(Record):
    """What is done to a training image."""

    smallest_area: Annotated[float, Field(gt=0, le=1)] = 0.35  # of the photo, for the random crop
    flip: bool = True  # left and right; false where they mean something
    policy: Literal["randaugment", "autoaugment"] = "randaugment"  # the other has neither count nor magnitude
    operations: Annotated[int, Field(ge=0, le=8)] = 2  # RandAugment's N
    magnitude: Annotated[float, Field(ge=0, le=10)] = 6.0  # RandAugment's M
    mixup_alpha: Alpha = 0.2
    cutmix_alpha: Alpha = 1.0
    mix_share: Share = 0.5  # of the pairs of images; 0 switches both off


class ProgressiveRecipe(Record):
    """How image side and regularization grow while fine-tuning; one stage: they do not."""

    stages: Annotated[int, Field(ge=1, le=8)] = 1
    first_side_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    first_strength: Share = 0.33  # of RandAugment's magnitude, of mix_share and of dropout


Technique = Literal["prune", "cluster", "qat"]
PRUNE_ALLOWED = "a share of zeros such as 0.5, or 2:4 (two zeros among every four weights along the inputs)"


def _prune_text(value: object) -> object:
    """Return what was given for pruning as text, whole or refused with a ValueError."""
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if text in ("", "2:4"):
        return text
    try:
        share = float(str(text))
    except ValueError:
        share = 0.0
    if not 0 < share <= LARGEST_SPARSITY:
        raise ValueError(f"allowed: {PRUNE_ALLOWED}")
    return text


def _cluster_count(value: object) -> object:
    if isinstance(value, int) and 0 < value < FEWEST_CLUSTERS:
        raise ValueError(
            f"allowed: {FEWEST_CLUSTERS} to {MOST_CLUSTERS} distinct weights, or 0 for as many as there are"
        )
    return value


LARGEST_SPARSITY = 0.99


class CompressRecipe(Record):
    """What fine-tuning teaches the network beside its classes; several are begun one after the other, in this order."""

    prune: Annotated[str, BeforeValidator(_prune_text)] = ""  # "0.5": that share of zeros; "2:4"; "": none
    cluster: Annotated[int, BeforeValidator(_cluster_count), Field(ge=0, le=MOST_CLUSTERS)] = (
        0  # distinct weights a kernel
    )
    qat: bool = False  # quantization-aware: weights and activations in 8-bit steps
    ramp_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # of the epochs of pruning: zeros grow in number until then

    @property
    def techniques(self) -> tuple[Technique, ...]:
        """Return what is done, in the order in which it begins."""
        wanted: dict[Technique, bool] = {"prune": bool(self.prune), "cluster": self.cluster > 0, "qat": self.qat}
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)


class Recipe(Record):
    """A whole recipe."""

    schema_version: Literal[1] = 1
    data: DataRecipe = DataRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    progressive: ProgressiveRecipe = ProgressiveRecipe()
    compress: CompressRecipe = CompressRecipe()

    @property
    def toml(self) -> str:
        """Return the recipe as TOML with every value written out."""
        return "\n".join(_lines(self.model_dump())) + "\n"


# arXiv 2104.00298, table 6: EfficientNetV2 is trained in four stages, sides from half to full, magnitude from a third.
V2_STAGES = 4


def default_recipe(variant: Variant) -> Recipe:
    """Return the recipe of a variant's family: V2 learns progressively."""
    return Recipe(progressive=ProgressiveRecipe(stages=V2_STAGES if variant.family == "v2" else 1))


def read_recipe(path: Path, variant: Variant) -> Recipe:
    """Read a TOML recipe; what it leaves out is the variant's default. Raise InputError for anything unknown."""
    return read_recipe_over(path, default_recipe(variant))


def read_recipe_over(path: Path, default: Recipe) -> Recipe:
    """Read a TOML recipe; what it leaves out is that of `default`. Raise InputError for anything unknown."""
    return _parsed(read_toml(path), path.name, default)


def recipe_of_text(text: str, name: str) -> Recipe:
    """Parse a recipe that a run recorded; raise InputError for one that is not whole."""
    return _parsed(parse_toml(text.encode(), name), name, Recipe())


def with_compression(recipe: Recipe, prune: str, cluster: int, qat: bool) -> Recipe:
    """Return a recipe with what flags ask for beside what it holds; raise InputError for what they cannot be."""
    try:
        _prune_text(prune)
    except ValueError:
        raise InputError(f"--prune cannot be {prune!r}", allowed=PRUNE_ALLOWED) from None
    given: dict[str, object] = {"prune": prune, "cluster": cluster, "qat": qat}
    return _parsed({"compress": {name: value for name, value in given.items() if value}}, "--prune, --cluster", recipe)


def _parsed(tables: dict[str, object], name: str, default: Recipe) -> Recipe:
    merged: dict[str, object] = default.model_dump()
    for key, value in tables.items():
        below = merged.get(key)
        merged[key] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{name}: {place} = {first['input']!r}: {first['msg'].lower()}",
            allowed=_allowed(first["loc"]),
            mend="the recipe.toml of a run shows every key",
        ) from error


def _allowed(place: tuple[int | str, ...]) -> str:
    """Return the keys that the table of a wrong key has, where the key is unknown."""
    table: object = Recipe()
    for part in place[:-1]:
        table = getattr(table, str(part))
    return ", ".join(type(table).model_fields) if isinstance(table, Record) else ""


def _lines(tables: dict[str, object]) -> list[str]:
    lines = [f"{key} = {_spelled(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *_lines(table)]
    return lines


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
