"""An objective that optimises the recall of the first k: only pairs of which one lies inside have a gradient.

As in LambdaRank the gradient of a pair is that of the logistic loss, times what a swap of the two changes of the
measure. Here the measure is the gain inside the first k over the most they can hold (recall, for one target): a swap
of two rows that are both inside, or both outside, changes nothing.

Trained on a sample of the negatives, a row's place among the kept rows is not its place in the pool. Each kept
negative stands for 1 / share of them: a row is inside where fewer than k are expected before it.

Source: Burges: From RankNet to LambdaRank to LambdaMART, MSR-TR-2010-82; the normalisation is that of LightGBM.
"""

import math
import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from candidates.threads import costly_bounds, run_ranges
from events.arrays import F32, F64, I8, I32, I64
from events.compiled import kernel
from events.lists import insert_best
from rankers.ndcg import count_grades, ideal_gain

RANGES: Final = 64
"""Ranges of sessions, whatever the threads."""
NEAR: Final = 0.01
"""Keeps the pairs of equal scores finite where a pair's weight is divided by the distance of its scores."""


@kernel
def recall_gradients(
    start: int, stop: int, offsets: I64, labels: I8, scores: F64, gains: F64, stands_for: float, k: int, norm: bool,
    best_rows: I32, best_scores: F64, outside: I32, sums: F64, grad: F32, hess: F32,
) -> None:  # fmt: skip
    """Gradients and second derivatives of the rows of sessions ``start:stop``.

    offsets    : int64[S+1]
    labels     : int8[R] grades, 0 for a negative
    scores     : float64[R]; ties rank in the order of the rows
    gains      : float64[grades] ascending, 0 for grade 0
    stands_for : negatives of the pool that a kept one stands for, at least 1
    norm       : divide a pair's weight by NEAR + the distance of its scores, and multiply a session's gradients by
                 log2(1+s) / s, where s is their sum
    best_rows, best_scores, outside, sums : int32[k], float64[k], int32[n], float64[2, n], scratch; n rows has the
                 longest session
    grad, hess : float32[R], of which the rows of these sessions are written
    """
    counts = np.empty(gains.size, np.int64)
    for s in range(start, stop):
        first, n = offsets[s], offsets[s + 1] - offsets[s]
        label, score = labels[first : first + n], scores[first : first + n]
        slope, bend = sums[0, :n], sums[1, :n]
        slope[:] = 0.0
        bend[:] = 0.0
        count_grades(labels, first, first + n, counts)
        size, worst = 0, np.inf
        for row in range(n):
            size = insert_best(best_rows, best_scores, size, k, row, score[row])
            worst = min(worst, score[row])
        inside, before = 0, 0.0
        while inside < size and before < k:
            before += 1.0 if label[best_rows[inside]] > 0 else stands_for
            inside += 1
        positives = rest = 0  # outside: the positives, then the others
        for positive in (True, False):
            for row in range(n):
                if (label[row] > 0) == positive:
                    last = best_scores[inside - 1]
                    if score[row] < last or (score[row] == last and row > best_rows[inside - 1]):
                        outside[rest] = row
                        rest += 1
            positives = rest if positive else positives
        ideal, total = ideal_gain(counts, gains, k), 0.0
        scaled = norm and n > 0 and best_scores[0] != worst
        for place in range(inside):
            i = best_rows[place]
            for at in range(rest if label[i] > 0 else positives):
                j = outside[at]
                if label[i] == label[j]:
                    continue
                weight = abs(gains[label[i]] - gains[label[j]]) / ideal
                high, low = (i, j) if label[i] > label[j] else (j, i)
                ahead = score[high] - score[low]
                if scaled:
                    weight /= NEAR + abs(ahead)
                wrong = 1.0 / (1.0 + math.exp(ahead))  # the odds that the logistic model gives to the wrong order
                slope[high] -= weight * wrong
                slope[low] += weight * wrong
                bend[high] += weight * wrong * (1.0 - wrong)
                bend[low] += weight * wrong * (1.0 - wrong)
                total += 2.0 * weight * wrong
        factor = math.log2(1.0 + total) / total if norm and total > 0.0 else 1.0
        for row in range(n):
            grad[first + row] = slope[row] * factor
            hess[first + row] = bend[row] * factor


def recall_objective(
    offsets: I64, labels: I8, gains: F64, share: float, k: int, norm: bool, threads: int
) -> Callable[[F64, Any], tuple[F32, F32]]:
    """The objective of a training set, as ``lgb.train`` wants it.

    share   : share of the negatives that are in the set
    threads : 0 for every core; no gradient depends on it
    """
    bounds = costly_bounds(offsets, RANGES)
    longest = int(np.diff(offsets).max(initial=0))
    workers = threads or len(os.sched_getaffinity(0))

    def gradients(scores: F64, _: Any) -> tuple[F32, F32]:
        grad, hess = np.empty(labels.size, np.float32), np.empty(labels.size, np.float32)

        def work(scratch: tuple[I32, F64, I32, F64], start: int, stop: int) -> None:
            recall_gradients(
                start, stop, offsets, labels, scores, gains, 1.0 / share, k, norm, *scratch, grad, hess
            )  # fmt: skip

        def scratch() -> tuple[I32, F64, I32, F64]:
            return np.empty(k, np.int32), np.empty(k), np.empty(longest, np.int32), np.empty((2, longest))

        run_ranges(work, bounds, workers, scratch)
        return grad, hess

    return gradients
