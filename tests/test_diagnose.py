"""`edgenet diagnose`: the layer that was damaged comes first, and the rounded float graph is the file."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgenet
from converters import flatbuffer, verify
from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.diagnosis_cost import layer_costs, rounded_logits_error
from converters.diagnosis_graph import LayerPair, pair_layers
from converters.diagnosis_tensors import tensor_errors
from converters.edit import text
from converters.flatbuffer import Model
from converters.job import Job
from converters.probe import golden_images
from converters.quantized_layers import layers
from converters.runtime import Runner
from converters.verify import all_logits
from converters.write import write_formats
from edgenet.agreement import sqnr_db
from edgenet.artifact import find_artifacts, read_golden, sha256, write_artifact
from edgenet.cli.diagnose import next_step
from edgenet.errors import InputError
from edgenet.native_noise import quiet_native_stderr
from edgenet.precision import Precision, default_io
from edgenet.progress import silent
from edgenet.weights.record import Weights
from tests.networks import HALF, IMAGENET_MEAN, IMAGENET_STD, pictures, small_weights
from tests.test_artifact import snapshot
from tests.verbs import Run, verb

FILE, FLOAT = "b0-w8a8-random.tflite", "b0-fp32-random.tflite"
BAD_WEIGHTS, BAD_RANGE = "blocks.3.1.conv_dw", "blocks.1.0.conv_pw"
PRECISIONS: tuple[Precision, ...] = ("fp32", "w8", "w8d", "w8a8", "w8a16")


def _write(out: Path, weights: Weights, precisions: tuple[Precision, ...]) -> Path:
    images = open_calibration("builtin", weights.preprocessing, 16)
    formats = tuple((precision, default_io(precision)) for precision in precisions)
    network = float_network(weights, pictures(1))
    write_formats(network, Job(formats, out, images, None, golden_images(weights.preprocessing)))
    return out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small swish network in five precisions."""
    return _write(tmp_path_factory.mktemp("written"), small_weights("b"), PRECISIONS)


@pytest.fixture(scope="module")
def sound(written: Path) -> dict[str, Any]:
    """Return the diagnosis of the w8a8 file as it was written."""
    return edgenet.diagnose(written / FILE).document()


@pytest.fixture
def diagnose(capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the verb and returns its exit code and what the process printed."""
    return verb("diagnose", capfd)


# The worst layer


def _coarse_weights(model: Model, original: Model) -> None:
    """Leave 3 bits of the weights of one layer."""
    (layer,) = (row for row in layers(model, original) if row.output_name == BAD_WEIGHTS)
    layer.store_weight(np.round(layer.weight_steps / 32) * 32)


def _narrow_range(model: Model, original: Model) -> None:
    """Let an activation's steps cover a sixteenth of their range."""
    del original
    (tensor,) = (row for row in model.subgraphs[0].tensors if text(row.name) == BAD_RANGE)
    tensor.quantization.scale = [float(tensor.quantization.scale[0]) / 16]


def _damaged(written: Path, folder: Path, damage: Callable[[Model, Model], None]) -> Path:
    """Return a copy of the w8a8 file beside its float file, one layer spoilt, with a manifest that vouches for it."""
    for path in (*written.glob(f"{FLOAT.removesuffix('.tflite')}.*"), *written.glob("b0-w8a8-random.*")):
        shutil.copy(path, folder)
    (artifact,) = find_artifacts(folder / FILE)
    model = flatbuffer.read(artifact.path.read_bytes())
    damage(model, flatbuffer.read((folder / FLOAT).read_bytes()))
    content = flatbuffer.write(model)
    manifest = artifact.manifest.model_copy(update={"sha256": sha256(content), "size_bytes": len(content)})
    return write_artifact(folder, content, read_golden(artifact), manifest).path


def test_a_layer_with_coarse_weights_comes_first(
    diagnose: Run, written: Path, sound: dict[str, Any], tmp_path: Path
) -> None:
    (before,) = (row for row in sound["layers"] if row["name"] == BAD_WEIGHTS)
    outcome = diagnose(_damaged(written, tmp_path, _coarse_weights), "--json")
    assert outcome.code == 0, outcome.err
    worst = outcome.document["layers"][0]
    assert worst["name"] == BAD_WEIGHTS
    assert worst["weights_share"] > 0.8 * worst["cost_share"] > 0.4
    assert worst["weights_sqnr_db"] < before["weights_sqnr_db"] - 10
    assert worst["activations_sqnr_db"] == pytest.approx(before["activations_sqnr_db"], abs=1e-3)


def test_a_layer_with_a_clipped_range_comes_first_and_its_tensor_is_named(
    diagnose: Run, written: Path, tmp_path: Path
) -> None:
    outcome = diagnose(_damaged(written, tmp_path, _narrow_range), "--json")
    assert outcome.code == 0, outcome.err
    worst = outcome.document["layers"][0]
    assert worst["name"] == BAD_RANGE
    assert worst["weights_share"] < 0.1 * worst["cost_share"]
    tensors = {row["name"]: row for row in worst["tensors"]}
    assert min(tensors, key=lambda name: float(tensors[name]["logits_sqnr_db"])) == BAD_RANGE
    clipped = tensors[BAD_RANGE]
    assert clipped["clipped_share"] > 0.05
    assert clipped["used_share"] > 0.95
    assert clipped["seen_high"] > 4 * clipped["high"]
    assert clipped["rounding_sqnr_db"] < 10


@pytest.mark.parametrize("damage", [_coarse_weights, _narrow_range], ids=["weights", "range"])
def test_restoring_one_layer_at_a_time_finds_the_same_one(
    written: Path, tmp_path: Path, damage: Callable[[Model, Model], None]
) -> None:
    reference, content = (written / FLOAT).read_bytes(), _damaged(written, tmp_path, damage).read_bytes()
    pairs, images = pair_layers(reference, content), pictures(4)
    expected = list(all_logits(reference, images))
    alone = [row.total for row in layer_costs(reference, pairs, images, expected, silent)]
    left = [_error(reference, pairs[:index] + pairs[index + 1 :], images, expected) for index in range(len(pairs))]
    assert int(np.argmax(alone)) == int(np.argmin(left))
    assert min(left) < 0.7 * _error(reference, pairs, images, expected)


def _error(
    reference: bytes,
    pairs: list[LayerPair],
    images: list[NDArray[np.uint8]],
    expected: list[NDArray[np.float32]],
) -> float:
    steps = {name: row for pair in pairs for name, row in pair.steps.items()}
    weights = [pair.weights for pair in pairs if pair.weights]
    return rounded_logits_error(reference, weights, steps, images, expected)


ENTRIES = {  # each way in which pixels enter an integer graph, see converters/entry.py
    "zero point": small_weights("lite"),
    "zero point and bias": small_weights("b", HALF, HALF),
    "subtracted": small_weights("b", IMAGENET_MEAN, IMAGENET_STD),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_with_all_layers_rounded_the_float_graph_is_the_file(entry: str, tmp_path: Path) -> None:
    _write(tmp_path, ENTRIES[entry], ("fp32", "w8a8"))
    first, second = (row.path.read_bytes() for row in find_artifacts(tmp_path))
    pairs, images = pair_layers(first, second), pictures(32)  # few enough logits, and chance alone makes a decibel
    expected = list(all_logits(first, images))
    signal = sum(float(np.vdot(row, row)) for row in expected)
    file = Runner(second, kernels="reference")  # whose rounding does not hang on the processor
    noise = sum(float(np.sum(np.square(file.logits(image) - row))) for image, row in zip(images, expected, strict=True))
    simulated = sqnr_db(signal, _error(first, pairs, images, expected))
    assert simulated == pytest.approx(sqnr_db(signal, noise), abs=1.0)
    assert pairs[0].weights or entry == "subtracted"


# The document, the table, the picture


def test_the_document_has_every_layer_and_tensor(sound: dict[str, Any]) -> None:
    document = sound
    assert document["images_from"] == "16 procedural images"
    assert document["images"] == 16
    assert sorted(row["depth"] for row in document["layers"]) == list(range(len(document["layers"])))
    shares = [row["cost_share"] for row in document["layers"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    names = {row["name"] for row in document["layers"]}
    assert {"conv_stem", "blocks.0.0.conv_dw", "blocks.1.1.se.conv_reduce", "conv_head", "classifier"} <= names
    for row in document["layers"]:
        assert row["output"] in [tensor["name"] for tensor in row["tensors"]]
        for tensor in row["tensors"]:
            assert tensor["low"] <= 0 < tensor["high"]
            assert 0 < tensor["used_share"] <= 1
            assert 0 <= tensor["clipped_share"] < 0.5
            assert tensor["seen_low"] < tensor["seen_high"]
    (logits,) = (row for row in document["layers"] if row["name"] == "classifier")
    assert logits["sqnr_db"] == pytest.approx(document["sqnr_db"], abs=1e-3)


def test_what_people_read(diagnose: Run, written: Path) -> None:
    outcome = diagnose(written / FILE)
    assert outcome.code == 0, outcome.err
    assert f"{FILE} on 16 procedural images" in outcome.out
    assert "more with less cost: --json" in outcome.out
    assert "the activations of the worst layers" in outcome.out
    # What is loaded in threads must not take stderr away from what is said last.
    assert outcome.err.splitlines()[-1] == f"next: edgenet verify {written / FILE} --data PHOTOS"


@pytest.mark.parametrize("precision", ["w8", "w8d"])
def test_a_file_with_float_activations_is_told_by_its_weights(diagnose: Run, written: Path, precision: str) -> None:
    document = diagnose(written / f"b0-{precision}-random.tflite", "--json").document
    for row in document["layers"]:
        assert row["weights_sqnr_db"] > 0
        assert row["weights_share"] == row["cost_share"]
        assert row["activations_sqnr_db"] is None
        assert all(tensor["low"] is None and tensor["clipped_share"] is None for tensor in row["tensors"])
    assert bool(document["notes"]) == (precision == "w8d")
    if precision == "w8":  # nothing else is rounded, and the layers' errors know little of each other
        assert document["added_sqnr_db"] == pytest.approx(document["sqnr_db"], abs=6)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"weights": "packaged"}, "edgenet convert --variant b0 --int8 --repair --calib PHOTOS"),
        (
            {"weights": "packaged", "precision": "w8a16"},
            "edgenet convert --variant b0 --precision w8a16 --calib PHOTOS",
        ),
        ({"weights": "packaged", "precision": "w8d", "calibration": None}, "edgenet verify"),
        ({"weights": "file"}, "edgenet verify"),
    ],
)
def test_the_next_step_mends_what_can_be_mended(written: Path, changes: dict[str, Any], step: str) -> None:
    [artifact] = find_artifacts(written / FILE)
    weights = artifact.manifest.weights.model_copy(update={"source": changes["weights"]})
    manifest = artifact.manifest.model_copy(update={**changes, "weights": weights})
    assert next_step(replace(artifact, manifest=manifest)).startswith(step)


def test_int16_activations_cost_next_to_nothing_in_most_layers(written: Path) -> None:
    found = edgenet.diagnose(written / "b0-w8a16-random.tflite").layers
    assert np.median([row.weights_share / row.cost_share for row in found]) > 0.9


def test_the_picture_stands_alone(diagnose: Run, written: Path, tmp_path: Path) -> None:
    picture = tmp_path / "new" / "depth.svg"
    outcome = diagnose(written / FILE, "--picture", picture, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["picture"] == str(picture)
    content = picture.read_text(encoding="utf-8")
    root = ElementTree.fromstring(content)
    circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == len(outcome.document["layers"])
    assert content.count("http") == 1  # the name of the format: nothing is fetched
    assert "<script" not in content
    assert "prefers-color-scheme: dark" in content
    for number, row in enumerate(outcome.document["layers"][:5], 1):
        assert f"{number} {row['name']} {100 * row['cost_share']:.0f} %" in content


def test_passes_over_groups_change_nothing(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (written / FLOAT).read_bytes(), (written / FILE).read_bytes()
    tensors, images = [row for pair in pair_layers(first, second) for row in pair.tensors], pictures(2)
    whole = tensor_errors(first, second, tensors, images, silent)
    assert len(whole) == len(tensors)
    steps: list[tuple[str, int, int]] = []
    monkeypatch.setattr(verify, "MEMORY_LIMIT_BYTES", 500_000)
    assert tensor_errors(first, second, tensors, images, lambda *step: steps.append(step)) == whole
    assert steps[-1][2] > 3  # passes


# Images and refusals


def test_photos_are_spread_and_bad_ones_named(diagnose: Run, written: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, picture in enumerate(pictures(20, 80)):
        Image.fromarray(picture).save(photos / f"{index:02}.png")
    (photos / "00.png").write_bytes(b"no photo")
    outcome = diagnose(written / FILE, "--data", photos, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["images_from"] == f"16 photos of {photos}"
    assert [row["name"] for row in outcome.document["skipped"]] == ["00.png"]
    for path in photos.glob("*.png"):
        path.write_bytes(b"no photo")
    refused = diagnose(written / FILE, "--data", photos)
    assert (refused.code, refused.out) == (2, "")
    assert "error: none of 20 photos can be used; the first: 00.png: " in refused.err


def test_what_has_no_int8_layer_is_refused(diagnose: Run, written: Path) -> None:
    outcome = diagnose(written / FLOAT)
    assert (outcome.code, outcome.out) == (2, "")
    assert (
        f"error: {written / FLOAT} has no int8 layer to diagnose (fp32); allowed: w8, w8d, w8a8, w8a16" in outcome.err
    )


def test_a_folder_is_diagnosed_if_one_file_is_meant(diagnose: Run, written: Path, tmp_path: Path) -> None:
    several = diagnose(written)
    assert several.code == 2
    assert f"error: {written} holds several quantized files; allowed: " in several.err
    for path in written.glob("b0-w8a8-random.*"):
        shutil.copy(path, tmp_path)
    alone = diagnose(tmp_path)
    assert alone.code == 2
    assert "give its weights (--weights FILE) or the float file" in alone.err
    before = snapshot(tmp_path)
    outcome = diagnose(tmp_path, "--reference", written / FLOAT, "--json")
    assert outcome.document["path"] == str(tmp_path / FILE)
    assert snapshot(tmp_path) == before


def test_a_float_file_of_another_network_is_refused(written: Path) -> None:
    model = flatbuffer.read((written / FLOAT).read_bytes())
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.name = f"t{index}"
    with pytest.raises(InputError, match="no tensor of the file has the name of one of the float file"):
        pair_layers(flatbuffer.write(model), (written / FILE).read_bytes())


def test_threads_that_hold_back_native_noise_give_stderr_back(capfd: pytest.CaptureFixture[str]) -> None:
    def hold(number: int) -> None:
        with quiet_native_stderr():
            os.write(2, b"noise %d\n" % number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(200)))
    os.write(2, b"said afterwards\n")
    assert capfd.readouterr().err == "said afterwards\n"
