"""Weights as plain arrays, with everything that must travel along with them."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgenet.layers import Architecture, Widths, expand
from edgenet.preprocessing import Preprocessing
from edgenet.variants import Variant

Padding = Literal["same", "symmetric"]
Source = Literal["packaged", "imagenet", "file", "random"]


@dataclass(frozen=True)
class Convention:
    """How the code that trained the weights pads strided convolutions, and its batch-norm epsilon."""

    padding: Padding = "same"  # TensorFlow's SAME; PyTorch-native networks pad both sides alike (k // 2)
    batch_norm_epsilon: float = 1e-3


@dataclass(frozen=True)
class Weights:
    """A full set of tensors under timm's names, in PyTorch's layouts, float32.

    `conv.weight` [O, I, kH, kW], depthwise [C, 1, kH, kW], `classifier.weight` [classes, C], batch norm `weight`,
    `bias`, `running_mean`, `running_var` [C].
    """

    tensors: dict[str, NDArray[np.float32]]
    source: Source
    origin: str  # where exactly: package and version, repository and revision, file name, seed
    sha256: str  # of the file that was read; of the seed's tensors for "random"
    variant: Variant
    num_classes: int
    preprocessing: Preprocessing
    convention: Convention = Convention()
    notes: tuple[str, ...] = field(default=())  # things the user must be told
    whole_model: bool = False  # the file is a model that was run, not a file of weights; it is to be read so again
    labels: tuple[str, ...] = ()  # the name of each class, where it is known
    widths: Widths = field(
        default_factory=dict
    )  # of the layers that are narrower than the variant's: channel pruning cut them

    def architecture(self, side_px: int = 0) -> Architecture:
        """Return the network that the tensors are for, at `side_px` or their preprocessing's side."""
        return expand(self.variant, self.num_classes, side_px or self.preprocessing.side_px, self.widths)
