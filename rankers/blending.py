"""Blending: several models' lists for the same sessions made one, by ranks, since raw scores are not comparable."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.compiled import kernel
from events.lists import Lists
from rankers.topk import top_lists


@kernel
def _sum_by_item(
    offsets: npt.NDArray[np.int64], order: npt.NDArray[np.int64], aids: npt.NDArray[np.int32],
    votes: npt.NDArray[np.float64], out_offsets: npt.NDArray[np.int64], out_aids: npt.NDArray[np.int32],
    out_votes: npt.NDArray[np.float64],
) -> int:  # fmt: skip
    """Add the votes of equal items of a session; entries come sorted by (session, item, model)."""
    size = 0
    for s in range(offsets.size - 1):
        for place in range(offsets[s], offsets[s + 1]):
            entry = order[place]
            if size > out_offsets[s] and out_aids[size - 1] == aids[entry]:
                out_votes[size - 1] += votes[entry]
            else:
                out_aids[size] = aids[entry]
                out_votes[size] = votes[entry]
                size += 1
        out_offsets[s + 1] = size
    return size


def _blend(models: Sequence[Lists], votes: Sequence[npt.NDArray[np.float64]], k: int) -> Lists:
    n = len(models[0])
    if any(len(lists) != n for lists in models):
        raise ValueError("the models' lists are not of the same sessions")
    owner = np.concatenate([np.repeat(np.arange(n), lists.lengths) for lists in models])
    aids = np.concatenate([lists.aids for lists in models])
    order = np.lexsort((aids, owner))  # stable: equal items stay in the order of the models
    offsets = np.searchsorted(owner[order], np.arange(n + 1)).astype(np.int64)
    out_offsets = np.zeros(n + 1, np.int64)
    out_aids, out_votes = np.empty(aids.size, np.int32), np.empty(aids.size, np.float64)
    size = _sum_by_item(offsets, order, aids, np.concatenate(votes), out_offsets, out_aids, out_votes)
    no_ranks, no_scores = np.zeros((0, size), np.int16), np.zeros((0, size), np.float32)
    union = Candidates(out_offsets, out_aids[:size], (), no_ranks, no_scores)
    return top_lists(union, out_votes[:size].astype(np.float32), k)


def _ranks(lists: Lists) -> npt.NDArray[np.float64]:
    """float64[M] place of each entry in its list, from 1."""
    return np.arange(lists.aids.size, dtype=np.float64) - np.repeat(lists.offsets[:-1], lists.lengths) + 1


def blend_reciprocal(
    models: Sequence[Lists], weights: Sequence[float] | None = None, k: int = 20, constant: float = 60.0
) -> Lists:
    """Reciprocal rank fusion: an item's score is the weighted sum of 1 / (constant + rank), ranks from 1.

    Source: Cormack, Clarke, Buettcher: Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods, SIGIR 2009.

    >>> a, b = Lists.of([[(1, 9.0), (2, 8.0)]]), Lists.of([[(3, 1.0), (2, 0.5)]])
    >>> blend_reciprocal([a, b]).aids.tolist()
    [2, 1, 3]
    """
    weights = [1.0] * len(models) if weights is None else weights
    votes = [weight / (constant + _ranks(lists)) for lists, weight in zip(models, weights, strict=True)]
    return _blend(models, votes, k)


def blend_mean_rank(
    models: Sequence[Lists], weights: Sequence[float] | None = None, k: int = 20, absent: int = 100
) -> Lists:
    """Weighted mean rank, best first; a model that does not list an item is taken to rank it ``absent``.

    The score is ``absent`` minus the mean rank.
    """
    weights = [1.0] * len(models) if weights is None else weights
    total = float(sum(weights))
    votes = [weight / total * (absent - _ranks(lists)) for lists, weight in zip(models, weights, strict=True)]
    return _blend(models, votes, k)
