"""The one metric: Recall@k as the OTTO competition defines it, and the reciprocal rank beside it.

A target's recall is the sum of hits over the sum of min(k, number of true items), both over all sessions: a session
without a list counts no hit and stays in the denominator. Only the first k entries of a list count, and an item
named twice wastes a place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS, WEIGHTS
from events.compiled import kernel
from events.labels import Labels, LabelSet
from events.lists import Lists


@kernel
def first_place(aids: npt.NDArray[np.int32], start: int, stop: int, aid: int) -> int:
    """Where ``aid`` first stands in ``aids[start:stop]``, counted from ``start``; -1 if it does not."""
    for place in range(start, stop):
        if aids[place] == aid:
            return place - start
    return -1


@kernel
def _count(
    offsets: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    label_offsets: npt.NDArray[np.int64],
    label_aids: npt.NDArray[np.int32],
    k: int,
    hits: npt.NDArray[np.int32],
    denominators: npt.NDArray[np.int32],
    ranks: npt.NDArray[np.int32],
) -> None:
    for s in range(hits.size):
        stop = min(offsets[s + 1], offsets[s] + k)
        found, best = 0, 0
        # Over the labels, not the entries: labels are a set, so that a repeated entry cannot hit twice.
        for j in range(label_offsets[s], label_offsets[s + 1]):
            if label_aids[j] < 0:
                continue
            rank = first_place(aids, offsets[s], stop, label_aids[j]) + 1
            if rank > 0:
                found += 1
                if best == 0 or rank < best:
                    best = rank
        hits[s] = found
        denominators[s] = min(k, label_offsets[s + 1] - label_offsets[s])
        ranks[s] = best


@dataclass(frozen=True, slots=True)
class Hits:
    """How one target's lists met the labels, session by session: everything that a score is made of.

    hits         : int32[S] different true items among the first k entries
    denominators : int32[S] min(k, number of true items); 0 where the session has no label
    ranks        : int32[S] place of the first hit, 1 is best; 0 where there is none
    """

    hits: npt.NDArray[np.int32]
    denominators: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return self.hits.size

    def take(self, rows: npt.NDArray[Any]) -> "Hits":
        """These sessions, in this order (copies)."""
        return Hits(self.hits[rows], self.denominators[rows], self.ranks[rows])

    @classmethod
    def concat(cls, parts: "Sequence[Hits]") -> "Hits":
        """The sessions of all parts, part after part."""
        return cls(
            np.concatenate([part.hits for part in parts]),
            np.concatenate([part.denominators for part in parts]),
            np.concatenate([part.ranks for part in parts]),
        )

    @classmethod
    def pooled(cls, parts: "Sequence[Hits]") -> "Hits":
        """Several rankings of the same sessions as one, whose recall is the mean of theirs; without ranks.

        >>> once = Hits(np.array([1], np.int32), np.array([2], np.int32), np.array([1], np.int32))
        >>> never = Hits(np.array([0], np.int32), np.array([2], np.int32), np.array([0], np.int32))
        >>> Hits.pooled([once, never]).recall
        0.25
        """
        hits = np.stack([part.hits for part in parts]).sum(axis=0, dtype=np.int32)
        denominators = np.stack([part.denominators for part in parts]).sum(axis=0, dtype=np.int32)
        return cls(np.asarray(hits), np.asarray(denominators), np.zeros(len(parts[0]), np.int32))

    @property
    def recall(self) -> float | None:
        """Sum of hits over sum of denominators; ``None`` if no session has a label."""
        total = int(self.denominators.sum(dtype=np.int64))
        return int(self.hits.sum(dtype=np.int64)) / total if total else None

    @property
    def mrr(self) -> float | None:
        """Mean of 1/rank of the first hit (0 without one) over the sessions with labels; ``None`` if there are none."""
        n = int(np.count_nonzero(self.denominators))
        # Ranks are counted first: the sum then has one order, however the sessions were cut into chunks.
        counts = np.bincount(self.ranks)[1:]
        return float((counts / np.arange(1, counts.size + 1)).sum()) / n if n else None


def count_hits(lists: Lists, label_set: LabelSet, k: int) -> Hits:
    """Meet S lists with the labels of the same S sessions; a session without a prediction has an empty list.

    Items of lists may repeat; -1 in lists or in labels is an unknown item, which never hits.
    """
    if len(lists) != len(label_set):
        raise ValueError(f"{len(lists)} lists for the labels of {len(label_set)} sessions")
    if k < 1:
        raise ValueError("k must be at least 1")
    hits, denominators, ranks = (np.zeros(len(lists), np.int32) for _ in range(3))
    _count(lists.offsets, lists.aids, label_set.offsets, label_set.aids, k, hits, denominators, ranks)
    return Hits(hits, denominators, ranks)


def recall(lists: Lists, label_set: LabelSet, k: int) -> float | None:
    """Recall@k of one target; ``None`` if no session has a label.

    >>> lists = Lists.of([[(5, 3.0), (5, 2.0), (7, 1.0)], []])
    >>> recall(lists, LabelSet.of([[5, 7], [1]]), k=2)  # the repeated 5 wasted the place of 7
    0.3333333333333333
    """
    return count_hits(lists, label_set, k).recall


def mrr(lists: Lists, label_set: LabelSet, k: int) -> float | None:
    """Mean reciprocal rank of the first hit within k, over the sessions with labels; ``None`` if there are none."""
    return count_hits(lists, label_set, k).mrr


def weighted_total(
    scores: Mapping[str, float | None], weights: Mapping[str, float] = WEIGHTS
) -> tuple[float | None, tuple[str, ...]]:
    """Weighted sum over the targets that have a score, their weights renormalised, and those targets.

    >>> weighted_total({"clicks": 0.5, "carts": None, "orders": None})
    (0.5, ('clicks',))
    """
    present = tuple(target for target in weights if scores.get(target) is not None and weights[target] > 0)
    if not present:
        return None, ()
    whole = sum(weights[target] for target in present)
    total = 0.0
    for target in present:
        score = scores[target]
        assert score is not None
        total += score * (weights[target] / whole)  # the weight first: a lone target's total is its recall exactly
    return total, present


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of lists for all targets; a target without labels is ``None``, the total goes over the others.

    recall, mrr              : one entry a target, in the order of the event types
    total, total_mrr         : weighted by target; ``None`` if no target has labels
    targets                  : the targets that the totals go over
    numerators, denominators : hits and min(k, true items), summed over sessions
    """

    recall: dict[str, float | None]
    mrr: dict[str, float | None]
    total: float | None
    total_mrr: float | None
    targets: tuple[str, ...]
    numerators: dict[str, int]
    denominators: dict[str, int]

    @classmethod
    def of(cls, hits: Mapping[str, Hits], weights: Mapping[str, float] = WEIGHTS) -> "Scores":
        """Scores of what :func:`count_hits` found for each target; a target that is not there is absent."""
        recalls = {target: hits[target].recall if target in hits else None for target in TARGETS}
        mrrs = {target: hits[target].mrr if target in hits else None for target in TARGETS}
        total, targets = weighted_total(recalls, weights)
        return cls(
            recall=recalls,
            mrr=mrrs,
            total=total,
            total_mrr=weighted_total(mrrs, weights)[0],
            targets=targets,
            numerators={target: int(hits[target].hits.sum(dtype=np.int64)) for target in TARGETS if target in hits},
            denominators={
                target: int(hits[target].denominators.sum(dtype=np.int64)) for target in TARGETS if target in hits
            },
        )

    def as_json(self) -> dict[str, Any]:
        """``{"clicks", "carts", "orders", "total", "targets", "mrr": {..., "total"}}``; an absent target is null."""
        return {
            **self.recall,
            "total": self.total,
            "targets": list(self.targets),
            "mrr": {**self.mrr, "total": self.total_mrr},
        }


def hits_by_target(lists: Mapping[str, Lists], labels: Labels, k: int = 20) -> dict[str, Hits]:
    """:func:`count_hits` for every target that has labels; a target without lists has no hit."""
    return {
        target: count_hits(lists[target] if target in lists else Lists.empty(len(label_set)), label_set, k)
        for target, label_set in labels.items()
    }


def score_lists(
    lists: Mapping[str, Lists], labels: Labels, k: int = 20, weights: Mapping[str, float] = WEIGHTS
) -> Scores:
    """Recall@k and MRR@k of each target's lists, and the weighted totals."""
    return Scores.of(hits_by_target(lists, labels, k), weights)
