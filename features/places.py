"""The standing of a candidate among the session's others."""

import math

import numpy as np

from events.arrays import F32, I64
from events.compiled import kernel

FEW = 320
"""Up to so many values comparing each with each, many at a time, is faster than sorting."""


@kernel
def write_places(values: F32, keys: I64, out: F32, first: int, column: int) -> None:
    """For each value the share of the others that are greater, into ``out[first + i, column]``.

    NaN stays NaN, and counts for nothing. ``keys`` is int64[values.size] to work in.
    """
    if values.size <= FEW:
        _by_comparing(values, out, first, column)
    else:
        _by_sorting(values, keys, out, first, column)


@kernel
def _by_comparing(values: F32, out: F32, first: int, column: int) -> None:
    # Counted in int32 by index: so the loop is compiled to compare many at a time.
    known = 0
    for i in range(values.size):
        known += int(not math.isnan(values[i]))
    for i in range(values.size):
        value, greater = values[i], np.int32(0)
        for j in range(values.size):
            greater = np.int32(greater + np.int32(values[j] > value))
        out[first + i, column] = np.float32(np.nan) if math.isnan(value) else np.float32(greater / known)


@kernel
def _by_sorting(values: F32, keys: I64, out: F32, first: int, column: int) -> None:
    bits = values.view(np.int32)
    n = 0
    for i in range(values.size):
        out[first + i, column] = np.nan
        if not math.isnan(values[i]):
            # Negative floats order backwards by their bits; those of -0 would come before 0.
            ordered = np.int64(bits[i]) if values[i] > 0.0 else np.int64(bits[i] ^ 0x7FFFFFFF) if values[i] < 0.0 else 0
            keys[n] = (ordered << 32) | i
            n += 1
    keys[:n].sort()
    greater = 0
    for k in range(n - 1, -1, -1):
        if k < n - 1 and keys[k] >> 32 != keys[k + 1] >> 32:
            greater = n - 1 - k
        out[first + (keys[k] & 0xFFFFFFFF), column] = np.float32(greater / n)
