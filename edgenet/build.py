"""One call from a variant's name to its tf_keras network with weights in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from edgenet.named_variant import named_variant
from edgenet.weights.load import load_weights

if TYPE_CHECKING:
    from edgenet.network import Form


def build(
    variant: str, *, weights: str = "auto", num_classes: int = 0, form: Form = "training", features: bool = False
) -> Any:
    """Return a variant's tf_keras.Model with weights in it, [N, side, side, 3] -> logits [N, classes].

    The network takes NORMALIZED images; `form` and `features` are those of `edgenet.network.build_network`. Raise
    InputError for a bad name or file, MissingError for weights that cannot be had.
    """
    from edgenet.network import build_network, load_weights_into

    loaded = load_weights(weights, named_variant(variant), say=_say, num_classes=num_classes)
    architecture = loaded.architecture()
    model = build_network(architecture, form=form, convention=loaded.convention, features=features)
    load_weights_into(model, architecture, loaded, features=features)
    return model


def _say(text: str) -> None:
    print(text, file=sys.stderr)
