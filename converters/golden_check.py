"""Check that a file still gives the answers that were stored with it."""

from dataclasses import dataclass

import numpy as np

from converters.runtime import load_runner
from edgenet.artifact import Golden
from edgenet.errors import InputError

# Kernels of other machines sum in another order: float logits move by about 1e-6 of the largest, fp16 arithmetic by
# 1e-3, and an int8 logit by a step or two.
FLOAT_TOLERANCE, INTEGER_STEPS = 5e-3, 3


@dataclass(frozen=True)
class GoldenResult:
    """The largest difference of a logit to the stored one, and what is allowed, in logit units."""

    max_abs_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Return whether the file gives the stored answers."""
        return self.max_abs_error <= self.tolerance


def check_golden(content: bytes, golden: Golden) -> GoldenResult:
    """Run a file on its golden inputs; raise InputError if they do not fit its input."""
    runner = load_runner(content)
    if golden.pixels.shape[1:] != runner.input.shape[1:]:
        raise InputError(f"golden inputs {list(golden.pixels.shape)} do not fit the input {list(runner.input.shape)}")
    answers = np.stack([runner.logits(pixels) for pixels in golden.pixels])
    if answers.shape != golden.logits.shape:
        raise InputError(f"golden logits {list(golden.logits.shape)} do not fit the output {list(answers.shape)}")
    largest = float(np.abs(golden.logits).max())
    tolerance = max(FLOAT_TOLERANCE * largest, INTEGER_STEPS * runner.outputs[0].scale)
    return GoldenResult(float(np.abs(answers - golden.logits).max()), tolerance)
