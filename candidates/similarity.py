"""How alike two vectors of 0 and 1 are, from the ones that they share and that each has."""

import math

from events.compiled import inline


@inline
def likeness(shared: float, a: float, b: float, n: float, pearson: bool) -> float:
    """Cosine, or Pearson's correlation, of two vectors of length n with a and b ones, ``shared`` of them in common.

    cosine  : shared / √(a b)
    pearson : (n shared - a b) / √(a (n - a) b (n - b)), the phi coefficient; 0 where a vector has no zero
    """
    if not pearson:
        return shared / math.sqrt(a * b)
    square = a * (n - a) * b * (n - b)
    return (n * shared - a * b) / math.sqrt(square) if square > 0.0 else 0.0
