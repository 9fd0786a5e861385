"""Rebuild `keras_logits.json`: B0–B7 and V2 B0–B3, S, M, L of Keras applications, with the seeded weights.

    python -m tests.golden.rebuild_keras

in the project's own environment (tf_keras is a dependency).
"""

import re

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from edgenet.layers import expand
from edgenet.variants import VARIANTS
from tests.golden import cases, seeded_weights

Tensors = dict[str, NDArray[np.float32]]

ENDS = {
    "stem_conv": "conv_stem",
    "stem_bn": "bn1",
    "top_conv": "conv_head",
    "top_bn": "bn2",
    "predictions": "classifier",
}
SQUEEZE = {"se_reduce": "se.conv_reduce", "se_expand": "se.conv_expand"}
# Keras' part of a block's name -> timm's, by the kind of block.
INVERTED = SQUEEZE | {
    "expand_conv": "conv_pw",
    "expand_bn": "bn1",
    "dwconv": "conv_dw",
    "dwconv2": "conv_dw",
    "bn": "bn2",
    "project_conv": "conv_pwl",
    "project_bn": "bn3",
}
SEPARABLE = SQUEEZE | {"dwconv": "conv_dw", "bn": "bn1", "project_conv": "conv_pw", "project_bn": "bn2"}
FUSED = {"expand_conv": "conv_exp", "expand_bn": "bn1", "project_conv": "conv_pwl", "project_bn": "bn2"}
PLAIN = {"project_conv": "conv", "project_bn": "bn1"}


def build(variant: str, side_px: int) -> tf_keras.Model:
    """Return the Keras application that gives logits, untrained; V2 without its preprocessing layers."""
    if variant.startswith("v2-"):
        maker = getattr(tf_keras.applications, f"EfficientNetV2{variant.removeprefix('v2-').upper()}")
        options = {"include_preprocessing": False}
    else:
        maker, options = getattr(tf_keras.applications, f"EfficientNet{variant.upper()}"), {}
    return maker(weights=None, input_shape=(side_px, side_px, 3), classifier_activation=None, **options)


def timm_name(layer_name: str, blocks: set[str]) -> str:
    """Return timm's name of a Keras layer that has weights; `blocks` holds the names of all layers."""
    if layer_name in ENDS:
        return ENDS[layer_name]
    match = re.fullmatch(r"(block(\d+)([a-z])_)(\w+)", layer_name)
    if not match:
        raise ValueError(f"Keras has a layer {layer_name!r} that no rule maps")
    prefix, stage, repeat, part = match.groups()
    depthwise = bool(blocks & {f"{prefix}dwconv", f"{prefix}dwconv2"})
    expands = f"{prefix}expand_conv" in blocks
    names = {(True, True): INVERTED, (True, False): SEPARABLE, (False, True): FUSED, (False, False): PLAIN}
    return f"blocks.{int(stage) - 1}.{ord(repeat) - ord('a')}.{names[depthwise, expands][part]}"


def arrays_for(layer: tf_keras.layers.Layer, name: str, tensors: Tensors) -> list[NDArray[np.float32]]:
    """Return a layer's arrays in Keras' order and layouts, taken out of `tensors`."""
    if isinstance(layer, tf_keras.layers.BatchNormalization):
        return [tensors.pop(f"{name}.{part}") for part in seeded_weights.BATCH_NORM_PARTS]
    weight = tensors.pop(f"{name}.weight")
    if isinstance(layer, tf_keras.layers.Dense):
        weight = weight.T
    elif isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        weight = weight.transpose(2, 3, 0, 1)
    else:
        weight = weight.transpose(2, 3, 1, 0)
    return [weight, tensors.pop(f"{name}.bias")] if layer.use_bias else [weight]


def load(model: tf_keras.Model, tensors: Tensors) -> None:
    """Put `tensors` into `model`; raise ValueError if one is left over (KeyError if one lacks)."""
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        if layer.weights and not isinstance(layer, tf_keras.layers.Normalization):
            layer.set_weights(arrays_for(layer, timm_name(layer.name, names), tensors))
    if tensors:
        raise ValueError(f"{model.name} has no place for {sorted(tensors)}")


def compute(variant: str, side_px: int) -> cases.GoldenCase:
    """Return the answer of Keras' own network of `variant` at `side_px`."""
    model = build(variant, side_px)
    load(model, seeded_weights.seeded_tensors(expand(VARIANTS[variant], cases.CLASSES)))
    image = seeded_weights.normalized(seeded_weights.seeded_image(side_px))
    if not variant.startswith("v2-"):
        # The V1 networks start with Rescaling(1/255) and a Normalization that, untrained, changes nothing.
        image = image * np.float32(255)
    logits = model(image, training=False).numpy()[0]
    return cases.make_case(
        logits,
        library=f"keras (tf_keras {tf_keras.__version__}, tensorflow {tf.__version__})",
        model=model.name,
        variant=variant,
        side_px=side_px,
        parameters=model.count_params(),
    )


def main() -> None:
    """Compute every case that Keras applications have and write the file."""
    done = []
    for variant, side_px in cases.SIDES:
        if VARIANTS[variant].family in ("b", "v2") and variant != "v2-xl":
            done.append(compute(variant, side_px))
            print(f"{done[-1].id}: {done[-1].parameters} parameters, std {done[-1].std_logit:.3f}", flush=True)
            tf_keras.backend.clear_session()
    cases.write_cases(cases.FOLDER / "keras_logits.json", done)


if __name__ == "__main__":
    main()
