"""Random numbers and cloud-like noise in whole numbers only: the same bytes on every machine and NumPy version.

Floats would do almost everywhere, but sums, FFTs and libm's functions round differently from one processor to the next.
Integers do not, and of its random streams NumPy promises the raw one of PCG64 for good (NEP 19).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.int16]  # [H, W]; 16 bits, since a processor adds twice as many of them at a time as of 32

_BUFFERED = 256  # numbers drawn at once
_STRENGTH = 28  # of the coarsest octave; nine octaves of it, times 127, stay within int16
_SPREAD = 56  # mean distance from 128 that clouds are stretched to: few values reach 0 or 255


class Draws:
    """A stream of whole numbers from a seed and an index."""

    def __init__(self, seed: int, index: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, index]))
        self._buffer: list[int] = []

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1."""
        if not self._buffer:
            self._buffer = self._bits.random_raw(_BUFFERED).tolist()
        return (self._buffer.pop() >> 32) * limit >> 32

    def between(self, low: int, high: int) -> int:
        """Return a number from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of 100 calls."""
        return self.below(100) < percent

    def signed(self, height: int, width: int) -> Plane:
        """Return numbers from -128 to 127, [height, width]."""
        count = height * width
        raw = self._bits.random_raw(-(-count // 8)).astype("<u8")  # eight bytes a number, in an order of our own
        return raw.view(np.int8)[:count].reshape(height, width).astype(np.int16)


def clouds(draws: Draws, side_px: int, rows: int, columns: int, keep: int) -> Plane:
    """Return noise [side, side] from 0 to 255 around 128, with detail at all scales down to about two pixels.

    `rows` and `columns` count the coarsest waves; unequal ones give fibres. Each octave is `keep` / 16 as strong as the
    one before: 16 is the spectrum of photos (amplitude 1 / frequency, so each octave has the same variance;
    D. J. Field, JOSA A 4, 1987, p. 2379), less is smoother.
    """
    strength = _STRENGTH
    field = draws.signed(rows + 1, columns + 1) * strength
    while 2 * max(rows, columns) <= side_px // 2:
        rows, columns, strength = 2 * rows, 2 * columns, max(1, strength * keep // 16)
        field = _between(_between(field).T).T + draws.signed(rows + 1, columns + 1) * strength
    return stretch(_levelled(field), side_px)


def _between(field: Plane) -> Plane:
    """Insert the means of neighbouring rows, [n + 1, m] -> [2n + 1, m]."""
    result = np.empty((2 * len(field) - 1, field.shape[1]), dtype=np.int16)
    result[::2] = field
    result[1::2] = (field[:-1] >> 1) + (field[1:] >> 1)  # halved first: the sum would not fit
    return result


def _levelled(field: Plane) -> Plane:
    """Shift and stretch to 0–255 with a mean of 128 and the same spread whatever the octaves were."""
    values = field.astype(np.int32)
    values -= int(values.sum(dtype=np.int64)) // values.size
    distance = int(np.abs(values).sum(dtype=np.int64)) // values.size + 1
    return np.clip(values * _SPREAD // distance + 128, 0, 255).astype(np.int16)


def stretch(plane: Plane, side_px: int) -> Plane:
    """Resize [n + 1, m + 1] to [side, side] bilinearly; values from 0 to 255."""
    return _stretch_rows(_stretch_rows(plane, side_px).T, side_px).T


def _stretch_rows(plane: Plane, side_px: int) -> Plane:
    first, share = _positions(len(plane) - 1, side_px)
    low = plane[first]
    return low + (((plane[first + 1] - low) * share) >> 7)


@cache
def _positions(cells: int, side_px: int) -> tuple[NDArray[np.intp], Plane]:
    """Return each pixel's lattice row before it and its distance from there in 128ths (255 * 128 fits int16)."""
    at = np.arange(side_px, dtype=np.int64) * cells * 128 // side_px
    return (at >> 7).astype(np.intp), (at & 127).astype(np.int16)[:, np.newaxis]
