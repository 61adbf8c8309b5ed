"""What the candidate sources propose: recall at every depth, how much they share, and what each alone finds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS, WEIGHTS
from events.compiled import inline, kernel
from events.labels import Labels
from events.lists import Lists
from submissions.candidate_recall import CandidateRecall
from submissions.metrics import weighted_total

PROPOSALS = "proposals.json"
"""File, in the folder of the stage that evaluates, of :meth:`Proposals.result`."""

DEPTHS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200)

Counts = npt.NDArray[np.int64]


@inline
def _sources_of(
    ranks: npt.NDArray[np.int16], source_of: npt.NDArray[np.int64], row: int, held: npt.NDArray[np.int64]
) -> int:
    """Write the sources that propose a row into ``held``, ascending; return how many. Columns go source by source."""
    size = 0
    for c in range(ranks.shape[0]):
        if ranks[c, row] >= 0 and (size == 0 or held[size - 1] != source_of[c]):
            held[size] = source_of[c]
            size += 1
    return size


@kernel
def _add_proposed(ranks: npt.NDArray[np.int16], source_of: Counts, rows: int, shared: Counts) -> None:
    """shared[a, b] += the rows that sources a and b propose both."""
    held = np.empty(ranks.shape[0], np.int64)
    for row in range(rows):
        size = _sources_of(ranks, source_of, row, held)
        for i in range(size):
            for j in range(size):
                shared[held[i], held[j]] += 1


@kernel
def _add_found(
    offsets: Counts, aids: npt.NDArray[np.int32], ranks: npt.NDArray[np.int16], source_of: Counts,
    label_offsets: Counts, label_aids: npt.NDArray[np.int32], shared: Counts, alone: Counts,
) -> int:  # fmt: skip
    """The same for rows that are true; alone[a] += those of a only. Returns the true items, found or not."""
    held = np.empty(ranks.shape[0], np.int64)
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        for j in range(label_offsets[s], label_offsets[s + 1]):
            row = first + np.searchsorted(aids[first:last], label_aids[j])
            if row == last or aids[row] != label_aids[j]:
                continue
            size = _sources_of(ranks, source_of, row, held)
            if size == 1:
                alone[held[0]] += 1
            for a in range(size):
                for b in range(size):
                    shared[held[a], held[b]] += 1
    true: int = label_offsets[-1] - label_offsets[0]
    return true


class Proposals:
    """Adds up, chunk by chunk and in whole numbers, what the sources of a pool propose.

    >>> from events.labels import LabelSet
    >>> proposals = Proposals({"history": "history", "near": "near"})
    >>> ranks = np.array([[0, -1], [0, 1]], np.int16)
    >>> truth = {"clicks": LabelSet.of([[4]])}
    >>> proposals.add_pool(np.array([0, 2]), np.array([4, 9], np.int32), ranks, truth)
    >>> overlap = proposals.result()["overlap"]
    >>> overlap["proposed"], overlap["found"], overlap["alone"]
    ([[1, 1], [1, 2]], [[1.0, 1.0], [1.0, 1.0]], [0.0, 0.0])
    """

    def __init__(self, columns: Mapping[str, str], k: int = 20, weights: Mapping[str, float] = WEIGHTS) -> None:
        """``columns``: the pool's columns, in order, each with its source; those of a source stand together."""
        self._sources = tuple(dict.fromkeys(columns.values()))
        self._source_of = np.array([self._sources.index(source) for source in columns.values()], np.int64)
        self._weights = weights
        self._recall = CandidateRecall(DEPTHS, k, weights)
        size = len(self._sources)
        self._proposed = np.zeros((size, size), np.int64)
        self._found = {target: np.zeros((size, size), np.int64) for target in TARGETS}
        self._alone = {target: np.zeros(size, np.int64) for target in TARGETS}
        self._truths = dict.fromkeys(TARGETS, 0)

    def add(self, source: str, lists: Lists | Mapping[str, Lists], labels: Labels) -> None:
        """Add a chunk of sessions of a source, or of the pool in some order, to the curves."""
        self._recall.add(source, lists, labels)

    def add_pool(
        self, offsets: Counts, aids: npt.NDArray[np.int32], ranks: npt.NDArray[np.int16], labels: Labels
    ) -> None:
        """Add a chunk of S sessions to the overlap.

        offsets : int64[S+1];  aids : int32[R] ascending in a session
        ranks   : int16[C, R] place in each column's list, negative where it does not propose the item
        """
        _add_proposed(ranks, self._source_of, aids.size, self._proposed)
        for target, one in labels.items():
            truth = one.offsets, one.aids
            found = self._found[target], self._alone[target]
            self._truths[target] += _add_found(offsets, aids, ranks, self._source_of, *truth, *found)

    def result(self) -> dict[str, Any]:
        """Ready for JSON, with n sources:

        depths  : of the curves
        recall  : source to its curve, as ``CandidateRecall.result`` has it
        overlap : ``sources`` n names; ``proposed`` n by n numbers of candidates that both propose; ``found`` n by
                  n shares of all true items that both propose, weighted by target; ``alone`` n shares that only
                  this source proposes
        """
        size = len(self._sources)
        overlap = {
            "sources": list(self._sources),
            "proposed": self._proposed.tolist(),
            "found": [[self._share(self._found, a, b) for b in range(size)] for a in range(size)],
            "alone": [self._share(self._alone, a) for a in range(size)],
        }
        return {"depths": list(DEPTHS), "recall": self._recall.result(), "overlap": overlap}

    def _share(self, counts: Mapping[str, Counts], *place: int) -> float:
        """Weighted share of the true items, over the targets that have some."""
        shares = {t: int(counts[t][place]) / true if true else None for t, true in self._truths.items()}
        return weighted_total(shares, self._weights)[0] or 0.0
