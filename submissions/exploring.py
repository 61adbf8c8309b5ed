"""What is said of a shop's log before anything is fitted: plain values, ready for JSON."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS
from submissions.item_map import ItemMap
from submissions.log_statistics import LONGEST, LogStatistics, gap_edges

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, LONGEST)
"""Least length of each bin of session lengths."""

QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
TOP_SHARES = (0.001, 0.01, 0.1)
RANKS = 60
"""Points of the curve of popularity."""

Counts = npt.NDArray[np.int64]


def explore(train: LogStatistics, target: LogStatistics, names: pl.Series, found: ItemMap | None) -> dict[str, Any]:
    """Of the train sessions, of those to recommend for, and how the two differ.

    names : the source's ids by dense row
    """
    whole = _popularity(train.items)
    return {
        "train": _of(train),
        "target": _of(target),
        "popularity": whole,
        "drift": _drift(train, target),
        "map": None if found is None else _map(found, train.items, names),
    }


def quantile(counts: Counts, edges: npt.NDArray[np.float64], share: float) -> float:
    """Where a share of what is counted lies below: the edge of the bin in which it falls.

    >>> quantile(np.array([1, 2, 1]), np.array([0.0, 1.0, 2.0, 4.0]), 0.5)
    1.0
    """
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return float(edges[min(place, counts.size - 1)])


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0


def _of(found: LogStatistics) -> dict[str, Any]:
    sizes = np.arange(LONGEST + 1, dtype=np.float64)
    bins = np.add.reduceat(found.lengths, LENGTHS)
    return {
        "sessions": found.sessions,
        "events": found.events,
        "items": int(np.count_nonzero(found.items)),
        "mean_length": _share(found.events, found.sessions),
        "length_quantiles": {str(q): quantile(found.lengths, sizes, q) for q in QUANTILES},
        "lengths": [_share(count, found.sessions) for count in bins.tolist()],
        "revisits": _share(found.revisits, found.events),
        "returning": _share(found.returning, found.sessions),
        **_types(found),
        **_times(found),
    }


def _types(found: LogStatistics) -> dict[str, Any]:
    if found.transitions is None or found.pairs is None or found.with_types is None:
        return {"types": None, "transitions": None, "conversion": None}
    counts = found.transitions[:, :3].sum(axis=0)
    of_pairs, of_sessions = found.pairs.tolist(), found.with_types.tolist()
    rows = found.transitions / np.maximum(found.transitions.sum(axis=1, keepdims=True), 1)

    def pairs(*bits: int) -> int:
        """Pairs of a session and an item with all of these types."""
        mask = sum(1 << bit for bit in bits)
        return int(sum(count for held, count in enumerate(of_pairs) if held & mask == mask))

    def sessions(bit: int) -> int:
        return int(sum(count for held, count in enumerate(of_sessions) if held >> bit & 1))

    return {
        "types": {name: _share(count, found.events) for name, count in zip(TARGETS, counts.tolist(), strict=True)},
        "transitions": rows.tolist(),
        "conversion": {
            "clicked items that are carted": _share(pairs(0, 1), pairs(0)),
            "clicked items that are ordered": _share(pairs(0, 2), pairs(0)),
            "carted items that are ordered": _share(pairs(1, 2), pairs(1)),
            "sessions with a cart": _share(sessions(1), found.sessions),
            "sessions with an order": _share(sessions(2), found.sessions),
        },
    }


def _times(found: LogStatistics) -> dict[str, Any]:
    if found.hours is None or found.starts is None or found.gaps is None or found.first_day is None:
        return {"days": None, "hours": None, "gaps": None, "gap_quantiles": None}
    days = np.arange(found.hours.shape[0]) + found.first_day
    week = (days + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    sums, counts = np.zeros((7, 24)), np.bincount(week, minlength=7)
    np.add.at(sums, week, found.hours)
    dates = np.datetime64("1970-01-01") + days.astype("timedelta64[D]")
    return {
        "days": [
            {"date": str(date), "events": int(events), "sessions": int(starts)}
            for date, events, starts in zip(dates, found.hours.sum(axis=1), found.starts, strict=True)
        ],
        "hours": (sums / np.maximum(counts, 1)[:, None]).tolist(),
        "gaps": found.gaps.tolist(),
        "gap_quantiles": {str(q): quantile(found.gaps, gap_edges()[1:], q) for q in QUANTILES},
    }


def _popularity(items: Counts) -> dict[str, Any]:
    counts = np.sort(items[items > 0])[::-1]
    if counts.size == 0:
        return {"items": 0, "top": {}, "ranks": [], "events": [], "median": 0.0}
    sums = np.cumsum(counts)
    ranks = np.unique(np.geomspace(1, counts.size, RANKS).round().astype(np.int64))
    top = {str(share): _share(sums[max(int(share * counts.size), 1) - 1], sums[-1]) for share in TOP_SHARES}
    return {
        "items": int(counts.size),
        "top": top,
        "ranks": ranks.tolist(),
        "events": counts[ranks - 1].tolist(),
        "median": float(np.median(counts)),
    }


def _drift(train: LogStatistics, target: LogStatistics) -> dict[str, Any]:
    """How alike the items of both parts are: of their events, and of the items themselves."""
    p, q = train.items / max(train.events, 1), target.items / max(target.events, 1)
    order = np.argsort(-train.items, kind="stable")
    top = order[: max(int(0.01 * np.count_nonzero(train.items)), 1)]
    return {
        "common": float(np.minimum(p, q).sum()),
        "unseen": _share(int(target.items[train.items == 0].sum()), target.events),
        "top_train": float(p[top].sum()),
        "top_target": float(q[top].sum()),
    }


def _map(found: ItemMap, items: Counts, names: pl.Series) -> dict[str, Any]:
    clusters = []
    for cluster in range(int(found.clusters.max(initial=-1)) + 1):
        inside = found.clusters == cluster
        rows = found.rows[inside]
        clusters.append({
            "places": found.places[inside].round(4).tolist(),
            "items": int(rows.size),
            "events": _share(int(items[rows].sum()), int(items.sum())),
            "busiest": names.gather(rows[:5]).cast(pl.String).to_list(),
        })  # fmt: skip
    return {"clusters": clusters, "items": int(found.rows.size), "explained": found.explained}
