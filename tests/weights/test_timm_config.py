"""config.json: what is followed, and what is refused."""

import json
from pathlib import Path

import pytest

from edgenet.errors import InputError
from edgenet.preprocessing import Preprocessing
from edgenet.variants import VARIANTS
from edgenet.weights.record import Convention
from edgenet.weights.timm_config import convention_of, read_timm_config, refuse_other_variant

FIXTURE = Path(__file__).parents[3] / "shared" / "models" / "b0-distilled" / "config.json"

HONEST: dict[str, object] = {
    "input_size": [3, 224, 224],
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def write(folder: Path, changes: dict[str, object], **top: object) -> Path:
    """Write an honest config with changes to its preprocessing (None removes a key)."""
    fields = {key: value for key, value in (HONEST | changes).items() if value is not None}
    path = folder / "config.json"
    path.write_text(json.dumps({"architecture": "tf_efficientnet_b0", "pretrained_cfg": fields, **top}))
    return path


def test_an_honest_config_is_followed(tmp_path: Path) -> None:
    config = read_timm_config(write(tmp_path, {}, num_classes=1000))
    assert config.architecture == "tf_efficientnet_b0" and config.num_classes == 1000
    assert config.preprocessing == Preprocessing(
        224, "resize_then_crop", 0.875, "bicubic", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    )


@pytest.mark.skipif(not FIXTURE.exists(), reason="../shared/models/b0-distilled is not here")
def test_the_fixtures_mean_is_exactly_127() -> None:
    record = read_timm_config(FIXTURE).preprocessing
    assert record.mean == (127.0,) * 3 and record.std == (128.0,) * 3
    assert record.exact_zero_point == 127


def test_halves_are_exact(tmp_path: Path) -> None:
    record = read_timm_config(write(tmp_path, {"mean": [0.5] * 3, "std": [0.5] * 3})).preprocessing
    assert record.mean == (127.5,) * 3 and record.std == (127.5,) * 3


def test_the_evaluation_size_and_crop_win(tmp_path: Path) -> None:
    changes: dict[str, object] = {"test_input_size": [3, 288, 288], "test_crop_pct": 1.0}
    record = read_timm_config(write(tmp_path, changes)).preprocessing
    assert (record.side_px, record.crop_fraction) == (288, 1.0)


def test_squash_and_labels(tmp_path: Path) -> None:
    record = read_timm_config(write(tmp_path, {"crop_mode": "squash", "crop_pct": 1.0}, num_classes=1001)).preprocessing
    assert (record.crop_rule, record.label_offset) == ("squash", 1)
    stated = read_timm_config(write(tmp_path, {"label_offset": 0}, num_classes=1001)).preprocessing
    assert stated.label_offset == 0


def test_a_flat_config_is_followed_too(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"architecture": "efficientnet_b0", **HONEST}))
    assert read_timm_config(path).preprocessing.side_px == 224


REFUSED: dict[str, dict[str, object]] = {
    "input_size": {"input_size": [3, 224, 225]},
    "input_size gray": {"input_size": [1, 224, 224]},
    "input_size text": {"input_size": "224"},
    "input_size huge": {"input_size": [3, 10**9, 10**9]},
    "input_size missing": {"input_size": None},
    "interpolation": {"interpolation": "lanczos"},
    "interpolation type": {"interpolation": ["bicubic"]},
    "crop_pct": {"crop_pct": 1.5},
    "crop_pct zero": {"crop_pct": 0},
    "crop_pct missing": {"crop_pct": None},
    "crop_pct nan": {"crop_pct": float("nan")},
    "crop_pct true": {"crop_pct": True},
    "crop_mode": {"crop_mode": "border"},
    "crop_mode squash": {"crop_mode": "squash"},
    "mean": {"mean": [0.5, 0.5]},
    "mean pixels": {"mean": [127, 127, 127]},
    "mean nan": {"mean": [float("nan")] * 3},
    "mean missing": {"mean": None},
    "std": {"std": [0, 0.2, 0.2]},
    "std infinite": {"std": [float("inf")] * 3},
    "label_offset": {"label_offset": 7},
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused_by_name(case: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=case.partition(" ")[0]):
        read_timm_config(write(tmp_path, REFUSED[case]))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"pretrained_cfg": 3}', "\ud800", " " * 1_000_001])
def test_what_is_no_config_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"config\.json"):
        read_timm_config(path)


def test_conventions_follow_the_architecture() -> None:
    assert convention_of("tf_efficientnet_b0") == Convention("same", 1e-3)
    assert convention_of("efficientnet_b0") == Convention("symmetric", 1e-5)


def test_another_variants_architecture_is_refused() -> None:
    refuse_other_variant("tf_efficientnet_b0.aa_in1k", VARIANTS["b0"], "c")
    refuse_other_variant("my_own_net", VARIANTS["b0"], "c")
    with pytest.raises(InputError, match="for tf_efficientnetv2_s, not for b0; --variant v2-s"):
        refuse_other_variant("tf_efficientnetv2_s", VARIANTS["b0"], "c")
