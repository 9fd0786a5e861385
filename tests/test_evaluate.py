"""`edgenet evaluate`: its figures against verify's and a count by hand, one pass for all files, limits and refusals."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy import work
from benchmarks.accuracy.lineup import Lineup, find_field, line_up
from benchmarks.accuracy.record import EvaluationRecord
from benchmarks.accuracy.run import PART_IMAGES, Pass, evaluate_all
from benchmarks.pools.processes import process_pool
from converters.verify import all_logits
from edgenet.artifact import find_artifacts
from edgenet.errors import InputError
from edgenet.labelled.decode import decode_example
from edgenet.labelled.example import Example
from edgenet.labelled.stream import LabelledImages, open_labelled
from edgenet.photos import Photo, PhotoFile, load_photo
from edgenet.preprocessing import Preprocessing, crop_photo
from edgenet.progress import silent
from tests.networks import CLASSES, pictures, small_weights
from tests.test_onnx_files import write_both
from tests.verbs import Run, verb

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
PHOTOS = 20  # two parts and a half
NAMES = tuple(f"kind <{index}>" for index in range(CLASSES))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network, which knows names of its classes, in two precisions and both formats."""
    folder = tmp_path_factory.mktemp("written")
    write_both(replace(small_weights("b"), labels=NAMES), folder, ["fp32", "w8a8"])
    return folder


@pytest.fixture(scope="module")
def photos(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return class folders named by the float network's own answers: its top-1 is 100 % by construction."""
    folder = tmp_path_factory.mktemp("photos")
    for index, picture in enumerate(pictures(PHOTOS, 96, seed=11)):
        # A tint each, so that the network has something to tell apart.
        tint = np.asarray([(index % 3) / 2, (index // 3 % 3) / 2, (index // 9 % 3) / 2])
        path = folder / f"{index:02}.jpg"
        Image.fromarray((picture * (0.3 + 0.7 * tint)).astype(np.uint8)).save(path, quality=95)
        label = NAMES[int(np.argmax(_answer(written / "b0-fp32-random.tflite", path)))]
        (folder / label).mkdir(exist_ok=True)
        path.rename(folder / label / path.name)
    return folder


def _answer(file: Path, photo: Path) -> Any:
    (artifact,) = find_artifacts(file)
    loaded = load_photo(PhotoFile(photo, photo.name))
    assert isinstance(loaded, Photo)
    pixels = crop_photo(loaded.image, artifact.manifest.to_preprocessing())
    return next(all_logits(file.read_bytes(), [pixels]))


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Run:
    return verb("evaluate", capsys)


def _file(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in document["files"] if row["name"] == name)
    return found


# The whole command


def test_the_figures_are_those_of_a_count_by_hand(evaluate: Run, written: Path, photos: Path, tmp_path: Path) -> None:
    outcome = evaluate(written, "--data", photos, "--json", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    record = EvaluationRecord.model_validate_json((tmp_path / "out" / "evaluate.json").read_bytes())
    assert json.loads(record.model_dump_json()) == document
    assert document["data"]["images"] == PHOTOS
    assert document["data"]["labels_by"] == "the class folders' names, which are the model's labels"
    files = sorted(photos.glob("*/*.jpg"))
    truth = [NAMES.index(path.parent.name) for path in files]
    for name in ("b0-fp32-random", "b0-w8a8-random"):
        logits = np.stack([_answer(written / f"{name}.tflite", path) for path in files])
        row = _file(document, f"{name}.tflite")
        given = logits.argmax(axis=1).tolist()
        assert row["top1"]["hits"] == sum(np.equal(given, truth))
        order = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        assert row["top5"]["hits"] == sum(label in best for label, best in zip(truth, order, strict=True))
        pairs = Counter(zip(truth, given, strict=True))
        assert {(label, answer): count for label, answer, count in row["confusion"]} == pairs
        recalls = {entry["label"]: entry["recall"]["images"] for entry in row["classes"] if entry["recall"]}
        assert recalls == Counter(path.parent.name for path in files)
    assert _file(document, "b0-fp32-random.tflite")["top1"]["fraction"] == 1


def test_agreement_is_what_verify_tells(
    evaluate: Run, written: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = evaluate(written, "--data", photos, "--json").document
    theirs = verb("verify", capsys)(written, "--data", photos, "--json").document
    for row in theirs["files"]:
        found = _file(ours, Path(row["path"]).name)["agreement"]
        if "fp32" in row["path"]:
            assert found is None
            continue
        assert found["reference"] == f"b0-fp32-random{Path(row['path']).suffix}"
        assert found["reference_sha256"] == _file(ours, found["reference"])["model"]["sha256"]
        assert found["same_top1"]["hits"] == row["agreement"]["hits"]
        assert found["sqnr_db"] == pytest.approx(row["sqnr_db"], abs=1e-3)
        assert found["drop_points"] == pytest.approx(row["accuracy"]["drop"]["points"])


def test_the_table_the_page_and_a_given_reference(evaluate: Run, written: Path, photos: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(written, tmp_path / "alone"))
    reference = written / "b0-fp32-random.tflite"
    words = ("--data", photos, "--reference", reference, "--out", tmp_path / "out")
    outcome = evaluate(alone / "b0-w8a8-random.tflite", *words)
    assert outcome.code == 0, outcome.err
    assert f"{PHOTOS} images of {photos}: labels by the class folders' names" in outcome.out
    assert "calibration" in outcome.out
    assert "taken most often for" in outcome.out
    assert str(reference) in outcome.out
    page = (tmp_path / "out" / "evaluate.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!#)|url\(|@import|<script|<link|https?://", page)
    assert "kind &lt;" in page
    assert "kind <" not in page
    assert "Confusion matrix" in page
    assert outcome.err.splitlines()[-1] == f"next: edgenet benchmark {alone / 'b0-w8a8-random.tflite'}"


def test_provenance(evaluate: Run, written: Path, photos: Path) -> None:
    document = evaluate(written / "b0-w8a8-random.tflite", "--data", photos, "--json").document
    [row] = document["files"]
    assert row["model"]["sha256"] == hashlib.sha256((written / "b0-w8a8-random.tflite").read_bytes()).hexdigest()
    assert row["preprocessing"]["side_px"] == 64
    assert row["agreement"] is None
    lines = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {NAMES.index(path.parent.name)} "
        f"{path.parent.name}/{path.name}\n"
        for path in sorted(photos.glob("*/*.jpg"))
    )
    assert document["data"]["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert document["tool_versions"]["numpy"] == np.__version__
    assert document["machine"]["cores"] >= 1
    assert document["images_per_s"] == pytest.approx(PHOTOS / document["duration_s"])
    assert "Wilson" in document["intervals"]


# Unreadable images


def _with_unreadable(photos: Path, folder: Path) -> Path:
    shutil.copytree(photos, folder)
    label = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    (label / "cut.jpg").write_bytes(next(label.glob("*.jpg")).read_bytes()[:200])
    (label / "empty.jpg").write_bytes(b"")
    return folder


def test_unreadable_images_are_named_and_too_many_are_refused(
    evaluate: Run, written: Path, photos: Path, tmp_path: Path
) -> None:
    data = _with_unreadable(photos, tmp_path / "photos")
    file = written / "b0-w8a8-random.tflite"
    refused = evaluate(file, "--data", data, "--out", tmp_path / "out")
    assert refused.code == 2
    assert f"of {PHOTOS + 2} images cannot be used" in refused.err
    assert "allowed: 1 % (--max-unreadable)" in refused.err
    assert list((tmp_path / "out").iterdir()) == []
    passed = evaluate(file, "--data", data, "--max-unreadable", "0.1", "--json")
    assert passed.code == 0, passed.err
    assert passed.document["data"]["images"] == PHOTOS
    unreadable = passed.document["data"]["unreadable"]
    assert unreadable["count"] == 2
    assert [Path(row["name"]).name for row in unreadable["first"]] == ["cut.jpg", "empty.jpg"]
    assert unreadable["first"][1]["reason"] == "empty file"


# One pass


def _lined_up(files: list[Path], photos: Path, scratch: Path) -> tuple[Lineup, LabelledImages]:
    field = find_field(files)
    return line_up(field, None, scratch, silent), open_labelled(str(photos), field.classes)


def _passed(lineup: Lineup, data: LabelledImages, workers: int) -> Pass:
    with ThreadPoolExecutor(workers) as pool:
        return evaluate_all(lineup.job, data, pool, workers, 0.0, silent)


def test_each_image_is_decoded_once_and_cropped_once_a_way(
    written: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = small_weights("b")
    other = replace(weights, labels=NAMES, preprocessing=replace(weights.preprocessing, crop_fraction=1.0))
    write_both(other, tmp_path / "wide", ["fp32"])
    lineup, data = _lined_up([written, tmp_path / "wide"], photos, tmp_path)
    calls: Counter[str] = Counter()

    def decoded(example: Example) -> Any:
        calls["decoded"] += 1
        return decode_example(example)

    def cropped(photo: Image.Image, record: Preprocessing) -> Any:
        calls["cropped"] += 1
        return crop_photo(photo, record)

    monkeypatch.setattr(work, "decode_example", decoded)
    monkeypatch.setattr(work, "crop_photo", cropped)
    found = _passed(lineup, data, 1)
    assert len(found.tallies) == 6
    assert calls == {"decoded": PHOTOS, "cropped": 2 * PHOTOS}


def test_any_executor_gives_the_same_to_the_last_bit(written: Path, photos: Path, tmp_path: Path) -> None:
    lineup, data = _lined_up([written], photos, tmp_path)
    one = _passed(lineup, data, 1)
    with process_pool(2) as pool:
        processes = evaluate_all(lineup.job, data, pool, 2, 0.0, silent)
    for other in (_passed(lineup, data, 3), processes):
        assert other.data_sha256 == one.data_sha256
        for ours, theirs in zip(one.tallies, other.tallies, strict=True):
            assert ours.answers == theirs.answers
            assert ours.bin_confidence.tobytes() == theirs.bin_confidence.tobytes()
            assert (ours.comparison is None) == (theirs.comparison is None)
            if ours.comparison and theirs.comparison:
                assert ours.comparison.result() == theirs.comparison.result()


def test_few_parts_are_in_flight(written: Path, photos: Path, tmp_path: Path) -> None:
    """A stream that is ahead of its readers would hold the whole set in memory."""
    lineup, data = _lined_up([written / "b0-w8a8-random.tflite"], photos, tmp_path)
    taken, done = 0, 0
    ahead: list[int] = []

    def endless() -> Any:
        nonlocal taken
        for _ in range(20):
            for example in data:
                taken += 1
                yield example

    def report(step: str, seen: int, total: int) -> None:
        nonlocal done
        done = seen
        ahead.append(taken - done)

    many = replace(data, count=20 * PHOTOS, _open=endless)
    with ThreadPoolExecutor(2) as pool:
        found = evaluate_all(lineup.job, many, pool, 2, 0.0, report)
    assert found.images == 20 * PHOTOS
    assert max(ahead) <= 6 * PART_IMAGES


def test_a_file_that_changes_meanwhile_is_refused(written: Path, photos: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(written, tmp_path / "copied"))
    lineup, data = _lined_up([copied / "b0-w8a8-random.tflite"], photos, tmp_path)
    (copied / "b0-w8a8-random.tflite").write_bytes((written / "b0-fp32-random.tflite").read_bytes())
    with pytest.raises(InputError, match="has changed since the evaluation began"):
        _passed(lineup, data, 1)


# Refusals


@dataclass(frozen=True)
class Refused:
    id: str
    words: tuple[str, ...]  # {written}, {photos}, {other} stand for folders
    says: str


REFUSED = (
    Refused("no data", ("{written}",), "no images were given; allowed: --data DIR"),
    Refused("no such data", ("{written}", "--data", "nowhere"), "'nowhere' does not exist"),
    Refused("no such file", ("nowhere.tflite", "--data", "{photos}"), "nowhere.tflite does not exist"),
    Refused("twice", ("{written}", "{written}/b0-w8a8-random.onnx", "--data", "{photos}"), "named more than once"),
    Refused("other classes", ("{written}", "{other}", "--data", "{photos}"), "have other classes: 10 ('kind <0>',"),
    Refused("a share", ("{written}", "--data", "{photos}", "--max-unreadable", "5"), "--max-unreadable cannot be 5"),
    Refused("no photos", ("{written}", "--data", "{written}"), "have no labels: there is no labels.csv in it"),
    Refused(
        "a reference that is none",
        ("{written}/b0-w8a8-random.tflite", "--data", "{photos}", "--reference", "nowhere.tflite"),
        "cannot read nowhere.tflite",
    ),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_is_refused(
    case: Refused, evaluate: Run, written: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "{other}" in case.words:
        write_both(small_weights("lite"), tmp_path / "other", ["fp32"])
    places = {"written": str(written), "photos": str(photos), "other": str(tmp_path / "other")}
    outcome = evaluate(*(word.format(**places) for word in case.words))
    assert (outcome.code, outcome.out) == (2, "")
    assert case.says in outcome.err.splitlines()[-1]


def test_an_interrupt_ends_all_processes_and_leaves_nothing(written: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(200):  # so many that the pass is under way for a while
        for label in photos.iterdir():
            (tmp_path / "many" / label.name).mkdir(exist_ok=True)
            for path in label.iterdir():
                (tmp_path / "many" / label.name / f"{number}{path.name}").symlink_to(path)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "edgenet", "evaluate", str(written), "--data", str(tmp_path / "many")]
    with subprocess.Popen(
        [*command, "--out", str(out)],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("images ("):
                break
        time.sleep(1.0)  # so that the workers have begun
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        rest = child.stderr.read()
        assert child.wait(60) == 130
    assert rest.splitlines() == ["error: interrupted"]
    assert list(out.iterdir()) == []
    deadline = time.monotonic() + 20
    while _living(child.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _living(child.pid) == []


def _living(group: int) -> list[str]:
    """Return the processes of a group that have not ended, by what /proc says of them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, of_group = path.read_text().rpartition(") ")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                found.append((path.parent / "cmdline").read_text())
    return found
