"""The state of a training as one file: every variable to the last bit, and how far it had come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError

from edgenet.errors import InputError
from edgenet.manifest import Record

CHECKPOINT_NAME, BEST_NAME = "checkpoint.safetensors", "best.safetensors"
CONFUSION = "confusion/0"  # the matrix of the best epoch
Arrays = dict[str, NDArray[Any]]


class EpochRecord(Record):
    """What one epoch did."""

    epoch: int  # from 1
    stage: str
    side_px: int
    learning_rate: float
    loss: float
    accuracy: float  # on augmented, perhaps mixed images
    val_loss: float
    val_accuracy: float
    duration_s: float
    complete: bool = True  # compressed as far as the recipe says; an epoch that is not cannot be the best


class ProgressRecord(Record):
    """How far a training had come when its state was saved."""

    schema_version: int = 1
    epoch: int  # epochs that are done
    step: int  # steps that are done of the next one
    history: tuple[EpochRecord, ...]

    @property
    def best(self) -> EpochRecord | None:
        """Return the epoch of the best validation: the highest accuracy, of equal ones the lowest loss."""
        complete = (row for row in self.history if row.complete)
        return max(complete, key=lambda row: (row.val_accuracy, -row.val_loss), default=None)


def pack_state(progress: ProgressRecord, arrays: Arrays) -> bytes:
    """Return a checkpoint's bytes."""
    from safetensors.numpy import save

    return bytes(save(arrays, metadata={"progress": progress.model_dump_json()}))


def read_state(path: Path) -> tuple[ProgressRecord, Arrays]:
    """Read a checkpoint; raise InputError for one that is missing or damaged."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            progress = ProgressRecord.model_validate_json((file.metadata() or {}).get("progress", "{}"))
            return progress, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (OSError, SafetensorError, ValidationError, json.JSONDecodeError) as error:
        raise InputError(
            f"cannot read the checkpoint {path}: {str(error).splitlines()[0]}",
            mend="begin a new run with another --out",
        ) from error


def variables_of(groups: dict[str, list[Any]]) -> Arrays:
    """Return the values of groups of TensorFlow variables under the names `group/index`."""
    return {
        f"{group}/{index}": np.asarray(variable.numpy())
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def assign(groups: dict[str, list[Any]], arrays: Arrays) -> None:
    """Give variables the values that `variables_of` took; raise InputError where there are others."""
    for group, variables in groups.items():
        for index, variable in enumerate(variables):
            value = arrays.get(f"{group}/{index}")
            if value is None or value.shape != tuple(variable.shape):
                raise InputError(
                    f"the checkpoint has no {group} {index} of shape {tuple(variable.shape)}",
                    mend="it belongs to another version of edgenet: begin a new run with another --out",
                )
            variable.assign(value)
