"""Metadata of .tflite files: what is written is read back, files run as before, and damage is one line."""

import json
import os
import random
import struct
import subprocess
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as some

from converters import flatbuffer
from converters.calibration_source import open_calibration
from converters.card import Extras, facts_of, with_card
from converters.convert import float_network
from converters.job import Job
from converters.metadata import LabelFile, Metadata, TensorMetadata, pack_metadata
from converters.metadata_read import FoundMetadata, read_metadata, unpack_metadata
from converters.probe import golden_images
from converters.runtime import load_runner
from converters.tflite_summary import summarize
from converters.write import write_formats
from edgenet.artifact import Artifact, read_golden, sha256, write_artifact
from edgenet.errors import InputError
from edgenet.identity import manifest_identity
from edgenet.manifest import Manifest
from edgenet.precision import IoType
from tests.networks import SIDE_PX, pictures, small_weights
from tests.test_artifact import write_small
from tests.verbs import verb

PROGRAMS = Path(__file__).resolve().parent / "readers"
NAMES = tuple(f"class {index}" for index in range(10))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Return a small network's real files by precision."""
    written = write_small(tmp_path_factory.mktemp("metadata"), ["fp32", "fp16", "w8", "w8a8"])
    return {artifact.manifest.precision: artifact for artifact in written}


def _found(content: bytes) -> FoundMetadata:
    found = read_metadata(content)
    assert found is not None
    return found


def _with(artifact: Artifact, extras: Extras) -> bytes:
    return with_card(flatbuffer.read(artifact.path.read_bytes()), facts_of(artifact.manifest), extras)


# Written and read back

texts = some.text(some.characters(categories=["L", "N", "P"]), max_size=12)
numbers = some.floats(-1000, 1000, width=32)
rows = some.tuples(numbers, numbers, numbers)
tensors = some.builds(
    TensorMetadata, name=texts, description=texts, size_px=some.none() | some.tuples(*[some.integers(0, 5000)] * 2),
    axes=some.none() | some.tuples(*[some.integers(-1, 5)] * 2), mean=rows, std=rows, low=rows, high=rows,
    score_threshold=some.none() | numbers,
    files=some.lists(some.builds(LabelFile, texts, texts, texts, some.integers(0, 6)), max_size=2).map(tuple),
)  # fmt: skip
several = some.lists(tensors, max_size=3).map(tuple)


@given(some.builds(Metadata, *[texts] * 6, several, several))
def test_what_is_packed_is_unpacked(metadata: Metadata) -> None:
    packed = pack_metadata(metadata)
    assert unpack_metadata(packed) == metadata
    assert packed == pack_metadata(metadata)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8", "w8a8"])
def test_a_written_file_says_how_to_feed_it(artifacts: dict[str, Artifact], precision: str) -> None:
    artifact = artifacts[precision]
    found = _found(artifact.path.read_bytes())
    [tensor] = found.metadata.inputs
    assert (tensor.size_px, tensor.axes) == ((SIDE_PX, SIDE_PX), (1, 3))
    # lite: mean 127 and std 128, which a float file has inside and an integer one as its zero point and scale.
    assert (tensor.mean, tensor.std) == (((127.0,), (128.0,)) if precision == "w8a8" else ((0.0,), (1.0,)))
    assert "RANDOM WEIGHTS" in found.metadata.description
    assert found.identity == manifest_identity(artifact.manifest)


@pytest.mark.parametrize("family", ["lite", "b"])
@pytest.mark.parametrize(("io", "shift"), [("uint8", 0), ("int8", 128)])
def test_normalizing_and_quantizing_by_the_metadata_gives_raw_pixels(
    family: str, io: IoType, shift: int, tmp_path: Path
) -> None:
    weights = small_weights(family)
    images = open_calibration("builtin", weights.preprocessing, 16)
    job = Job((("w8a8", io),), tmp_path, images, None, golden_images(weights.preprocessing))
    [artifact] = write_formats(float_network(weights, pictures(1)), job)
    content = artifact.path.read_bytes()
    [told] = _found(content).metadata.inputs
    end = summarize(content).inputs[0]
    pixels = np.arange(256)
    stored = np.round((pixels - told.mean[0]) / told.std[0] / end.scale) + end.zero_point
    assert (stored == pixels - shift).all()


def test_the_file_answers_as_before_and_its_metadata_can_be_replaced(artifacts: dict[str, Artifact]) -> None:
    artifact = artifacts["w8a8"]
    extras = Extras({"": NAMES, "de": NAMES[::-1]}, "A. Uthor", "CC0-1.0", 1.5)
    content = _with(artifact, extras)
    again = with_card(flatbuffer.read(content), facts_of(artifact.manifest), extras)
    assert again == content
    found = _found(content)
    assert (found.metadata.author, found.metadata.license) == ("A. Uthor", "CC0-1.0")
    assert found.metadata.outputs[0].score_threshold == 1.5
    assert [(row.name, row.locale) for row in found.metadata.outputs[0].files] == [
        ("labels.txt", ""), ("labels-de.txt", "de"),
    ]  # fmt: skip
    assert found.labels() == NAMES
    golden = read_golden(artifact)
    runner = load_runner(content)
    assert np.array_equal(np.stack([runner.logits(pixels) for pixels in golden.pixels]), golden.logits)


def test_the_zip_is_stored_and_opens_by_itself(artifacts: dict[str, Artifact]) -> None:
    content = _with(artifacts["fp32"], Extras({"": NAMES}))
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert [row.compress_type for row in archive.infolist()] == [zipfile.ZIP_STORED]
        [row] = archive.infolist()
    assert content[row.header_offset : row.header_offset + 4] == b"PK\x03\x04"


def test_a_file_without_metadata_has_none() -> None:
    model = schema.ModelT()
    model.buffers, model.operatorCodes, model.subgraphs = [schema.BufferT()], [], []
    assert read_metadata(flatbuffer.write(model)) is None


# The hash of the manifest


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"command": ("another",)}, True),
        ({"sha256": "0" * 64, "size_bytes": 1}, True),
        ({"tool_versions": {}}, True),
        ({"precision": "fp16"}, False),
        ({"recipe": "another"}, False),
    ],
)
def test_the_identity_is_of_what_a_file_can_know(
    artifacts: dict[str, Artifact], change: dict[str, Any], same: bool
) -> None:
    manifest = artifacts["w8a8"].manifest
    assert (manifest_identity(manifest.model_copy(update=change)) == manifest_identity(manifest)) == same


def test_the_identity_is_of_preprocessing_and_labels(artifacts: dict[str, Artifact]) -> None:
    manifest = artifacts["w8a8"].manifest
    crop = manifest.preprocessing.model_copy(update={"crop_fraction": 0.9})
    labels = manifest.weights.model_copy(update={"labels": NAMES})
    identities = {
        manifest_identity(manifest),
        manifest_identity(manifest.model_copy(update={"preprocessing": crop})),
        manifest_identity(manifest.model_copy(update={"weights": labels})),
    }
    assert len(identities) == 3


# The command line


def test_labels_go_into_the_manifest_and_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\ncow\n", encoding="utf-8")
    flags = ("--variant", "lite0", "--weights", "random", "--classes", "3")
    done = verb("convert", capsys)(*flags, "--labels", labels, "--no-verify", "--out", tmp_path)
    assert done.code == 0, done.err
    path = tmp_path / "lite0-fp32-random.tflite"
    assert _found(path.read_bytes()).labels() == ("cat", "dog", "cow")
    manifest = Manifest.model_validate_json(path.with_name("lite0-fp32-random.manifest.json").read_bytes())
    assert manifest.weights.labels == ("cat", "dog", "cow")
    shown = verb("info", capsys)(path)
    assert "3 labels: cat, dog, cow" in shown.out
    assert "of the manifest beside it" in shown.out
    document = verb("info", capsys)(path, "--json").document["metadata"]
    assert document["labels"] == ["cat", "dog", "cow"]
    assert document["inputs"][0]["mean"] == [0.0]
    again = verb("convert", capsys)(
        "--from", path.with_name("lite0-fp32-random.manifest.json"), "--out", tmp_path / "b"
    )
    assert "the same bytes as the manifest says" in again.err


def test_labels_of_another_count_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\n", encoding="utf-8")
    done = verb("convert", capsys)("--variant", "lite0", "--labels", labels, "--out", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "has 1 labels, the network 1000 classes" in done.err


def test_a_file_with_another_manifest_is_told(artifacts: dict[str, Artifact], tmp_path: Path, capsys: Any) -> None:
    artifact = artifacts["fp32"]
    content = artifact.path.read_bytes()
    other = artifact.manifest.model_copy(update={"variant": "lite4", "sha256": sha256(content)})
    write_artifact(tmp_path, content, read_golden(artifact), other)
    assert "IT NAMES ANOTHER MANIFEST" in verb("info", capsys)(tmp_path / artifact.path.name).out


# Damage


@pytest.mark.parametrize("seed", range(300))
def test_damaged_metadata_are_one_error_or_do_no_harm(artifacts: dict[str, Artifact], seed: int) -> None:
    source = random.Random(seed)
    packed = bytearray(pack_metadata(_found(artifacts["w8a8"].path.read_bytes()).metadata))
    for _ in range(source.choice((1, 1, 2, 8))):
        place = source.randrange(len(packed) - 4)
        struct.pack_into("<I", packed, place, source.choice((0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1)))
    cut = packed[: source.randrange(1, len(packed))] if source.random() < 0.3 else packed
    try:
        unpack_metadata(bytes(cut))
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("seed", range(50))
def test_a_damaged_zip_is_one_error_or_does_no_harm(artifacts: dict[str, Artifact], seed: int) -> None:
    source = random.Random(seed)
    content = bytearray(_with(artifacts["fp32"], Extras({"": NAMES})))
    start = content.index(b"PK\x03\x04")
    for _ in range(3):
        content[source.randrange(start, len(content))] = source.randrange(256)
    try:
        read_metadata(bytes(content))
    except InputError as error:
        assert "\n" not in str(error)


def test_a_zip_bomb_is_refused(artifacts: dict[str, Artifact]) -> None:
    stream = BytesIO()
    stream.write(artifacts["fp32"].path.read_bytes())
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(100 * 2**20))
    with pytest.raises(InputError, match=r"too much lies in the zip behind the model; allowed: 100 files of 16 MiB"):
        read_metadata(stream.getvalue())


def _table(builder: Any, field: int, offset: int) -> int:
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offset: int, count: int) -> int:
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def test_a_small_file_that_stands_for_an_endless_graph_is_refused() -> None:
    """A thousand inputs that are one and the same, with a thousand files that are one and the same."""
    builder = flatbuffers.Builder(1024)
    file = _table(builder, 0, builder.CreateString("x"))
    tensor = _table(builder, 6, _vector(builder, file, 1000))
    graph = _table(builder, 2, _vector(builder, tensor, 1000))
    builder.Finish(_table(builder, 3, _vector(builder, graph, 1)), b"M001")
    packed = bytes(builder.Output())
    assert len(packed) < 10_000
    with pytest.raises(InputError, match="no network is so large"):
        unpack_metadata(packed)


# Real readers


@dataclass(frozen=True)
class Reader:
    """A program of another maker, in an environment of its own whose Python a variable names."""

    variable: str
    package: str
    program: str


READERS = (
    Reader("EDGENET_MEDIAPIPE_PYTHON", "mediapipe 1.2.2", "mediapipe_answers.py"),
    Reader("EDGENET_TASK_LIBRARY_PYTHON", "tflite-support 0.4.4 and protobuf below 4", "task_library_answers.py"),
)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8", "w8a8"])
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.package.split()[0])
def test_other_makers_readers_answer_with_our_labels_and_our_best_class(
    artifacts: dict[str, Artifact], reader: Reader, precision: str, tmp_path: Path
) -> None:
    python = os.environ.get(reader.variable)
    if python is None:
        pytest.skip(f"{reader.variable} names no Python with {reader.package}")
    golden = read_golden(artifacts[precision])
    model, pixels = tmp_path / "model.tflite", tmp_path / "pixels.npy"
    model.write_bytes(_with(artifacts[precision], Extras({"": NAMES})))
    np.save(pixels, golden.pixels)
    # Without a network: one of them reports its use to its maker.
    command = ["unshare", "-n", python, str(PROGRAMS / reader.program), str(model), str(pixels)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for row, logits in zip(json.loads(done.stdout), golden.logits, strict=True):
        assert row[0][1] == NAMES[int(np.argmax(logits))]
        assert row[0][2] == pytest.approx(float(logits.max()), rel=1e-4)
