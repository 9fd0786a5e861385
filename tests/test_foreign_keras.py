"""Keras models and SavedModels of users: recognised, read to the last tensor, proved, or refused by a layer's name."""

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converters.foreign import child
from converters.foreign import read as foreign
from converters.foreign.keras_guard import KNOWN_FUNCTIONS, read_config
from converters.foreign.keras_original import open_saved_model
from converters.foreign.process import ERRORS
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.weights.preprocessing_rules import PreprocessingOverrides
from edgenet.weights.record import Weights
from tests.foreign_models import CLASSES, HALF, SIDE_PX, into_keras, trained
from tests.test_foreign_onnx import logits, silent

SHAPE = (SIDE_PX, SIDE_PX, 3)
MEAN, VARIANCE = (0.485, 0.456, 0.406), (0.05, 0.051, 0.049)
BY_HAND = PreprocessingOverrides(mean=HALF, std=HALF)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do the child's work in this process, where TensorFlow is imported already."""

    def read_here(request: Mapping[str, Any], folder: Path, name: str) -> Any:
        (folder / child.REQUEST).write_text(json.dumps(request), encoding="utf-8")
        child.main(folder)
        result = json.loads((folder / child.RESULT).read_text(encoding="utf-8"))
        if "error" in result:
            raise ERRORS[result["error"]](result["what"], allowed=result["allowed"], mend=result["mend"])
        return result

    monkeypatch.setattr(foreign, "read_in_child", read_here)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True, eq=False)
class Saved:
    """A model's weights, and the files that Keras made of it."""

    weights: Weights
    folder: Path


@pytest.fixture(scope="module")
def tf_keras_b0(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """B0 of tf_keras' applications, which normalizes by itself and ends in softmax, as files."""
    import tf_keras

    folder, weights = tmp_path_factory.mktemp("tf_keras"), trained("b0")
    tf_keras.backend.clear_session()  # layers are numbered through, over all models of a process
    model = tf_keras.applications.EfficientNetB0(weights=None, classes=CLASSES, input_shape=SHAPE)
    into_keras(model, weights).get_layer("normalization").set_weights([np.asarray(MEAN), np.asarray(VARIANCE), 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is "legacy" to Keras, and here on purpose
        model.save(folder / "mine.keras")
        model.save(folder / "mine.h5")
        model.save_weights(folder / "arrays.h5")
    return Saved(weights, folder)


@pytest.fixture(scope="module")
def keras3() -> Any:
    """Keras 3 on TensorFlow."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    return keras


@pytest.fixture(scope="module")
def nested(keras3: Any, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """V2-B0 without its top inside of another model, with a head of the user's: what Keras' tutorials build."""
    folder, weights = tmp_path_factory.mktemp("keras3"), trained("v2-b0")
    base = keras3.applications.EfficientNetV2B0(weights=None, include_top=False, input_shape=SHAPE)
    into_keras(base, weights, classifier=False)
    layers = keras3.layers
    for name, extra in (("plain", []), ("normed", [layers.BatchNormalization(name="normed")])):
        inner = [layers.RandomFlip(), base, layers.GlobalAveragePooling2D(), *extra, layers.Dropout(0.2)]
        model = keras3.Sequential([keras3.Input(SHAPE), *inner, layers.Dense(CLASSES, name="kinds")])
        dense = weights.tensors["classifier.weight"].T, weights.tensors["classifier.bias"]
        model.get_layer("kinds").set_weights(dense)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras' conversion to numpy is deprecated
            model.save(folder / f"{name}.keras")
    return Saved(weights, folder)


@pytest.mark.usefixtures("here")
def test_a_tf_keras_model_is_read_to_the_last_tensor(tf_keras_b0: Saved) -> None:
    found = foreign.read_model(tf_keras_b0.folder / "mine.h5", None, None, silent)
    assert (found.variant.name, found.num_classes, found.convention.padding) == ("b0", CLASSES, "same")
    assert all(np.array_equal(found.tensors[key], row) for key, row in tf_keras_b0.weights.tensors.items())
    assert found.preprocessing.mean == pytest.approx([255 * share for share in MEAN], abs=1e-3)
    assert found.preprocessing.std == pytest.approx([255 * share**0.5 for share in VARIANCE], abs=1e-3)
    for note in ("own first layers", "ends in softmax", "proved against the model itself"):
        assert any(note in row for row in found.notes), found.notes


def test_a_model_is_opened_in_a_process_of_its_own(tf_keras_b0: Saved) -> None:
    found = foreign.read_model(tf_keras_b0.folder / "mine.keras", None, None, silent)
    assert all(np.array_equal(found.tensors[key], row) for key, row in tf_keras_b0.weights.tensors.items())


def test_a_file_of_arrays_says_that_there_was_nothing_to_run(tf_keras_b0: Saved) -> None:
    found = foreign.read_model(tf_keras_b0.folder / "arrays.h5", None, None, silent)
    assert found.variant.name == "b0"
    assert all(np.array_equal(found.tensors[key], row) for key, row in tf_keras_b0.weights.tensors.items())
    assert "not by running it" in found.notes[0]
    assert not any("proved" in note for note in found.notes)


@pytest.mark.usefixtures("here")
def test_a_network_inside_of_a_network_is_found(nested: Saved) -> None:
    found = foreign.read_model(nested.folder / "plain.keras", None, None, silent)
    assert (found.variant.name, found.num_classes) == ("v2-b0", CLASSES)
    # Keras' V2-B0 rescales by 1 / 255 and normalizes by constants of its own.
    assert found.preprocessing.mean == pytest.approx((123.675, 116.28, 103.53), abs=1e-3)
    assert found.preprocessing.std == pytest.approx((58.395, 57.12, 57.375), abs=1e-3)
    ours, theirs = logits(found), logits(replace(nested.weights, preprocessing=found.preprocessing))
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.usefixtures("here")
def test_a_head_with_more_in_it_is_refused_by_the_layers_name(nested: Saved) -> None:
    with pytest.raises(InputError, match=r"the head holds normed \(BatchNormalization\)"):
        foreign.read_model(nested.folder / "normed.keras", None, None, silent)


@pytest.mark.usefixtures("here")
def test_our_own_network_comes_back_from_a_file_and_from_a_saved_model(tmp_path: Path) -> None:
    import tensorflow as tf

    from edgenet.network import build_network, load_weights_into

    weights = trained("lite0")
    network = expand(weights.variant, CLASSES, SIDE_PX)
    model = build_network(network)
    load_weights_into(model, network, weights)
    model.save(tmp_path / "lite.keras")
    tf.saved_model.save(model, str(tmp_path / "lite"))
    with pytest.raises(InputError, match=r"nothing in lite.keras says how its image is normalized"):
        foreign.read_model(tmp_path / "lite.keras", None, None, silent)
    for name in ("lite.keras", "lite"):
        found = foreign.read_model(tmp_path / name, None, BY_HAND, silent)
        assert found.variant.name == "lite0"
        assert all(np.array_equal(found.tensors[key], row) for key, row in weights.tensors.items())


@pytest.mark.usefixtures("here")
def test_other_networks_are_refused(keras3: Any, tmp_path: Path) -> None:
    model = keras3.applications.MobileNetV2(weights=None, classes=CLASSES, input_shape=SHAPE, alpha=0.35)
    model.save(tmp_path / "mobile.keras")
    with pytest.raises(InputError, match=r"is no EfficientNet that edgenet knows; nearest is .*Conv1"):
        foreign.read_model(tmp_path / "mobile.keras", None, None, silent)


@pytest.mark.usefixtures("here")
def test_a_model_with_a_second_input_is_refused_by_its_ends(keras3: Any, tmp_path: Path) -> None:
    image, age = keras3.Input(SHAPE, name="image"), keras3.Input((4,), name="age")
    pooled = keras3.layers.GlobalAveragePooling2D()(image)
    answer = keras3.layers.Dense(CLASSES, name="kinds")(keras3.layers.Concatenate()([pooled, age]))
    keras3.Model([image, age], answer).save(tmp_path / "aged.keras")
    with pytest.raises(InputError, match=r"has 2 inputs \('image', 'age'\) and 1 outputs \(.*\); allowed: one of each"):
        foreign.read_model(tmp_path / "aged.keras", None, None, silent)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_of_mixed_precision_is_refused_by_its_layer(keras3: Any, tmp_path: Path, suffix: str) -> None:
    image = keras3.Input(SHAPE)
    pooled = keras3.layers.GlobalAveragePooling2D(dtype="mixed_float16", name="pooled")(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is "legacy" to Keras
        keras3.Model(image, keras3.layers.Dense(CLASSES)(pooled)).save(tmp_path / f"mixed.{suffix}")
    with pytest.raises(InputError, match="pooled computes in mixed_float16; allowed: float32; set_global_policy"):
        foreign.read_model(tmp_path / f"mixed.{suffix}", None, None, silent)


# What is never opened


Layer = dict[str, Any]
LAMBDA: Layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "trick", "function": ["4wEA"]}}
CUSTOM: Layer = {
    "class_name": "Mine",
    "module": "mine.layers",
    "config": {"name": "block"},
    "registered_name": "a>Mine",
}
MODULE: Layer = {"class_name": "Dense", "module": "os", "config": {"name": "dense"}}
FUNCTION: Layer = {"class_name": "function", "module": "builtins", "config": "eval"}
OPERATION: Layer = {"class_name": "TFOpLambda", "config": {"name": "tf.io", "function": "io.write_file"}}
DIVISION: Layer = {"class_name": "TFOpLambda", "config": {"name": "tf.div", "function": "math.truediv"}}


def _config(*layers: Layer) -> str:
    return json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [{"deep": list(layers)}]}})


def _keras(path: Path, config: str, more: Mapping[str, bytes] = {}) -> Path:
    with h5py.File(path.with_suffix(".weights"), "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), np.float32)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", '{"keras_version": "3.9.0"}')
        archive.writestr("model.weights.h5", path.with_suffix(".weights").read_bytes())
        for name, content in more.items():
            archive.writestr(name, content)
    return path


def _h5(path: Path, config: str) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = config, "2.15.0"
    return path


def _linked(path: Path) -> Path:
    _h5(path, _config())
    with h5py.File(path, "a") as file:
        file["model_weights"] = h5py.ExternalLink("/etc/passwd", "/")
    return path


def _bomb(path: Path) -> Path:
    return _keras(path, _config() + " " * 3_000_000)


@dataclass(frozen=True)
class Hostile:
    """A file that would do something, and what is said of it."""

    id: str
    make: Callable[[Path], Path]
    message: str


HOSTILE = (
    Hostile("Lambda in .keras", lambda f: _keras(f / "a.keras", _config(LAMBDA)), "trick is a Lambda: code that comes"),
    Hostile("Lambda in .h5", lambda f: _h5(f / "a.h5", _config(LAMBDA)), "trick is a Lambda: code that comes"),
    Hostile("class of the user", lambda f: _keras(f / "a.keras", _config(CUSTOM)), "block is a Mine"),
    Hostile("module of the system", lambda f: _keras(f / "a.keras", _config(MODULE)), "dense is a Dense"),
    Hostile("function", lambda f: _keras(f / "a.keras", _config(FUNCTION)), "eval is a function"),
    Hostile("operation", lambda f: _h5(f / "a.h5", _config(DIVISION, OPERATION)), "tf.io is a TFOpLambda"),
    Hostile("bomb", lambda f: _bomb(f / "a.keras"), "would unpack to far more"),
    Hostile("stray file", lambda f: _keras(f / "a.keras", _config(), {"assets/x": b"x"}), "holds 'assets/x'"),
    Hostile("link", lambda f: _linked(f / "a.h5"), "'model_weights' in the HDF5 file is a link"),
)


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.id)
def test_what_could_run_code_is_refused_before_keras_sees_it(case: Hostile, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=case.message):
        read_config(case.make(tmp_path))


def test_known_layers_pass_and_tell_the_version(tmp_path: Path) -> None:
    functions = [{"class_name": "function", "module": "builtins", "config": name} for name in sorted(KNOWN_FUNCTIONS)]
    document, version = read_config(_keras(tmp_path / "a.keras", _config(DIVISION, *functions)))
    assert (document["class_name"], version) == ("Sequential", "3.9.0")


def test_a_refusal_comes_through_from_the_process(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trick is a Lambda"):
        foreign.read_model(_keras(tmp_path / "a.keras", _config(LAMBDA)), None, None, silent)


class Writer:
    """What a SavedModel can do beside its work."""

    def __init__(self, victim: Path) -> None:
        import tensorflow as tf

        self.module = tf.Module()
        self.module.kernel = tf.Variable(tf.ones((3, 3, 3, 4)))

        def call(image: Any) -> Any:
            tf.io.write_file(str(victim), "written")
            return tf.reduce_mean(tf.nn.conv2d(image, self.module.kernel, 1, "SAME"), [1, 2])

        self.module.call = tf.function(call, input_signature=[tf.TensorSpec([1, SIDE_PX, SIDE_PX, 3])])


def test_a_saved_model_that_writes_files_is_not_run(tmp_path: Path) -> None:
    import tensorflow as tf

    victim = tmp_path / "victim"
    module = Writer(victim).module
    tf.saved_model.save(module, str(tmp_path / "writer"), signatures=module.call)
    original = open_saved_model(tmp_path / "writer")
    with pytest.raises(InputError, match=r"\(WriteFile\) does something beside computing the output"):
        original.run(np.zeros((1, *SHAPE), np.float32))
    assert not victim.exists()


def test_a_saved_model_that_brings_files_is_not_loaded(tmp_path: Path) -> None:
    import tensorflow as tf

    (tmp_path / "words.txt").write_text("one")
    module = tf.Module()
    module.words = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    tf.saved_model.save(module, str(tmp_path / "reader"))
    with pytest.raises(InputError, match="reader brings asset: loading it"):
        open_saved_model(tmp_path / "reader")


def test_a_saved_model_without_its_file_or_of_no_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no saved_model.pb"):
        foreign.read_model(tmp_path, None, None, silent)
