"""Our network against timm and Keras applications on the same weights: golden logits, at most 1e-4 relative apart."""

import hashlib
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from edgenet.counts import count
from edgenet.layers import Architecture, expand
from edgenet.network import build_network, load_weights_into
from edgenet.preprocessing import Preprocessing
from edgenet.variants import VARIANTS
from edgenet.weights.record import Convention, Weights
from tests.golden import cases, seeded_weights
from tests.golden.cases import GoldenCase

BAR = 1e-4  # of the largest absolute logit
SLOW = ("b5", "b6", "b7", "v2-m", "v2-l", "v2-xl")
CASES = cases.all_cases()
SYMMETRIC = Convention("symmetric", 1e-5)
SEEDED_SHA256 = "6376d43c8c646c939208ffd5807b08a17f7d3393bc94643df8a11c384d067852"


def _slow_marked(case: GoldenCase) -> object:
    marks = [pytest.mark.slow] if case.variant in SLOW else []
    return pytest.param(case, id=case.id, marks=marks)


def _weights(architecture: Architecture, convention: Convention) -> Weights:
    half = (127.5, 127.5, 127.5)
    return Weights(
        tensors=seeded_weights.seeded_tensors(architecture),
        source="random",
        origin="tests/golden/seeded_weights.py",
        sha256="",
        variant=architecture.variant,
        num_classes=architecture.num_classes,
        preprocessing=Preprocessing(architecture.side_px, "resize_then_crop", 0.875, "bicubic", half, half),
        convention=convention,
    )


@cache  # timm and Keras share most networks
def _logits(variant: str, side_px: int, convention: Convention) -> NDArray[np.float32]:
    architecture = expand(VARIANTS[variant], cases.CLASSES, side_px)
    model = build_network(architecture, form="deploy", convention=convention)
    load_weights_into(model, architecture, _weights(architecture, convention))
    image = seeded_weights.normalized(seeded_weights.seeded_image(side_px))
    logits: NDArray[np.float32] = model(image, training=False).numpy()[0]
    return logits


@pytest.mark.parametrize("case", [_slow_marked(case) for case in CASES])
def test_logits_agree(case: GoldenCase) -> None:
    logits = _logits(case.variant, case.side_px, Convention(case.padding, case.batch_norm_epsilon))
    errors = cases.relative_errors(logits, case)
    assert max(errors.values()) <= BAR, errors
    assert int(logits.argmax()) == case.top5[0]


def test_every_variant_has_a_case() -> None:
    assert {case.variant for case in CASES if case.source.startswith("timm")} == set(VARIANTS)
    keras = {case.variant for case in CASES if case.source.startswith("keras")}
    assert keras == {name for name, row in VARIANTS.items() if row.family in ("b", "v2")} - {"v2-xl"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_parameters_agree(case: GoldenCase) -> None:
    counts = count(expand(VARIANTS[case.variant]))
    # Keras' V1 networks hold a Normalization layer; timm's and, without preprocessing, Keras' V2 networks do not.
    has_normalization = case.source.startswith("keras") and VARIANTS[case.variant].family == "b"
    assert case.parameters == (counts.keras_total if has_normalization else counts.with_batch_norm_statistics)


@pytest.mark.parametrize(
    ("reference", "wrong"),
    [
        pytest.param("timm-b0-224", Convention("symmetric", 1e-3), id="symmetric padding"),
        pytest.param("timm-b0-224-symmetric", Convention("same", 1e-5), id="SAME padding"),
        pytest.param("timm-b0-224", Convention("same", 1e-5), id="epsilon"),
        pytest.param("timm-edgetpu-s-224", SYMMETRIC, id="both, in fused blocks"),
    ],
)
def test_a_wrong_convention_shows(reference: str, wrong: Convention) -> None:
    case = next(case for case in CASES if case.id == reference)
    logits = _logits(case.variant, case.side_px, wrong)
    assert max(cases.relative_errors(logits, case).values()) > 5 * BAR


def test_seeds_are_the_same_everywhere() -> None:
    values = seeded_weights.seeded_tensor("blocks.0.0.conv_dw.weight", (32, 1, 3, 3)).tobytes()
    image = seeded_weights.seeded_image(225).tobytes()
    assert hashlib.sha256(values + image).hexdigest() == SEEDED_SHA256


def test_an_unknown_tensor_is_refused() -> None:
    with pytest.raises(KeyError, match=r"no rule for a tensor named 'attention\.qkv'"):
        seeded_weights.seeded_tensor("attention.qkv", (4, 4))
