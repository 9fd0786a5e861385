"""Open Keras models and SavedModels (in the child process only: nothing here is for files that were not looked at)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converters.foreign.keras_guard import half_layer, layer_classes, read_config
from converters.foreign.original import Original, square_side
from converters.foreign.tf_graph import DIALECT, read_graph
from edgenet.errors import InputError

# Of a frozen graph: what computes sides, and what only orders.
HARMLESS = frozenset((
    *("Shape", "StridedSlice", "Pack", "Prod", "Range", "ConcatV2", "NoOp", "IdentityN", "Const", "Placeholder"),
    *DIALECT.handlers, *DIALECT.folds, *DIALECT.passed,
))  # fmt: skip
OBJECTS = ("user_object", "variable", "constant", "function", "bare_concrete_function", "captured_tensor")
RUN_WHEN_LOADED = ("_initialize", "_create_resource", "_destroy_resource")
SAVE_AGAIN = "save it with TensorFlow 2: model.export(DIR) or tf.saved_model.save(model, DIR)"


def open_keras(path: Path) -> Original:
    """Open a .keras or whole-model .h5 file with the Keras that wrote it; raise InputError for what is refused."""
    document, version = read_config(path)
    _refuse_half(document, path.name)
    import tensorflow as tf

    major = version.partition(".")[0]
    if major == "3":
        import keras

        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    elif major == "2":
        import tf_keras

        model = tf_keras.models.load_model(path, compile=False, safe_mode=True)
    else:
        raise InputError(f"{path.name} was written by Keras {version or 'of no version'}", allowed="Keras 2 and 3")
    _refuse_several(path.name, model.inputs, model.outputs)
    _, height, width, channels = _image_shape(model.inputs[0].shape)
    side = square_side(height, width) or None

    def call(image: Any) -> Any:
        return model(image, training=False)

    signature = tf.TensorSpec([1, side, side, channels], tf.float32)
    frozen = _frozen(tf.function(call).get_concrete_function(signature))
    output = read_graph(frozen.graph.as_graph_def(), frozen.outputs[0].name, layer_classes(document))
    return Original(f"a Keras {version} model", output, lambda image: np.asarray(call(tf.constant(image)))[0])


def open_saved_model(path: Path) -> Original:
    """Open a SavedModel's serving signature; raise InputError for what is refused."""
    _refuse_unsafe(path)
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signatures = dict(loaded.signatures)
    if "serving_default" not in signatures:
        raise InputError(
            f"{path.name} has the signatures {sorted(signatures)}", allowed="serving_default", mend=SAVE_AGAIN
        )
    frozen = _frozen(signatures["serving_default"])
    _refuse_several(path.name, frozen.inputs, frozen.outputs)
    _image_shape(frozen.inputs[0].shape)
    square_side(*frozen.inputs[0].shape[1:3])
    graph = frozen.graph.as_graph_def()
    output = read_graph(graph, frozen.outputs[0].name, {})
    odd = next((node for node in graph.node if node.op not in HARMLESS), None)

    def run(image: Any) -> Any:
        # The frozen graph is the model itself, inlined: what it holds was looked at, op by op.
        if odd is not None:
            raise InputError(f"{odd.name} ({odd.op}) does something beside computing the output", mend=SAVE_AGAIN)
        result = frozen(tf.constant(image))
        return np.asarray(result[0] if isinstance(result, list | tuple) else result)[0]

    return Original("a SavedModel", output, run)


def _refuse_half(document: Mapping[str, Any], name: str) -> None:
    """Raise InputError for a model that rounds inside, so that no float32 network answers alike."""
    half = half_layer(document)
    if half is not None:
        raise InputError(
            f"{name}: {half[0]} computes in {half[1]}",
            allowed="float32",
            mend='set_global_policy("float32"), build the model anew, load the weights into it, and save that',
        )


def _refuse_several(name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    if len(inputs) == len(outputs) == 1:
        return
    ends = [", ".join(repr(str(row.name)) for row in rows) for rows in (inputs, outputs)]
    raise InputError(
        f"{name} has {len(inputs)} inputs ({ends[0]}) and {len(outputs)} outputs ({ends[1]})",
        allowed="one of each",
        mend="save the part that takes one image and gives one answer",
    )


def _image_shape(shape: Any) -> tuple[Any, ...]:
    sides = tuple(shape)
    if len(sides) != 4 or sides[3] != 3:
        raise InputError(f"the model's input is {list(sides)}", allowed="one RGB image, [N, side, side, 3]")
    return sides


def _frozen(function: Any) -> Any:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function)


def _refuse_unsafe(path: Path) -> None:
    """Raise InputError for a SavedModel of which something runs already when it is loaded."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise InputError(
            f"{path.name} was saved by TensorFlow 1", allowed="a SavedModel of TensorFlow 2", mend=SAVE_AGAIN
        )
    for node in model.meta_graphs[0].object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        hooks = [child.local_name for child in node.children if child.local_name in RUN_WHEN_LOADED]
        if kind not in OBJECTS or hooks:
            what = hooks[0] if hooks else kind
            raise InputError(
                f"{path.name} brings {what}: loading it would run something or open files", mend=SAVE_AGAIN
            )
