"""Second-order walks: two steps on the item graph of a co-visitation matrix, from the session's recent items."""

from pathlib import Path
from typing import Self

import numpy as np

from candidates.accumulator import EMPTY, add, capacity, take_best, write_row
from candidates.profile import weigh_items
from candidates.settings import WalksSettings
from events.arrays import F32, F64, I8, I32, I64
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog


class Walks:
    """Items by the chance that a walk of two steps ends there: the neighbours of the neighbours.

    A walk starts at one of the session's items with a chance in proportion to its weight (as in the source
    ``neighbours``), and goes on from item x to y with a chance in proportion to the score of y in the matrix's list of
    x. Of the places after one step only the ``frontier`` likeliest walk on. Needs nothing of the log it recommends for;
    the matrix is handed in, and not saved again. Source: random walks on item graphs, as in Eksombatchai et al., Pixie
    (WWW 2018), summed exactly instead of drawn.
    """

    def __init__(self, name: str, settings: WalksSettings, matrix: Lists) -> None:
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
        """The ``k`` likeliest ends of each session's walks."""
        settings, matrix = self.settings, self.matrix
        offsets = np.zeros(len(log) + 1, np.int64)
        aids, scores = np.empty(len(log) * k, np.int32), np.empty(len(log) * k, np.float32)
        walk_twice(
            log.offsets, log.aids, log.type_codes(), matrix.offsets, matrix.aids, matrix.scores, self._widest,
            settings.tail, np.array(settings.type_weights.of(log.has_types)), settings.first_power,
            settings.last_power, settings.frontier, settings.exclude_seen, k, offsets, aids, scores,
        )  # fmt: skip
        return Lists(offsets, aids[: offsets[-1]].copy(), scores[: offsets[-1]].copy())

    def save(self, folder: Path) -> None:
        """Nothing of its own to write."""

    def load(self, folder: Path) -> Self:  # noqa: ARG002
        """Nothing of its own to open."""
        return self


@kernel
def step(
    starts: I32, chances: F64, size: int, near_offsets: I64, near_aids: I32, near_scores: F32, keys: I32, sums: F64
) -> int:
    """Add the chances after one step from the first ``size`` starts to an empty table; returns the slots it uses."""
    entries = 0
    for t in range(size):
        entries += near_offsets[starts[t] + 1] - near_offsets[starts[t]]
    slots = capacity(entries)
    for t in range(size):
        first, last = near_offsets[starts[t]], near_offsets[starts[t] + 1]
        total = 0.0
        for place in range(first, last):
            total += np.float64(near_scores[place])
        for place in range(first, last):
            add(keys, sums, slots, near_aids[place], chances[t] * np.float64(near_scores[place]) / total)
    return slots


@kernel
def walk_twice(
    offsets: I64, aids: I32, types: I8, near_offsets: I64, near_aids: I32, near_scores: F32,
    widest: int, tail: int, type_weights: F64, first_power: float, last_power: float, frontier: int,
    exclude_seen: bool, k: int, out_offsets: I64, out_aids: I32, out_scores: F32,
) -> None:  # fmt: skip
    """Write each session's likeliest ends, best first; ``out_offsets`` int64[S+1] starts with 0.

    ``near_*`` are the lists of the matrix, ``widest`` the length of its longest.
    """
    longest = 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    tail = min(tail, longest)
    own, places = np.full(capacity(longest), EMPTY, np.int32), np.empty(capacity(longest), np.float64)
    room = capacity(max(tail, frontier) * widest)
    keys, sums = np.full(room, EMPTY, np.int32), np.empty(room, np.float64)
    unique, weights = np.empty(tail, np.int32), np.empty(tail, np.float64)
    middle, chances = np.empty(frontier, np.int32), np.empty(frontier, np.float64)
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        own_slots = capacity(last - first)
        found = weigh_items(
            aids, types, first, last, tail, type_weights, first_power, last_power,
            own, places, own_slots, unique, weights,
        )  # fmt: skip
        total = 0.0
        for u in range(found):
            total += weights[u]
        for u in range(found):
            weights[u] = weights[u] / total if total != 0.0 else 0.0
        slots = step(unique, weights, found, near_offsets, near_aids, near_scores, keys, sums)
        reached = take_best(keys, sums, slots, own, 0, middle, chances)
        slots = step(middle, chances, reached, near_offsets, near_aids, near_scores, keys, sums)
        size = take_best(keys, sums, slots, own, own_slots if exclude_seen else 0, best_aids, best_scores)
        own[:own_slots] = EMPTY
        write_row(s, best_aids, best_scores, size, out_offsets, out_aids, out_scores)
