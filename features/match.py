"""The candidate beside the session's taste: its item features less those of the items that the session looked at."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, I32, I64
from events.columns import DAY
from events.compiled import kernel
from events.log import SessionLog
from features.affinity import recent_items
from features.counts import QUARTERS
from features.history import recency_weight
from features.items import ItemTable, item_features
from features.registry import TIME, Feature
from features.settings import FeaturesSettings

COMPARED = (
    "item_rank",
    "item_again",
    "item_next_same",
    "item_carted",
    "item_ordered",
    "item_ordered_if_carted",
    "item_since_first",
    "item_dwell",
)
"""Item features whose distance to the session's mean is told."""

HOURS = tuple(f"item_hours_{q}" for q in range(QUARTERS))


def match_features(settings: FeaturesSettings) -> tuple[Feature, ...]:
    """The features of the block, in the order that :func:`fill_match` writes them."""
    needs = {feature.name: feature.needs for feature in item_features(settings)}
    return (
        *(
            Feature(
                name.replace("item", "match", 1), "match", f"{name} less its mean over the session's items", needs[name]
            )
            for name in COMPARED
        ),
        Feature("match_hours", "match", "item_hours of the quarter of the day of the session's last event", TIME),
    )


@kernel
def mean_of_items(items: I32, n: int, values: F32, column: int, oldest_exponent: float) -> float:
    """Recency-weighted mean of a column over the items (newest first) that have a value; NaN if none has."""
    total, weight = 0.0, 0.0
    for u in range(n):
        if 0 <= items[u] < values.shape[0] and not math.isnan(values[items[u], column]):
            recency = recency_weight(n - 1 - u, n, oldest_exponent)
            total += recency * np.float64(values[items[u], column])
            weight += recency
    return total / weight if weight > 0.0 else np.nan


@kernel
def fill_match(
    events: tuple[I64, I32, I32],
    rows: tuple[I64, I32],
    values: F32,
    columns: I64,
    hours: I64,
    start: int,
    stop: int,
    tail: int,
    oldest_exponent: float,
    utc_offset: int,
    out: F32,
    at: int,
) -> None:
    """Distances in ``columns`` of the item table, then the item's hour (if ``hours`` names columns).

    events : offsets, items and times of the log; rows : offsets and items of the candidates
    """
    log_offsets, aids, ts = events
    offsets, rows_aids = rows
    items, newest = np.empty(tail, np.int32), np.empty(tail, np.int64)
    means = np.empty(columns.size)
    for s in range(start, stop):
        begin, end = log_offsets[s], log_offsets[s + 1]
        n = recent_items(aids, begin, end, tail, items, newest)
        for j in range(columns.size):
            means[j] = mean_of_items(items, n, values, columns[j], oldest_exponent)
        quarter = np.int64(0)
        if hours.size > 0 and end > begin:
            quarter = (np.int64(ts[end - 1]) + utc_offset) % DAY // (DAY // QUARTERS)
        for row in range(offsets[s], offsets[s + 1]):
            aid = rows_aids[row]
            known = 0 <= aid < values.shape[0]
            for j in range(columns.size):
                out[row, at + j] = np.float32(values[aid, columns[j]] - means[j]) if known else np.nan
            if hours.size > 0:
                out[row, at + columns.size] = values[aid, hours[quarter]] if known and end > begin else np.nan


@dataclass(frozen=True, slots=True)
class MatchBlock:
    """The candidate's item features less the session's.

    values  : float32[n_items, F] the item table
    columns : int64 its columns that are compared;  hours : int64[4], or [0] where the shop has no time
    """

    features: tuple[Feature, ...]
    values: npt.NDArray[np.float32]
    columns: npt.NDArray[np.int64]
    hours: npt.NDArray[np.int64]
    tail: int
    oldest_exponent: float
    utc_offset: int

    @classmethod
    def of(
        cls, features: tuple[Feature, ...], items: ItemTable, settings: FeaturesSettings, utc_offset: int
    ) -> "MatchBlock":
        """The block of these features."""
        names = [feature.name.replace("match", "item", 1) for feature in features]
        columns = [items.names.index(name) for name in names if name in COMPARED]
        hours = [items.names.index(name) for name in HOURS] if "item_hours" in names else []
        return cls(
            features,
            items.values,
            np.array(columns, np.int64),
            np.array(hours, np.int64),
            settings.affinity_tail,
            settings.oldest_exponent,
            utc_offset,
        )

    def fill(
        self, log: SessionLog, candidates: Candidates, start: int, stop: int, out: npt.NDArray[np.float32], at: int
    ) -> None:
        """See :class:`features.registry.Block`."""
        fill_match(
            (log.offsets, log.aids, log.ts_or_empty),
            (candidates.offsets, candidates.aids),
            self.values,
            self.columns,
            self.hours,
            start,
            stop,
            self.tail,
            self.oldest_exponent,
            self.utc_offset,
            out,
            at,
        )
