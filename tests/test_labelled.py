"""Every kind of labelled data gives the same images with the same classes, as a stream; nothing is guessed."""

import io
import os
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenet.errors import InputError
from edgenet.labelled.classes import Classes
from edgenet.labelled.stream import LabelledImages, open_labelled
from edgenet.labelled.tfrecord import read_tfrecord
from tests.training.pictures import COLOURS, colour_picture

LABELS = tuple(COLOURS)  # blue, green, red
NAMED, NUMBERED = Classes(3, LABELS), Classes(3)
COUNT = 3  # pictures of each colour
MEMBERS = [(label, number) for label in LABELS for number in range(COUNT)]


def png(label: str, number: int) -> bytes:
    """Return a picture as a file's bytes."""
    stream = io.BytesIO()
    colour_picture(COLOURS[label], number).save(stream, "PNG")
    return stream.getvalue()


def by_names(folder: Path) -> str:
    """Write class folders named by the labels; each function like this returns what --data takes."""
    for label, number in MEMBERS:
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number}.png").write_bytes(png(label, number))
    return str(folder)


def by_numbers(folder: Path) -> str:
    """Write class folders named by the class index."""
    for label, number in MEMBERS:
        place = folder / str(LABELS.index(label))
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(png(label, number))
    return str(folder)


def by_table(folder: Path) -> str:
    """Write a flat folder with a labels.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{label}{number}.png,{LABELS.index(label)},{label}" for label, number in MEMBERS]
    (folder / "labels.csv").write_text("\n".join(["file,class_index,name", *rows]))
    for label, number in MEMBERS:
        (folder / f"{label}{number}.png").write_bytes(png(label, number))
    return str(folder)


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    """Write a tar file of these members in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as shard:
        for name, content in files.items():
            row = tarfile.TarInfo(name)
            row.size = len(content)
            shard.addfile(row, io.BytesIO(content))
    return path


def _shards(folder: Path, label_of: Callable[[str], str]) -> str:
    for part in (0, 1):
        files: dict[str, bytes] = {}
        for label, number in MEMBERS[part::2]:
            key = f"./set.1/{label}{number}"  # a dot in a folder's name is none of the key
            files |= {f"{key}.png": png(label, number), f"{key}.cls": label_of(label).encode(), f"{key}.json": b"{}"}
        write_tar(folder / f"{part}.tar", files)
    return str(folder)


def by_shards(folder: Path) -> str:
    """Write two tar shards whose labels are class indices."""
    return _shards(folder, lambda label: f"{LABELS.index(label)}\n")


def by_named_shards(folder: Path) -> str:
    """Write two tar shards whose labels are names, and name them by a pattern."""
    return _shards(folder, str) + "/*.tar"


def _example(**features: list[bytes] | list[int]) -> bytes:
    import tensorflow as tf

    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name.replace("__", "/")]
        (feature.int64_list if isinstance(values[0], int) else feature.bytes_list).value.extend(values)
    content = example.SerializeToString()
    return struct.pack("<QI", len(content), 0) + bytes(content) + bytes(4)


def by_records(folder: Path) -> str:
    """Write a TFRecord file as TensorFlow Datasets does, with class indices alone."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_example(image=[png(*member)], label=[LABELS.index(member[0])]) for member in MEMBERS]
    (folder / "set.tfrecord-00000-of-00001").write_bytes(b"".join(rows))
    return str(folder)


def by_imagenet_records(folder: Path) -> str:
    """Write TFRecord files as TensorFlow's ImageNet script does: from 1, with the synset."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (0, 1):
        rows = [
            _example(
                image__encoded=[png(*member)],
                image__class__label=[1 + LABELS.index(member[0])],
                image__class__synset=[b"n01440764"],
            )
            for member in MEMBERS[part::2]
        ]
        (folder / f"validation-0000{part}-of-00002").write_bytes(b"".join(rows))
    return str(folder / "validation-*")


def by_named_records(folder: Path) -> str:
    """Write a TFRecord file whose indices are another order's, so that only the names can be right."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        _example(
            image__encoded=[png(*member)],
            image__class__label=[2 - LABELS.index(member[0])],
            image__class__text=[member[0].encode()],
        )
        for member in MEMBERS
    ]
    (folder / "set.tfrecord").write_bytes(b"".join(rows))
    return str(folder / "set.tfrecord")


@dataclass(frozen=True)
class Kind:
    """A way to write the same nine pictures, and for which models it has labels."""

    write: Callable[[Path], str]
    kind: str
    classes: tuple[Classes, ...] = (NAMED, NUMBERED)


KINDS = (
    Kind(by_names, "class folders"),
    Kind(by_numbers, "class folders"),
    Kind(by_table, "labels.csv"),
    Kind(by_shards, "tar shards"),
    Kind(by_named_shards, "tar shards", (NAMED,)),
    Kind(by_records, "TFRecord"),
    Kind(by_imagenet_records, "TFRecord"),
    Kind(by_named_records, "TFRecord", (NAMED,)),
)


def contents(data: LabelledImages) -> set[tuple[bytes, int]]:
    """Return what a stream gives: bytes and class of each image."""
    return {(example.read(), example.class_index) for example in data}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.write.__name__)
def test_all_kinds_give_the_same_images_and_classes(kind: Kind, tmp_path: Path) -> None:
    data = kind.write(tmp_path / "data")
    for classes in kind.classes:
        found = open_labelled(data, classes)
        assert (found.kind, found.count, found.passed_over.count) == (kind.kind, 9, 0)
        assert contents(found) == {(png(label, number), LABELS.index(label)) for label, number in MEMBERS}
        assert [example.name for example in found] == [example.name for example in found]


@dataclass(frozen=True)
class Refused:
    """A set that cannot be evaluated on, and what the message says."""

    id: str
    write: Callable[[Path], str]
    says: str
    classes: Classes = NAMED


def _foreign_folder(folder: Path) -> str:
    """As many class folders as classes, one of them unknown: by position it would pass for another."""
    by_names(folder)
    (folder / "red").rename(folder / "yellow")
    return str(folder)


def _parts(folder: Path) -> str:
    by_names(folder / "train")
    by_names(folder / "val")
    return str(folder)


def _gap(folder: Path) -> str:
    by_table(folder)
    (folder / "red0.png").unlink()
    return str(folder)


def _other_names(folder: Path) -> str:
    by_table(folder)
    text = (folder / "labels.csv").read_text().replace(",blue", ",navy")
    (folder / "labels.csv").write_text(text)
    return str(folder)


def _high_number(folder: Path) -> str:
    by_numbers(folder)
    (folder / "2").rename(folder / "3")
    return str(folder)


def _flat(folder: Path) -> str:
    by_table(folder)
    (folder / "labels.csv").unlink()
    return str(folder)


def _shard(files: dict[str, bytes]) -> Callable[[Path], str]:
    return lambda folder: str(write_tar(folder / "a.tar", files))


def _zipped(folder: Path) -> str:
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w:gz"):
        pass
    return str(folder)


def _damaged(folder: Path) -> str:
    path = Path(by_shards(folder)) / "0.tar"
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as shard:
        offset = shard.getmembers()[3].offset
    content[offset : offset + 512] = b"x" * 512
    path.write_bytes(content)
    return str(folder)


def _cut_records(folder: Path) -> str:
    path = Path(by_records(folder)) / "set.tfrecord-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-7])
    return str(folder)


def _two_kinds(folder: Path) -> str:
    by_shards(folder)
    by_records(folder)
    return f"{folder}/*"


def _both_parts(folder: Path) -> str:
    by_imagenet_records(folder)
    (folder / "train-00000-of-00001").write_bytes((folder / "validation-00000-of-00002").read_bytes())
    return str(folder)


REFUSED = (
    Refused("nothing there", lambda folder: str(folder), "does not exist; allowed: a folder of photos, TFRecord files"),
    Refused("a pattern that fits nothing", lambda folder: f"{folder}/*.tar", "fits no file"),
    Refused("an unknown class folder", _foreign_folder, "folders are none of the model's labels: 'yellow'"),
    Refused("parts of a set", _parts, "name one of them: --data"),
    Refused("a photo that is not there", _gap, "1 files are not in"),
    Refused("other names for the classes", _other_names, "other names for the model's classes: 'navy'"),
    Refused("a number out of range", _high_number, "class folders out of range: '3'; allowed: 0 to 2"),
    Refused("photos without labels", _flat, "edgenet verify measures agreement without labels"),
    Refused("a label that is no class", _shard({"a.png": b"x", "a.cls": b"9"}), "a.tar#a: the model has no class 9"),
    Refused("a label in unknown words", _shard({"a.png": b"x", "a.cls": b"tan"}), "the label 'tan' is no class of"),
    Refused("a sample without a label", _shard({"a.png": b"x", "a.txt": b"1"}), "a.tar#a has 0 labels"),
    Refused("samples without images", _shard({"a.gif": b"x", "a.cls": b"1"}), "no image in 'a.tar'"),
    Refused("a compressed shard", _zipped, "allowed: tar files without compression"),
    Refused("a damaged shard", _damaged, "0.tar is damaged at byte"),
    Refused("records that are cut off", _cut_records, "is cut off or no TFRecord file"),
    Refused("a record of a class out of range", by_records, "#6: the model has no class 2", Classes(2)),
    Refused("two kinds of files", _two_kinds, "names .tar files and others"),
    Refused("records of both parts", _both_parts, "named train and others"),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_is_refused(case: Refused, tmp_path: Path) -> None:
    data = case.write(tmp_path / "data")
    with pytest.raises(InputError) as caught:
        list(open_labelled(data, case.classes))
    assert case.says in str(caught.value)


def test_what_is_passed_over_is_counted_and_named(tmp_path: Path) -> None:
    folder = Path(by_table(tmp_path / "data"))
    (folder / "extra.png").write_bytes(b"x")
    (folder / "moving.gif").write_bytes(b"x")
    found = open_labelled(str(folder), NUMBERED)
    assert {row.name: row.reason for row in found.passed_over} == {
        "extra.png": "no row in labels.csv",
        "moving.gif": ".gif is not read; save it as JPEG or PNG",
    }
    assert found.count == 9


def test_an_empty_class_folder_is_no_error(tmp_path: Path) -> None:
    folder = Path(by_names(tmp_path / "data"))
    for path in (folder / "green").iterdir():
        path.unlink()
    found = open_labelled(str(folder), NAMED)
    assert {example.class_index for example in found} == {0, 2}


def test_a_member_of_a_shard_that_is_a_link_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as shard:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        shard.addfile(link)
        label = tarfile.TarInfo("a.cls")
        label.size = 1
        shard.addfile(label, io.BytesIO(b"1"))
    with pytest.raises(InputError, match="holds 0 images"):
        open_labelled(str(path), NUMBERED)


def test_records_are_parsed_as_tensorflow_does(tmp_path: Path) -> None:
    path = Path(by_named_records(tmp_path / "data"))
    found = list(read_tfrecord(path))
    assert [row.text for row in found] == [label for label, _ in MEMBERS]
    assert [row.example.class_index for row in found] == [2 - LABELS.index(label) for label, _ in MEMBERS]
    assert [row.example.read() for row in found] == [png(*member) for member in MEMBERS]


def test_a_pattern_may_name_folders_only_by_mistake(tmp_path: Path) -> None:
    by_names(tmp_path / "data")
    with pytest.raises(InputError, match="names more than files: 'blue', 'green', 'red'"):
        open_labelled(os.fspath(tmp_path / "data" / "*"), NAMED)
