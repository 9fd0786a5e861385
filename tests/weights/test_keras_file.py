"""Keras files of every layout, written by tf_keras and Keras 3 themselves, read back without either."""

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from edgenet.errors import EdgenetError, InputError
from edgenet.variants import parse_variant
from edgenet.weights.keras_file import read_keras
from edgenet.weights.names import Mapped, map_strictly

MEAN, VARIANCE = (0.4, 0.5, 0.6), (0.04, 0.05, 0.06)


@dataclass(frozen=True, eq=False)
class Saved:
    """A Keras model with known values and the files that Keras made of it."""

    variant: str
    model: Any
    files: dict[str, Path]

    @cache  # noqa: B019  # two objects live as long as this module's tests
    def mapped(self, name: str) -> Mapped:
        """Return one file's tensors under timm's names."""
        return map_strictly(read_keras(self.files[name]).tensors, parse_variant(self.variant), name)


def seeded(model: Any, mean: tuple[float, ...] = (), variance: tuple[float, ...] = ()) -> Any:
    """Fill a model with distinct values; the first three variables are the Normalization layer's where it has any."""
    generator = np.random.default_rng(0)
    values = [generator.uniform(0.1, 1, np.shape(value)).astype(np.float32) for value in model.get_weights()]
    if mean:
        values[:3] = [np.array(mean, np.float32), np.array(variance, np.float32), np.array(1, np.int64)]
    model.set_weights(values)
    return model


@pytest.fixture(scope="module")
def tf_keras_b0(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """B0 as tf_keras saves it: weights only (old and new layout), whole model (old and new)."""
    import tf_keras

    folder = tmp_path_factory.mktemp("tf_keras")
    model = seeded(tf_keras.applications.EfficientNetB0(weights=None), MEAN, VARIANCE)
    files = {name: folder / name for name in ("weights.h5", "model.h5", "model.keras", "new.weights.h5")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is "legacy" to Keras, and here on purpose
        model.save_weights(files["weights.h5"])
        model.save_weights(files["new.weights.h5"])
        model.save(files["model.h5"])
        model.save(files["model.keras"])
    return Saved("b0", model, files)


@pytest.fixture(scope="module")
def keras3_v2b0(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """V2-B0 as Keras 3 saves it."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    folder = tmp_path_factory.mktemp("keras3")
    model = seeded(keras.applications.EfficientNetV2B0(weights=None))
    files = {name: folder / name for name in ("model.h5", "model.keras", "model.weights.h5")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is "legacy" to Keras, and here on purpose
        model.save_weights(files["model.weights.h5"])
        model.save(files["model.h5"])
        model.save(files["model.keras"])
    return Saved("v2-b0", model, files)


def as_conv(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """[kH, kW, I, O] -> [O, I, kH, kW], spelled out."""
    return np.stack([np.stack([kernel[:, :, i, o] for i in range(kernel.shape[2])]) for o in range(kernel.shape[3])])


def as_depthwise(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """[kH, kW, C, 1] -> [C, 1, kH, kW], spelled out."""
    return np.stack([kernel[:, :, channel, 0][None] for channel in range(kernel.shape[2])])


def unchanged(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector is a vector."""
    return values


@dataclass(frozen=True)
class Pair:
    """A Keras layer's variable and where it must land."""

    layer: str
    variable: int
    target: str
    layout: Callable[[NDArray[np.float32]], NDArray[np.float32]]


B0_PAIRS = (
    Pair("stem_conv", 0, "conv_stem.weight", as_conv),
    Pair("stem_bn", 3, "bn1.running_var", unchanged),
    Pair("block1a_dwconv", 0, "blocks.0.0.conv_dw.weight", as_depthwise),
    Pair("block1a_bn", 0, "blocks.0.0.bn1.weight", unchanged),
    Pair("block1a_project_conv", 0, "blocks.0.0.conv_pw.weight", as_conv),
    Pair("block1a_project_bn", 1, "blocks.0.0.bn2.bias", unchanged),
    Pair("block2b_expand_conv", 0, "blocks.1.1.conv_pw.weight", as_conv),
    Pair("block2b_expand_bn", 2, "blocks.1.1.bn1.running_mean", unchanged),
    Pair("block2b_bn", 2, "blocks.1.1.bn2.running_mean", unchanged),
    Pair("block5c_dwconv", 0, "blocks.4.2.conv_dw.weight", as_depthwise),
    Pair("block5c_se_reduce", 0, "blocks.4.2.se.conv_reduce.weight", as_conv),
    Pair("block5c_se_expand", 1, "blocks.4.2.se.conv_expand.bias", unchanged),
    Pair("block7a_project_bn", 3, "blocks.6.0.bn3.running_var", unchanged),
    Pair("top_conv", 0, "conv_head.weight", as_conv),
    Pair("top_bn", 0, "bn2.weight", unchanged),
    Pair("predictions", 0, "classifier.weight", np.transpose),
    Pair("predictions", 1, "classifier.bias", unchanged),
)
V2_PAIRS = (
    Pair("block1a_project_conv", 0, "blocks.0.0.conv.weight", as_conv),
    Pair("block1a_project_bn", 0, "blocks.0.0.bn1.weight", unchanged),
    Pair("block2b_expand_conv", 0, "blocks.1.1.conv_exp.weight", as_conv),
    Pair("block2b_expand_bn", 3, "blocks.1.1.bn1.running_var", unchanged),
    Pair("block3a_project_conv", 0, "blocks.2.0.conv_pwl.weight", as_conv),
    Pair("block3a_project_bn", 1, "blocks.2.0.bn2.bias", unchanged),
    Pair("block6h_dwconv2", 0, "blocks.5.7.conv_dw.weight", as_depthwise),
    Pair("block6h_se_expand", 0, "blocks.5.7.se.conv_expand.weight", as_conv),
    Pair("top_conv", 0, "conv_head.weight", as_conv),
)


@pytest.mark.parametrize("pair", B0_PAIRS, ids=lambda pair: f"{pair.layer}/{pair.variable}")
def test_b0_layers_land_where_they_belong(tf_keras_b0: Saved, pair: Pair) -> None:
    values = tf_keras_b0.model.get_layer(pair.layer).get_weights()[pair.variable]
    np.testing.assert_array_equal(tf_keras_b0.mapped("weights.h5").tensors[pair.target], pair.layout(values))


@pytest.mark.parametrize("pair", V2_PAIRS, ids=lambda pair: f"{pair.layer}/{pair.variable}")
def test_v2_layers_land_where_they_belong(keras3_v2b0: Saved, pair: Pair) -> None:
    values = keras3_v2b0.model.get_layer(pair.layer).get_weights()[pair.variable]
    np.testing.assert_array_equal(keras3_v2b0.mapped("model.h5").tensors[pair.target], pair.layout(values))


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "new.weights.h5"])
def test_every_tf_keras_layout_gives_the_same_tensors(tf_keras_b0: Saved, name: str) -> None:
    expected, tensors = tf_keras_b0.mapped("weights.h5").tensors, tf_keras_b0.mapped(name).tensors
    assert tensors.keys() == expected.keys()
    assert all(np.array_equal(tensors[key], expected[key]) for key in expected)
    file = read_keras(tf_keras_b0.files[name])
    np.testing.assert_allclose((file.mean, file.variance), (MEAN, VARIANCE), rtol=1e-6)


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_every_keras3_layout_gives_the_same_tensors(keras3_v2b0: Saved, name: str) -> None:
    expected, tensors = keras3_v2b0.mapped("model.h5").tensors, keras3_v2b0.mapped(name).tensors
    assert tensors.keys() == expected.keys()
    assert all(np.array_equal(tensors[key], expected[key]) for key in expected)
    assert read_keras(keras3_v2b0.files[name]).mean == ()


def test_names_of_a_keras_archive_come_from_its_config(tf_keras_b0: Saved) -> None:
    assert tf_keras_b0.mapped("model.keras").naming == "Keras"
    assert tf_keras_b0.mapped("new.weights.h5").naming == "Keras (numbered)"


@pytest.mark.parametrize("name", ["weights.h5", "model.keras", "new.weights.h5"])
def test_a_keras_file_cut_short_is_refused(tf_keras_b0: Saved, name: str, tmp_path: Path) -> None:
    whole = tf_keras_b0.files[name].read_bytes()
    cut = tmp_path / name
    for share in (0.0, 0.0001, 0.3, 0.99):
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="no readable Keras file"):
            read_keras(cut)


def layer_file(path: Path, fill: Callable[[h5py.Group], None]) -> Path:
    """Write an .h5 file of one layer `a`, one variable `w:0`, with the group filled by `fill`."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"a"])
        group = file.create_group("a")
        group.attrs["weight_names"] = np.array([b"w:0"])
        fill(group)
    return path


def dataset(values: object) -> Callable[[h5py.Group], None]:
    """Return a filler that stores values."""
    return lambda group: group.__setitem__("w:0", values)


def virtual(group: h5py.Group) -> None:
    """Store a view of another file."""
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    group.create_virtual_dataset("w:0", layout)


HOSTILE: dict[str, Callable[[h5py.Group], None]] = {
    "link to another file": dataset(h5py.ExternalLink("other.h5", "/x")),
    "link inside": dataset(h5py.SoftLink("/b")),
    "view of another file": virtual,
    "values in another file": lambda g: g.create_dataset("w:0", (4,), "f4", external=[("other.bin", 0, 16)]),
    "a terabyte of zeros": lambda g: g.create_dataset("w:0", (2**40,), "u1", chunks=(2**20,)),
    "text": dataset("hello"),
    "complex numbers": dataset(np.zeros(3, np.complex64)),
    "a group": lambda g: g.create_group("w:0"),
    "nothing": lambda g: None,
}


@pytest.mark.parametrize("fill", HOSTILE.values(), ids=HOSTILE.keys())
def test_arrays_that_are_not_in_the_file_are_refused(fill: Callable[[h5py.Group], None], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros(4, np.float32)
    (tmp_path / "other.bin").write_bytes(bytes(16))
    with pytest.raises(InputError, match="no readable Keras file"):
        read_keras(layer_file(tmp_path / "a.h5", fill))


def test_an_honest_small_file_is_read(tmp_path: Path) -> None:
    file = read_keras(layer_file(tmp_path / "a.h5", dataset(np.array([1, 2.5], np.float16))))
    np.testing.assert_array_equal(file.tensors["a/w"], np.array([1, 2.5], np.float32))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2**24))
        archive.writestr("config.json", json.dumps({}))
    with pytest.raises(EdgenetError, match="would unpack"):
        read_keras(tmp_path / "bomb.keras")


def test_lambda_layers_are_never_run(keras3_v2b0: Saved, tmp_path: Path) -> None:
    """A config that would run code when Keras builds it gives the same arrays: only names are read from it."""
    source, hostile = keras3_v2b0.files["model.keras"], tmp_path / "model.keras"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(hostile, "w") as copy:
        config = json.loads(archive.read("config.json"))
        config["config"]["layers"].append({"class_name": "Lambda", "config": {"name": "evil", "function": "os.system"}})
        copy.writestr("config.json", json.dumps(config))
        copy.writestr("model.weights.h5", archive.read("model.weights.h5"))
    assert read_keras(hostile).tensors.keys() == read_keras(source).tensors.keys()
