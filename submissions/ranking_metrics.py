"""Accuracy of ranked lists at any k, session by session: what textbooks report beside the one official metric.

With h different true items among the first k entries and m true items of a session that has any (others do not count):

recall_mean : h / m
precision   : h / k, also where the list is shorter
hit_rate    : 1 if h > 0
mrr         : 1 / place of the first hit
map         : Σ over the hits of (hits up to its place / its place), divided by min(k, m); as Kaggle defines MAP@k
ndcg        : Σ over the hits of 1 / log2(1 + place), divided by that of min(k, m) hits at the top; Järvelin,
              Kekäläinen: Cumulated gain-based evaluation of IR techniques (TOIS 2002)

``recall``, the official one with min(k, m) below the line and sums over all sessions, is ``submissions.metrics``. Every
item of the list's own sessions counts as it stands; nothing is sampled, so all items of the shop compete.
"""

import math

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.labels import LabelSet
from events.lists import Lists
from submissions.session_values import SessionValues

NAMES = ("recall_mean", "precision", "hit_rate", "mrr", "map", "ndcg")


@kernel
def _measure(
    offsets: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    label_offsets: npt.NDArray[np.int64],
    label_aids: npt.NDArray[np.int32],
    k: int,
    out: npt.NDArray[np.float64],
) -> None:
    """Fill float64[6, S], in the order of ``NAMES``; 0 where there is no label."""
    for s in range(offsets.size - 1):
        first, last = label_offsets[s], label_offsets[s + 1]
        true = last - first
        if true == 0:
            continue
        hits, reciprocal, precisions, gain, ideal = 0, 0.0, 0.0, 0.0, 0.0
        start, stop = offsets[s], min(offsets[s + 1], offsets[s] + k)
        for place in range(start, stop):
            aid = aids[place]
            found = False
            for j in range(first, last):
                found = found or (aid >= 0 and label_aids[j] == aid)
            for before in range(start, place):
                found = found and aids[before] != aid  # a repeated entry cannot hit twice
            if found:
                hits += 1
                rank = place - start + 1
                if hits == 1:
                    reciprocal = 1.0 / rank
                precisions += hits / rank
                gain += 1.0 / math.log2(rank + 1.0)
        best = min(k, true)
        for place in range(best):
            ideal += 1.0 / math.log2(place + 2.0)
        out[0, s], out[1, s], out[2, s] = hits / true, hits / k, 1.0 if hits > 0 else 0.0
        out[3, s], out[4, s], out[5, s] = reciprocal, precisions / best, gain / ideal


def ranking_values(lists: Lists, label_set: LabelSet, k: int) -> dict[str, SessionValues]:
    """Every metric of ``NAMES`` for S lists and the labels of the same S sessions.

    -1 in lists or labels is an unknown item, which never hits and counts among the true ones.

    Raises
    ------
    ValueError
        If the numbers of lists and of label sets differ, or k is below 1.

    >>> found = ranking_values(Lists.of([[(5, 3.0), (7, 2.0)], []]), LabelSet.of([[7], [1]]), k=2)
    >>> found["mrr"].mean, found["precision"].mean, found["hit_rate"].mean
    (0.25, 0.25, 0.5)
    """
    if len(lists) != len(label_set):
        raise ValueError(f"{len(lists)} lists for the labels of {len(label_set)} sessions")
    if k < 1:
        raise ValueError("k must be at least 1")
    out = np.zeros((len(NAMES), len(lists)))
    _measure(lists.offsets, lists.aids, label_set.offsets, label_set.aids, k, out)
    counts = np.diff(label_set.offsets) > 0
    return {name: SessionValues.of(row, counts) for name, row in zip(NAMES, out, strict=True)}
