"""What quantization costs on real photos: the bars that users were promised, on 200 ImageNet photos."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from converters import conversion, verification
from edgenet.precision import Precision, default_io
from edgenet.progress import silent
from edgenet.variants import VARIANTS

SHARED = Path(__file__).resolve().parents[2] / "shared"
PHOTOS = SHARED / "data" / "imagenet-sample"
SWISH_WEIGHTS = SHARED / "models" / "b0-distilled" / "model.safetensors"


@dataclass(frozen=True)
class Bar:
    """A conversion with the least share of answers it keeps and the most points of top-1 it may lose."""

    id: str
    variant: str
    weights: str
    calib: str
    agreement: dict[Precision, float]
    drop_points: float
    samples: int = 200


BARS = [
    Bar("lite0 on built-in images", "lite0", "packaged", "builtin", {"w8a8": 0.98, "fp16": 0.995}, 1.0),
    # A network with swish and squeeze-and-excite; TFLite's usual ranges keep about 0.83 of its answers.
    Bar("b0 on photos", "b0", str(SWISH_WEIGHTS), str(PHOTOS), {"w8a8": 0.93, "w8d": 0.96}, 2.5, samples=100),
]


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs real photos at ../shared/data/imagenet-sample")
@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.id)
def test_photos_are_answered_as_by_the_float_network(bar: Bar, tmp_path: Path) -> None:
    formats = tuple((precision, default_io(precision)) for precision in bar.agreement)
    request = conversion.Request(VARIANTS[bar.variant], formats, bar.weights, bar.calib, bar.samples)
    conversion.run(request, tmp_path, False, (), silent, lambda _: None)
    weights = bar.weights if Path(bar.weights).exists() else ""
    result = verification.verify(tmp_path, PHOTOS, None, None, weights, silent, lambda _: None)
    assert len(result.rows) == len(bar.agreement)
    for row in result.rows:
        precision = row.path.stem.split("-")[-1]
        assert row.agreement.images == 200
        assert row.agreement.agreement.fraction >= bar.agreement[precision], row.path.name  # type: ignore[index]
        assert row.agreement.accuracy is not None
        assert row.agreement.accuracy.drop.points <= bar.drop_points, row.path.name
