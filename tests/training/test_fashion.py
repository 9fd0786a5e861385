"""The bar: lite0 from its packaged weights learns Fashion-MNIST to 90 % in minutes on two cores."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgenet.__main__ import main
from edgenet.weights.run_folder import read_run

FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's dataset-fashion-mnist puts it
LABELS = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
IMAGES = 20_000  # of the 60 000 to train on; all of them would take three times as long
RECIPE = """
[data]
val_share = 0.1
crop_fraction = 1.0

[schedule]
batch_size = 64
warmup_epochs = 0
epochs = 4
peak_rate = 2e-3
ramp_epochs = 0.3
depth_decay = 0.97
average_decay = 0.99
label_smoothing = 0.05

[augment]
smallest_area = 0.8
operations = 0
mix_share = 0.0
"""


def _array(name: str, header_bytes: int) -> NDArray[np.uint8]:
    return np.frombuffer(gzip.decompress((FASHION / name).read_bytes()), np.uint8, offset=header_bytes)


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason="needs Fashion-MNIST: apt-get install dataset-fashion-mnist")
def test_fashion_mnist(tmp_path: Path) -> None:
    images = _array("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    for index, label in enumerate(_array("train-labels-idx1-ubyte.gz", 8)[:IMAGES]):
        folder = tmp_path / "data" / LABELS[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index]).save(folder / f"{index:05}.png")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    words = ("train", "--variant", "lite0", "--weights", "packaged", "--side", "48")
    places = ("--data", f"{tmp_path}/data", "--recipe", f"{tmp_path}/recipe.toml", "--out", f"{tmp_path}/run")
    assert main([*words, *places]) == 0
    run = read_run(tmp_path / "run")
    print(f"{100 * run.val_accuracy:.2f} % of {run.val_images} images after epoch {run.best_epoch}")
    assert run.val_accuracy >= 0.9
