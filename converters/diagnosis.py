"""Find the layers that a quantized file loses its answers in: error and range of each, ranked by cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.conversion import Say
from converters.diagnosis_cost import Cost, layer_costs, tensor_costs
from converters.diagnosis_graph import LayerPair, multiply_accumulates, pair_layers
from converters.diagnosis_onnx import pair_onnx_layers
from converters.diagnosis_tensors import TensorError, tensor_errors
from converters.onnx_file.document import is_onnx
from converters.probe import procedural_probe
from converters.reference import compressed_reference
from converters.repair.gains import gained_reference
from converters.screen import read_screened
from converters.verify import all_logits, compare, gains_of
from edgenet.agreement import Agreement, sqnr_db
from edgenet.artifact import Artifact, find_artifacts
from edgenet.datasets import open_dataset
from edgenet.errors import InputError
from edgenet.photos import Skipped, load_photo
from edgenet.precision import Precision
from edgenet.preprocessing import crop_photo
from edgenet.progress import Report

DIAGNOSED: tuple[Precision, ...] = ("w8", "w8d", "w8a8", "w8a16")
MOST_IMAGES, FEWEST_IMAGES = 16, 2  # two say 2000 logits' errors, enough for a ranking
SPELLED_OUT = 3  # layers, the worst, of which each tensor is rounded alone as well
BUDGET_MACS = 4e12  # of all runs together: one or two minutes on two cores; a b4 and larger get FEWEST_IMAGES


@dataclass(frozen=True)
class LayerDiagnosis:
    """One layer: what its rounding alone does to the logits, and its activations beside the float ones."""

    name: str
    depth: int  # from 0, in the order of the graph
    cost_share: float  # of the squared errors of all layers, each alone
    weights_sqnr_db: float | None  # of the logits, if only this layer's weights were rounded; None: they are not
    activations_sqnr_db: float | None
    weights_share: float  # like `cost_share`, of which it is a part
    output: TensorError  # what the next layers read
    tensors: tuple[TensorError, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a file; `layers` by cost, the worst first."""

    artifact: Artifact
    images: str
    agreement: Agreement
    added_sqnr_db: float  # of the logits, if all layers' own costs simply added up
    layers: tuple[LayerDiagnosis, ...]
    tensors_sqnr_db: dict[str, float]  # of the logits, if only this tensor were rounded; those of the worst layers
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the result for --json; a SQNR of null says that nothing is lost, or nothing was rounded."""
        return {
            "path": str(self.artifact.path),
            "images_from": self.images,
            **_finite(asdict(self.agreement)),
            "added_sqnr_db": self.added_sqnr_db if math.isfinite(self.added_sqnr_db) else None,
            "layers": [
                {
                    **_finite({**asdict(row), "sqnr_db": row.output.sqnr_db, "output": row.output.name}),
                    "tensors": [
                        _finite({**asdict(tensor), "logits_sqnr_db": self.tensors_sqnr_db.get(tensor.name)})
                        for tensor in row.tensors
                    ],
                }
                for row in self.layers
            ],
            "skipped": [asdict(row) for row in self.skipped],
            "notes": self.notes,
        }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in row.items()}


def diagnose(out: Path, data: Path | None, reference: Path | None, weights: str, report: Report, say: Say) -> Diagnosis:
    """Diagnose the quantized artifact at `out`; raise InputError for one that rounds nothing or cannot be read."""
    artifact = _quantized(out)
    content = read_screened(artifact.path)
    float_content = compressed_reference(artifact, reference, weights, say)
    # The tensors of a repaired file may be larger by known factors: so are those of the float network then.
    float_content = gained_reference(float_content, gains_of(content))
    pairs = (pair_onnx_layers if is_onnx(content) else pair_layers)(float_content, content)
    wanted = _affordable(float_content, len(pairs))
    images, description, skipped = _images(artifact, data, wanted)
    agreement = compare(float_content, content, images, report=report)
    tensors = [tensor for pair in pairs for tensor in pair.tensors]
    errors = tensor_errors(float_content, content, tensors, images, report)
    expected = list(all_logits(float_content, images))
    costs = layer_costs(float_content, pairs, images, expected, report)
    signal = sum(float(np.vdot(logits, logits)) for logits in expected)
    rows = sorted(_rows(pairs, costs, errors, signal), key=lambda row: -row.cost_share)
    worst = [pairs[row.depth] for row in rows[:SPELLED_OUT]]
    alone = tensor_costs(float_content, worst, images, expected, report)
    return Diagnosis(
        artifact=artifact,
        images=description,
        agreement=agreement,
        added_sqnr_db=sqnr_db(signal, sum(cost.total for cost in costs)),
        layers=tuple(rows),
        tensors_sqnr_db={name: sqnr_db(signal, noise) for name, noise in alone.items()},
        skipped=skipped,
        notes=_notes(artifact.manifest.precision),
    )


def _quantized(out: Path) -> Artifact:
    """Return the one quantized artifact of a place; raise InputError for none or several."""
    artifacts = find_artifacts(out)
    found = [row for row in artifacts if row.manifest.precision in DIAGNOSED]
    if not found:
        precisions = ", ".join(sorted({row.manifest.precision for row in artifacts}))
        raise InputError(
            f"{out} has no int8 layer to diagnose ({precisions})",
            allowed=", ".join(DIAGNOSED),
            mend="edgenet verify holds it against its float network",
        )
    if len(found) > 1:
        names = ", ".join(row.path.name for row in found)
        raise InputError(f"{out} holds several quantized files", allowed=names, mend="name one of them")
    return found[0]


def _affordable(content: bytes, layers: int) -> int:
    """Return how many images the layers can be run on: each layer runs twice, its weights and its activations."""
    macs = 2 * layers * multiply_accumulates(flatbuffer.read(content))
    return max(FEWEST_IMAGES, min(MOST_IMAGES, int(BUDGET_MACS / max(1, macs))))


def _images(
    artifact: Artifact, data: Path | None, wanted: int
) -> tuple[list[NDArray[np.uint8]], str, tuple[Skipped, ...]]:
    """Return raw pixels [side, side, 3], where they are from, and the photos that could not be used."""
    preprocessing = artifact.manifest.to_preprocessing()
    if data is None:
        return list(procedural_probe(preprocessing).images[:wanted]), f"{wanted} procedural images", ()
    known = artifact.manifest.weights
    dataset = open_dataset(data, known.num_classes - preprocessing.label_offset, None, known.labels)
    images, skipped = [], list(dataset.skipped)
    for sample in _spread(dataset.samples, wanted):
        photo = load_photo(sample.file)
        if isinstance(photo, Skipped):
            skipped.append(photo)
            continue
        images.append(crop_photo(photo.image, preprocessing))
        if len(images) == wanted:
            break
    if not images:
        raise InputError(
            f"none of {len(skipped)} photos can be used; the first: {skipped[0].name}: {skipped[0].reason}"
        )
    return images, f"{len(images)} photos of {data}", tuple(skipped)


def _spread(samples: Sequence[Any], wanted: int) -> Iterator[Any]:
    """Yield the samples so that the first ones are spread evenly over all of them."""
    step = max(1, len(samples) // wanted)
    for start in range(step):
        yield from samples[start::step]


def _rows(
    pairs: Sequence[LayerPair], costs: Sequence[Cost], errors: dict[str, TensorError], signal: float
) -> Iterator[LayerDiagnosis]:
    everything = sum(cost.total for cost in costs)
    for depth, (pair, cost) in enumerate(zip(pairs, costs, strict=True)):
        yield LayerDiagnosis(
            name=pair.name,
            depth=depth,
            cost_share=cost.total / everything if everything else 0.0,
            weights_sqnr_db=None if cost.weights is None else sqnr_db(signal, cost.weights),
            activations_sqnr_db=None if cost.activations is None else sqnr_db(signal, cost.activations),
            weights_share=(cost.weights or 0.0) / everything if everything else 0.0,
            output=errors[pair.output.name],
            tensors=tuple(errors[tensor.name] for tensor in pair.tensors),
        )


def _notes(precision: Precision) -> tuple[str, ...]:
    if precision == "w8d":
        return ("w8d rounds activations as they come: only what the weights cost is told apart by layer",)
    return ()
