"""Weights-only Keras files: arrays under Keras' names, with nothing in them that could be run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from converters.foreign.normalization import Given, asked
from edgenet.errors import InputError
from edgenet.variants import VARIANTS, Variant
from edgenet.weights.hdf5_guard import refuse_deadly
from edgenet.weights.keras_file import read_keras
from edgenet.weights.local_file import file_weights
from edgenet.weights.names import Tensors, map_strictly
from edgenet.weights.preprocessing_rules import PreprocessingOverrides, apply_overrides
from edgenet.weights.record import Weights

Say = Callable[[str], None]


def is_weights_only(path: Path) -> bool:
    """Return whether a Keras file holds arrays and no model; raise InputError for a damaged one."""
    import h5py

    if path.suffix.lower() == ".keras":
        return False
    refuse_deadly(path)
    try:
        with h5py.File(path, "r") as file:
            return "model_config" not in file.attrs
    except OSError as error:
        raise InputError(f"{path} is no readable HDF5 file: {error}", mend="save it again") from error


def read_weights_only(
    path: Path, variant: Variant | None, overrides: PreprocessingOverrides | None, given: Given, say: Say
) -> Weights:
    """Return the weights of the one variant that all arrays of a file fit; there is no model to prove them against."""
    file = read_keras(path)
    found = _recognised(file.tensors, variant, path.name)
    if not file.mean and given.mean is None:
        raise asked(found, path.name)
    note = f"{path.name} holds weights and no model: {found.name} was recognised by names and shapes, not by running it"
    say(note)
    weights = file_weights(path, found)
    record, notes = apply_overrides(weights.preprocessing, overrides)
    return replace(weights, preprocessing=record, notes=(note, *weights.notes, *notes))


def _recognised(tensors: Tensors, wanted: Variant | None, name: str) -> Variant:
    if wanted:
        map_strictly(tensors, wanted, name)
        return wanted
    for variant in VARIANTS.values():
        with suppress(InputError):
            map_strictly(tensors, variant, name)
            return variant
    first = ", ".join(list(tensors)[:3])
    raise InputError(
        f"{name} fits no variant: its {len(tensors)} arrays begin with {first}",
        allowed=", ".join(VARIANTS),
        mend="--variant NAME says what is missing; a whole model (model.save) says more than its weights",
    )
