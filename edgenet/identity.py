"""One hash that ties a file to its manifest, for a place inside the file itself."""

from __future__ import annotations

import hashlib
import json

from edgenet.manifest import CompilerTarget, Manifest, PreprocessingRecord, WeightsRecord
from edgenet.precision import IoType, Precision

# Of the weights: what they are, not where they lay or what was said of them.
_WEIGHTS_FIELDS = {"source", "sha256", "num_classes", "padding", "batch_norm_epsilon", "labels"}


def identity(
    variant: str,
    precision: Precision,
    io: IoType,
    weights: WeightsRecord,
    preprocessing: PreprocessingRecord,
    recipe: str | None,
    target: CompilerTarget | None,
) -> str:
    """Return the SHA-256, in hex, of the part of a manifest that its file can hold.

    The manifest has the file's own hash, and the file this one: so what depends on the file's bytes is left out (its
    hash and size, golden vectors, verification, measurements), and what differs when a run is repeated elsewhere (the
    command, tool versions, paths). What is left is written as JSON with sorted keys and no blanks, in UTF-8.
    """
    document = {
        "variant": variant,
        "precision": precision,
        "io": io,
        "weights": weights.model_dump(mode="json", include=_WEIGHTS_FIELDS),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "recipe": recipe,
        "target": target,
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_identity(manifest: Manifest) -> str:
    """Return the identity of a manifest, which stands in the metadata of its file."""
    return identity(
        manifest.variant, manifest.precision, manifest.io, manifest.weights, manifest.preprocessing, manifest.recipe,
        manifest.target,
    )  # fmt: skip
