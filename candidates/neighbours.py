"""Neighbours: items co-visited with the session's items, summed with recency and type weights."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from candidates.accumulator import EMPTY, add, capacity, take_best, write_row
from candidates.profile import weigh_items
from candidates.settings import LookupSettings
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog


class Neighbours:
    """Items y by Σ over the session's items x of weight(x) * closeness(x, y), y from the matrix's list of x.

    weight(x)      : Σ over the last ``tail`` events on x of (2^p - 1) * type weight, p rising evenly over the tail
    closeness(x, y): score of y divided by the largest in the list of x (``share``), or 1 / (1 + place of y) (``rank``)

    Needs nothing of the log it recommends for; without types every event weighs 1. The matrix is fitted once a pass
    and shared by all sources that look it up, so it is handed in, and not saved again.
    """

    def __init__(self, name: str, settings: LookupSettings, matrix: Lists) -> None:
        self.name = name
        self.settings = settings
        self.matrix = matrix
        self._widest = int(matrix.lengths.max(initial=0))
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()

    def fit(self, log: SessionLog) -> Self:
        """Check that the matrix is one of this log's items."""
        if len(self.matrix) != log.n_items:
            raise ValueError(f"{self.name}: the matrix has {len(self.matrix)} items, the log {log.n_items}")
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:  # noqa: ARG002
        """The best ``k`` neighbours of each session."""
        settings = self.settings
        weights = np.array(settings.type_weights.of(log.has_types))
        offsets = np.zeros(len(log) + 1, np.int64)
        aids, scores = np.empty(len(log) * k, np.int32), np.empty(len(log) * k, np.float32)
        sum_neighbours(
            log.offsets, log.aids, log.type_codes(), self.matrix.offsets, self.matrix.aids, self.matrix.scores,
            self._widest, settings.tail, weights, settings.first_power, settings.last_power,
            settings.neighbour_weight == "rank", settings.exclude_seen, k, offsets, aids, scores,
        )  # fmt: skip
        return Lists(offsets, aids[: offsets[-1]].copy(), scores[: offsets[-1]].copy())

    def save(self, folder: Path) -> None:
        """Nothing of its own to write."""

    def load(self, folder: Path) -> Self:  # noqa: ARG002
        """Nothing of its own to open."""
        return self


@kernel
def sum_neighbours(
    offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32], types: npt.NDArray[np.int8],
    near_offsets: npt.NDArray[np.int64], near_aids: npt.NDArray[np.int32], near_scores: npt.NDArray[np.float32],
    widest: int, tail: int, type_weights: npt.NDArray[np.float64], first_power: float, last_power: float,
    by_rank: bool, exclude_seen: bool, k: int,
    out_offsets: npt.NDArray[np.int64], out_aids: npt.NDArray[np.int32], out_scores: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """Write each session's best neighbours, best first; ``out_offsets`` int64[S+1] starts with 0.

    ``near_*`` are the lists of the matrix, ``widest`` the length of its longest. Items are looked up from
    the latest to the earliest, so that the order of additions is the session's own.
    """
    longest = 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    tail = min(tail, longest)
    own, places = np.full(capacity(longest), EMPTY, np.int32), np.empty(capacity(longest), np.float64)
    keys, sums = np.full(capacity(tail * widest), EMPTY, np.int32), np.empty(capacity(tail * widest), np.float64)
    unique, weights = np.empty(tail, np.int32), np.empty(tail, np.float64)
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        own_slots = capacity(last - first)
        found = weigh_items(
            aids, types, first, last, tail, type_weights, first_power, last_power,
            own, places, own_slots, unique, weights,
        )  # fmt: skip
        entries = 0
        for u in range(found):
            entries += near_offsets[unique[u] + 1] - near_offsets[unique[u]]
        slots = capacity(entries)
        for u in range(found):
            start, stop = near_offsets[unique[u]], near_offsets[unique[u] + 1]
            for place in range(start, stop):
                if by_rank:
                    closeness = 1.0 / (1.0 + place - start)
                else:
                    closeness = np.float64(near_scores[place]) / np.float64(near_scores[start])
                add(keys, sums, slots, near_aids[place], weights[u] * closeness)
        size = take_best(keys, sums, slots, own, own_slots if exclude_seen else 0, best_aids, best_scores)
        own[:own_slots] = EMPTY
        write_row(s, best_aids, best_scores, size, out_offsets, out_aids, out_scores)
