"""What an .onnx file tells of itself in its metadata: enough to use it where its manifest got lost."""

import json

from edgenet.manifest import PreprocessingRecord, WeightsRecord
from edgenet.precision import IoType, Precision


def file_facts(
    variant: str, precision: Precision, io: IoType, weights: WeightsRecord, preprocessing: PreprocessingRecord
) -> dict[str, str]:
    """Return the metadata of a file by key; `preprocessing` is one JSON document, the manifest's own."""
    marked = {"warning": "RANDOM WEIGHTS: this file classifies nothing"} if weights.source == "random" else {}
    return {
        "variant": variant,
        "precision": precision,
        "io": io,
        "weights": f"{weights.source}, {weights.origin}",
        "weights_sha256": weights.sha256,
        "preprocessing": json.dumps(preprocessing.model_dump(mode="json"), sort_keys=True),
        **marked,
    }
