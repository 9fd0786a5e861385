"""How far a network is compressed, counted in its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenet.layers import Layer
from edgenet.manifest import FileName, Record


class KernelRecord(Record):
    """What was counted in one layer's weights, before its batch norm is folded in."""

    weights: int
    sparsity: float  # share of exact zeros
    distinct: int  # values, zero among them


class CompressRecord(Record):
    """What a training did beside learning its classes, and what it reached in the layers that it did it to."""

    prune: str  # as --prune takes it; "": nothing
    cluster: int  # 0: nothing
    qat: bool
    sparsity: float  # of all those layers together
    kernels: dict[str, KernelRecord]
    ranges: FileName | None = None  # file of the learned ranges, of a quantization-aware training
    ranges_sha256: str = ""

    @property
    def summary(self) -> str:
        """Return what was reached, in one line."""
        rows = self.kernels.values()
        parts = [f"{100 * self.sparsity:.1f} % zeros in {len(rows)} kernels"] if self.prune else []
        parts += [f"at most {max(row.distinct for row in rows)} distinct weights a kernel"] if self.cluster else []
        parts += ["8-bit steps learned: accuracy and loss are those of the rounded network"] if self.qat else []
        return "; ".join(parts)


def counted(layers: Sequence[Layer], tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, KernelRecord]:
    """Return what the weights of layers hold."""
    return {layer.name: _counted(tensors[f"{layer.name}.weight"]) for layer in layers}


def _counted(weight: NDArray[np.float32]) -> KernelRecord:
    return KernelRecord(weights=weight.size, sparsity=float((weight == 0).mean()), distinct=len(np.unique(weight)))


def total_sparsity(kernels: Mapping[str, KernelRecord]) -> float:
    """Return the share of zeros in all kernels together."""
    return sum(row.sparsity * row.weights for row in kernels.values()) / sum(row.weights for row in kernels.values())
