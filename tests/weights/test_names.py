"""Every known naming maps to timm's names, and a misfit is one error that lists what is wrong."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.variants import VARIANTS, Variant, parse_variant
from edgenet.weights.names import expected_shapes, map_strictly
from edgenet.weights.namings import NAMINGS, TRANSPOSED, Naming

TITLES = {naming.title: naming for naming in NAMINGS}
# Not every project has every family: lukemelas and torchvision know no EdgeTPU variants, lukemelas no V2.
KNOWN_TO = {
    "timm": tuple(VARIANTS),
    "lukemelas": ("b0", "b7", "lite0", "lite4"),
    "torchvision": ("b0", "b7", "v2-s", "v2-m", "v2-l"),
    "Keras": ("b0", "b7", "v2-b0", "v2-l"),
    "Keras (numbered)": ("b0", "v2-b3"),
}
CASES = [(title, variant) for title, variants in KNOWN_TO.items() for variant in variants]


def stand_ins(naming: Naming, variant: Variant) -> dict[str, NDArray[np.float32]]:
    """Return tensors under a naming's own names, in its layouts, without memory: each is one repeated number."""
    tensors = {}
    for number, entry in enumerate(naming.entries(expand(variant))):
        order = TRANSPOSED.get(entry.layout, tuple(range(len(entry.shape))))
        shape = tuple(entry.shape[order.index(axis)] for axis in range(len(order)))
        tensors[entry.source] = np.broadcast_to(np.float32(number), shape)
    return tensors


@pytest.mark.parametrize(("title", "name"), CASES)
def test_each_naming_maps_every_tensor_once(title: str, name: str) -> None:
    variant = VARIANTS[name]
    tensors = stand_ins(TITLES[title], variant) | {"bn1.num_batches_tracked": np.full(1, 7, np.float32)}
    mapped = map_strictly(tensors, variant, "file")
    assert mapped.naming == title and mapped.num_classes == 1000
    assert {key: value.shape for key, value in mapped.tensors.items()} == expected_shapes(variant, 1000)
    assert len({float(value.ravel()[0]) for value in mapped.tensors.values()}) == len(tensors) - 1


@dataclass(frozen=True)
class Named:
    """A tensor as a project calls it (read in that project's own files), and timm's name of it."""

    title: str
    variant: str
    source: str
    target: str


NAMED = [
    Named("lukemelas", "b0", "_bn0.running_var", "bn1.running_var"),
    Named("lukemelas", "b0", "_blocks.0._depthwise_conv.weight", "blocks.0.0.conv_dw.weight"),
    Named("lukemelas", "b0", "_blocks.0._bn1.bias", "blocks.0.0.bn1.bias"),
    Named("lukemelas", "b0", "_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
    Named("lukemelas", "b0", "_blocks.2._expand_conv.weight", "blocks.1.1.conv_pw.weight"),
    Named("lukemelas", "b0", "_blocks.2._bn0.weight", "blocks.1.1.bn1.weight"),
    Named("lukemelas", "b0", "_blocks.2._bn2.weight", "blocks.1.1.bn3.weight"),
    Named("lukemelas", "b0", "_blocks.15._se_reduce.bias", "blocks.6.0.se.conv_reduce.bias"),
    Named("lukemelas", "b0", "_bn1.weight", "bn2.weight"),
    Named("lukemelas", "b0", "_fc.weight", "classifier.weight"),
    Named("torchvision", "b0", "features.0.1.weight", "bn1.weight"),
    Named("torchvision", "b0", "features.1.0.block.0.0.weight", "blocks.0.0.conv_dw.weight"),
    Named("torchvision", "b0", "features.1.0.block.1.fc1.weight", "blocks.0.0.se.conv_reduce.weight"),
    Named("torchvision", "b0", "features.1.0.block.2.1.bias", "blocks.0.0.bn2.bias"),
    Named("torchvision", "b0", "features.2.0.block.1.0.weight", "blocks.1.0.conv_dw.weight"),
    Named("torchvision", "b0", "features.2.0.block.2.fc2.bias", "blocks.1.0.se.conv_expand.bias"),
    Named("torchvision", "b0", "features.2.0.block.3.0.weight", "blocks.1.0.conv_pwl.weight"),
    Named("torchvision", "b0", "features.8.0.weight", "conv_head.weight"),
    Named("torchvision", "b0", "classifier.1.weight", "classifier.weight"),
    Named("torchvision", "v2-s", "features.1.0.block.0.0.weight", "blocks.0.0.conv.weight"),
    Named("torchvision", "v2-s", "features.2.0.block.0.0.weight", "blocks.1.0.conv_exp.weight"),
    Named("torchvision", "v2-s", "features.2.0.block.1.0.weight", "blocks.1.0.conv_pwl.weight"),
    Named("torchvision", "v2-s", "features.4.0.block.2.fc1.weight", "blocks.3.0.se.conv_reduce.weight"),
    Named("torchvision", "v2-s", "features.7.1.running_mean", "bn2.running_mean"),
    Named("Keras", "v2-b0", "block1a_project_conv/kernel", "blocks.0.0.conv.weight"),
    Named("Keras", "v2-b0", "block4a_dwconv2/kernel", "blocks.3.0.conv_dw.weight"),
    Named("Keras", "b0", "block2b_bn/gamma", "blocks.1.1.bn2.weight"),
]


@pytest.mark.parametrize("case", NAMED, ids=lambda case: f"{case.variant} {case.source}")
def test_known_names(case: Named) -> None:
    entries = TITLES[case.title].entries(expand(parse_variant(case.variant)))
    assert {entry.source: entry.target for entry in entries}[case.source] == case.target


B0 = VARIANTS["b0"]


def test_missing_left_over_and_misshapen_tensors_are_listed_with_their_counts() -> None:
    tensors = stand_ins(TITLES["timm"], B0)
    for number in range(6):
        del tensors[f"blocks.5.{number % 3}.bn{1 + number // 3}.bias"]
    tensors["head.extra"] = tensors["aux"] = np.zeros(3, np.float32)
    tensors["blocks.1.0.conv_dw.weight"] = np.zeros((96, 1, 5, 5), np.float32)
    with pytest.raises(InputError) as caught:
        map_strictly(tensors, B0, "my.pth")
    text = str(caught.value)
    assert "my.pth (timm names) does not fit b0: 6 missing (blocks.5.0.bn1.bias" in text and ", …)" in text
    assert "2 left over (head.extra, aux)" in text
    assert "1 of the wrong shape (blocks.1.0.conv_dw.weight: 96x1x5x5 here, 96x1x3x3 wanted)" in text
    assert "\n" not in text and len(text) < 1000


def test_shapes_of_a_keras_misfit_are_both_in_keras_layout() -> None:
    tensors = stand_ins(TITLES["Keras"], B0) | {"stem_conv/kernel": np.zeros((3, 3, 3, 40), np.float32)}
    with pytest.raises(InputError, match="stem_conv/kernel: 3x3x3x40 here, 3x3x3x32 wanted"):
        map_strictly(tensors, B0, "a.h5")


def test_the_right_variant_is_named() -> None:
    with pytest.raises(InputError, match=r"the weights of lite1: --variant lite1"):
        map_strictly(stand_ins(TITLES["lukemelas"], VARIANTS["lite1"]), VARIANTS["lite0"], "a.pth")


def test_a_missing_classifier_is_missing_tensors() -> None:
    tensors = {name: t for name, t in stand_ins(TITLES["timm"], B0).items() if not name.startswith("classifier")}
    with pytest.raises(InputError, match=r"2 missing \(classifier.weight, classifier.bias\)"):
        map_strictly(tensors, B0, "a.pth")


def test_the_number_of_classes_is_the_classifiers() -> None:
    tensors = stand_ins(TITLES["timm"], B0)
    tensors |= {"classifier.weight": np.zeros((5, 1280), np.float32), "classifier.bias": np.zeros(5, np.float32)}
    assert map_strictly(tensors, B0, "a.pth").num_classes == 5


def test_strangers_are_refused() -> None:
    with pytest.raises(InputError, match=r"begins with layer1.weight.*timm \(conv_stem.weight\)"):
        map_strictly({"layer1.weight": np.zeros(3, np.float32)}, B0, "resnet.pth")
    with pytest.raises(InputError, match="begins with nothing"):
        map_strictly({}, B0, "empty.pth")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_name(value: float) -> None:
    tensors = stand_ins(TITLES["timm"], B0) | {"bn2.bias": np.full(1280, value, np.float32)}
    with pytest.raises(InputError, match=r"bn2.bias holds values that are not finite"):
        map_strictly(tensors, B0, "a.pth")


def test_a_negative_variance_is_refused() -> None:
    tensors = stand_ins(TITLES["timm"], B0) | {"bn2.running_var": np.full(1280, -1, np.float32)}
    with pytest.raises(InputError, match=r"bn2.running_var holds a negative variance"):
        map_strictly(tensors, B0, "a.pth")
