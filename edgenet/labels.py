"""The names of a network's classes: ImageNet's own, a file of the user's, or those that a training wrote down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from edgenet.errors import InputError
from edgenet.manifest import Manifest, WeightsRecord

IMAGENET_CLASSES = 1000
BACKGROUND = "background"  # class 0 of networks whose labels begin at 1
IMAGENET_WORD = "imagenet"  # what --labels takes instead of a file
LIMIT_BYTES = 16 * 2**20
# Weights whose 1000 classes are ImageNet's, in its order. `random` has the shape of such a network.
_IMAGENET_SOURCES = ("packaged", "imagenet", "random")


@dataclass(frozen=True)
class ImagenetClass:
    """One class: its WordNet id, and the first of its WordNet names, told apart where two classes share it."""

    wordnet_id: str
    name: str


@cache
def imagenet_classes() -> tuple[ImagenetClass, ...]:
    """Return ImageNet's 1000 classes by index: WordNet ids in ascending order, as in ILSVRC 2012."""
    text = files("edgenet").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    return tuple(ImagenetClass(*line.split("\t")) for line in text.splitlines())


def wordnet_classes() -> dict[str, int]:
    """Return the class index of each of ImageNet's WordNet ids."""
    return {row.wordnet_id: index for index, row in enumerate(imagenet_classes())}


def imagenet_labels(num_classes: int) -> tuple[str, ...]:
    """Return ImageNet's names for 1000 classes, or for 1001 of which the first is the background."""
    names = tuple(row.name for row in imagenet_classes())
    if num_classes == IMAGENET_CLASSES + 1:
        return (BACKGROUND, *names)
    if num_classes != IMAGENET_CLASSES:
        raise InputError(f"ImageNet has 1000 classes, the network {num_classes}", mend="give --labels FILE")
    return names


def known_labels(weights: WeightsRecord) -> tuple[str, ...]:
    """Return the names of the classes that some weights have; () where nobody wrote them down."""
    if weights.labels:
        return weights.labels
    if weights.source in _IMAGENET_SOURCES and weights.num_classes in (IMAGENET_CLASSES, IMAGENET_CLASSES + 1):
        return imagenet_labels(weights.num_classes)
    return ()


def labels_of(manifest: Manifest, given: str = "") -> tuple[str, ...]:
    """Return the names of an artifact's classes; `given` is what --labels said; raise InputError if none are."""
    if given:
        return read_labels(given, manifest.weights.num_classes)
    found = known_labels(manifest.weights)
    if not found:
        count = manifest.weights.num_classes
        raise InputError(
            f"{manifest.file} does not say what its {count} classes are called",
            mend=f"give --labels FILE: {count} lines, one name each, in the order of the classes",
        )
    return found


def read_labels(given: str, num_classes: int) -> tuple[str, ...]:
    """Return the names in a UTF-8 file, one a line, or ImageNet's for the word `imagenet`; raise InputError."""
    if given == IMAGENET_WORD:
        return imagenet_labels(num_classes)
    return checked_labels(_lines(Path(given)), num_classes, given)


def checked_labels(labels: Sequence[str], num_classes: int, name: str) -> tuple[str, ...]:
    """Return labels that are as many as the classes, printable and each of its own; raise InputError."""
    first: dict[str, int] = {}
    for number, label in enumerate(labels, 1):
        if not label.strip() or label != label.strip() or not label.isprintable():
            raise InputError(
                f"{name}, line {number}: {label[:80]!r} is no name", allowed="printable text without blanks at its ends"
            )
        if label in first:
            raise InputError(
                f"{name}: line {number} repeats {label!r} of line {first[label]}",
                mend="give each class a name of its own",
            )
        first[label] = number
    if len(labels) != num_classes:
        raise InputError(
            f"{name} has {len(labels)} labels, the network {num_classes} classes", allowed=f"{num_classes} lines"
        )
    return tuple(labels)


def _lines(path: Path) -> list[str]:
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file", allowed="a text file, one name a line, or the word imagenet")
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes", allowed=f"at most {LIMIT_BYTES}")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", allowed="one name a line, in UTF-8") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})", mend="save it as UTF-8") from error
    # Not splitlines(): that one also cuts at characters that a name may hold.
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
