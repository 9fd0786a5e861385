"""Map a file's tensors to timm's names, each used exactly once and of the right shape."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.layers import FULL, Widths, expand
from edgenet.variants import VARIANTS, Variant
from edgenet.weights.namings import NAMINGS, TIMM, TRANSPOSED, Entry, Layout, Naming

Tensors = Mapping[str, NDArray[np.float32]]
Shape = tuple[int, ...]

# The count of batches that a batch norm has seen in training: the one thing in a state dict that no network needs.
DROPPED = re.compile(r"(^|\.)num_batches_tracked$")
LISTED = 5  # of each kind of mismatch
BACKGROUND_CLASSES = 1001  # ImageNet with class 0 = background


@dataclass(frozen=True)
class Mapped:
    """Tensors under timm's names, and what their old names told."""

    tensors: dict[str, NDArray[np.float32]]
    naming: str
    num_classes: int


def map_strictly(tensors: Tensors, variant: Variant, what: str, widths: Widths = FULL) -> Mapped:
    """Rename `tensors` to timm's names and PyTorch's layouts; `num_batches_tracked` is dropped, nothing else is.

    `widths` says which layers are narrower than the variant's. The number of classes is the classifier's. Raises
    InputError that lists what is missing, left over or misshapen.
    """
    used = {name: tensor for name, tensor in tensors.items() if not DROPPED.search(name)}
    naming = _recognise(used, what)
    num_classes = _num_classes(used, naming, variant)
    entries = list(naming.entries(expand(variant, num_classes, widths=widths)))
    problems = _problems(used, entries)
    if problems:
        raise InputError(
            f"{what} ({naming.title} names) does not fit {variant.name}: {'; '.join(problems)}",
            mend=_mend(used, naming, num_classes),
        )
    mapped = {entry.target: _to_pytorch(used[entry.source], entry.layout) for entry in entries}
    _refuse_unusable(mapped, what)
    return Mapped(mapped, naming.title, num_classes)


def expected_shapes(variant: Variant, num_classes: int, widths: Widths = FULL) -> dict[str, Shape]:
    """Return timm's name -> shape of every tensor of a network, in the order in which the layers run."""
    return {entry.target: entry.shape for entry in TIMM.entries(expand(variant, num_classes, widths=widths))}


def _recognise(tensors: Tensors, what: str) -> Naming:
    for naming in NAMINGS:
        if naming.marker in tensors:
            return naming
    first = ", ".join(name[:60] for name in list(tensors)[:3]) or "nothing"
    known = ", ".join(f"{naming.title} ({naming.marker})" for naming in NAMINGS)
    raise InputError(f"{what} holds no EfficientNet whose names are known (it begins with {first})", allowed=known)


def _num_classes(tensors: Tensors, naming: Naming, variant: Variant) -> int:
    """Return the classifier's width; 1000 where there is none, which is then reported as missing."""
    bias = next(e.source for e in naming.entries(expand(variant)) if e.target == "classifier.bias")
    return len(tensors[bias]) if bias in tensors and tensors[bias].ndim == 1 else 1000


def _to_pytorch(tensor: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.transpose(TRANSPOSED[layout]) if layout in TRANSPOSED else tensor)


def _pytorch_shape(shape: Shape, layout: Layout) -> Shape:
    order = TRANSPOSED.get(layout, ())
    return tuple(shape[axis] for axis in order) if len(order) == len(shape) else shape


def _problems(tensors: Tensors, entries: Sequence[Entry]) -> list[str]:
    expected = {entry.source: entry for entry in entries}
    missing = [name for name in expected if name not in tensors]
    left_over = [name for name in tensors if name not in expected]
    misshapen = [
        f"{name}: {_spelled(tensors[name].shape)} here, {_spelled(_file_shape(entry))} wanted"
        for name, entry in expected.items()
        if name in tensors and _pytorch_shape(tensors[name].shape, entry.layout) != entry.shape
    ]
    kinds = ((missing, "missing"), (left_over, "left over"), (misshapen, "of the wrong shape"))
    return [f"{len(names)} {kind} ({_first(names)})" for names, kind in kinds if names]


def _file_shape(entry: Entry) -> Shape:
    """Return the shape in the file's own layout, so that both shapes of a message can be compared."""
    order = TRANSPOSED.get(entry.layout, ())
    return tuple(entry.shape[order.index(axis)] for axis in range(len(order))) if order else entry.shape


def _spelled(shape: Shape) -> str:
    return "x".join(str(side) for side in shape) or "one number"


def _first(names: Sequence[str]) -> str:
    return ", ".join(name[:120] for name in names[:LISTED]) + (", …" if len(names) > LISTED else "")


def _mend(tensors: Tensors, naming: Naming, num_classes: int) -> str:
    """Name the variant that these tensors do fit, if there is one."""
    for other in VARIANTS.values():
        if not _problems(tensors, list(naming.entries(expand(other, num_classes)))):
            return f"these are the weights of {other.name}: --variant {other.name}"
    return "choose the variant that the weights were trained for; edgenet list shows them all"


def _refuse_unusable(tensors: Tensors, what: str) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise InputError(
                f"{what}: {name} holds values that are not finite", mend="the training diverged; take another"
            )
        if name.endswith(".running_var") and (tensor < 0).any():
            raise InputError(f"{what}: {name} holds a negative variance", mend="the file is damaged; get it again")
