"""Train a small network of a family in this process, and look into what was written of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from converters import conversion, flatbuffer
from converters.quantized_layers import layers
from converters.runtime import load_runner
from edgenet.artifact import Artifact
from edgenet.layers import Architecture, expand
from edgenet.preprocessing import crop_photo, normalize
from edgenet.progress import silent
from edgenet.training.callbacks import Logs, Watch
from edgenet.training.compress.tensors import OUTPUT_NAME, compressible
from edgenet.training.recipe import Recipe, with_compression
from edgenet.training.setup import Request
from edgenet.training.train import resume, train
from edgenet.variants import VARIANTS, Variant
from edgenet.weights.run_folder import run_weights
from tests.networks import FAMILY_HEADS, small_variant

# One stage of b0 has squeeze-and-excite and swish already. V2's fourth is the first with them.
STAGES = {"b": 1, "lite": 3, "edgetpu": 3, "v2": 4}
SIDE_PX = 32


def tiny_variant(family: str) -> Variant:
    """Return a family's first stages: enough for each kind of layer that it has."""
    small = small_variant(family)
    return replace(small, stages=small.stages[: STAGES[family]])


@pytest.fixture(autouse=True, scope="module")
def tiny_variants() -> Iterator[None]:
    """Let the names of the families' smallest variants mean the tiny ones: a run keeps the name alone."""
    with pytest.MonkeyPatch.context() as patch:
        for family, head in FAMILY_HEADS.items():
            patch.setitem(VARIANTS, head, tiny_variant(family))
        yield


def recipe(prune: str = "", cluster: int = 0, qat: bool = False, epochs: int = 3) -> Recipe:
    """Return a short recipe with what is asked for."""
    plain = Recipe()
    schedule = plain.schedule.model_copy(
        update={"batch_size": 16, "warmup_epochs": 0, "epochs": epochs, "peak_rate": 1e-2, "average_decay": 0.9}
    )
    return with_compression(plain.model_copy(update={"schedule": schedule}), prune, cluster, qat)


def train_tiny(family: str, data: Path, out: Path, chosen: Recipe, weights: str = "random") -> Path:
    """Train, and return the run's folder."""
    request = Request(VARIANTS[FAMILY_HEADS[family]], data, out, chosen, weights, SIDE_PX)
    train(request, ("edgenet", "train"), silent, lambda text: None)
    return out


def resume_tiny(out: Path) -> None:
    """Go on with an interrupted run."""
    resume(out, None, "single", ("edgenet", "train"), silent, lambda text: None)


@contextmanager
def interrupt_after(steps: int) -> Iterator[None]:
    """Let the interrupt that Ctrl-C makes come after so many steps; in place of a signal to the whole of pytest."""
    original, done = Watch.on_train_batch_end, 0

    def watched(self: Watch, batch: int, logs: Logs | None = None) -> None:
        nonlocal done
        done += 1
        if done == steps:
            self._interrupt.wanted = True
        original(self, batch, logs)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Watch, "on_train_batch_end", watched)
        yield


def int8_of(run: Path, out: Path) -> Artifact:
    """Return the w8a8 file of a run."""
    weights = run_weights(run)
    request = conversion.Request(weights.variant, (("w8a8", "int8"),), "", "builtin", model=weights)
    [artifact] = conversion.run(request, out, False, (), silent, lambda text: None)
    return artifact


def float_file(run: Path) -> bytes:
    """Return the float file that a run holds."""
    return next(run.glob("*-fp32.tflite")).read_bytes()


def kernels_in(content: bytes, run: Path) -> dict[str, NDArray[np.int8]]:
    """Return the steps of each pruned or clustered layer as an int8 file holds them, [O, kH, kW, I] or [O, I]."""
    chosen = compressible(_architecture(run))
    names = {OUTPUT_NAME if layer.kind == "dense" else layer.name for layer in chosen}
    found = layers(flatbuffer.read(content), flatbuffer.read(float_file(run)))
    return {row.output_name: row.weight_steps for row in found if row.output_name in names}


def _architecture(run: Path) -> Architecture:
    weights = run_weights(run)
    return expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)


def both_logits(run: Path, content: bytes, photos: list[Path]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the logits [N, classes] of the network that quantization-aware training left, and of a file."""
    from edgenet.training.compress.rounded_network import learned_network

    weights = run_weights(run)
    network, runner = learned_network(weights), load_runner(content)
    pixels = [crop_photo(Image.open(path).convert("RGB"), weights.preprocessing) for path in photos]
    batch = np.stack([normalize(image, weights.preprocessing) for image in pixels])
    return network(batch, training=False).numpy(), np.stack([runner.logits(image) for image in pixels])
