"""What is said of a variant before it is converted for an Edge TPU, and the released layout of the EdgeTPU family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.check.check import check
from converters.check.limits import limits
from converters.runtime import Runner
from edgenet.__main__ import main
from edgenet.artifact import find_artifacts
from edgenet.layers import expand
from edgenet.variants import VARIANTS
from tests.networks import pictures

# Of each variant: whether it is a swish network, whether parameters are streamed, whether a tensor may be too large.
KINDS = {
    "lite0": (False, False, False),
    "lite2": (False, False, False),
    "lite4": (False, True, False),
    "edgetpu-s": (False, False, False),
    "edgetpu-l": (False, True, False),
    "b0": (True, False, False),
    "b7": (True, False, True),
    "v2-m": (True, True, False),
}


@pytest.mark.parametrize("name", KINDS)
def test_limits(name: str) -> None:
    told = " | ".join(limits(expand(VARIANTS[name])))
    words = ("swish or squeeze-and-excite", "go to the chip anew with every inference", "the compiler may give up")
    assert tuple(word in told for word in words) == KINDS[name], told


def _convert(variant: str, out: Path) -> int:
    words = [
        "--int8",
        "--weights",
        "random",
        "--samples",
        "16",
        "--no-verify",
        "--target",
        "edgetpu",
        "--out",
        str(out),
    ]
    return main(["convert", "--variant", variant, *words, "--out", str(out)])


@pytest.mark.slow
def test_edgetpu_as_released_is_mapped_whole_and_answers_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One seed gives both networks the same weights; the stride's place is the whole difference."""
    for variant in ("edgetpu-s", "edgetpu-s:released"):
        assert _convert(variant, tmp_path) == 0
    assert "on an Edge TPU: " not in capsys.readouterr().err
    released, current = (row.path for row in find_artifacts(tmp_path))
    assert [path.stem for path in (current, released)] == ["edgetpu-s-w8a8-random", "edgetpu-s-released-w8a8-random"]
    reports = [check(path) for path in (current, released)]
    assert [len(report.others) for report in reports] == [0, 0]
    macs = [sum(row.macs for row in report.operators if row.name == "CONV_2D") for report in reports]
    assert 1.25 < macs[1] / macs[0] < 1.4
    (image,) = pictures(1, side_px=224)
    first, second = (Runner(path.read_bytes()).logits(image) for path in (current, released))
    assert np.corrcoef(first, second)[0, 1] > 0.5, "the same weights"
    assert not np.array_equal(first, second)
