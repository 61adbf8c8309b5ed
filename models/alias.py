"""Draws from a fixed distribution in constant time."""

import numpy as np

from events.arrays import F64, I32, U32
from events.compiled import kernel
from events.randomness import mix


@kernel
def alias_table(weights: F64) -> tuple[U32, I32]:
    """Vose's alias method: draw i evenly, keep it if 32 random bits are below ``keep[i]``, else take ``other[i]``.

    Vose, A linear algorithm for generating random numbers with a given distribution (IEEE TSE 1991).

    weights : float64[n], not all 0
    """
    n = weights.size
    scaled = weights * (n / weights.sum())
    keep, other = np.full(n, 0xFFFFFFFF, np.uint32), np.arange(n).astype(np.int32)
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    smalls, larges = 0, 0
    for i in range(n):
        if scaled[i] < 1.0:
            small[smalls] = i
            smalls += 1
        else:
            large[larges] = i
            larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        low, high = small[smalls], large[larges - 1]
        keep[low] = np.uint32(scaled[low] * 4294967295.0)
        other[low] = high
        scaled[high] -= 1.0 - scaled[low]
        if scaled[high] < 1.0:
            larges -= 1
            small[smalls] = high
            smalls += 1
    for s in range(smalls):  # what rounding left over: whole if it was almost 1, nothing if it was never to be drawn
        if weights[small[s]] == 0.0:
            keep[small[s]] = 0
            other[small[s]] = np.argmax(weights)
    return keep, other


@kernel
def fill_draws(keep: U32, other: I32, seed: int, place: int, out: I32) -> None:
    """Fill ``out`` with draws from an alias table: a function of the seed and of a place."""
    stream = int(mix(seed, place))
    for m in range(out.size):
        bits = mix(stream, m)
        i = np.int64(((bits >> np.uint64(32)) * np.uint64(keep.size)) >> np.uint64(32))
        low = bits & np.uint64(0xFFFFFFFF)
        # Not <=: an item that must never come has keep 0.
        out[m] = i if low < np.uint64(keep[i]) else np.int64(other[i])
