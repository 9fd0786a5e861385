"""Seeded random weights: the same bytes for a seed, and activations that neither vanish nor explode."""

import numpy as np
import pytest

from edgenet.variants import VARIANTS
from edgenet.weights.names import expected_shapes
from edgenet.weights.random import digest, random_weights

LITE0 = VARIANTS["lite0"]
SHA256_LITE0_SEED_0 = "37d9c7e16993f506b187fa0f60f754d2781fa4f75e97903d025ff1c45acacc2e"
FIRST_THREE = np.array([0.2056427001953125, 0.538482666015625, 0.2168833464384079], np.float32)


def test_a_seed_gives_these_very_bytes() -> None:
    """Another digest means that the bytes changed: every golden file made from a seed changes with them."""
    weights = random_weights(LITE0, 0)
    assert weights.sha256 == SHA256_LITE0_SEED_0
    np.testing.assert_array_equal(weights.tensors["conv_stem.weight"].ravel()[:3], FIRST_THREE)


def test_seeds_differ_and_repeat() -> None:
    first, again, other = (random_weights(LITE0, seed).sha256 for seed in (1, 1, 2))
    assert first == again != other


def test_the_set_is_complete_and_says_what_it_is() -> None:
    weights = random_weights(LITE0, 3, num_classes=7)
    assert {name: tensor.shape for name, tensor in weights.tensors.items()} == expected_shapes(LITE0, 7)
    assert all(tensor.dtype == np.float32 for tensor in weights.tensors.values())
    assert (weights.source, weights.origin, weights.num_classes) == ("random", "seed 3", 7)
    assert "predictions mean nothing" in weights.notes[0]


def test_batch_norms_change_nothing() -> None:
    tensors = random_weights(LITE0).tensors
    assert (tensors["bn1.weight"] == 1).all() and (tensors["bn1.running_var"] == 1).all()
    assert not tensors["bn1.bias"].any() and not tensors["bn1.running_mean"].any()
    assert not tensors["classifier.bias"].any()


def test_the_digest_depends_on_names_and_values() -> None:
    ones = np.ones(3, np.float32)
    assert len({digest({"a": ones}), digest({"b": ones}), digest({"a": ones * 2})}) == 3


@pytest.mark.parametrize("name", ["b0", "lite4", "edgetpu-l", "v2-b3", "v2-s"])
def test_each_convolution_has_the_spread_that_its_fan_in_asks_for(name: str) -> None:
    """He: variance of a layer = gain / fan-in, gain from 1/94 (damped) to 4 x 2.81 (behind a gate)."""
    for key, tensor in random_weights(VARIANTS[name]).tensors.items():
        if tensor.ndim > 1:
            gain = float(tensor.var()) * int(np.prod(tensor.shape[1:]))
            assert 0.005 < gain < 16, key
            assert abs(float(tensor.mean())) < 5 * float(tensor.std()) / tensor.size**0.5, key
