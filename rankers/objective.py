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
TAIL: Final = 6.0
"""A row that is this many times the softness beyond the border counts as outside."""
NEAR: Final = 0.01
"""Keeps the pairs of equal scores finite where a pair's weight is divided by the distance of its scores."""


@kernel
def recall_gradients(
    start: int, stop: int, offsets: I64, labels: I8, scores: F64, gains: F64, stands_for: float, k: int,
    softness: float, norm: bool, best_rows: I32, best_scores: F64, sums: F64, grad: F32, hess: F32,
) -> None:  # fmt: skip
    """Gradients and second derivatives of the rows of sessions ``start:stop``.

    offsets    : int64[S+1]
    labels     : int8[R] grades, 0 for a negative
    scores     : float64[R]; ties rank in the order of the rows
    gains      : float64[grades] ascending, 0 for grade 0
    stands_for : negatives of the pool that a kept one stands for, at least 1
    softness   : places over which a row passes from inside to outside; 0 for a sharp border
    norm       : divide a pair's weight by NEAR + the distance of its scores, and multiply a session's gradients by
                 log2(1+s) / s, where s is their sum
    best_rows, best_scores, sums : int32[d], float64[d], float64[3, n], scratch; d places are looked at, n rows has the
                 longest session
    grad, hess : float32[R], of which the rows of these sessions are written
    """
    counts = np.empty(gains.size, np.int64)
    for s in range(start, stop):
        first, n = offsets[s], offsets[s + 1] - offsets[s]
        label, score = labels[first : first + n], scores[first : first + n]
        slope, bend, inside = sums[0, :n], sums[1, :n], sums[2, :n]
        slope[:] = 0.0
        bend[:] = 0.0
        inside[:] = 0.0
        positives = count_grades(labels, first, first + n, counts)
        size, worst = 0, np.inf
        for row in range(n):
            size = insert_best(best_rows, best_scores, size, best_rows.size, row, score[row])
            worst = min(worst, score[row])
        before = 0.0
        for place in range(size):
            if softness > 0.0:
                inside[best_rows[place]] = 1.0 / (1.0 + math.exp((before + 0.5 - k) / softness))
            else:
                inside[best_rows[place]] = 1.0 if before < k else 0.0
            before += 1.0 if label[best_rows[place]] > 0 else stands_for
        scaled = norm and positives > 0 and best_scores[0] != worst
        ideal, total = ideal_gain(counts, gains, k), 0.0
        for high in range(n if positives > 0 else 0):
            if label[high] == 0:
                continue
            for low in range(n):
                if label[low] >= label[high] or inside[low] == inside[high]:
                    continue
                weight = (gains[label[high]] - gains[label[low]]) * abs(inside[high] - inside[low]) / ideal
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
    offsets: I64, labels: I8, gains: F64, share: float, k: int, softness: float, norm: bool, threads: int
) -> Callable[[F64, Any], tuple[F32, F32]]:
    """The objective of a training set, as ``lgb.train`` wants it.

    share   : share of the negatives that are in the set
    threads : 0 for every core; no gradient depends on it
    """
    bounds = costly_bounds(offsets, RANGES)
    longest = int(np.diff(offsets).max(initial=0))
    depth = k + math.ceil(TAIL * softness)
    workers = threads or len(os.sched_getaffinity(0))

    def gradients(scores: F64, _: Any) -> tuple[F32, F32]:
        grad, hess = np.empty(labels.size, np.float32), np.empty(labels.size, np.float32)

        def work(scratch: tuple[I32, F64, F64], start: int, stop: int) -> None:
            recall_gradients(
                start, stop, offsets, labels, scores, gains, 1.0 / share, k, softness, norm, *scratch, grad, hess
            )

        def scratch() -> tuple[I32, F64, F64]:
            return np.empty(depth, np.int32), np.empty(depth), np.empty((3, longest))

        run_ranges(work, bounds, workers, scratch)
        return grad, hess

    return gradients
