"""Write what a user of Keras applications gets from TFLiteConverter: B0 and V2-B0, `fp32` and `w8a8`.

    python -m benchmarks.peers.keras_files DIR

in the project's own environment. Weights and calibration images are random: the files are for latency, never for
accuracy.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

MAKERS = {"b0": tf_keras.applications.EfficientNetB0, "v2-b0": tf_keras.applications.EfficientNetV2B0}
CALIBRATION_IMAGES = 8
MEAN, VARIANCE = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)  # ImageNet's, of images from 0 to 1


def set_normalization(model: tf_keras.Model) -> None:
    """Give B0's normalization layer the figures that come with its pretrained weights.

    Without them it is mean 0 and variance 1, which the converter folds away: ops that every trained file has.
    """
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.Normalization) and layer.weights:  # V2's has them as constants
            layer.set_weights([np.asarray(MEAN), np.asarray(VARIANCE), np.asarray(1)])
            layer.finalize_state()


def random_images(side_px: int) -> Iterator[list[NDArray[np.float32]]]:
    """Yield calibration images [1, side, side, 3], 0 to 255: what the networks take, preprocessing included."""
    random = np.random.default_rng(0)
    for _ in range(CALIBRATION_IMAGES):
        yield [random.uniform(0, 255, (1, side_px, side_px, 3)).astype(np.float32)]


def float_file(model: tf_keras.Model) -> bytes:
    """Convert as TensorFlow's guide shows it."""
    content: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return content


def full_integer_file(model: tf_keras.Model) -> bytes:
    """Convert to int8 with uint8 at both ends, as TensorFlow's guide shows it."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: random_images(model.input_shape[1])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    content: bytes = converter.convert()
    return content


PRECISIONS = {"fp32": float_file, "w8a8": full_integer_file}


def main(folder: Path) -> None:
    """Write `keras-<variant>-<precision>.tflite` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant, maker in MAKERS.items():
        tf_keras.utils.set_random_seed(0)
        model = maker(weights=None, classifier_activation=None)
        set_normalization(model)
        for precision, convert in PRECISIONS.items():
            path = folder / f"keras-{variant}-{precision}.tflite"
            fresh = path.with_suffix(".new")
            fresh.write_bytes(convert(model))
            fresh.replace(path)
            print(f"{path}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write the files")
    main(parser.parse_args().folder)
