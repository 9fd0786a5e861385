"""A finished training run: a folder with the weights that did best, and the record of what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from edgenet.errors import InputError
from edgenet.first_fault import first_fault
from edgenet.manifest import FileName, InputRecord, Record
from edgenet.variants import Variant, parse_variant
from edgenet.weights.cache import file_digest
from edgenet.weights.compressed import CompressRecord
from edgenet.weights.learned_ranges import read_ranges
from edgenet.weights.names import map_strictly
from edgenet.weights.record import Convention, Padding, Source, Weights
from edgenet.weights.safetensors_file import read_safetensors

RUN_NAME, SETUP_NAME = "run.json", "training.json"


class OriginRecord(Record):
    """What the training began from."""

    source: Source
    origin: str
    sha256: str


class RunRecord(Record):
    """Everything that is known about a finished run."""

    schema_version: Literal[1] = 1
    variant: str
    labels: tuple[str, ...]
    weights: FileName
    sha256: str
    began_from: OriginRecord
    preprocessing: InputRecord
    padding: Padding
    batch_norm_epsilon: float
    widths: dict[str, int] = Field(
        default_factory=dict
    )  # of the layers that channel pruning made narrower than the variant's
    train_images: int
    val_images: int
    epochs: int  # that were run
    best_epoch: int
    val_accuracy: float
    val_loss: float
    seed: int
    recipe: str  # TOML, as --recipe takes it
    compress: CompressRecord | None = None
    tool_versions: dict[str, str]
    command: tuple[str, ...]


def is_run(path: Path) -> bool:
    """Tell whether a folder is that of a training, finished or not."""
    return path.is_dir() and any((path / name).is_file() for name in (RUN_NAME, SETUP_NAME))


def read_run(folder: Path) -> RunRecord:
    """Read the record of a finished run; raise InputError for one that is not finished or no record."""
    try:
        return RunRecord.model_validate_json((folder / RUN_NAME).read_bytes())
    except FileNotFoundError as error:
        mend = f"edgenet train --resume --out {folder}"
        raise InputError(f"the training in {folder} is not finished", mend=mend) from error
    except OSError as error:
        raise InputError(f"cannot read {folder / RUN_NAME}: {error.strerror}", mend="check its permissions") from error
    except ValidationError as error:
        raise InputError(f"{folder / RUN_NAME} is no run: {first_fault(error)}", mend="train again") from error


def run_weights(folder: Path, variant: Variant | None = None) -> Weights:
    """Return the weights of a finished run with its labels and preprocessing.

    Raise InputError for a run of another variant than `variant`, and for weights that are not the run's.
    """
    record = read_run(folder)
    found = parse_variant(record.variant)
    if variant is not None and variant != found:
        raise InputError(f"{folder} is a training of {found.name}, not {variant.name}", allowed=found.name)
    path = folder / record.weights
    if not path.is_file() or file_digest(path) != record.sha256:
        what = "is not the file of its run (sha256 differs)" if path.is_file() else "is missing"
        raise InputError(f"{path} {what}", mend="bring it back, or train again")
    mapped = map_strictly(read_safetensors(path)[0], found, str(path), record.widths)
    if mapped.num_classes != len(record.labels):
        raise InputError(f"{path} has {mapped.num_classes} classes, its run {len(record.labels)} labels")
    compress = record.compress
    learned = read_ranges(folder / compress.ranges, compress.ranges_sha256) if compress and compress.ranges else None
    return Weights(
        tensors=mapped.tensors,
        source="file",
        origin=f"trained by edgenet: {folder.resolve().name}",
        sha256=record.sha256,
        variant=found,
        num_classes=mapped.num_classes,
        preprocessing=record.preprocessing.to_preprocessing(),
        convention=Convention(record.padding, record.batch_norm_epsilon),
        labels=record.labels,
        widths=record.widths,
        learned=learned,
    )
