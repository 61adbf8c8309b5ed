"""What early stopping watches, summed in the order of the sessions: NDCG, and the recall of gains.

LightGBM's own is summed by threads: its last digit, and with it the number of trees that early stopping chooses,
would depend on their number.
"""

import math

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel
from events.lists import insert_best

BINARY = np.array([0.0, 1.0])
"""Gains of the grades of a model for one target."""


@inline
def count_grades(
    labels: npt.NDArray[np.int8], first: int, last: int, counts: npt.NDArray[np.int64]
) -> int:  # fmt: skip
    """Count the rows ``first:last`` of each grade into ``counts``; return how many are above 0."""
    counts[:] = 0
    for row in range(first, last):
        counts[labels[row]] += 1
    return int(last - first - counts[0])


@inline
def ideal_gain(counts: npt.NDArray[np.int64], gains: npt.NDArray[np.float64], k: int) -> float:
    """The most gain that ``k`` places can hold: the highest grades first, without discount."""
    left, total = k, 0.0
    for grade in range(gains.size - 1, 0, -1):
        taken = min(left, counts[grade])
        total += taken * gains[grade]
        left -= taken
    return total


@kernel
def mean_ndcg(
    offsets: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int8],
    scores: npt.NDArray[np.float64],
    k: int,
    gains: npt.NDArray[np.float64],
) -> float:
    """Mean NDCG@k of the sessions that have a positive; 0 if none has one. Ties rank in the order of the rows.

    offsets : int64[S+1] rows of session s are ``offsets[s]:offsets[s+1]``
    labels  : int8[R] grades, 0 for a negative
    scores  : float64[R]
    gains   : float64[grades] ascending, 0 for grade 0

    Source: Järvelin, Kekäläinen: Cumulated gain-based evaluation of IR techniques, TOIS 2002 (discount
    1 / log2(1 + rank)).
    """
    best_rows, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    counts = np.empty(gains.size, np.int64)
    total, counted = 0.0, 0
    for s in range(offsets.size - 1):
        first = offsets[s]
        positives = count_grades(labels, first, offsets[s + 1], counts)
        if positives == 0:
            continue
        size = 0
        for row in range(first, offsets[s + 1]):
            size = insert_best(best_rows, best_scores, size, k, row - first, scores[row])
        gain, ideal, grade = 0.0, 0.0, gains.size - 1
        for place in range(size):
            discount = 1.0 / math.log2(place + 2.0)
            gain += discount * gains[labels[first + best_rows[place]]]
            while grade > 0 and counts[grade] == 0:
                grade -= 1
            ideal += discount * gains[grade]
            counts[grade] -= 1
        total += gain / ideal
        counted += 1
    return total / counted if counted > 0 else 0.0


@kernel
def gain_recall(
    offsets: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int8],
    scores: npt.NDArray[np.float64],
    k: int,
    gains: npt.NDArray[np.float64],
) -> float:
    """Gain of the first ``k`` of every session over the most that they could hold; Recall@k where gains are 0 and 1.

    Arguments as of :func:`mean_ndcg`; positives outside the pool are not known here.
    """
    best_rows, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    counts = np.empty(gains.size, np.int64)
    gain, ideal = 0.0, 0.0
    for s in range(offsets.size - 1):
        first, size = offsets[s], 0
        if count_grades(labels, first, offsets[s + 1], counts) == 0:
            continue
        for row in range(first, offsets[s + 1]):
            size = insert_best(best_rows, best_scores, size, k, row - first, scores[row])
        for place in range(size):
            gain += gains[labels[first + best_rows[place]]]
        ideal += ideal_gain(counts, gains, k)
    return gain / ideal if ideal > 0 else 0.0
