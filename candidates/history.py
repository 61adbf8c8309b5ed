"""History: what the session has touched, the recent and the carted first."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from candidates.accumulator import EMPTY, add, capacity, recency_weights, take_best, write_row
from candidates.settings import HistorySettings
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog


class History:
    """The session's own items by Σ over its events of (2^p - 1) * type weight, p rising evenly over the events.

    Needs nothing; without types every event weighs 1. Nothing is fitted. Source: the public rules of the OTTO
    competition.
    """

    def __init__(self, name: str = "history", settings: HistorySettings | None = None) -> None:
        self.name = name
        self.settings = settings or HistorySettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()

    def fit(self, log: SessionLog) -> Self:  # noqa: ARG002
        """Nothing to learn."""
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:  # noqa: ARG002
        """The best ``k`` of each session's own items."""
        weights = np.array(self.settings.type_weights.of(log.has_types))
        offsets = np.zeros(len(log) + 1, np.int64)
        room = int(np.minimum(log.lengths, k).sum())
        aids, scores = np.empty(room, np.int32), np.empty(room, np.float32)
        powers = self.settings.first_power, self.settings.last_power
        rank_history(log.offsets, log.aids, log.type_codes(), weights, *powers, k, offsets, aids, scores)
        return Lists(offsets, aids[: offsets[-1]], scores[: offsets[-1]])

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    def load(self, folder: Path) -> Self:  # noqa: ARG002
        """Nothing to open."""
        return self


@kernel
def rank_history(
    offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32], types: npt.NDArray[np.int8],
    type_weights: npt.NDArray[np.float64], first_power: float, last_power: float, k: int,
    out_offsets: npt.NDArray[np.int64], out_aids: npt.NDArray[np.int32], out_scores: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """Write each session's own items, best first; ``out_offsets`` int64[S+1] starts with 0."""
    longest = 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    keys, sums = np.full(capacity(longest), EMPTY, np.int32), np.empty(capacity(longest), np.float64)
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        slots = capacity(last - first)
        weights = recency_weights(last - first, first_power, last_power)
        for i in range(first, last):
            add(keys, sums, slots, aids[i], weights[i - first] * type_weights[types[i]])
        size = take_best(keys, sums, slots, keys, 0, best_aids, best_scores)
        write_row(s, best_aids, best_scores, size, out_offsets, out_aids, out_scores)
