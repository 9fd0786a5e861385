"""tensorflow-model-optimization, imported where a training compresses and nowhere else."""

from __future__ import annotations

import os
import warnings

_KERAS_CHOICE = "TF_USE_LEGACY_KERAS"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it compares versions with distutils, which Python deprecates
    _before = os.environ.get(_KERAS_CHOICE)
    import tensorflow_model_optimization as tfmot

    # It chooses tf-keras for the whole process; this project names the Keras it means in each import.
    if _before is None:
        os.environ.pop(_KERAS_CHOICE, None)
    else:
        os.environ[_KERAS_CHOICE] = _before

__all__ = ["tfmot"]
