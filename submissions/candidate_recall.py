"""How many of the true items a candidate source proposes: the ceiling of every ranker above it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS, WEIGHTS
from events.compiled import kernel
from events.labels import Labels, LabelSet
from events.lists import Lists
from submissions.metrics import first_place, weighted_total

DEPTHS = (20, 50, 100, 200)
AT_POOL = "at_pool"

SourceRecall = dict[str, Any]
"""``{"20": total, "50": ..., "at_pool": ..., "targets": {"clicks": {"20": ..., ...}, ...}}``: the weighted total at
each depth, and the same for each target; ``None`` where there is none."""


@kernel
def _add(
    offsets: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    label_offsets: npt.NDArray[np.int64],
    label_aids: npt.NDArray[np.int32],
    depths: npt.NDArray[np.int64],
    k: int,
    hits: npt.NDArray[np.int64],
    denominators: npt.NDArray[np.int64],
) -> None:
    """Add the sessions' hits and denominators at each depth, and in the last place those of the whole list."""
    for s in range(offsets.size - 1):
        size = label_offsets[s + 1] - label_offsets[s]
        if size == 0:
            continue
        found = 0
        for j in range(label_offsets[s], label_offsets[s + 1]):
            if label_aids[j] < 0:
                continue
            place = first_place(aids, offsets[s], offsets[s + 1], label_aids[j])
            if place >= 0:
                found += 1
                for d in range(depths.size):
                    if place < depths[d]:
                        hits[d] += 1
        for d in range(depths.size):
            denominators[d] += min(depths[d], size)
        hits[depths.size] += min(found, k, size)
        denominators[depths.size] += min(k, size)


class CandidateRecall:
    """Recall of candidate sources, added up chunk by chunk in whole numbers (the chunks' sizes do not matter).

    At a depth d the official formula holds with min(d, true items) below the line. ``at_pool`` holds all that a
    source proposes, however much, against min(k, true items): what a perfect ranker of these candidates would score.

    >>> recall = CandidateRecall()
    >>> recall.add("history", Lists.of([[(4, 2.0), (1, 1.0)]]), {"clicks": LabelSet.of([[1]])})
    >>> recall.result()["history"]["20"]
    1.0
    >>> recall.result()["history"]["targets"]["carts"]["20"] is None
    True
    """

    def __init__(self, depths: tuple[int, ...] = DEPTHS, k: int = 20, weights: Mapping[str, float] = WEIGHTS) -> None:
        self._depths = np.array(depths, np.int64)
        self._k = k
        self._weights = weights
        self._sums: dict[str, dict[str, npt.NDArray[np.int64]]] = {}
        self._ranked: dict[str, bool] = {}

    def add(self, source: str, lists: Lists | Mapping[str, Lists], labels: Labels) -> None:
        """Add a chunk of sessions: ranked lists of a source, one for all targets or one a target.

        A target that the mapping lacks is one that the source makes no list for; it is absent from the result.
        """
        for target, label_set in labels.items():
            chosen = lists if isinstance(lists, Lists) else lists.get(target)
            if chosen is not None:
                self._add(source, target, chosen.offsets, chosen.aids, label_set)
        self._ranked[source] = True

    def add_pool(
        self, source: str, offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32], labels: Labels
    ) -> None:
        """Add a chunk of sessions of an unranked pool, int64[S+1] and int32[R]: only ``at_pool`` has a meaning."""
        for target, label_set in labels.items():
            self._add(source, target, offsets, aids, label_set)
        self._ranked[source] = False

    def _add(
        self,
        source: str,
        target: str,
        offsets: npt.NDArray[np.int64],
        aids: npt.NDArray[np.int32],
        label_set: LabelSet,
    ) -> None:
        if offsets.size - 1 != len(label_set):
            raise ValueError(f"{source}: {offsets.size - 1} lists for the labels of {len(label_set)} sessions")
        sums = self._sums.setdefault(source, {})
        if target not in sums:
            sums[target] = np.zeros((2, self._depths.size + 1), np.int64)
        hits, denominators = sums[target]
        _add(offsets, aids, label_set.offsets, label_set.aids, self._depths, self._k, hits, denominators)

    def result(self) -> dict[str, SourceRecall]:
        """Source to its recall at every depth, ready for JSON.

        ``None`` for a target without labels or lists, and for a depth of an unranked pool.
        """
        return {source: self._recalls(source) for source in self._ranked}

    def _recalls(self, source: str) -> SourceRecall:
        totals: SourceRecall = {}
        targets: dict[str, dict[str, float | None]] = {target: {} for target in TARGETS}
        for place, name in enumerate([*(str(depth) for depth in self._depths), AT_POOL]):
            recalls: dict[str, float | None] = dict.fromkeys(TARGETS)
            if self._ranked[source] or place == self._depths.size:
                for target, (hits, denominators) in self._sums.get(source, {}).items():
                    recalls[target] = int(hits[place]) / int(denominators[place]) if denominators[place] else None
            totals[name] = weighted_total(recalls, self._weights)[0]
            for target in TARGETS:
                targets[target][name] = recalls[target]
        return {**totals, "targets": targets}
