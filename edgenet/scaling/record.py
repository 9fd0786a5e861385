"""What a search leaves in its folder: search.json, written again after each candidate, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edgenet.atomic import write_files
from edgenet.coefficients import Coefficients
from edgenet.errors import InputError
from edgenet.first_fault import first_fault
from edgenet.manifest import Record
from edgenet.variants import ScaledBase

SEARCH_NAME, CANDIDATES_NAME = "search.json", "candidates"


class ScoreRecord(Record):
    """How a candidate does after its last epoch: not after its best, which validation images would have chosen."""

    hits: int  # validation images whose class was found
    accuracy: float
    accuracy_low: float  # 95 % Wilson interval: of the images that were drawn, not of the seed
    accuracy_high: float
    val_loss: float
    duration_s: float  # of the epochs' steps, building the graph in the first included


class TrialRecord(Record):
    """One candidate that was trained for the budget."""

    coefficients: Coefficients
    run: str  # its folder below the search's
    variant: str
    side_px: int
    macs: int
    macs_ratio: float  # over those of phi 0, rounding of channels, blocks and sides included
    parameters: int  # trainable
    steps: int
    score: ScoreRecord | None  # None: the training did not come to its end
    failure: str = ""  # why


class OutcomeRecord(Record):
    """Which candidate was taken, and which others may be as good."""

    coefficients: Coefficients
    within_noise: tuple[Coefficients, ...]  # their intervals overlap that of the one taken
    notes: tuple[str, ...]


class SearchRecord(Record):
    """What was searched, with what, and all that was found so far."""

    schema_version: Literal[1] = 1
    kind: Literal["scaling-search"] = "scaling-search"
    base: ScaledBase
    side_px: int  # at phi 0; a candidate's is gamma times as long
    base_macs: int  # at phi 0 and that side
    data: str
    data_sha256: str  # of split.csv: which image, of which class and content, trains or validates
    labels: tuple[str, ...]
    train_images: int
    val_images: int
    weights: Literal["random"] = "random"  # each candidate begins from scratch
    seed: int  # of weights, order of images and augmentation, the same for all
    epochs: int  # of each candidate: the budget
    steps: int  # of each candidate
    recipe: str  # TOML
    grid: str  # TOML
    trials: tuple[TrialRecord, ...]
    outcome: OutcomeRecord | None = None  # None: not finished
    tool_versions: dict[str, str]
    command: tuple[str, ...]


def write_search(out: Path, record: SearchRecord, more: dict[Path, bytes] | None = None) -> None:
    """Write a search's record, and `more` files with it, all or none; raise InputError."""
    write_files({**(more or {}), out / SEARCH_NAME: (record.model_dump_json(indent=2) + "\n").encode()})


def read_search(out: Path) -> SearchRecord:
    """Read a search's record; raise InputError for a folder without one."""
    path = out / SEARCH_NAME
    try:
        return SearchRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"there is no search in {out} to resume: {path.name}: {error.strerror}", mend="begin one without --resume"
        ) from error
    except ValidationError as error:
        raise InputError(
            f"{path} is no record of a search: {first_fault(error)}", mend="search again with another --out"
        ) from error
