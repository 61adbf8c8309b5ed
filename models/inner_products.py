"""Inner products in a fixed order of additions: the same bits in any batch, on any thread."""

import numpy as np

from events.arrays import F32, I32
from events.compiled import inline


@inline
def inner_product(a: F32, b: F32) -> float:
    """Σ a[i] b[i] of two rows, in float64: four sums side by side, then added up."""
    # numba's float() would leave a float32 as it is
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    whole = a.size - a.size % 4
    for i in range(0, whole, 4):
        one += np.float64(a[i]) * np.float64(b[i])
        two += np.float64(a[i + 1]) * np.float64(b[i + 1])
        three += np.float64(a[i + 2]) * np.float64(b[i + 2])
        four += np.float64(a[i + 3]) * np.float64(b[i + 3])
    for i in range(whole, a.size):
        one += np.float64(a[i]) * np.float64(b[i])
    return (one + two) + (three + four)


@inline
def revisited(aids: I32, revisits: F32, first: int, last: int, aid: int) -> float:
    """What the events ``first:last`` add to the score of an item; 0 if ``revisits`` is empty."""
    total = 0.0
    if revisits.size > 0:
        for event in range(first, last):
            if aids[event] == aid:
                total += np.float64(revisits[event])
    return total


@inline
def holds(aids: I32, first: int, last: int, aid: int) -> bool:
    """Whether one of the events ``first:last`` is on an item."""
    for event in range(first, last):  # noqa: SIM110  (numba compiles no generators)
        if aids[event] == aid:
            return True
    return False
