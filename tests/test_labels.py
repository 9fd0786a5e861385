"""Names of classes: ImageNet's own, and files that are refused with the line that is wrong."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenet.errors import InputError
from edgenet.labels import imagenet_classes, imagenet_labels, read_labels

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"


def test_imagenet_has_a_thousand_classes_in_the_order_of_their_wordnet_ids() -> None:
    rows = imagenet_classes()
    ids = [row.wordnet_id for row in rows]
    assert len(rows) == len({row.name for row in rows}) == 1000
    assert ids == sorted(ids)
    assert (rows[0].wordnet_id, rows[0].name) == ("n01440764", "tench")
    assert (rows[999].wordnet_id, rows[999].name) == ("n15075141", "toilet tissue")


def test_two_cranes_can_be_told_apart() -> None:
    names = imagenet_labels(1000)
    assert (names[134], names[517]) == ("crane (bird)", "crane (machine)")


def test_a_background_class_comes_first() -> None:
    assert imagenet_labels(1001)[:2] == ("background", "tench")


def test_the_photos_at_hand_have_the_class_of_their_wordnet_id() -> None:
    if not PHOTOS.is_dir():
        pytest.skip("needs real photos at ../shared/data/imagenet-sample")
    with (PHOTOS / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    for row in rows:
        assert row["file"].startswith(imagenet_classes()[int(row["class_index"])].wordnet_id)


@dataclass(frozen=True)
class Wrong:
    id: str
    content: bytes
    message: str


WRONG = (
    Wrong("too few", b"cat\n", r"has 1 labels, the network 3 classes; allowed: 3 lines"),
    Wrong("too many", b"a\nb\nc\nd\n", r"has 4 labels, the network 3 classes"),
    Wrong("empty file", b"", r"has 0 labels"),
    Wrong("twice", b"cat\ndog\ncat\n", r"line 3 repeats 'cat' of line 1; give each class a name of its own"),
    Wrong("Latin-1", "Käse\ncat\ndog\n".encode("latin-1"), r"is not UTF-8 text \(byte 1\); save it as UTF-8"),
    Wrong("empty line", b"cat\n\ndog\n", r"line 2: '' is no name"),
    Wrong("blank at the end", b"cat\ndog \ncow\n", r"line 2: 'dog ' is no name"),
    Wrong("terminal escape", b"cat\n\x1b[31mdog\ncow\n", r"line 2: .* is no name; allowed: printable"),
    Wrong("zero byte", b"cat\nd\0g\ncow\n", r"line 2"),
)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_what_is_wrong_with_a_file_is_named(case: Wrong, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(case.content)
    with pytest.raises(InputError, match=case.message):
        read_labels(str(path), 3)


@pytest.mark.parametrize("content", [b"cat\ndog\ncow", b"cat\r\ndog\r\ncow\r\n", b"\xef\xbb\xbfcat\ndog\ncow\n"])
def test_line_ends_and_a_mark_at_the_beginning_do_not_matter(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    assert read_labels(str(path), 3) == ("cat", "dog", "cow")


def test_a_folder_and_nothing_at_all_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a file; allowed: a text file"):
        read_labels(str(tmp_path), 3)
    with pytest.raises(InputError, match=r"cannot read .*absent"):
        read_labels(str(tmp_path / "absent"), 3)
    with pytest.raises(InputError, match=r"ImageNet has 1000 classes, the network 3; give --labels FILE"):
        read_labels("imagenet", 3)
