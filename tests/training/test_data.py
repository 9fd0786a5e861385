"""Which images a training takes, which it refuses, and on which side of the split each of them comes."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenet.errors import InputError
from edgenet.progress import silent
from edgenet.training.scan import scan
from edgenet.training.sources import open_examples
from edgenet.training.split import Split, check_same, make_split, pack_rows
from tests.training.pictures import COLOURS, colour_picture, write_colours


def _save(path: Path, number: int = 0, colour: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour_picture(COLOURS[colour], number).save(path)


def _split(folder: Path, val_share: float = 0.25, unreadable: float = 0.01) -> Split:
    found = open_examples(folder)
    return make_split(found, scan(found, unreadable, silent).usable, val_share)


def _record(**features: list[bytes] | list[int]) -> bytes:
    import tensorflow as tf

    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name.replace("__", "/")]
        kind = feature.int64_list if isinstance(values[0], int) else feature.bytes_list
        kind.value.extend(values)
    content = example.SerializeToString()
    return struct.pack("<QI", len(content), 0) + bytes(content) + bytes(4)


def _picture_bytes(folder: Path, number: int, colour: str) -> bytes:
    _save(folder / ".made" / "picture.png", number, colour)
    return (folder / ".made" / "picture.png").read_bytes()


def _class_folders(folder: Path) -> None:
    write_colours(folder, 4)


def _numbers(folder: Path) -> None:
    for number in range(3):
        _save(folder / str(9 + number) / "a.png", number)
        _save(folder / str(9 + number) / "b.png", number + 10)


def _table(folder: Path) -> None:
    for number in range(4):
        _save(folder / f"{number}.png", number)
    (folder / "labels.csv").write_text("file,class_index,name\n0.png,0,cat\n1.png,1,dog\n2.png,0,cat\n3.png,1,dog\n")


def _parts(folder: Path) -> None:
    write_colours(folder / "train", 3)
    write_colours(folder / "val", 2)


def _imagenet_records(folder: Path) -> None:
    records = [
        _record(image__encoded=[_picture_bytes(folder, n, "red")], image__class__label=[n % 2]) for n in range(4)
    ]
    (folder / "all.tfrecord").write_bytes(b"".join(records))


def _dataset_records(folder: Path) -> None:
    for part, numbers in (("train", range(4)), ("val", range(4, 6))):
        records = [_record(image=[_picture_bytes(folder, n, "red")], label=[n % 2]) for n in numbers]
        (folder / f"{part}.tfrecord-00000-of-00001").write_bytes(b"".join(records))


@dataclass(frozen=True)
class Kind:
    make: Callable[[Path], None]
    labels: tuple[str, ...]
    sides: tuple[int, int]  # images to train, to validate


KINDS = (
    Kind(_class_folders, ("blue", "green", "red"), (9, 3)),
    Kind(_numbers, ("9", "10", "11"), (3, 3)),
    Kind(_table, ("cat", "dog"), (2, 2)),
    Kind(_parts, ("blue", "green", "red"), (9, 6)),
    Kind(_imagenet_records, ("0", "1"), (2, 2)),
    Kind(_dataset_records, ("0", "1"), (4, 2)),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.make.__name__)
def test_kinds_of_data(kind: Kind, tmp_path: Path) -> None:
    kind.make(tmp_path)
    split = _split(tmp_path)
    assert split.labels == kind.labels
    assert (len(split.train), len(split.val)) == kind.sides
    assert not {row.sha256 for row in split.train} & {row.sha256 for row in split.val} or kind.make is _parts


def _one_class(folder: Path) -> None:
    _save(folder / "red" / "a.png")


def _empty_class(folder: Path) -> None:
    write_colours(folder, 2)
    (folder / "yellow").mkdir()


def _gap_in_the_table(folder: Path) -> None:
    _table(folder)
    (folder / "labels.csv").write_text("file,class_index\n0.png,0\n1.png,3\n")


def _loose(folder: Path) -> None:
    write_colours(folder, 2)
    _save(folder / "loose.png")


def _other_classes(folder: Path) -> None:
    _parts(folder)
    _save(folder / "val" / "yellow" / "a.png")


def _unreadable(folder: Path) -> None:
    write_colours(folder, 4)
    (folder / "red" / "cut.png").write_bytes((folder / "red" / "000.png").read_bytes()[:300])
    (folder / "red" / "empty.png").write_bytes(b"")


def _one_image_twice(folder: Path) -> None:
    write_colours(folder, 2)
    (folder / "red" / "001.png").write_bytes((folder / "red" / "000.png").read_bytes())


def _cut_records(folder: Path) -> None:
    _imagenet_records(folder)
    (folder / "all.tfrecord").write_bytes((folder / "all.tfrecord").read_bytes()[:-20])


def _other_features(folder: Path) -> None:
    (folder / "all.tfrecord").write_bytes(_record(picture=[b"x"]))


def _no_example(folder: Path) -> None:
    (folder / "all.tfrecord").write_bytes(struct.pack("<QI", 3, 0) + b"\xff\xff\xff" + bytes(4))


@dataclass(frozen=True)
class Bad:
    make: Callable[[Path], None]
    says: str


BAD = (
    Bad(_one_class, "there is one class only: 'red'; allowed: two classes or more"),
    Bad(_empty_class, "1 classes have no image: 'yellow'; allowed: an image or more in each class"),
    Bad(_gap_in_the_table, "2 classes have no image: '1', '2'"),
    Bad(_loose, "1 photos lie directly in .*: 'loose.png'"),
    Bad(_other_classes, "train and val have other classes: 'yellow'"),
    Bad(
        _unreadable, r"2 of 14 images cannot be used: red/cut.png: .*; red/empty.png: .*; allowed: 1 % \(data.max_unre"
    ),
    Bad(_one_image_twice, "1 classes have one distinct image only: 'red'"),
    Bad(_cut_records, "all.tfrecord is cut off or no TFRecord file; write or copy it again"),
    Bad(_other_features, "all.tfrecord#0 has the features picture; allowed: image/encoded and image/class/label or"),
    Bad(_no_example, "all.tfrecord#0 is no tf.train.Example"),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.make.__name__)
def test_bad_data_is_refused(bad: Bad, tmp_path: Path) -> None:
    bad.make(tmp_path)
    with pytest.raises(InputError, match=bad.says):
        _split(tmp_path)


def test_a_few_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    _unreadable(tmp_path)
    found = scan(open_examples(tmp_path), 0.2, silent)
    assert [row.name for row in found.unreadable] == ["red/cut.png", "red/empty.png"]
    assert len(found.usable) == 12


def test_the_split_depends_on_content_alone(tmp_path: Path) -> None:
    write_colours(tmp_path / "one", 8)
    write_colours(tmp_path / "two", 8)
    for path in list((tmp_path / "two").rglob("*.png")):
        path.rename(path.with_name(f"{999 - int(path.stem)}.png"))
    one, two = (_split(tmp_path / name) for name in ("one", "two"))
    assert {row.sha256 for row in one.val} == {row.sha256 for row in two.val}


def test_an_image_that_is_there_twice_stays_on_one_side(tmp_path: Path) -> None:
    write_colours(tmp_path, 8)
    for path in list((tmp_path / "red").glob("*.png")):
        path.with_name(f"copy-{path.name}").write_bytes(path.read_bytes())
    split = _split(tmp_path)
    assert not {row.sha256 for row in split.train} & {row.sha256 for row in split.val}


def test_an_image_in_two_classes_is_told(tmp_path: Path) -> None:
    write_colours(tmp_path, 4)
    (tmp_path / "red" / "zzz.png").write_bytes((tmp_path / "blue" / "000.png").read_bytes())
    assert _split(tmp_path).notes == ("1 images stand in more than one class: 'blue/000.png'",)


@dataclass(frozen=True)
class Change:
    name: str
    old: str
    new: str | None
    says: str


CHANGES = (
    Change(
        "moved to another class", "red/000.png", "blue/zzz.png", r"1 are gone .'red/000.png'., 1 are new .'blue/zzz"
    ),
    Change("taken away", "red/003.png", None, "1 are gone .'red/003.png'.; allowed: the images and classes of"),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_data_that_changed_since_the_run_began_is_refused(change: Change, tmp_path: Path) -> None:
    data, recorded = write_colours(tmp_path / "data", 8), tmp_path / "split.csv"
    recorded.write_bytes(pack_rows(_split(data).rows))
    check_same(_split(data), recorded)
    if change.new:
        (data / change.old).rename(data / change.new)
    else:
        (data / change.old).unlink()
    with pytest.raises(InputError, match=change.says):
        check_same(_split(data), recorded)


def test_labels_that_changed_since_the_run_began_are_named(tmp_path: Path) -> None:
    _table(tmp_path)
    recorded = tmp_path / "split.csv"
    recorded.write_bytes(pack_rows(_split(tmp_path).rows))
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace("dog", "wolf"))
    with pytest.raises(InputError, match=r"2 changed .'1.png' was 'dog', is 'wolf'."):
        check_same(_split(tmp_path), recorded)
