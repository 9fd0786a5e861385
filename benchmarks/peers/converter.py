"""TensorFlow's own ways from a tf_keras network to a .tflite file, to hold edgenet's against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet.layers import Architecture
from edgenet.native_noise import quiet_native_stderr
from edgenet.weights.record import Weights

Images = Sequence[NDArray[np.float32]]
"""Calibration images [1, side, side, 3] as the network takes them."""


def keras_network(architecture: Architecture, weights: Weights) -> Any:
    """Return the tf_keras network of `weights`, batch 1: the form that the converter does best on."""
    with quiet_native_stderr():
        from edgenet.network import build_network, load_weights_into

        network = build_network(architecture, form="deploy", convention=weights.convention)
        load_weights_into(network, architecture, weights)
    return network


def guide(network: Any) -> Any:
    """Return the converter of TensorFlow's guide, which goes through a SavedModel."""
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_keras_model(network)


def frozen(network: Any) -> Any:
    """Return a converter on the frozen graph, which saves the SavedModel: its fastest way, known to few."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(network).get_concrete_function(tf.TensorSpec(network.input_shape, tf.float32))
    return tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(traced)])


def full_integer(converter: Any, images: Images) -> Any:
    """Set a converter to int8 with uint8 ends, calibrated on `images`."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter


def calibrated(content: bytes, images: Images) -> bytes:
    """Return a float file with the ranges that the converter's calibrator saw: the part of its work that is that."""
    from tensorflow.lite.python.optimize import calibrator

    prepared = calibrator.add_intermediate_tensors(content)
    result: bytes = calibrator.Calibrator(prepared).calibrate(lambda: ([image] for image in images))
    return result
