"""NDCG of binary labels, summed in the order of the sessions.

LightGBM's own is summed by threads: its last digit, and with it the number of trees that early stopping chooses,
would depend on their number.
"""

import math

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.lists import insert_best


@kernel
def mean_ndcg(
    offsets: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], scores: npt.NDArray[np.float64], k: int
) -> float:
    """Mean NDCG@k of the sessions that have a positive; 0 if none has one. Ties rank in the order of the rows.

    offsets : int64[S+1] rows of session s are ``offsets[s]:offsets[s+1]``
    labels  : int8[R] 0 or 1
    scores  : float64[R]

    Source: Järvelin, Kekäläinen: Cumulated gain-based evaluation of IR techniques, TOIS 2002 (gain 1 / log2(1 + rank)).
    """
    best_rows, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    total, counted = 0.0, 0
    for s in range(offsets.size - 1):
        size, positives = 0, 0
        for row in range(offsets[s], offsets[s + 1]):
            positives += labels[row]
            size = insert_best(best_rows, best_scores, size, k, row - offsets[s], scores[row])
        if positives == 0:
            continue
        gain, ideal = 0.0, 0.0
        for place in range(size):
            discount = 1.0 / math.log2(place + 2.0)
            gain += discount * labels[offsets[s] + best_rows[place]]
            ideal += discount if place < positives else 0.0
        total += gain / ideal
        counted += 1
    return total / counted if counted > 0 else 0.0
