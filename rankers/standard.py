"""Scores of different models made comparable within each session: standard scores and places."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from events.arrays import F32, F64, I8, I64
from events.compiled import inline, kernel

COLUMNS: Final = ("standard", "place")
"""What a row is told about a first-level model's score of it."""


def stacked_names(targets: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns that first-level models add to the features.

    >>> stacked_names(["carts"])
    ('first_carts_standard', 'first_carts_place')
    """
    return tuple(f"first_{target}_{column}" for target in targets for column in COLUMNS)


@inline
def _moments(scores: F64, first: int, last: int) -> tuple[float, float]:
    """Mean, and 1 / standard deviation (0 where all scores are equal)."""
    mean = deviation = 0.0
    for row in range(first, last):
        mean += scores[row]
    mean /= max(last - first, 1)
    for row in range(first, last):
        deviation += (scores[row] - mean) ** 2
    deviation = np.sqrt(deviation / max(last - first, 1))
    return mean, 1.0 / deviation if deviation > 0.0 else 0.0


@kernel
def add_standard(offsets: I64, scores: F64, out: F64) -> None:
    """Add standard scores within each session to float64[R] ``out``: 0 where all scores of a session are equal."""
    for s in range(offsets.size - 1):
        mean, scale = _moments(scores, offsets[s], offsets[s + 1])
        for row in range(offsets[s], offsets[s + 1]):
            out[row] += (scores[row] - mean) * scale


@kernel
def _describe(offsets: I64, half: I8, first: F64, second: F64, out: F32) -> None:
    """Standard score and place (0 is best, ties in the order of the rows) into float32[R, 2].

    A session of half 0 takes them from the ``second`` model's scores, one of half 1 from the ``first``'s.
    """
    for s in range(offsets.size - 1):
        scores = second if half[s] == 0 else first
        mean, scale = _moments(scores, offsets[s], offsets[s + 1])
        order = np.argsort(-scores[offsets[s] : offsets[s + 1]], kind="mergesort")
        for place in range(order.size):
            row = offsets[s] + order[place]
            out[row, 0] = (scores[row] - mean) * scale
            out[row, 1] = place


def describe(
    raw: Mapping[tuple[str, int], F64], targets: Sequence[str], offsets: I64, halves: I8, out: F32
) -> None:  # fmt: skip
    """Write the columns of :func:`stacked_names`: of each row by the model that is of the other half of the groups.

    raw     : (target, half) to float64[R] scores by the model that was trained on this half
    offsets : int64[S+1]
    halves  : int8[S]
    out     : float32[R, 2T]; NaN for a target without both models
    """
    for t, target in enumerate(targets):
        columns = out[:, 2 * t : 2 * t + 2]
        if (target, 0) in raw and (target, 1) in raw:
            _describe(offsets, halves, raw[target, 0], raw[target, 1], columns)
        else:
            columns[:] = np.nan
