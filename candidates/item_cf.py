"""Item-item collaborative filtering: the plain baseline beside the tuned ``item_knn``."""

from pathlib import Path
from typing import Self

import numpy as np

from candidates.accumulator import EMPTY, add, capacity, latest_items, take_best, write_row
from candidates.session_index import SessionIndex
from candidates.settings import ItemCfSettings
from candidates.similarity import likeness
from candidates.threads import costly_bounds, run_ranges
from events.arrays import F32, F64, I32, I64
from events.compiled import kernel
from events.lists import Lists, insert_best
from events.log import SessionLog

RANGES_PER_THREAD = 64


class ItemCf:
    """Items y by Σ over the session's different items x of similarity(x, y), y among the nearest neighbours of x.

    An item is the vector of the fitted sessions, 1 where it is among the last different items of one. Only positive
    similarities count. Neither order nor types nor times matter. Needs nothing. Source: Sarwar et al., Item-based
    collaborative filtering recommendation algorithms (WWW 2001). Difference: events are 0 and 1, not ratings.
    """

    def __init__(self, name: str = "item_cf", settings: ItemCfSettings | None = None, threads: int = 1) -> None:
        self.name = name
        self.settings = settings or ItemCfSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._threads = threads
        self._matrix = Lists.empty(0)

    def fit(self, log: SessionLog) -> Self:
        """Find the nearest neighbours of every item."""
        self._matrix = fit_item_cf(log, self.settings, self._threads)
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:  # noqa: ARG002
        """The best ``k`` items of each session."""
        matrix, settings = self._matrix, self.settings
        offsets = np.zeros(len(log) + 1, np.int64)
        aids, scores = np.empty(len(log) * k, np.int32), np.empty(len(log) * k, np.float32)
        sum_similarities(
            log.offsets, log.aids, matrix.offsets, matrix.aids, matrix.scores, settings.session_items,
            int(matrix.lengths.max(initial=0)), settings.exclude_seen, k, offsets, aids, scores,
        )  # fmt: skip
        return Lists(offsets, aids[: offsets[-1]].copy(), scores[: offsets[-1]].copy())

    def save(self, folder: Path) -> None:
        """Write the neighbours."""
        self._matrix.save(folder)

    def load(self, folder: Path) -> Self:
        """Open the neighbours."""
        self._matrix = Lists.load(folder)
        return self


def fit_item_cf(log: SessionLog, settings: ItemCfSettings, threads: int = 1) -> Lists:
    """For each of ``log.n_items`` items its most similar ones: exact, the same for any number of threads."""
    index = SessionIndex.of(log, settings.session_items)
    counts = index.counts.astype(np.float64)
    sizes = np.zeros(log.n_items, np.int64)
    aids = np.empty((log.n_items, settings.top_k), np.int32)
    scores = np.empty(aids.shape, np.float32)

    def scratch() -> tuple[I64, I32]:
        return np.zeros(log.n_items, np.int64), np.empty(log.n_items, np.int32)

    def work(held: tuple[I64, I32], first: int, last: int) -> None:
        most_similar_items(
            first, last, index.starts, index.postings, index.offsets, index.items, counts, float(len(log)),
            settings.similarity == "pearson", *held, sizes, aids, scores,
        )  # fmt: skip

    run_ranges(work, costly_bounds(index.starts, RANGES_PER_THREAD * threads), threads, scratch)
    offsets = np.zeros(log.n_items + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    filled = np.arange(settings.top_k) < sizes[:, None]
    return Lists(offsets, aids[filled], scores[filled])


@kernel
def most_similar_items(
    first: int, last: int, starts: I64, postings: I32, offsets: I64, items: I32, counts: F64, n: float, pearson: bool,
    shared: I64, touched: I32, sizes: I64, aids: I32, scores: F32,
) -> None:  # fmt: skip
    """The neighbours of items ``first:last``, best first, into rows of ``aids`` and ``scores`` [n_items, K].

    counts, n       : float64[n_items] sessions of each item, and all sessions
    shared, touched : int64[n_items] zeros, and all zeros again at the end; int32[n_items]
    """
    k = aids.shape[1]
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for x in range(first, last):
        found, size = 0, 0
        for p in range(starts[x], starts[x + 1]):
            for i in range(offsets[postings[p]], offsets[postings[p] + 1]):
                y = items[i]
                if y != x:
                    if shared[y] == 0:
                        touched[found] = y
                        found += 1
                    shared[y] += 1
        for t in range(found):
            y = touched[t]
            score = np.float64(np.float32(likeness(shared[y], counts[x], counts[y], n, pearson)))
            shared[y] = 0
            if score > 0.0:
                size = insert_best(best_aids, best_scores, size, k, y, score)
        sizes[x] = size
        for t in range(size):
            aids[x, t], scores[x, t] = best_aids[t], best_scores[t]


@kernel
def sum_similarities(
    offsets: I64, aids: I32, near_offsets: I64, near_aids: I32, near_scores: F32, most: int, widest: int,
    exclude_seen: bool, k: int, out_offsets: I64, out_aids: I32, out_scores: F32,
) -> None:  # fmt: skip
    """Write each session's best items, best first; ``out_offsets`` int64[S+1] starts with 0.

    most   : different items of a session that are looked up, from the latest to the earliest
    widest : neighbours of an item, at most
    """
    longest = 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    own, unused = np.full(capacity(longest), EMPTY, np.int32), np.empty(capacity(longest), np.float64)
    room = capacity(min(most, longest) * widest)
    keys, sums = np.full(room, EMPTY, np.int32), np.empty(room, np.float64)
    unique = np.empty(longest, np.int32)
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for s in range(offsets.size - 1):
        own_slots = capacity(offsets[s + 1] - offsets[s])
        entries = 0
        found = min(latest_items(aids, offsets[s], offsets[s + 1], own, unused, own_slots, unique), most)
        for u in range(found):
            entries += near_offsets[unique[u] + 1] - near_offsets[unique[u]]
        slots = capacity(entries)
        for u in range(found):
            for place in range(near_offsets[unique[u]], near_offsets[unique[u] + 1]):
                add(keys, sums, slots, near_aids[place], np.float64(near_scores[place]))
        size = take_best(keys, sums, slots, own, own_slots if exclude_seen else 0, best_aids, best_scores)
        own[:own_slots] = EMPTY
        write_row(s, best_aids, best_scores, size, out_offsets, out_aids, out_scores)
