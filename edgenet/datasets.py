"""Labelled photos: which class each photo of a folder shows.

The rule, first match wins; class indices count from 0 without a background class (`label_offset` is the caller's):

1. a CSV file, given or `labels.csv` in the folder: `file,class_index[,name]`, one row a photo;
2. one folder a class, every name one of the model's own labels, where it has some: the label's place is the index;
3. one folder a class, every name a whole number: the number is the class index;
4. one folder a class, every name a WordNet id (`n01440764`), for a model of ImageNet's 1000 classes: the id's class;
5. one folder a class, as many folders as classes, for a model without labels: the position in the sorted names is the
   class index;
6. anything else has no labels: agreement can be measured on it, accuracy cannot, and a note says why.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgenet.errors import InputError
from edgenet.labels import IMAGENET_CLASSES, imagenet_labels, wordnet_classes
from edgenet.photos import PhotoFile, Skipped, find_photos

LABELS_NAME = "labels.csv"
_REQUIRED, _OPTIONAL = ("file", "class_index"), ("name",)
_SHOWN = 5  # names in one message
_SHOWN_LETTERS = 80  # of one name: a field may hold a megabyte


@dataclass(frozen=True)
class Sample:
    """A photo file and its class index, which is None in a set without labels."""

    file: PhotoFile
    class_index: int | None


@dataclass(frozen=True)
class Dataset:
    """The photos of a folder in the order of their names; either all have a label or none has."""

    samples: tuple[Sample, ...]
    labelled: bool
    rule: str  # where the labels come from, for people to read
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]  # things the user must be told


def open_dataset(
    folder: Path, num_classes: int, labels: Path | None = None, class_names: Sequence[str] = ()
) -> Dataset:
    """Find the photos of `folder` and their labels by the rule above, without decoding any.

    `class_names` are the model's own labels. Raises InputError for a folder without photos, and for a CSV file that
    does not fit: each bad row by its line.
    """
    listing = find_photos(folder)
    if not listing.files:
        raise InputError(f"no photo in {str(folder)!r}", allowed="JPEG, PNG, BMP, WebP, in folders or not")
    table = labels or _labels_inside(folder)
    if table is not None:
        return _by_table(folder, listing.files, listing.skipped, table, num_classes)
    return _by_folder(folder, listing.files, listing.skipped, num_classes, class_names)


def _labels_inside(folder: Path) -> Path | None:
    table = folder / LABELS_NAME
    return table if table.is_file() else None


def _by_table(
    folder: Path, files: tuple[PhotoFile, ...], skipped: tuple[Skipped, ...], table: Path, num_classes: int
) -> Dataset:
    classes = read_labels(table, num_classes)
    known = {file.name for file in files}
    missing = [name for name in classes if name not in known]
    if missing:
        raise InputError(
            f"{table.name}: {len(missing)} files are not among the photos of {str(folder)!r}: {_some(missing)}",
            mend="names are relative to the folder; take the rows out, or bring the files",
        )
    unnamed = tuple(Skipped(file.name, f"no row in {table.name}") for file in files if file.name not in classes)
    samples = tuple(Sample(file, classes[file.name]) for file in files if file.name in classes)
    notes = (f"{len(unnamed)} photos have no row in {table.name} and are left out",) if unnamed else ()
    return Dataset(samples, True, f"the class_index column of {table.name}", (*skipped, *unnamed), notes)


def read_labels(table: Path, num_classes: int) -> dict[str, int]:
    """Read `file,class_index[,name]` with its header line: file name -> class index from 0 to num_classes - 1.

    Raises InputError that lists the first bad rows by line number: nothing is guessed and nothing left out.
    """
    classes: dict[str, int] = {}
    problems: list[str] = []
    for line, header, row in _rows(table):
        try:
            name, index = _parse_row(header, row, num_classes)
            if name in classes:
                raise ValueError(f"{_quoted(name)} was named before")
            classes[name] = index
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        what = f"{table.name}: {len(problems)} bad rows: {_some(problems, quoted=False)}"
        raise InputError(what, allowed=f"file,class_index[,name], class_index from 0 to {num_classes - 1}")
    if not classes:
        raise InputError(f"{table.name} has no row below its header", allowed="file,class_index[,name]")
    return classes


def read_class_names(table: Path) -> dict[int, str]:
    """Return class index -> name from the column `name`, {} where there is none; raise InputError for two of one class.

    The table has to be one that `read_labels` took.
    """
    names: dict[int, str] = {}
    for line, header, row in _rows(table):
        if "name" not in header:
            return {}
        index, name = int(row[header.index("class_index")]), row[header.index("name")].strip()
        if names.setdefault(index, name) != name:
            raise InputError(f"{table.name}, line {line}: class {index} is {_quoted(name)} and {_quoted(names[index])}")
    return names


def _rows(table: Path) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield (line number, header, row) of a CSV file whose header is as it should be."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [column.strip() for column in next(reader, [])]
            _check_header(table, header)
            for row in reader:
                if row:
                    yield reader.line_num, header, row
    except OSError as error:
        raise InputError(f"cannot read {str(table)!r}: {error.strerror}", mend="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{table.name} is not UTF-8 text: {error.reason}", mend="save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{table.name}, line {reader.line_num}: {error}", mend="save it as plain CSV") from error


def _check_header(table: Path, header: list[str]) -> None:
    allowed = "file,class_index[,name] as the first line"
    unknown = [column for column in header if column not in _REQUIRED + _OPTIONAL]
    absent = [column for column in _REQUIRED if column not in header]
    if absent:
        found = _some(header) or "empty"
        raise InputError(f"{table.name} has no column {', '.join(absent)}; its first line is {found}", allowed=allowed)
    if unknown:
        raise InputError(f"{table.name} has unknown columns: {_some(unknown)}", allowed=allowed)
    if len(set(header)) < len(header):
        raise InputError(f"{table.name} names a column twice: {_some(header)}", allowed=allowed)


def _parse_row(header: list[str], row: list[str], num_classes: int) -> tuple[str, int]:
    if len(row) != len(header):
        raise ValueError(f"{len(row)} fields, not {len(header)}")
    name, text = row[header.index("file")].strip(), row[header.index("class_index")].strip()
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"file {_quoted(name)} is not a path inside the folder")
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= num_classes:
        raise ValueError(f"class_index {_quoted(text)} is not a whole number from 0 to {num_classes - 1}")
    return str(path), int(text)


def _by_folder(
    folder: Path,
    files: tuple[PhotoFile, ...],
    skipped: tuple[Skipped, ...],
    num_classes: int,
    class_names: Sequence[str],
) -> Dataset:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    loose = [file.name for file in files if "/" not in file.name]
    if loose or not names:
        return _unlabelled(files, skipped, "photos lie directly in the folder and there is no labels.csv")
    found = match_folders(names, num_classes, class_names)
    if isinstance(found, str):
        return _unlabelled(files, skipped, found)
    return _labelled(folder, files, skipped, found.classes, found.rule)


@dataclass(frozen=True)
class FolderClasses:
    """The class index of each class folder's name, and the rule that it comes from."""

    classes: dict[str, int]
    rule: str


def match_folders(names: Sequence[str], num_classes: int, class_names: Sequence[str]) -> FolderClasses | str:
    """Return the classes of sorted folder names by the rules 2 to 5 above, or the reason why there are none.

    Raise InputError for numbers that are out of range or there twice.
    """
    if set(names) <= set(class_names):
        classes = {name: class_names.index(name) for name in names}
        return FolderClasses(classes, "the class folders' names, which are the model's labels")
    if all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        return FolderClasses(_numbered(list(names), num_classes), "the class folders' numbers")
    found = wordnet_classes() if num_classes == IMAGENET_CLASSES else {}
    if set(names) <= set(found) and (not class_names or tuple(class_names) == imagenet_labels(num_classes)):
        return FolderClasses({name: found[name] for name in names}, "the class folders' WordNet ids")
    if class_names:  # another order or other classes: the position would be a guess
        return f"folders are none of the model's labels: {_some([name for name in names if name not in class_names])}"
    if len(names) == num_classes:
        classes = {name: index for index, name in enumerate(names)}
        return FolderClasses(classes, f"the order of the {num_classes} class folders' sorted names")
    return f"{len(names)} folders ({_some(list(names))}) cannot be matched with {num_classes} classes"


def _numbered(names: list[str], num_classes: int) -> dict[str, int]:
    classes = {name: int(name) for name in names}
    outside = [name for name, index in classes.items() if index >= num_classes]
    if outside:
        raise InputError(f"class folders out of range: {_some(outside)}", allowed=f"0 to {num_classes - 1}")
    if len(set(classes.values())) < len(classes):
        raise InputError("two class folders have the same number (as 1 and 01)", mend="keep one name for each class")
    return classes


def _labelled(
    folder: Path, files: tuple[PhotoFile, ...], skipped: tuple[Skipped, ...], classes: dict[str, int], rule: str
) -> Dataset:
    samples = tuple(Sample(file, classes[file.path.relative_to(folder).parts[0]]) for file in files)
    return Dataset(samples, True, rule, skipped, ())


def _unlabelled(files: tuple[PhotoFile, ...], skipped: tuple[Skipped, ...], reason: str) -> Dataset:
    note = (
        f"no labels: {reason}; only agreement is measured. For accuracy give --labels FILE.csv (file,class_index), "
        "or name the class folders by class index"
    )
    return Dataset(tuple(Sample(file, None) for file in files), False, "none", skipped, (note,))


def _some(names: list[str], *, quoted: bool = True) -> str:
    """Return the first few names for a message."""
    shown = [_quoted(name) if quoted else name for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}…")
