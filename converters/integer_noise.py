"""Random numbers and cloud-like noise in whole numbers only: the same bytes on every machine and NumPy version.

Floating point would do almost everywhere, but sums, FFTs and libm's functions round differently from one processor to
the next. Integers do not, and NumPy promises the raw stream of PCG64 for good (NEP 19).
"""

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.int16]  # [H, W]; int16 since it is what a processor adds most of at a time

_BUFFERED = 256
_SHARE_BITS = 7  # weights of 0..128: 128 * 255 still fits int16


class Draws:
    """A stream of whole numbers from a seed and an index."""

    def __init__(self, seed: int, index: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, index]))
        self._buffer: list[int] = []

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1."""
        if not self._buffer:
            self._buffer = (self._bits.random_raw(_BUFFERED) >> np.uint64(32)).tolist()
        return self._buffer.pop() * limit >> 32

    def between(self, low: int, high: int) -> int:
        """Return a number from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of 100 calls."""
        return self.below(100) < percent

    def signs(self, height: int, width: int) -> Plane:
        """Return numbers from -128 to 127, [height, width]."""
        count = height * width
        raw = self._bits.random_raw(-(-count // 8))
        return raw.astype("<u8").view(np.int8)[:count].astype(np.int16).reshape(height, width)


def clouds(draws: Draws, side_px: int, cells: tuple[int, int], keep: int) -> Plane:
    """Return noise [side, side] from 0 to 255 about 128, with detail at all scales from `cells` to two pixels.

    `cells` are the coarsest waves down and across; unequal ones give fibres. Each octave is `keep` / 16 as strong as the
    one before: 16 is the spectrum of photos (amplitude 1 / frequency: equal variance in every octave), less is smoother.
    """
    rows, columns = cells
    strength = 96  # the sum over all octaves stays within int16 up to 96 * 2.6 * 128
    field = draws.signs(rows + 1, columns + 1) * strength
    while 2 * max(rows, columns) <= side_px // 2:
        rows, columns, strength = 2 * rows, 2 * columns, max(1, strength * keep // 16)
        field = _halfway(field) + draws.signs(rows + 1, columns + 1) * strength
    return stretch(_levelled(field), side_px, side_px)
