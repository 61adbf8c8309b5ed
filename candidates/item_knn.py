"""Item kNN: items that occur in the same sessions, by weighted cosine, looked up for the session's items."""

from pathlib import Path
from typing import Self

import numpy as np

from candidates.neighbours import Neighbours
from candidates.session_index import SessionIndex
from candidates.settings import ItemKnnSettings
from candidates.threads import costly_bounds, run_ranges
from events.arrays import F32, F64, I32, I64
from events.compiled import kernel
from events.lists import Lists, insert_best
from events.log import SessionLog

RANGES_PER_THREAD = 64
QUANTUM = 2.0**-20
"""Session weights are counted in integers of this size, so that sums depend neither on order nor on threads."""
AHEAD = 12
"""Postings by which memory is asked for before it is needed: the sessions of an item lie anywhere."""


class ItemKnn:
    """Items y by Σ over the session's items x of weight(x) * closeness(x, y), y among the nearest neighbours of x.

    An item is the vector of the sessions that have it among their last different items, with n_x sessions:

    cosine : Σ over sessions with x and y of 1, divided by √(n_x n_y) + shrink
    bm25   : the product of both vectors with the weights idf(s) (k1 + 1) / (1 + k1 (1 - b + b n_x / mean n)), with
             idf(s) = ln(number of items) - ln(1 + items of s): of Okapi BM25, where an item occurs once in a session

    Weights and closeness are those of the source ``neighbours``. Needs nothing. Sources: Sarwar et al., Item-based
    collaborative filtering (WWW 2001); for bm25 the recommender of that name in the library implicit.
    """

    def __init__(self, name: str = "item_knn", settings: ItemKnnSettings | None = None, threads: int = 1) -> None:
        self.name = name
        self.settings = settings or ItemKnnSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._threads = threads
        self._lookup = Neighbours(name, self.settings, Lists.empty(0))

    @property
    def matrix(self) -> Lists:
        """The nearest neighbours of every item, once fitted."""
        return self._lookup.matrix

    def fit(self, log: SessionLog) -> Self:
        """Find the nearest neighbours of every item."""
        self._lookup = Neighbours(self.name, self.settings, fit_item_knn(log, self.settings, self._threads, self.name))
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        """The best ``k`` neighbours of each session."""
        return self._lookup.recommend(log, k, target)

    def save(self, folder: Path) -> None:
        """Write the neighbours."""
        self._lookup.matrix.save(folder)

    def load(self, folder: Path) -> Self:
        """Open the neighbours."""
        self._lookup = Neighbours(self.name, self.settings, Lists.load(folder))
        return self


def fit_item_knn(log: SessionLog, settings: ItemKnnSettings, threads: int = 1, progress: str | None = None) -> Lists:
    """For each of ``log.n_items`` items its nearest neighbours: exact, the same for any number of threads.

    progress : label of a progress bar, shown on a terminal only

    Memory: the index of the sessions, ``top_k`` neighbours an item, and 12 bytes an item for each thread.
    """
    index = SessionIndex.of(log, settings.session_items)
    counts = index.counts.astype(np.float64)
    if settings.weighting == "cosine":
        by_width = np.ones(settings.session_items + 1)
        scale = 1.0 / np.sqrt(np.maximum(counts, 1.0))
        shrink = settings.shrink
    else:
        by_width = np.maximum(np.log(log.n_items) - np.log1p(np.arange(settings.session_items + 1)), 0.0) ** 2
        mean = max(float(counts.mean()), 1e-9)
        length_norm = 1.0 - settings.b + settings.b * counts / mean
        scale, shrink = (settings.k1 + 1.0) / (1.0 + settings.k1 * length_norm), 0.0
    weights = np.rint(by_width / QUANTUM).astype(np.int64)

    sizes = np.zeros(log.n_items, np.int64)
    shape = (log.n_items, settings.top_k)
    aids, scores = np.empty(shape, np.int32), np.empty(shape, np.float32)

    def scratch() -> tuple[I64, I32]:
        return np.zeros(log.n_items, np.int64), np.empty(log.n_items, np.int32)

    def work(held: tuple[I64, I32], first: int, last: int) -> None:
        nearest_items(
            first, last, index.starts, index.postings, index.offsets, index.items,
            weights, scale, shrink, *held, sizes, aids, scores,
        )  # fmt: skip

    run_ranges(work, costly_bounds(index.starts, RANGES_PER_THREAD * threads), threads, scratch, progress)
    offsets = np.zeros(log.n_items + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    filled = np.arange(settings.top_k) < sizes[:, None]
    return Lists(offsets, aids[filled], scores[filled])


@kernel
def nearest_items(
    first: int, last: int, starts: I64, postings: I32, offsets: I64, items: I32,
    weights: I64, scale: F64, shrink: float, sums: I64, touched: I32,
    sizes: I64, aids: I32, scores: F32,
) -> np.int64:  # fmt: skip
    """The neighbours of items ``first:last``, best first, into rows of ``aids`` and ``scores`` [n_items, K].

    weights       : int64, of a session by the number of its items, in quanta
    scale         : float64[n_items]; with f = scale_x * scale_y a pair's score is sum * f / (1 + shrink * f)
    sums, touched : int64[n_items] zeros, and all zeros again at the end; int32[n_items]

    Returns a number without meaning, which keeps the early reads alive.
    """
    warm = np.int64(0)
    k = aids.shape[1]
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for x in range(first, last):
        found = 0
        for p in range(starts[x], starts[x + 1]):
            if p + 2 * AHEAD < postings.size:
                warm ^= offsets[postings[p + 2 * AHEAD]] ^ items[offsets[postings[p + AHEAD]]]
            begin, end = offsets[postings[p]], offsets[postings[p] + 1]
            weight = weights[end - begin]
            for i in range(begin, end):
                y = items[i]
                if y != x and weight > 0:
                    if sums[y] == 0:
                        touched[found] = y
                        found += 1
                    sums[y] += weight
        size = 0
        for t in range(found):
            y = touched[t]
            both = scale[x] * scale[y]
            score = np.float64(sums[y]) * QUANTUM * both / (1.0 + shrink * both)
            sums[y] = 0
            size = insert_best(best_aids, best_scores, size, k, y, np.float64(np.float32(score)))
        sizes[x] = size
        for t in range(size):
            aids[x, t] = best_aids[t]
            scores[x, t] = best_scores[t]
    return warm
