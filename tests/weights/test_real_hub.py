"""The hub still has what our table names (`pytest -m network`): one checkpoint a family, mapped strictly."""

from pathlib import Path

import pytest

from edgenet.layers import expand
from edgenet.variants import VARIANTS
from edgenet.weights.imagenet import cached_imagenet_weights, imagenet_weights

pytestmark = pytest.mark.network


@pytest.mark.parametrize("name", ["b0", "lite3", "edgetpu-s", "v2-b0"])
def test_the_checkpoint_fits_and_is_pinned(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path))  # so that the first use is really the first
    variant = VARIANTS[name]
    weights = imagenet_weights(variant, print)
    assert weights.source == "imagenet"
    assert f"timm/tf_efficientnet{'v2' if name.startswith('v2') else ''}" in weights.origin
    wanted = {f"{layer.name}.weight" for layer in expand(variant).layers}
    assert wanted <= set(weights.tensors)
    again = cached_imagenet_weights(variant)
    assert again is not None
    assert (again.sha256, again.origin) == (weights.sha256, weights.origin)
