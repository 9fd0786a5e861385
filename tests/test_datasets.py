"""Labels come from a CSV file, from numbered folders or from as many folders as classes; nothing is guessed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenet.datasets import open_dataset, read_class_names, read_labels
from edgenet.errors import InputError
from edgenet.photos import Skipped

SAMPLE = Path("../shared/data/imagenet-sample")
CLASSES = 10
HEADER = "file,class_index\n"


def _photos(folder: Path, *names: str) -> None:
    """Put files there that have a photo's name; datasets do not decode them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def _labels(folder: Path, num_classes: int = CLASSES) -> dict[str, int | None]:
    return {sample.file.name: sample.class_index for sample in open_dataset(folder, num_classes).samples}


@dataclass(frozen=True)
class Folders:
    """Photos in folders, and the class of each (None: the set has no labels)."""

    id: str
    photos: tuple[str, ...]
    classes: tuple[int | None, ...]
    num_classes: int = CLASSES
    told: str = ""  # part of the rule or of the note


FOLDERS = [
    Folders("numbers", ("0/a.jpg", "3/b.png", "3/c.jpg"), (0, 3, 3), told="the class folders' numbers"),
    Folders("numbers-with-zeros-before", ("007/a.jpg", "01/b.jpg"), (7, 1), told="numbers"),
    Folders("numbers-in-any-order", ("10/a.jpg", "2/b.jpg", "9/c.jpg"), (10, 2, 9), 11, "numbers"),
    Folders("below-a-class-folder", ("4/x/y/a.jpg", "5/b.jpg"), (4, 5), told="numbers"),
    Folders(
        "as-many-names-as-classes",
        ("n01440764/a.jpg", "n01443537/b.jpg", "n01484850/c.jpg"),
        (0, 1, 2),
        3,
        "the order of the 3 class folders' sorted names",
    ),
    Folders("some-of-imagenets-ids", ("n01440764/a.jpg", "n01484850/b.jpg"), (0, 2), 1000, "WordNet ids"),
    Folders("an-id-that-is-none", ("n01440764/a.jpg", "n00000001/b.jpg"), (None, None), 1000, "cannot be matched"),
    Folders("ids-for-another-model", ("n01440764/a.jpg", "n01484850/b.jpg"), (None, None), told="cannot be matched"),
    Folders("a-class-without-photos-counts", ("cat/", "dog/a.jpg", "emu/b.jpg"), (1, 2), 3, "3 class folders"),
    Folders("hidden-folders-do-not-count", (".git/", "cat/a.jpg", "dog/b.jpg"), (0, 1), 2, "2 class folders"),
    Folders("too-few-folders", ("cat/a.jpg", "dog/b.jpg"), (None, None), told="2 folders ('cat', 'dog') cannot be"),
    Folders("numbers-and-names", ("0/a.jpg", "dog/b.jpg"), (None, None), told="cannot be matched with 10 classes"),
    Folders("flat", ("a.jpg", "b.jpg"), (None, None), told="directly in the folder and there is no labels.csv"),
    Folders("one-photo-beside-class-folders", ("0/a.jpg", "b.jpg"), (None, None), told="directly in the folder"),
]


@pytest.mark.parametrize("case", FOLDERS, ids=lambda case: case.id)
def test_folders_give_the_classes(tmp_path: Path, case: Folders) -> None:
    for name in case.photos:
        (tmp_path / name).mkdir() if name.endswith("/") else _photos(tmp_path, name)
    dataset = open_dataset(tmp_path, case.num_classes)
    wanted = dict(zip((name for name in case.photos if not name.endswith("/")), case.classes, strict=True))
    assert {sample.file.name: sample.class_index for sample in dataset.samples} == wanted
    assert [sample.file.name for sample in dataset.samples] == sorted(wanted)
    assert dataset.labelled == (None not in case.classes)
    assert case.told in (dataset.rule if dataset.labelled else dataset.notes[0])
    assert len(dataset.notes) == (0 if dataset.labelled else 1)


def test_folder_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    _photos(tmp_path, "9/a.jpg", "10/b.jpg", "999999999/c.jpg")
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path, CLASSES)
    assert str(caught.value) == "class folders out of range: '10', '999999999'; allowed: 0 to 9"


def test_two_folders_of_one_number_are_refused(tmp_path: Path) -> None:
    _photos(tmp_path, "1/a.jpg", "01/b.jpg")
    with pytest.raises(InputError, match="two class folders have the same number"):
        open_dataset(tmp_path, CLASSES)


@dataclass(frozen=True)
class Table:
    """A CSV file that fits the photos a.jpg, b.jpg and c/d.jpg, and the classes it gives."""

    id: str
    content: str | bytes
    classes: dict[str, int]


TABLES = [
    Table("plain", HEADER + "a.jpg,0\nb.jpg,9\nc/d.jpg,3\n", {"a.jpg": 0, "b.jpg": 9, "c/d.jpg": 3}),
    Table("with-names", 'file,class_index,name\na.jpg,0,"shark, white"\n', {"a.jpg": 0}),
    Table("columns-in-any-order", "name,class_index,file\nx,4,a.jpg\n", {"a.jpg": 4}),
    Table("byte-order-mark", b"\xef\xbb\xbf" + HEADER.encode() + b"a.jpg,1\n", {"a.jpg": 1}),
    Table("windows-lines", b"file,class_index\r\na.jpg,1\r\nb.jpg,2\r\n", {"a.jpg": 1, "b.jpg": 2}),
    Table("no-last-newline-and-blank-lines", HEADER + "\na.jpg,1\n\nb.jpg,2", {"a.jpg": 1, "b.jpg": 2}),
    Table("spaces", "file, class_index\n a.jpg , 01\n", {"a.jpg": 1}),
    Table("dot-before-the-name", HEADER + "./a.jpg,1\nc//d.jpg,2\n", {"a.jpg": 1, "c/d.jpg": 2}),
]


@pytest.mark.parametrize("case", TABLES, ids=lambda case: case.id)
def test_a_table_gives_the_classes(tmp_path: Path, case: Table) -> None:
    _photos(tmp_path, "a.jpg", "b.jpg", "c/d.jpg")
    content = case.content.encode() if isinstance(case.content, str) else case.content
    (tmp_path / "labels.csv").write_bytes(content)
    dataset = open_dataset(tmp_path, CLASSES)
    assert _labels(tmp_path) == case.classes
    assert (dataset.labelled, dataset.rule) == (True, "the class_index column of labels.csv")
    left_out = {"a.jpg", "b.jpg", "c/d.jpg"} - case.classes.keys()
    assert dataset.skipped == tuple(Skipped(name, "no row in labels.csv") for name in sorted(left_out))
    expected = (f"{len(left_out)} photos have no row in labels.csv and are left out",) if left_out else ()
    assert dataset.notes == expected


def test_names_with_commas_quotes_and_other_scripts(tmp_path: Path) -> None:
    _photos(tmp_path, "a,b.jpg", 'say "x".jpg', "日本.jpg", "two\nlines.jpg")
    rows = '"a,b.jpg",1\n"say ""x"".jpg",2\n日本.jpg,3\n"two\nlines.jpg",4\n'
    (tmp_path / "labels.csv").write_text(HEADER + rows, encoding="utf-8")
    assert _labels(tmp_path) == {"a,b.jpg": 1, 'say "x".jpg': 2, "日本.jpg": 3, "two\nlines.jpg": 4}


def test_a_table_that_is_given_wins_over_the_folders_own(tmp_path: Path) -> None:
    photos, table = tmp_path / "photos", tmp_path / "mine.csv"
    _photos(photos, "0/a.jpg", "1/b.jpg")
    (photos / "labels.csv").write_text("broken")
    table.write_text(HEADER + "0/a.jpg,7\n1/b.jpg,8\n")
    dataset = open_dataset(photos, CLASSES, table)
    assert [sample.class_index for sample in dataset.samples] == [7, 8]
    assert dataset.rule == "the class_index column of mine.csv"


@dataclass(frozen=True)
class BadTable:
    """A CSV file that is refused, and what the message must say."""

    id: str
    content: str | bytes
    message: str


BAD_TABLES = [
    BadTable("empty", "", "has no column file, class_index; its first line is empty"),
    BadTable("only-a-byte-order-mark", b"\xef\xbb\xbf", "has no column file, class_index"),
    BadTable("header-only", HEADER, "labels.csv has no row below its header"),
    BadTable("no-header", "a.jpg,0\n", "has no column file, class_index; its first line is 'a.jpg', '0'"),
    BadTable("column-missing", "file,label\na.jpg,0\n", "has no column class_index; its first line is 'file', 'label'"),
    BadTable("semicolons", "file;class_index\na.jpg;0\n", "has no column file, class_index"),
    BadTable("column-unknown", "file,class_index,score\na.jpg,0,1\n", "has unknown columns: 'score'"),
    BadTable("column-twice", "file,class_index,file\na.jpg,0,a.jpg\n", "names a column twice"),
    BadTable("unknown-file", HEADER + "a.jpg,0\nz.jpg,1\n", "1 files are not among the photos of"),
    BadTable("too-large", HEADER + "a.jpg,10\n", "line 2: class_index '10' is not a whole number from 0 to 9"),
    BadTable("negative", HEADER + "a.jpg,-1\n", "line 2: class_index '-1' is not a whole number from 0 to 9"),
    BadTable("fraction", HEADER + "a.jpg,1.0\n", "class_index '1.0' is not a whole number"),
    BadTable("word", HEADER + "a.jpg,shark\n", "class_index 'shark' is not a whole number"),
    BadTable("no-class", HEADER + "a.jpg,\n", "class_index '' is not a whole number"),
    BadTable("digits-of-another-script", HEADER + "a.jpg,\u0663\n", "is not a whole number"),
    BadTable("endless-number", HEADER + f"a.jpg,{'9' * 5000}\n", "is not a whole number"),
    BadTable("twice", HEADER + "a.jpg,0\nb.jpg,1\na.jpg,0\n", "1 bad rows: line 4: 'a.jpg' was named before"),
    BadTable("twice-in-two-spellings", HEADER + "a.jpg,0\n./a.jpg,1\n", "line 3: 'a.jpg' was named before"),
    BadTable("too-many-fields", HEADER + "a.jpg,0,1\n", "line 2: 3 fields, not 2"),
    BadTable("too-few-fields", HEADER + "a.jpg\n", "line 2: 1 fields, not 2"),
    BadTable("no-name", HEADER + ",0\n", "line 2: file '' is not a path inside the folder"),
    BadTable("outside", HEADER + "../a.jpg,0\n", "line 2: file '../a.jpg' is not a path inside the folder"),
    BadTable("absolute", HEADER + "/etc/a.jpg,0\n", "line 2: file '/etc/a.jpg' is not a path inside the folder"),
    BadTable("open-quote", HEADER + '"a.jpg,0\nb.jpg,1\n', "unexpected end of data; save it as plain CSV"),
    BadTable("latin-1", HEADER.encode() + b"caf\xe9.jpg,0\n", "is not UTF-8 text"),
    BadTable("utf-16", (HEADER + "a.jpg,0\n").encode("utf-16"), "is not UTF-8 text"),
    BadTable("binary", b"\xff\xd8\xff\xe0" + bytes(range(256)), "is not UTF-8 text"),
    BadTable("endless-field", HEADER + "a" * 200_000 + ",0\n", "field larger than field limit"),
    BadTable("endless-header", "file,class_index," + "x" * 100_000 + "\n", "unknown columns"),
]


@pytest.mark.parametrize("case", BAD_TABLES, ids=lambda case: case.id)
def test_a_wrong_table_is_refused_in_one_line(tmp_path: Path, case: BadTable) -> None:
    _photos(tmp_path, "a.jpg", "b.jpg")
    content = case.content.encode() if isinstance(case.content, str) else case.content
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path, CLASSES)
    message = str(caught.value)
    assert message.startswith("labels.csv")
    assert case.message in message
    assert "\n" not in message
    assert len(message) < 1000


def test_all_bad_rows_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(HEADER + "".join(f"{index}.jpg,{index}\n" for index in range(20)))
    with pytest.raises(InputError) as caught:
        read_labels(table, CLASSES)
    shown = ", ".join(
        f"line {index + 2}: class_index '{index}' is not a whole number from 0 to 9" for index in range(10, 15)
    )
    assert str(caught.value) == (
        f"labels.csv: 10 bad rows: {shown} and 5 more; allowed: file,class_index[,name], class_index from 0 to 9"
    )


@pytest.mark.parametrize("name", ["gone.csv", "folder.csv"])
def test_a_table_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    _photos(tmp_path, "a.jpg")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=f"cannot read .*{name}.*check the path"):
        open_dataset(tmp_path, CLASSES, tmp_path / name)


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(HEADER + "a.jpg,0\n")
    with pytest.raises(InputError, match=r"no photo in .*; allowed: JPEG, PNG, BMP, WebP"):
        open_dataset(tmp_path, CLASSES)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample of ImageNet photos is not here")
def test_the_real_sample_is_read_with_its_labels() -> None:
    dataset = open_dataset(SAMPLE, 1000)
    assert (len(dataset.samples), dataset.labelled, dataset.skipped, dataset.notes) == (200, True, (), ())
    classes = {sample.file.name: sample.class_index for sample in dataset.samples}
    # Classes 2 and 7 of ImageNet: great white shark, cock.
    assert classes["n01484850_great_white_shark.JPEG"] == 2
    assert classes["n01514668_cock.JPEG"] == 7
    with pytest.raises(InputError, match="is not a whole number from 0 to 99"):
        open_dataset(SAMPLE, 100)


def test_folders_named_after_the_models_labels_are_those_classes(tmp_path: Path) -> None:
    _photos(tmp_path, "10/a.jpg", "9/b.jpg")
    dataset = open_dataset(tmp_path, 3, class_names=("9", "10", "11"))
    assert {sample.file.name: sample.class_index for sample in dataset.samples} == {"10/a.jpg": 1, "9/b.jpg": 0}
    assert "the model's labels" in dataset.rule


def test_names_in_the_table_are_the_classes_names(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,class_index,name\na.jpg,0,cat\nb.jpg,1,dog\nc.jpg,0,cat\n")
    assert read_class_names(table) == {0: "cat", 1: "dog"}
    table.write_text("file,class_index,name\na.jpg,0,cat\nb.jpg,0,dog\n")
    with pytest.raises(InputError, match=r"labels.csv, line 3: class 0 is 'dog' and 'cat'"):
        read_class_names(table)
    table.write_text("file,class_index\na.jpg,0\n")
    assert read_class_names(table) == {}
