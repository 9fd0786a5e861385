"""Every activation of a quantized file beside the float one: error, ranges, and how well they fit each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.diagnosis_graph import Steps, Tensor
from converters.onnx_file.document import is_onnx
from converters.onnx_file.inside import OnnxInside
from converters.runtime import LoadedModel, decode, encode_pixels
from converters.verify import memory_groups, with_outputs
from edgenet.agreement import sqnr_db
from edgenet.progress import Report, tracked


@dataclass(frozen=True)
class TensorError:
    """One activation over all images; what only a rounded tensor has is None where the file keeps it in float."""

    name: str
    sqnr_db: float  # of the file's values against the float network's: all errors so far
    rounding_sqnr_db: float | None  # of the float network's own values, rounded to the file's steps
    seen_low: float  # in the float network
    seen_high: float
    low: float | None  # what the file's steps cover
    high: float | None
    used_share: float | None  # of that range
    clipped_share: float | None  # of the values: those that lie outside


class _Sums:
    """What is counted of one tensor, image by image."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._signal = self._noise = self._rounding = 0.0
        self._low, self._high = np.inf, -np.inf
        self._values = self._clipped = 0

    def add(self, wanted: NDArray[np.float32], got: NDArray[np.float32]) -> None:
        """Take in one image's values."""
        self._signal += float(np.vdot(wanted, wanted))
        self._noise += float(np.sum(np.square(wanted - got)))
        self._low, self._high = min(self._low, float(wanted.min())), max(self._high, float(wanted.max()))
        self._values += wanted.size
        steps = self._tensor.steps
        if steps:
            self._rounding += float(np.sum(np.square(wanted - steps.rounded(wanted))))
            half = steps.scale / 2  # up to there a value is rounded, not cut off
            outside = (wanted < steps.low - half) | (wanted > steps.high + half)
            self._clipped += int(np.count_nonzero(outside))

    def result(self) -> TensorError:
        steps = self._tensor.steps
        return TensorError(
            name=self._tensor.name,
            sqnr_db=sqnr_db(self._signal, self._noise),
            rounding_sqnr_db=sqnr_db(self._signal, self._rounding) if steps else None,
            seen_low=self._low,
            seen_high=self._high,
            low=steps.low if steps else None,
            high=steps.high if steps else None,
            used_share=_used(steps, self._low, self._high) if steps else None,
            clipped_share=self._clipped / self._values if steps else None,
        )


def _used(steps: Steps, low: float, high: float) -> float:
    return max(0.0, min(high, steps.high) - max(low, steps.low)) / (steps.high - steps.low)


def tensor_errors(
    reference: bytes, content: bytes, tensors: Sequence[Tensor], images: Sequence[NDArray[np.uint8]], report: Report
) -> dict[str, TensorError]:
    """Return each tensor's error by name on raw pixels [side, side, 3]; memory is bounded by passes over groups."""
    first, second = flatbuffer.read(reference), _watched(content)
    rows = {row.name: row for row in tensors}
    groups = list(memory_groups(first, {row.name: row.float_index for row in tensors}, list(rows)))
    found = {}
    for names in tracked(groups, "comparing tensors", len(groups), report):
        group = [rows[name] for name in names]
        # The runners stay nameless: one that lived on would add its tensors to those of the next group.
        sums = _watch(
            group,
            with_outputs(first, [row.float_index for row in group]),
            second([row.place for row in group]),
            images,
        )
        found.update({row.name: total.result() for row, total in zip(group, sums, strict=True)})
    return found


def _watched(content: bytes) -> Callable[[list[Any]], LoadedModel]:
    """Return what loads a file with some of its tensors, by their places, as its outputs."""
    if is_onnx(content):
        return OnnxInside(content).runner
    model = flatbuffer.read(content)
    return lambda places: with_outputs(model, places)


def _watch(
    group: Sequence[Tensor], reference: LoadedModel, test: LoadedModel, images: Sequence[NDArray[np.uint8]]
) -> list[_Sums]:
    sums = [_Sums(row) for row in group]
    for pixels in images:
        reference.run(encode_pixels(pixels, reference.input))
        test.run(encode_pixels(pixels, test.input))
        for index, row in enumerate(sums):
            wanted = decode(reference.view(index), reference.outputs[index])
            row.add(wanted, decode(test.view(index), test.outputs[index]))
    return sums
