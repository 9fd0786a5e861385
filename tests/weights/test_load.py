"""The one door: every choice, what it says, and what it refuses."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgenet.errors import InputError, MissingError
from edgenet.variants import VARIANTS, scaled
from edgenet.weights.load import load_weights
from edgenet.weights.preprocessing_rules import PreprocessingOverrides, published_rule
from edgenet.weights.random import random_weights
from edgenet.weights.record import Convention, Weights
from tests.weights.torch_files import whole, write, zip_bytes

B0, LITE0 = VARIANTS["b0"], VARIANTS["lite0"]
SHARED_B0 = Path(__file__).parents[3] / "shared" / "models" / "b0-distilled" / "model.safetensors"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's caches out of the tests."""
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def lite0_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .safetensors file of lite0 under timm's names, in an otherwise empty folder."""
    path = tmp_path_factory.mktemp("lite0") / "my_lite0.safetensors"
    save_file(random_weights(LITE0, 9).tensors, path)
    return path


def load(choice: str | Path, name: str = "lite0", **options: object) -> Weights:
    """Load and expect that nothing needs to be said at once."""
    said: list[str] = []
    weights = load_weights(str(choice), VARIANTS[name], say=said.append, **options)  # type: ignore[arg-type]  # a test's short hand
    assert said == []
    return weights


def test_auto_takes_the_package_where_there_is_one() -> None:
    assert load("auto").source == load("packaged").source == "packaged"


def test_random_seeds() -> None:
    assert load("random", "b0").origin == "seed 0"
    assert load("random", "b0", seed=4).sha256 == load("random:4", "b0").sha256 == random_weights(B0, 4).sha256
    assert load("random", num_classes=3).tensors["classifier.bias"].shape == (3,)


@dataclass(frozen=True)
class Refused:
    """A choice that is refused, and how."""

    choice: str
    match: str


REFUSED = [
    Refused(
        "imagnet",
        r"unknown weights 'imagnet'; allowed: auto, packaged, imagenet, random, random:SEED, a .*\.pth.*, or a run of",
    ),
    Refused("", "unknown weights ''"),
    Refused("random:", "unknown seed in 'random:'"),
    Refused("random:-1", "unknown seed"),
    Refused("random:" + "9" * 19, "unknown seed"),
    Refused("random:" + "9" * 5000, "unknown seed"),
    Refused("no/such/file.pth", r"no/such/file.pth is no file"),
    Refused("model.onnx", r"unknown kind of weights file '.onnx'; allowed: .safetensors, .pth, .pt, .h5, .keras"),
    Refused(str(Path(__file__).parent), "unknown kind of weights file ''"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.choice[:30] or "empty")
def test_bad_choices(case: Refused) -> None:
    with pytest.raises(InputError, match=case.match):
        load(case.choice)


def test_explicit_choices_never_fall_back() -> None:
    with pytest.raises(MissingError, match="no package carries the weights of b0"):
        load("packaged", "b0")
    with pytest.raises(MissingError, match=r"no ImageNet weights of scaled-0.5 are published.*run once with a network"):
        load_weights("imagenet", scaled(0.5), say=lambda _: None)


def test_auto_for_a_network_that_nobody_trained_says_so_at_once_and_in_the_notes() -> None:
    said: list[str] = []
    weights = load_weights("auto", scaled(0.0), say=said.append)
    assert weights.source == "random"
    assert said[-1].startswith("RANDOM WEIGHTS: no ImageNet weights of scaled-0 can be had")
    assert weights.notes[0] == said[-1] and "predictions mean nothing" in weights.notes[1]


def test_a_local_file_without_config_gets_the_published_preprocessing_said_aloud(lite0_file: Path) -> None:
    weights = load(lite0_file)
    assert (weights.source, weights.origin, weights.num_classes) == ("file", "my_lite0.safetensors", 1000)
    assert weights.preprocessing == published_rule(LITE0).at(224)
    assert weights.notes[0] == (
        "no config.json beside my_lite0.safetensors: preprocessing as published for lite0: "
        "224 px, crop then resize 0.875, bilinear, mean 127,127,127, std 128,128,128"
    )
    assert "assumed TensorFlow's SAME padding, epsilon 1e-3" in weights.notes[1]
    assert len(weights.sha256) == 64
    np.testing.assert_array_equal(weights.tensors["bn2.weight"], 1)


def test_overrides_win_over_the_published_rule_and_over_config(lite0_file: Path, tmp_path: Path) -> None:
    overrides = PreprocessingOverrides(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0), interpolation="bicubic")
    for path in (lite0_file, with_config(lite0_file, tmp_path, "tf_efficientnet_lite0")):
        record = load(path, overrides=overrides).preprocessing
        assert (record.mean, record.std, record.interpolation) == ((0.0,) * 3, (255.0,) * 3, "bicubic")
    assert load(lite0_file, overrides=overrides).notes[-1].startswith("preprocessing set by hand: mean 0,0,0")


def with_config(file: Path, folder: Path, architecture: str, **top: object) -> Path:
    """Copy a weights file beside a config.json of its own."""
    fields = {"input_size": [3, 240, 240], "crop_pct": 0.9, "mean": [0.5] * 3, "std": [0.5] * 3}
    document = {"architecture": architecture, "pretrained_cfg": {"interpolation": "bicubic", **fields}, **top}
    (folder / "config.json").write_text(json.dumps(document))
    return Path(shutil.copy(file, folder / "model.safetensors"))


def test_a_config_beside_the_file_gives_preprocessing_and_padding(lite0_file: Path, tmp_path: Path) -> None:
    weights = load(with_config(lite0_file, tmp_path, "efficientnet_lite0"))
    assert (weights.preprocessing.side_px, weights.preprocessing.mean) == (240, (127.5,) * 3)
    assert weights.convention == Convention("symmetric", 1e-5)
    assert weights.notes == ("config.json asks for 240 px; lite0's own side is 224 px",)
    assert load(with_config(lite0_file, tmp_path, "tf_efficientnet_lite0")).convention == Convention("same", 1e-3)


def test_a_config_that_contradicts_the_file_is_refused(lite0_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is for tf_efficientnet_lite1, not for lite0"):
        load(with_config(lite0_file, tmp_path, "tf_efficientnet_lite1"))
    with pytest.raises(InputError, match=r"model.safetensors has 1000 classes, .*config.json says 5"):
        load(with_config(lite0_file, tmp_path, "tf_efficientnet_lite0", num_classes=5))


def test_1001_classes_mean_a_background_class(tmp_path: Path) -> None:
    save_file(random_weights(LITE0, 9, 1001).tensors, tmp_path / "efficientnet_lite0.safetensors")
    weights = load(tmp_path / "efficientnet_lite0.safetensors")
    assert (weights.num_classes, weights.preprocessing.label_offset) == (1001, 1)
    assert weights.convention == Convention("symmetric", 1e-5), "timm names its native networks without tf_"


def test_the_number_of_classes_can_be_asked_for(lite0_file: Path) -> None:
    assert load(lite0_file, num_classes=1000).num_classes == 1000
    with pytest.raises(InputError, match=r"my_lite0.safetensors has 1000 classes, not 5; allowed: 1000; train a head"):
        load(lite0_file, num_classes=5)


def test_a_checkpoint_of_a_training_run_is_unwrapped_and_noted(tmp_path: Path) -> None:
    tensors = random_weights(LITE0, 2).tensors
    root = {"epoch": 7, "state_dict": {f"module.{name}": whole(name, array) for name, array in tensors.items()}}
    data = zip_bytes(root, {name: array.tobytes() for name, array in tensors.items()})
    weights = load(write(tmp_path / "checkpoint.pt", data))
    assert weights.notes[:2] == (
        "used 'state_dict' of the checkpoint (beside it: 'epoch')",
        "took 'module.' off every name",
    )
    assert all(np.array_equal(weights.tensors[name], tensors[name]) for name in tensors)


@pytest.mark.skipif(not SHARED_B0.exists(), reason="../shared/models/b0-distilled is not here")
def test_the_distilled_b0_with_its_config() -> None:
    weights = load(SHARED_B0, "b0")
    record = weights.preprocessing
    assert (record.side_px, record.crop_rule, record.crop_fraction, record.interpolation, record.mean, record.std) == (
        *(224, "resize_then_crop", 0.875, "bicubic"),
        *((127.0,) * 3, (128.0,) * 3),
    )
    assert (weights.num_classes, weights.convention, weights.notes) == (1000, Convention("same", 1e-3), ())
    assert all(tensor.dtype == np.float32 for tensor in weights.tensors.values())
    with pytest.raises(InputError, match="not for b1; --variant b0"):
        load(SHARED_B0, "b1")
