"""`edgenet verify`: its gates and exit codes, its sources of labels and of the float network, its JSON document."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator as Op
from PIL import Image

from converters import flatbuffer
from converters.patterns import op_code
from converters.runtime import Runner
from converters.verify import all_logits
from edgenet.artifact import Artifact, Golden, find_artifacts, read_golden, sha256, write_artifact
from edgenet.photos import Photo, PhotoFile, load_photo
from edgenet.preprocessing import crop_photo
from tests.networks import CLASSES, pictures
from tests.test_artifact import snapshot, write_small
from tests.verbs import Run, verb

PHOTOS = 24
FILE = "b0-w8a8-random.tflite"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network in three precisions; its float answers are many-sided, see `labels`."""
    folder = tmp_path_factory.mktemp("written")
    write_small(folder, ["fp32", "fp16", "w8a8"], "b")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a flat folder of small JPEG photos."""
    folder = tmp_path_factory.mktemp("photos")
    for index, picture in enumerate(pictures(PHOTOS, 96, seed=11)):
        # A tint each, so that the network has something to tell apart.
        tint = np.asarray([(index % 3) / 2, (index // 3 % 3) / 2, (index // 9 % 3) / 2])
        Image.fromarray((picture * (0.3 + 0.7 * tint)).astype(np.uint8)).save(folder / f"{index:02}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def labels(written: Path, photos: Path) -> dict[str, int]:
    """Return the float network's own answers: its top-1 is 100 % by construction."""
    return _answers(written / "b0-fp32-random.tflite", photos)


def _answers(file: Path, photos: Path) -> dict[str, int]:
    (artifact,) = find_artifacts(file)
    names, crops = sorted(path.name for path in photos.glob("*.jpg")), []
    for name in names:
        photo = load_photo(PhotoFile(photos / name, name))
        assert isinstance(photo, Photo)
        crops.append(crop_photo(photo.image, artifact.manifest.to_preprocessing()))
    logits = all_logits(file.read_bytes(), crops)
    return {name: int(np.argmax(row)) for name, row in zip(names, logits, strict=True)}


def _table(path: Path, rows: dict[str, int]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "class_index"), *rows.items()])
    return path


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the verb and returns its exit code, stdout and stderr."""
    return verb("verify", capsys)


def test_the_network_answers_with_several_classes(labels: dict[str, int]) -> None:
    assert len(set(labels.values())) >= 3


# Gates


def test_a_folder_passes_on_procedural_images(verify: Run, written: Path) -> None:
    outcome = verify(written, "--min-agree", "0.5")
    assert outcome.code == 0, outcome.err
    assert "64 images: 64 procedural images" in outcome.out
    for name in ("b0-fp32-random", "b0-fp16-random", "b0-w8a8-random"):
        assert f"{name}.tflite" in outcome.out
    assert outcome.err.splitlines()[-1] == f"next: edgenet info {written / 'b0-fp16-random.tflite'}"


def test_gates_hold_at_what_was_measured_and_fail_just_over_it(
    verify: Run, written: Path, photos: Path, labels: dict[str, int], tmp_path: Path
) -> None:
    table = _table(tmp_path / "labels.csv", labels)
    quantized = _answers(written / FILE, photos)
    same = sum(labels[name] == quantized[name] for name in labels) / PHOTOS
    arguments = [written / FILE, "--data", photos, "--labels", table]
    drop = 100 * (1 - same)
    passed = verify(*arguments, "--max-drop", f"{drop + 0.001}", "--min-agree", f"{same}")
    assert passed.code == 0, passed.err
    disagreeing = verify(*arguments, "--min-agree", f"{min(1.0, same + 0.001)}")
    dropping = verify(*arguments, "--max-drop", f"{drop - 0.001}")
    assert dropping.code == 1
    assert f"error: {FILE} loses {drop:.2f} points of top-1 (at most {drop - 0.001:g})" in dropping.err
    assert disagreeing.code == (1 if same < 1 else 0)
    for outcome in (passed, dropping):
        assert f"{PHOTOS} images: photos of {photos}, labels by the class_index column of labels.csv" in outcome.out


def test_wrong_labels_cost_both_networks_alike(
    verify: Run, written: Path, photos: Path, labels: dict[str, int], tmp_path: Path
) -> None:
    table = _table(tmp_path / "labels.csv", {name: (index + 1) % CLASSES for name, index in labels.items()})
    outcome = verify(
        written / "b0-fp16-random.tflite", "--data", photos, "--labels", table, "--max-drop", "0", "--json"
    )
    assert outcome.code == 0, outcome.err
    accuracy = outcome.document["files"][0]["accuracy"]
    assert accuracy["reference_top1"]["hits"] == accuracy["test_top1"]["hits"] == 0
    assert accuracy["drop"]["points"] == 0


def test_a_drop_needs_labels(verify: Run, written: Path, photos: Path) -> None:
    outcome = verify(written / FILE, "--data", photos, "--max-drop", "1")
    assert outcome.code == 2
    assert "error: --max-drop needs labels; add --labels CSV" in outcome.err


def test_agreement_needs_none(verify: Run, written: Path, photos: Path) -> None:
    outcome = verify(written / "b0-fp16-random.tflite", "--data", photos, "--min-agree", "0.95")
    assert outcome.code == 0, outcome.err
    assert f"photos of {photos}, without labels" in outcome.out
    assert "note: no labels: photos lie directly in the folder" in outcome.err


# Labels


def test_class_folders_say_what_a_table_says(
    verify: Run, written: Path, photos: Path, labels: dict[str, int], tmp_path: Path
) -> None:
    folders = tmp_path / "folders"
    for name, index in labels.items():
        (folders / f"{index}").mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / name, folders / f"{index}")
    flat = shutil.copytree(photos, tmp_path / "flat")
    _table(flat / "labels.csv", labels)
    by_folder, by_table = (verify(written / FILE, "--data", data, "--json").document for data in (folders, flat))
    first, second = by_folder["files"][0]["accuracy"], by_table["files"][0]["accuracy"]
    assert first == second
    assert first["reference_top1"]["fraction"] == 1
    assert by_folder["images"].endswith("labels by the class folders' numbers")
    assert by_table["images"].endswith("labels by the class_index column of labels.csv")


def test_photos_that_cannot_be_used_are_named_and_counted(
    verify: Run, written: Path, photos: Path, labels: dict[str, int], tmp_path: Path
) -> None:
    data = shutil.copytree(photos, tmp_path / "data")
    (data / "00.jpg").write_bytes(b"no photo")
    (data / "01.jpg").write_bytes((photos / "01.jpg").read_bytes()[:300])
    table = _table(tmp_path / "labels.csv", labels)
    outcome = verify(written / FILE, "--data", data, "--labels", table, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["files"][0]["images"] == PHOTOS - 2
    assert [row["name"] for row in outcome.document["skipped"]] == ["00.jpg", "01.jpg"]


# The document


def test_the_document_has_every_figure(verify: Run, written: Path, photos: Path, labels: dict[str, int]) -> None:
    table = _table(written.parent / "labels.csv", labels)
    outcome = verify(written, "--data", photos, "--labels", table, "--json", "--min-agree", "0")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert document["schema_version"] == 1
    assert set(document) == {"schema_version", "images", "files", "skipped", "notes", "failures"}
    assert document["failures"] == document["skipped"] == document["notes"] == []
    assert [Path(row["path"]).name for row in document["files"]] == [
        "b0-fp16-random.tflite", "b0-fp32-random.tflite", FILE,
    ]  # fmt: skip
    for row in document["files"]:
        assert set(row) == {"path", "golden", "images", "agreement", "sqnr_db", "max_abs_error", "accuracy"}
        assert set(row["golden"]) == {"max_abs_error", "tolerance", "passed"}
        assert set(row["agreement"]) == {"hits", "images", "fraction", "low", "high"}
        assert set(row["accuracy"]) == {"reference_top1", "test_top1", "reference_top5", "test_top5", "drop"}
        assert row["images"] == row["agreement"]["images"] == PHOTOS
        assert row["accuracy"]["reference_top1"]["hits"] == PHOTOS
    same = document["files"][1]
    assert (same["sqnr_db"], same["max_abs_error"], same["agreement"]["fraction"]) == (None, 0.0, 1.0)
    assert same["golden"]["max_abs_error"] == 0


def test_a_failed_gate_still_gives_the_document(verify: Run, written: Path) -> None:
    path = written / FILE
    outcome = verify(path, "--min-agree", "1", "--json")
    share = outcome.document["files"][0]["agreement"]["fraction"]
    assert share < 1
    assert outcome.code == 1
    assert outcome.document["failures"] == [f"{FILE} agrees with float on {share:.4f} of the images (at least 1)"]
    assert outcome.err.splitlines()[-1].startswith(f"error: {FILE} agrees with float on")


# The float network


def test_the_reference_may_lie_elsewhere(verify: Run, written: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in written.glob("b0-w8a8-random.*"):
        shutil.copy(path, alone)
    # The weights are those of a network that is smaller than its name says: they cannot be made anew.
    outcome = verify(alone)
    assert outcome.code == 2
    assert "has other weights than b0-w8a8-random.tflite; give its weights (--weights FILE) or" in outcome.err
    given = verify(alone, "--reference", written / "b0-fp32-random.tflite", "--json")
    beside = verify(written / FILE, "--json")
    assert given.code == beside.code == 0
    assert given.document["files"][0]["agreement"] == beside.document["files"][0]["agreement"]


def test_a_reference_that_does_not_fit_is_one_line(verify: Run, written: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes((written / "b0-fp32-random.tflite").read_bytes()[:5000])
    for reference, says in (
        (written / FILE, f"error: {FILE}: the model is quantized already: QUANTIZE has the uint8 tensor"),
        (broken, "broken.tflite: "),
        (tmp_path / "absent.tflite", "cannot read"),
    ):
        outcome = verify(written / FILE, "--reference", reference)
        assert (outcome.code, outcome.out) == (2, "")
        assert says in outcome.err.splitlines()[-1]


def test_files_of_two_networks_are_refused(verify: Run, written: Path, tmp_path: Path) -> None:
    both = shutil.copytree(written, tmp_path / "both")
    write_small(both, ["fp32"], "lite")
    outcome = verify(both)
    assert outcome.code == 2
    assert f"error: {both} holds files of several networks; verify them one by one" in outcome.err


# Wrong files


def _rewritten(folder: Path, content: bytes, golden: Golden | None = None) -> Artifact:
    """Write other bytes under an artifact's name, with a manifest that vouches for them."""
    (artifact,) = find_artifacts(folder / FILE)
    manifest = artifact.manifest.model_copy(update={"sha256": sha256(content), "size_bytes": len(content)})
    return write_artifact(folder, content, golden or read_golden(artifact), manifest)


def _sign_flipped(content: bytes) -> bytes:
    """Return a file whose widest convolution has its weights' signs turned."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    weights = [graph.tensors[row.inputs[1]] for row in graph.operators if op_code(model, row) == Op.CONV_2D]
    buffer = model.buffers[max(weights, key=lambda tensor: int(np.prod(tensor.shape))).buffer]
    buffer.data = (-np.maximum(np.asarray(buffer.data).view(np.int8), -127)).view(np.uint8)
    return flatbuffer.write(model)


def test_a_corrupted_layer_fails_the_gates(
    verify: Run, written: Path, photos: Path, labels: dict[str, int], tmp_path: Path
) -> None:
    folder = shutil.copytree(written, tmp_path / "corrupted")
    _rewritten(folder, _sign_flipped((folder / FILE).read_bytes()))
    table = _table(tmp_path / "labels.csv", labels)
    outcome = verify(folder, "--data", photos, "--labels", table, "--max-drop", "10", "--min-agree", "0.8", "--json")
    assert outcome.code == 1
    golden, agreement, drop = outcome.document["failures"]
    assert golden.startswith(f"{FILE} is off its golden vectors by ")
    assert agreement.startswith(f"{FILE} agrees with float on ")
    assert drop.startswith(f"{FILE} loses ")
    assert "b0-fp16" not in outcome.err


def test_golden_vectors_fail_without_any_gate(verify: Run, written: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(written, tmp_path / "wrong")
    _rewritten(folder, _sign_flipped((folder / FILE).read_bytes()))
    outcome = verify(folder / FILE)
    assert outcome.code == 1
    assert f"error: {FILE} is off its golden vectors by" in outcome.err
    assert "OFF by" in outcome.out


def test_golden_vectors_of_another_file_fail(verify: Run, written: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(written, tmp_path / "swapped")
    (artifact,) = find_artifacts(folder / FILE)
    golden = read_golden(artifact)
    _rewritten(folder, artifact.path.read_bytes(), Golden(golden.pixels, golden.logits + 1, golden.float_logits))
    outcome = verify(folder / FILE, "--json")
    assert outcome.code == 1
    (failure,) = outcome.document["failures"]
    assert failure.startswith(f"{FILE} is off its golden vectors by 1 ")


def test_the_golden_answers_are_the_files_own(written: Path) -> None:
    for artifact in find_artifacts(written):
        golden, runner = read_golden(artifact), Runner(artifact.path.read_bytes())
        np.testing.assert_array_equal(np.stack([runner.logits(pixels) for pixels in golden.pixels]), golden.logits)
        assert golden.pixels.shape == (3, 64, 64, 3)


def test_verifying_changes_nothing(verify: Run, written: Path) -> None:
    before = snapshot(written)
    assert verify(written / FILE).code == 0
    assert snapshot(written) == before
