"""The tf_keras network: its forms, its feature maps, and what TensorFlow's own converter makes of the deploy form."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from converters import flatbuffer
from converters.patterns import op_code, op_name
from edgenet.build import build
from edgenet.errors import InputError
from edgenet.layers import Architecture, expand
from edgenet.network import build_network, load_weights_into
from edgenet.variants import VARIANTS, Variant
from edgenet.weights.random import random_weights
from tests.networks import CLASSES, FAMILY_HEADS, SIDE_PX, pictures, small_variant
from tests.test_float_file import partitions

EACH_FAMILY = pytest.mark.parametrize("family", FAMILY_HEADS)
STRIDES = (2, 4, 8, 16, 32)
# What an Edge TPU, or XNNPACK in one piece, cannot take.
SHAPE_OPS = {"SHAPE", "PACK", "STRIDED_SLICE", "RESHAPE", "PAD"}


def _small(family: str) -> Architecture:
    return expand(small_variant(family), CLASSES, SIDE_PX)


def _image(seed: int) -> NDArray[np.float32]:
    return ((pictures(1, seed=seed)[0][np.newaxis] - 127.0) / 128).astype(np.float32)


@EACH_FAMILY
def test_the_converter_makes_one_partition_of_the_deploy_form(family: str) -> None:
    model = build_network(_small(family), form="deploy")
    traced = tf.function(model).get_concrete_function(tf.TensorSpec(model.input_shape, tf.float32))
    frozen = convert_variables_to_constants_v2(traced)  # from_keras_model gives the same ops and takes 10 s longer
    content = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    graph = flatbuffer.read(content)
    ops = Counter(op_name(op_code(graph, row)) for row in graph.subgraphs[0].operators)
    assert not SHAPE_OPS & ops.keys()
    assert partitions(content) == 1


@EACH_FAMILY
def test_training_and_deploy_form_agree_when_not_training(family: str) -> None:
    architecture = _small(family)
    weights = random_weights(architecture.variant, 0, CLASSES)
    outputs = []
    for form in ("training", "deploy"):
        model = build_network(architecture, form=form)
        load_weights_into(model, architecture, weights)
        outputs.append(np.asarray(model(_image(1), training=False)))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)


@EACH_FAMILY
def test_only_the_training_form_drops(family: str) -> None:
    deploy, training = (build_network(_small(family), form=form) for form in ("deploy", "training"))
    kinds = [{type(layer).__name__ for layer in model.layers} for model in (deploy, training)]
    assert ["Dropout" in kind for kind in kinds] == [False, True]
    assert (deploy.input_shape[0], training.input_shape[0]) == (1, None)


def test_stochastic_depth_drops_whole_branches_and_keeps_the_mean() -> None:
    architecture = _small("lite")
    block = [block for block in architecture.blocks if block.skip][-1]
    layer = build_network(architecture).get_layer(f"{block.name}.drop")
    assert block.drop_rate > 0
    dropped = np.asarray(layer(np.ones((4000, 2, 2, 3), np.float32), training=True))
    kept = dropped.reshape(len(dropped), -1)
    assert (kept == kept[:, :1]).all(), "a sample was dropped in part"
    assert np.isclose((kept[:, 0] == 0).mean(), block.drop_rate, atol=0.03)
    assert np.isclose(kept.mean(), 1.0, atol=0.05)


@pytest.mark.parametrize("name", [*FAMILY_HEADS.values(), "b3", "edgetpu-l", "v2-s"])
def test_features_have_one_map_a_stride(name: str) -> None:
    architecture = expand(VARIANTS[name], 1000, 256)
    shapes = build_network(architecture, features=True).output_shape
    assert [256 // side for _, side, _, _ in shapes] == list(STRIDES)
    last = {block.out_side: block.out_channels for block in architecture.blocks}
    assert [channels for *_, channels in shapes] == list(last.values())


@EACH_FAMILY
def test_features_take_the_weights_of_the_backbone(family: str) -> None:
    architecture = _small(family)
    weights = random_weights(architecture.variant, 0, CLASSES)
    maps = build_network(architecture, features=True)
    load_weights_into(maps, architecture, weights, features=True)
    whole = build_network(architecture)
    load_weights_into(whole, architecture, weights)
    head = whole.get_layer(architecture.head.name)
    backbone = tf_keras.Model(whole.input, head.input)
    np.testing.assert_array_equal(maps(_image(2))[-1], backbone(_image(2)))


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown form 'features'; allowed: training, deploy"):
        build("lite0", weights="random", form="features")  # type: ignore[arg-type]  # what a user may type


def test_other_class_counts_train_a_step() -> None:
    variant: Variant = small_variant("b")
    model = build_network(expand(variant, 3, SIDE_PX))
    model.compile("sgd", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    images = np.concatenate([_image(seed) for seed in range(4)])
    before = model.get_layer("conv_stem").get_weights()[0]
    model.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    assert np.abs(model.get_layer("conv_stem").get_weights()[0] - before).max() > 0
