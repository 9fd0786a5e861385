"""How raw pixels 0–255 become a graph's input: as an op, or for nothing as the zero point of an integer tensor."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from converters.ranges import Range
from edgenet.preprocessing import Preprocessing

INPUT_NAME, OUTPUT_NAME = "image", "logits"
CENTERED_NAME = f"{INPUT_NAME}/centered"

# subtracted: the graph takes raw pixels and subtracts the mean as its first op; 1 / std is folded into the stem. The
#   mean cannot be folded as well: SAME padding adds zeros AFTER normalization, so a bias would be wrong at the border.
# zero_point: the graph takes (pixels - mean) / std; as integers that is raw pixels with zero point mean, scale 1 / std.
# zero_point_and_bias: the same for a mean that is no whole number (timm's 127.5): the zero point is the nearest whole
#   number and the stem's bias makes up for the rest, exactly but for the outermost row and column (half a pixel level).
Folding = Literal["subtracted", "zero_point", "zero_point_and_bias"]


@dataclass(frozen=True)
class Entry:
    """A graph's input; `zero_point` and `std` serve the two zero-point foldings."""

    folding: Folding
    zero_point: int = 0
    std: float = 1.0

    def feed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return raw pixels [side, side, 3] as the float graph's input [1, side, side, 3]."""
        batch = pixels[np.newaxis].astype(np.float32)
        if self.folding == "subtracted":
            return batch
        return ((batch - self.zero_point) / np.float32(self.std)).astype(np.float32)

    def ranges(self, preprocessing: Preprocessing) -> dict[str, Range]:
        """Return the exact ranges of the input and of its centred form: what any photo can hold, not what was seen."""
        if self.folding == "subtracted":
            centered = Range(-max(preprocessing.mean), 255 - min(preprocessing.mean))
            return {INPUT_NAME: Range(0.0, 255.0), CENTERED_NAME: centered}
        return {INPUT_NAME: Range(-self.zero_point / self.std, (255 - self.zero_point) / self.std)}

    def describe(self) -> str:
        """Return one sentence for the manifest."""
        scale = "scale 1" if self.std == 1 else f"scale 1 / {self.std:g}"
        return {
            "subtracted": "the file subtracts the mean (one op); 1 / std is folded into the first convolution",
            "zero_point": f"exact and free: zero point {self.zero_point}, {scale} of the uint8 input",
            "zero_point_and_bias": f"free: zero point {self.zero_point}, {scale}, the rest of the mean in the first "
            "bias; exact but for the outermost row and column",
        }[self.folding]


FLOAT_ENTRY = Entry("subtracted")


def integer_entry(preprocessing: Preprocessing) -> Entry:
    """Return the cheapest exact entry of a full-integer graph."""
    if len(set(preprocessing.mean)) > 1 or len(set(preprocessing.std)) > 1:
        return FLOAT_ENTRY
    mean, std = preprocessing.mean[0], preprocessing.std[0]
    folding: Folding = "zero_point" if float(mean).is_integer() else "zero_point_and_bias"
    return Entry(folding, round(mean), std)
