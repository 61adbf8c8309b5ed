"""A session's own events in the order that lookups want: by item, then by time."""

import numpy as np
import numpy.typing as npt

from events.compiled import kernel

SHORT = 40
"""Up to so many events an insertion sort is the fastest."""


@kernel
def sort_history(aids: npt.NDArray[np.int32], first: int, last: int, keys: npt.NDArray[np.int64]) -> None:
    """Fill ``keys[:last - first]`` with ``aid << 32 | place in the session``, ascending."""
    n = last - first
    for i in range(n):
        keys[i] = (np.int64(aids[first + i]) << 32) | i
    if n > SHORT:
        keys[:n].sort()
        return
    for i in range(1, n):
        key = keys[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


@kernel
def recency_weight(place: int, n: int, oldest_exponent: float) -> float:
    """Weight of event ``place`` of ``n``: 2^x - 1 with x rising linearly from ``oldest_exponent`` to 1 (the newest)."""
    if n == 1:
        return 1.0
    step = (1.0 - oldest_exponent) / (n - 1)
    return float(2.0 ** (oldest_exponent + step * place) - 1.0)


@kernel
def longest(offsets: npt.NDArray[np.int64], start: int, stop: int) -> int:
    """Length of the longest of the rows ``start:stop``."""
    most = 0
    for s in range(start, stop):
        most = max(most, offsets[s + 1] - offsets[s])
    return most
