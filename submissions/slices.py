"""Scores of parts of the sessions: where a model is good and where it is not."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from events.columns import WEIGHTS
from submissions.metrics import Hits, Scores

LENGTHS = (1, 2, 3, 5, 10, 20, 50)
"""Least number of visible events of each bucket."""


def length_buckets(
    lengths: npt.NDArray[np.int64], edges: Sequence[int] = LENGTHS
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """int64[S] bucket of each session by its number of events, and the buckets' names.

    A session shorter than the first edge is in no bucket (-1).

    >>> codes, names = length_buckets(np.array([1, 4, 80]), edges=(1, 3, 10))
    >>> codes.tolist(), names
    ([0, 1, 2], ('1-2', '3-9', '10+'))
    """
    codes = np.searchsorted(np.asarray(edges), lengths, side="right") - 1
    names = [str(low) if low == after - 1 else f"{low}-{after - 1}" for low, after in pairwise(edges)]
    return codes.astype(np.int64), (*names, f"{edges[-1]}+")


def slice_scores(
    hits: Mapping[str, Hits],
    codes: npt.NDArray[np.int64],
    names: Sequence[str],
    weights: Mapping[str, float] = WEIGHTS,
) -> dict[str, Scores]:
    """Scores of each slice that has sessions.

    hits  : target to the hits of S sessions
    codes : int64[S] slice of each session, a place in ``names``, or -1 for none
    """
    rows = {name: np.flatnonzero(codes == code) for code, name in enumerate(names)}
    return {
        name: Scores.of({target: found.take(chosen) for target, found in hits.items()}, weights)
        for name, chosen in rows.items()
        if chosen.size
    }
