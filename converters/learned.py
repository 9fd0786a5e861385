"""The steps that quantization-aware training chose, as an 8-bit file needs them: ranges and scales by tensor."""

from __future__ import annotations

from converters import flatbuffer
from converters.edit import text
from converters.entry import OUTPUT_NAME, Entry
from converters.flatbuffer import Model
from converters.job import LearnedSteps
from converters.patterns import activation_tensors, find_sigmoids
from converters.ranges import SIGMOID_RANGE, Range
from edgenet.errors import InputError
from edgenet.layers import Architecture
from edgenet.manifest import LearnedRangesRecord, RangeRecord
from edgenet.trained_steps import trained_weight
from edgenet.weights.record import LearnedRanges, Weights


def learned_steps(
    content: bytes, architecture: Architecture, weights: Weights, entry: Entry, exact: dict[str, Range]
) -> LearnedSteps | None:
    """Return what the weights' training learned for the float graph `content`, or None if it did not learn that.

    Raise InputError for ranges of another network.
    """
    learned = weights.learned
    if learned is None:
        return None
    model = flatbuffer.read(content)
    _refuse_others(model, exact, learned, weights.origin)
    sigmoids = {text(model.subgraphs[0].tensors[tensor].name): SIGMOID_RANGE for tensor in find_sigmoids(model)}
    ranges = {name: Range(low, high) for name, (low, high) in learned.ranges.items()}
    std = weights.preprocessing.std if entry.folding == "subtracted" else ()
    trained = {
        OUTPUT_NAME if layer == architecture.classifier else layer.name: trained_weight(
            layer,
            weights,
            one_scale=layer.name in learned.one_scale,
            input_std=std if layer == architecture.stem else (),
        )
        for layer in architecture.layers
    }
    return LearnedSteps(ranges | sigmoids | exact, trained, _record(learned, weights.origin))


def _refuse_others(model: Model, exact: dict[str, Range], learned: LearnedRanges, origin: str) -> None:
    """Raise InputError unless there is a range for each tensor that needs one, and for no other."""
    graph = model.subgraphs[0]
    sigmoids = find_sigmoids(model).keys()
    needed = {text(graph.tensors[index].name) for index in activation_tensors(model) if index not in sigmoids}
    wrong = (needed - exact.keys()) ^ learned.ranges.keys()
    if wrong:
        first = min(wrong)
        what = "have none for" if first in needed else "are for another network: there is no"
        raise InputError(f"the learned ranges of {origin} {what} {first!r}", mend="train again")


def _record(learned: LearnedRanges, origin: str) -> LearnedRangesRecord:
    return LearnedRangesRecord(
        origin=origin,
        sha256=learned.sha256,
        one_scale=tuple(sorted(learned.one_scale)),
        ranges={name: RangeRecord(low=low, high=high) for name, (low, high) in learned.ranges.items()},
    )
