"""Published rules and what the user overrides."""

from dataclasses import dataclass

import pytest

from edgenet.errors import InputError
from edgenet.preprocessing import Preprocessing
from edgenet.variants import VARIANTS, scaled
from edgenet.weights.hub import HUB
from edgenet.weights.keras_source import KERAS_FILES
from edgenet.weights.preprocessing_rules import (
    IMAGENET,
    PreprocessingOverrides,
    apply_overrides,
    describe,
    keras_rule,
    naming_rule,
    published_rule,
    to_pixels,
)


def test_imagenet_numbers_are_those_of_the_0_to_1_range() -> None:
    assert IMAGENET.mean == tuple(to_pixels(share) for share in (0.485, 0.456, 0.406))
    assert IMAGENET.std == tuple(to_pixels(share) for share in (0.229, 0.224, 0.225))
    assert to_pixels(127 / 255) == 127.0 and to_pixels(128 / 255) == 128.0


@dataclass(frozen=True)
class Published:
    """What Google's own code does for a variant."""

    variant: str
    crop: tuple[str, int]  # rule, and the side in pixels that the crop is scaled from
    interpolation: str
    mean: float
    zero_point: int | None


PUBLISHED = [
    Published("b0", ("crop_then_resize", 256), "bicubic", 123.675, None),
    Published("b7", ("crop_then_resize", 686), "bicubic", 123.675, None),
    Published("lite0", ("crop_then_resize", 256), "bilinear", 127, 127),
    Published("lite1", ("crop_then_resize", 274), "bilinear", 127, 127),
    Published("edgetpu-l", ("crop_then_resize", 343), "bilinear", 127, 127),
    Published("v2-b1", ("crop_then_resize", 272), "bicubic", 123.675, None),
    Published("v2-b3", ("crop_then_resize", 332), "bicubic", 123.675, None),
    Published("v2-s", ("squash", 384), "bilinear", 128, 128),
    Published("v2-xl", ("squash", 512), "bilinear", 128, 128),
]


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case.variant)
def test_published_rules(case: Published) -> None:
    variant = VARIANTS[case.variant]
    record = published_rule(variant).at(variant.side_px)
    assert (record.crop_rule, round(record.side_px / record.crop_fraction)) == case.crop
    assert (record.interpolation, record.mean[0], record.exact_zero_point) == (
        case.interpolation,
        case.mean,
        case.zero_point,
    )


def test_every_variant_has_a_rule_and_a_hub_row() -> None:
    for variant in (*VARIANTS.values(), scaled(0.5)):
        assert published_rule(variant).at(variant.side_px).side_px == variant.side_px
    assert set(HUB) == set(VARIANTS)
    assert set(KERAS_FILES) == {name for name in VARIANTS if name[0] == "b" or name[:2] == "v2"} - {"v2-xl"}


def test_hub_rows_are_timms() -> None:
    assert all(row.repository.startswith("timm/tf_efficientnet") and 74 < row.top1 < 87 for row in HUB.values())
    assert len({row.repository for row in HUB.values()}) == len(HUB)
    assert HUB["lite0"].rule.at(224).mean == (127.5,) * 3
    elsewhere = {
        name: row.measured_side_px for name, row in HUB.items() if row.measured_side_px != VARIANTS[name].side_px
    }
    assert elsewhere == {"lite3": 300, "lite4": 380}


def test_torchvision_files_get_torchvisions_rule() -> None:
    assert naming_rule(VARIANTS["b1"], "torchvision").at(240).crop_fraction == 240 / 256
    assert naming_rule(VARIANTS["v2-s"], "torchvision").normalization == IMAGENET
    assert naming_rule(VARIANTS["b1"], "timm") == published_rule(VARIANTS["b1"])


def test_a_keras_normalization_layer_is_followed() -> None:
    rule = published_rule(VARIANTS["b0"])
    own = keras_rule(rule, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).normalization
    assert own.mean == (127.5,) * 3 and own.std == (127.5,) * 3
    untrained = keras_rule(rule, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).normalization
    assert untrained.mean == (0.0,) * 3 and untrained.std == (255.0,) * 3


def test_the_published_keras_file_holds_std_as_variance() -> None:
    """tensorflow#49930: such a file is normalized twice by the root, that is once by the value."""
    rule = keras_rule(published_rule(VARIANTS["b0"]), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert rule.normalization == IMAGENET


@pytest.mark.parametrize("variance", [(0.0, 1.0, 1.0), (1.0,), (-1.0, 1.0, 1.0)])
def test_impossible_normalizations_are_refused(variance: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="Normalization layer"):
        keras_rule(published_rule(VARIANTS["b0"]), (0.0, 0.0, 0.0), variance)


RECORD = Preprocessing(224, "crop_then_resize", 0.875, "bilinear", (127.0,) * 3, (128.0,) * 3)


def test_overrides_win_and_are_noted() -> None:
    overrides = PreprocessingOverrides(mean=(1.0, 2.5, 3.0), crop_fraction=1.0)
    record, notes = apply_overrides(RECORD, overrides)
    assert record.mean == (1.0, 2.5, 3.0) and record.crop_fraction == 1.0 and record.std == RECORD.std
    assert notes == ("preprocessing set by hand: mean 1,2.5,3, crop fraction 1.0",)


def test_nothing_set_changes_nothing() -> None:
    assert apply_overrides(RECORD, None) == (RECORD, ())
    assert apply_overrides(RECORD, PreprocessingOverrides()) == (RECORD, ())


def test_impossible_overrides_are_refused() -> None:
    with pytest.raises(InputError, match="crop fraction 2"):
        apply_overrides(RECORD, PreprocessingOverrides(crop_fraction=2.0))
    with pytest.raises(InputError, match="std"):
        apply_overrides(RECORD, PreprocessingOverrides(std=(0.0, 1.0, 1.0)))


def test_a_record_as_a_phrase() -> None:
    assert describe(RECORD) == "224 px, crop then resize 0.875, bilinear, mean 127,127,127, std 128,128,128"
