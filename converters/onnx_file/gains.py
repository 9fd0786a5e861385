"""The channel gains of a repaired file, as an .onnx file keeps them in its metadata."""

import json

from converters.flatbuffer import Model
from converters.onnx_file.document import parse
from converters.repair.gains import METADATA, Gains, parse_gains, read_gains


def gains_facts(model: Model) -> dict[str, str]:
    """Return the metadata that tells a TFLite model's gains, none for a model without."""
    gains = read_gains(model)
    if not gains:
        return {}
    return {METADATA: json.dumps({name: gain.tolist() for name, gain in gains.items()})}


def onnx_gains(content: bytes) -> Gains:
    """Return the gains that an .onnx file was written with; raise InputError for a damaged record."""
    facts = {row.key: row.value for row in parse(content).metadata_props}
    return parse_gains(facts[METADATA]) if METADATA in facts else {}
