"""`edgenet try`: the answers of the deployed file, what it saw, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.procedural import procedural_image
from converters.runtime import load_runner
from edgenet.artifact import Artifact
from edgenet.preprocessing import crop_photo
from tests.bundle.odd_pictures import PORTRAIT, write_odd_pictures
from tests.test_artifact import write_small
from tests.verbs import Run, verb


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    [artifact] = write_small(tmp_path_factory.mktemp("try"), ["w8a8"])
    return artifact


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return the verb as a function."""
    return verb("try", capsys)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a photo of a portrait shape."""
    path = tmp_path / "cat.png"
    Image.fromarray(procedural_image(4, 200)[:, :150]).save(path)
    return path


def test_the_answers_are_those_of_the_file(run: Run, artifact: Artifact, photo: Path) -> None:
    done = run(artifact.path, photo, "--json")
    assert done.code == 0, done.err
    [row] = done.document["photos"]
    pixels = crop_photo(Image.open(photo), artifact.manifest.to_preprocessing())
    logits = load_runner(artifact.path.read_bytes()).logits(pixels)
    best = np.argsort(-logits, kind="stable")[:5]
    assert [answer["index"] for answer in row["top"]] == best.tolist()
    assert [answer["logit"] for answer in row["top"]] == [float(logits[index]) for index in best]
    assert (row["width_px"], row["height_px"], row["picture"]) == (150, 200, None)
    assert "warning: RANDOM WEIGHTS" in done.err
    assert "does not say what its classes are called" in done.err


def test_labels_can_be_given(run: Run, artifact: Artifact, photo: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"kind {index}\n" for index in range(10)), encoding="utf-8")
    done = run(artifact.path, photo, "--labels", labels)
    assert done.out.count("kind ") == 5
    assert "does not say" not in done.err


def test_the_picture_is_what_the_network_saw(run: Run, artifact: Artifact, photo: Path, tmp_path: Path) -> None:
    done = run(artifact.path, photo, photo, "--picture", tmp_path / "seen")
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == ["1-cat.seen.png", "2-cat.seen.png"]
    wanted = crop_photo(Image.open(photo), artifact.manifest.to_preprocessing())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "seen" / "1-cat.seen.png")), wanted)
    assert f"what the network saw: {tmp_path / 'seen' / '1-cat.seen.png'}" in done.err


def test_a_photo_is_turned_upright(run: Run, artifact: Artifact, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = PORTRAIT
    Image.fromarray(procedural_image(4, 200)[:150]).save(tmp_path / "turned.png", exif=exif)
    [row] = run(artifact.path, tmp_path / "turned.png", "--json").document["photos"]
    assert (row["width_px"], row["height_px"]) == (150, 200)


def test_every_odd_picture_is_answered(run: Run, artifact: Artifact, tmp_path: Path) -> None:
    paths = write_odd_pictures(tmp_path / "odd")
    done = run(artifact.path, *paths, "--json")
    assert done.code == 0, done.err
    assert [len(row["top"]) for row in done.document["photos"]] == [5] * 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ARTIFACT", "absent.jpg"), "absent.jpg: cannot be read: No such file"),
        (("ARTIFACT", "TEXT"), "not an image that can be read"),
        (("absent.tflite", "PHOTO"), "absent.tflite does not exist"),
        (("ARTIFACT",), "missing argument 'PHOTO...'"),
        (("ARTIFACT", "PHOTO", "--labels", "TEXT"), "has 1 labels, the network 10 classes"),
        (("ARTIFACT", "PHOTO", "--picture", "TEXT"), "cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Run, artifact: Artifact, photo: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("words\n", encoding="utf-8")
    places = {"ARTIFACT": artifact.path, "PHOTO": photo, "TEXT": text}
    done = run(*(places.get(word, word) for word in words))
    assert done.code == 2
    assert message in done.err
