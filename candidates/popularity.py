"""Popularity: the most frequent items of the last days, the same for every session."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from candidates.settings import PopularitySettings
from events.columns import DAY, TARGETS
from events.compiled import kernel
from events.files import read_json, write_json
from events.lists import Lists
from events.log import SessionLog

DEPTH = 1_000
"""Items a target that are kept; longer lists cannot be asked for."""


class Popularity:
    """The items with the most events of the target's type within ``days`` of the last event of the fitted log.

    Needs nothing: without time the whole log counts, without types every event counts and clicks is the only target.
    The score is the number of events, the same list serves every session.
    """

    def __init__(self, name: str = "popularity", settings: PopularitySettings | None = None) -> None:
        self.name = name
        self.settings = settings or PopularitySettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self.lists = Lists.empty(0)

    def fit(self, log: SessionLog) -> Self:
        """Count the recent events."""
        self.targets = TARGETS if log.has_types else TARGETS[:1]
        self.lists = popular_items(log, self.settings.days, DEPTH)
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        """The target's list, once a session."""
        row = self.targets.index(target) if target is not None else 0
        aids, scores = self.lists.row(row)
        aids, scores = aids[:k], scores[:k]
        offsets = np.arange(len(log) + 1, dtype=np.int64) * aids.size
        return Lists(offsets, np.tile(aids, len(log)), np.tile(scores, len(log)))

    def save(self, folder: Path) -> None:
        """Write one list a target."""
        self.lists.save(folder)
        write_json(folder / "targets.json", list(self.targets))

    def load(self, folder: Path) -> Self:
        """Open the lists."""
        self.lists = Lists.load(folder)
        self.targets = tuple(read_json(folder / "targets.json"))
        return self


def popular_items(log: SessionLog, days: float, depth: int) -> Lists:
    """One list a target (only clicks without types): the items with the most events in the last ``days``.

    Items without an event are left out; ties by ascending item.
    """
    n_targets = len(TARGETS) if log.has_types else 1
    counts = np.zeros((n_targets, log.n_items), np.int64)
    ts = np.empty(0, np.int32) if log.ts is None else log.ts
    since = float(ts.max()) - days * DAY if ts.size else 0.0
    count_events(log.aids, ts, np.empty(0, np.int8) if log.types is None else log.types, since, counts)
    rows = []
    for target in range(n_targets):
        order = np.argsort(-counts[target].astype(np.float32), kind="stable")[:depth]
        order = order[counts[target][order] > 0]
        rows.append(
            Lists(np.array([0, order.size], np.int64), order.astype(np.int32), counts[target][order].astype(np.float32))
        )
    return Lists.concat(rows)


@kernel
def count_events(
    aids: npt.NDArray[np.int32], ts: npt.NDArray[np.int32], types: npt.NDArray[np.int8], since: float,
    counts: npt.NDArray[np.int64],
) -> None:  # fmt: skip
    """counts[type, item] += 1 for each event after ``since``; without types (size 0) all count as type 0."""
    for i in range(aids.size):
        if ts.size == 0 or ts[i] > since:
            counts[0 if types.size == 0 else types[i], aids[i]] += 1
