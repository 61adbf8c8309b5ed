"""implicit 0.7: item kNN by BM25, ALS and BPR; the session's own items first, latest first, then the model's list.

Settings: ``model`` (bm25, als, bpr), ``threads``, ``seed``, ``half_life`` of an event's weight in its session, in
events (null: all alike); all others go to the model's constructor. A train session is a user, its counts the values.
ALS solves a user for each prefix; BPR knows no new users: a prefix is the mean of its items' vectors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender
from scipy.sparse import csr_matrix

from benchmarks.peers.exchange import I32, I64, TOP, Rows, answer, distances, own_items_first


def matrix(offsets: I64, items: I32, n_items: int, half_life: float | None = None) -> csr_matrix:
    """Sessions x items, float32: how often, each time weighted by its age in events."""
    weights = np.ones(items.size) if half_life is None else 0.5 ** (distances(offsets) / half_life)
    shape = (offsets.size - 1, n_items)
    made = csr_matrix((weights.astype(np.float32), items, offsets), shape=shape, copy=True)  # the next line sorts it
    made.sum_duplicates()
    return made


def fit(rows: Rows, settings: dict[str, Any]) -> Callable[[], I32]:
    """Fit; what comes back makes the lists."""
    name, threads, seed = settings.pop("model"), settings.pop("threads"), settings.pop("seed")
    half_life = settings.pop("half_life")
    train = matrix(rows.offsets, rows.items, rows.n_items)
    asked = matrix(rows.test_offsets, rows.test_items, rows.n_items, half_life)
    if name == "bm25":
        model = BM25Recommender(**settings, num_threads=threads)
    elif name == "als":
        model = AlternatingLeastSquares(**settings, num_threads=threads, random_state=seed)
    else:
        model = BayesianPersonalizedRanking(**settings, num_threads=threads, random_state=seed)
    model.fit(train, show_progress=False)

    def lists() -> I32:
        if name == "bpr":
            sums = np.asarray(asked.sum(axis=1))
            model.user_factors = np.ascontiguousarray(asked @ model.item_factors / sums, np.float32)
            model.user_factors[:, -1] = 1  # times the item's bias
        found, _ = model.recommend(
            np.arange(rows.n_test), asked, N=TOP, filter_already_liked_items=True, recalculate_user=name == "als"
        )
        return own_items_first(rows, found.astype(np.int32))

    return lists


if __name__ == "__main__":
    answer(fit)
