"""The parts of a compression: masks, clusters, schedules, stages, recipes, and the file of learned ranges."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import InputError
from edgenet.trained_steps import weight_scales
from edgenet.training.compress.clusters import first_centroids, nearest
from edgenet.training.compress.ramp import make_ramp
from edgenet.training.compress.sparsity import grouped_mask, magnitude_mask, zero_share
from edgenet.training.plan import plan_stages, refuse_too_short
from edgenet.training.recipe import CompressRecipe, Recipe, ScheduleRecipe, recipe_of_text, with_compression
from edgenet.weights.learned_ranges import pack_ranges, read_ranges

RANDOM = np.random.default_rng(3)


def test_the_smallest_weights_are_masked_and_stay_so() -> None:
    kernel = RANDOM.normal(size=(1, 1, 24, 10)).astype(np.float32)
    half = magnitude_mask(kernel, 0.5)
    assert zero_share([half]) == 0.5
    assert np.abs(kernel[half == 0]).max() <= np.abs(kernel[half == 1]).min()
    more = magnitude_mask(kernel * half, 0.75)
    assert zero_share([more]) == 0.75
    assert not more[half == 0].any()


@pytest.mark.parametrize("shape", [(3, 3, 8, 5), (1, 1, 6, 7), (12, 3), (1, 1, 2, 4)], ids=str)
def test_two_of_every_four_inputs_are_masked(shape: tuple[int, ...]) -> None:
    kernel = RANDOM.normal(size=shape).astype(np.float32)
    mask = grouped_mask(kernel)
    inputs, outputs = shape[-2:]
    for group in range(0, inputs, 4):
        rows = mask.reshape(-1, inputs, outputs)[:, group : group + 4]
        weights = np.abs(kernel).reshape(-1, inputs, outputs)[:, group : group + 4]
        assert (rows.sum(axis=1) == min(2, rows.shape[1])).all()
        kept, masked = np.where(rows == 1, weights, np.inf), np.where(rows == 0, weights, 0)
        assert (masked.max(axis=1) <= kept.min(axis=1)).all()


def test_clusters_have_less_error_than_even_steps() -> None:
    weights = RANDOM.laplace(size=5000).astype(np.float32)
    centroids = first_centroids(weights, 16)
    clustered = nearest(weights, centroids)
    even = nearest(weights, np.linspace(weights.min(), weights.max(), 16, dtype=np.float32))
    assert len(np.unique(clustered)) <= 16
    assert np.square(clustered - weights).sum() < 0.3 * np.square(even - weights).sum()


def test_weights_that_are_clustered_already_stay_as_they_are() -> None:
    weights = RANDOM.choice(np.array([-0.5, 0.25, 1.0], np.float32), 100)
    assert np.array_equal(nearest(weights, first_centroids(weights, 16)), weights)


def test_zeros_grow_in_number_to_what_was_asked_for() -> None:
    ramp = make_ramp(0.1, 0.5, 100)
    shares = [ramp.sparsity(step) for step in range(1, 101) if ramp.is_due(step)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.5)
    assert ramp.sparsity(0) == pytest.approx(0.1)
    assert not ramp.is_due(101)
    assert make_ramp(0.7, 0.5, 100).sparsity(50) == pytest.approx(0.5)


def _recipe(epochs: int, **compress: object) -> Recipe:
    return Recipe(
        schedule=ScheduleRecipe(warmup_epochs=1, epochs=epochs), compress=CompressRecipe.model_validate(compress)
    )


def test_each_way_of_compression_begins_with_a_stage() -> None:
    stages = plan_stages(_recipe(6, prune="2:4", cluster=16, qat=True), 64)
    assert [(stage.first_epoch, stage.epochs, stage.compress) for stage in stages] == [
        (0, 1, ()),
        (1, 2, ("prune",)),
        (3, 2, ("prune", "cluster")),
        (5, 2, ("prune", "cluster", "qat")),
    ]
    assert stages[-1].name == "fine-tuning (prune, cluster, qat)"
    assert [stage.compress for stage in plan_stages(_recipe(6, qat=True), 64)] == [(), ("qat",)]


def test_too_few_epochs_are_refused() -> None:
    with pytest.raises(InputError, match="epochs = 1 are too few for prune, qat, one after the other; allowed: 2"):
        refuse_too_short(_recipe(1, prune="0.5", qat=True))


def test_flags_stand_in_the_recipe_that_a_run_keeps() -> None:
    recipe = with_compression(_recipe(6, cluster=8), "0.5", 0, True)
    assert recipe.compress == CompressRecipe(prune="0.5", cluster=8, qat=True)
    assert recipe_of_text(recipe.toml, "mine.toml") == recipe
    assert recipe_of_text("[compress]\nprune = 0.5", "mine.toml").compress.prune == "0.5"


@pytest.mark.parametrize("prune", ["1:4", "0", "1.0", "-0.5", "half", "nan", "channels:0.5", "2:4:1"])
def test_a_wrong_share_of_zeros_is_refused(prune: str) -> None:
    with pytest.raises(InputError, match=f"--prune cannot be '{prune}'; allowed: a share of zeros such as 0.5, or 2:4"):
        with_compression(Recipe(), prune, 0, False)
    with pytest.raises(InputError, match=r"compress\.prune = .*allowed: a share of zeros such as 0.5, or 2:4"):
        recipe_of_text(f'[compress]\nprune = "{prune}"', "mine.toml")


@pytest.mark.parametrize("cluster", [1, 2, 257, -3])
def test_a_wrong_number_of_clusters_is_refused(cluster: int) -> None:
    with pytest.raises(InputError, match=r"compress\.cluster = "):
        recipe_of_text(f"[compress]\ncluster = {cluster}", "mine.toml")


@dataclass(frozen=True)
class Broken:
    name: str
    content: bytes | None
    says: str


GOOD = pack_ranges({"conv_stem": (-1.0, 2.5)}, ["classifier"])
BROKEN = (
    Broken("missing", None, "ranges.json: No such file"),
    Broken("another file", GOOD + b" ", "is not the file of its run"),
    Broken("no JSON", b"{", "holds no ranges: the document"),
    Broken("none", b'{"schema_version": 1, "ranges": {}, "one_scale": []}', "holds no ranges: ranges: .*at least 1"),
    Broken("without 0", GOOD.replace(b"-1.0", b"1.0"), "holds no ranges: ranges.conv_stem.low: .*less than or equal"),
    Broken("no number", GOOD.replace(b"2.5", b"Infinity"), "holds no ranges: ranges.conv_stem.high"),
    Broken("nothing covered", GOOD.replace(b"-1.0", b"0.0").replace(b"2.5", b"0.0"), "low and high are both 0"),
    Broken("more keys", GOOD.replace(b'"one_scale"', b'"more": 1, "one_scale"'), "more: Extra inputs"),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_broken_ranges_are_refused(broken: Broken, tmp_path: Path) -> None:
    path = tmp_path / "ranges.json"
    if broken.content is not None:
        path.write_bytes(broken.content)
    expected = GOOD if broken.content is None or broken.name == "another file" else broken.content
    with pytest.raises(InputError, match=broken.says):
        read_ranges(path, hashlib.sha256(expected).hexdigest())


def test_ranges_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "ranges.json"
    path.write_bytes(GOOD)
    learned = read_ranges(path, hashlib.sha256(GOOD).hexdigest())
    assert learned.ranges == {"conv_stem": (-1.0, 2.5)}
    assert learned.one_scale == {"classifier"}


@pytest.mark.parametrize("kind", ["kernel", "depthwise_kernel", "dense"])
@pytest.mark.parametrize("one_scale", [False, True])
def test_training_rounds_to_the_scales_that_the_file_has(kind: str, one_scale: bool) -> None:
    from edgenet.training.compress.quantizers import KernelQuantizer, KernelRules

    shape, order = {
        "kernel": ((3, 3, 4, 6), (3, 2, 0, 1)),
        "depthwise_kernel": ((3, 3, 6, 1), (2, 3, 0, 1)),
        "dense": ((4, 6), (1, 0)),
    }[kind]
    kernel = RANDOM.normal(size=shape).astype(np.float32)
    rules = KernelRules("layer", "kernel" if kind == "dense" else kind, rounded=True, one_scale=one_scale)
    rounded = KernelQuantizer(rules)(kernel, True, {}).numpy().transpose(order)
    weight = kernel.transpose(order)
    scales = weight_scales(weight, one_scale=one_scale).reshape(-1, *[1] * (weight.ndim - 1))
    assert np.allclose(rounded, np.rint(weight / scales) * scales, atol=1e-6)
