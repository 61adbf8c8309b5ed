"""The candidate in the session's own history: how often, how long ago, how near to buying."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, F64, I8, I32, I64
from events.columns import CARTS, CLICKS, DAY, HOUR, ORDERS
from events.compiled import kernel
from events.log import SessionLog
from features.history import longest, recency_weight, sort_history
from features.registry import BOTH, TIME, TYPES, Feature

PAIR_FEATURES = (
    Feature("pair_events", "pair", "the session's events on the item"),
    Feature("pair_share", "pair", "share of the session's events that are on the item"),
    Feature("pair_recency", "pair", "sum of the recency weights of its events"),
    Feature("pair_is_last", "pair", "1 if it is the session's last item"),
    Feature("pair_ago", "pair", "events since its last event; NaN if none"),
    Feature("pair_items_ago", "pair", "different items seen since its last event; NaN if none"),
    Feature("pair_first_ago", "pair", "events since its first event; NaN if none"),
    Feature("pair_clicks", "pair", "times clicked", TYPES),
    Feature("pair_carts", "pair", "times carted", TYPES),
    Feature("pair_orders", "pair", "times ordered", TYPES),
    Feature("pair_typed_recency", "pair", "sum of recency weight times type weight of its events", TYPES),
    Feature("pair_last_type", "pair", "type of its last event; NaN if none", TYPES),
    Feature("pair_open_cart", "pair", "1 if carted and not ordered since", TYPES),
    Feature("pair_since", "pair", "seconds since its last event, log1p; NaN if none", TIME),
    Feature("pair_since_first", "pair", "seconds since its first event, log1p; NaN if none", TIME),
    Feature("pair_dwell", "pair", "seconds from its events to the next ones within a visit, log1p", TIME),
    Feature("pair_visits", "pair", "visits with an event on it", TIME),
    Feature("pair_visit_events", "pair", "its events in the last visit", TIME),
    Feature("pair_since_cart", "pair", "seconds since it was last carted, log1p; NaN if never", BOTH),
    Feature("pair_since_order", "pair", "seconds since it was last ordered, log1p; NaN if never", BOTH),
    Feature("pair_run", "pair", "its events in an unbroken row, up to its last one"),
    Feature("pair_clicks_since_cart", "pair", "its clicks since it was last carted; NaN if never", TYPES),
    Feature("pair_hourly", "pair", "sum over its events of 1 / (1 + age in hours)", TIME),
    Feature("pair_daily", "pair", "sum over its events of 1 / (1 + age in days)", TIME),
    Feature("pair_gap", "pair", "seconds between its last two events, log1p; NaN if no two", TIME),
    Feature("pair_last_dwell", "pair", "seconds from its last event to the visit's next, log1p; NaN if none", TIME),
    Feature("pair_opened", "pair", "1 if the last visit began with it", TIME),
)
"""In the order that :func:`describe_pair` writes them. Times and counts of "since" end at the session's last event."""


@kernel
def describe_events(
    ts: I32,
    first: int,
    n: int,
    visit_gap: int,
    oldest_exponent: float,
    keys: I64,
    weights: F64,
    items_after: I64,
    visit: I64,
) -> None:
    """For each of a session's events: recency weight, different items after it, and its visit (counted from 0)."""
    for i in range(n):
        weights[i] = recency_weight(i, n, oldest_exponent)
        items_after[i] = 0
        visit[i] = 0
    for k in range(n):  # mark each item's last event
        if k == n - 1 or keys[k] >> 32 != keys[k + 1] >> 32:
            items_after[keys[k] & 0xFFFFFFFF] = 1
    seen = 0
    for i in range(n - 1, -1, -1):
        is_last = items_after[i]
        items_after[i] = seen
        seen += is_last
    if ts.size > 0:
        for i in range(1, n):
            gap = np.int64(ts[first + i]) - ts[first + i - 1]
            visit[i] = visit[i - 1] + int(gap > visit_gap)


@kernel
def describe_types(
    types: I8, first: int, keys: I64, begin: int, end: int, weights: F64, type_weights: F64, value: F32
) -> tuple[int, int]:
    """The features that need types of the item with events ``keys[begin:end]``; returns its last cart and order."""
    typed, last_cart, last_order, clicks = 0.0, -1, -1, 0
    for k in range(begin, end):
        i = keys[k] & 0xFFFFFFFF
        kind = types[first + i]
        value[7 + kind] += 1
        typed += weights[i] * type_weights[kind]
        clicks += int(kind == CLICKS)
        if kind == CARTS:
            last_cart = i
            clicks = 0
        elif kind == ORDERS:
            last_order = i
    value[10] = typed
    value[11] = types[first + (keys[end - 1] & 0xFFFFFFFF)]
    value[12] = last_cart > last_order
    if last_cart >= 0:
        value[21] = clicks
    return last_cart, last_order


@kernel
def describe_times(ts: I32, first: int, n: int, keys: I64, begin: int, end: int, visit: I64, value: F32) -> None:
    """The features that need time of the item with events ``keys[begin:end]``."""
    dwell, visits, in_last, before = 0, 0, 0, -1
    now = np.int64(ts[first + n - 1])
    hourly, daily = 0.0, 0.0
    for k in range(begin, end):
        i = keys[k] & 0xFFFFFFFF
        age = now - ts[first + i]
        hourly += HOUR / (HOUR + age)
        daily += DAY / (DAY + age)
        if visit[i] == visit[n - 1] and (i == 0 or visit[i - 1] != visit[i]):
            value[26] = 1
        if i + 1 < n and visit[i + 1] == visit[i]:
            dwell += np.int64(ts[first + i + 1]) - ts[first + i]
        visits += int(visit[i] != before)
        before = visit[i]
        in_last += int(visit[i] == visit[n - 1])
    value[22] = hourly
    value[23] = daily
    newest = keys[end - 1] & 0xFFFFFFFF
    if end - begin > 1:
        value[24] = math.log1p(np.int64(ts[first + newest]) - ts[first + (keys[end - 2] & 0xFFFFFFFF)])
    if newest + 1 < n and visit[newest + 1] == visit[newest]:
        value[25] = math.log1p(np.int64(ts[first + newest + 1]) - ts[first + newest])
    value[13] = math.log1p(now - ts[first + (keys[end - 1] & 0xFFFFFFFF)])
    value[14] = math.log1p(now - ts[first + (keys[begin] & 0xFFFFFFFF)])
    value[15] = math.log1p(dwell)
    value[16] = visits
    value[17] = in_last


@kernel
def describe_absent(value: F32) -> None:
    """The features of an item that the session has not seen: counts are 0, ages are NaN."""
    value[:] = 0.0
    for j in (4, 5, 6, 11, 13, 14, 18, 19, 21, 24, 25):
        value[j] = np.nan


@kernel
def describe_pair(
    ts: I32,
    types: I8,
    first: int,
    n: int,
    keys: I64,
    begin: int,
    end: int,
    weights: F64,
    items_after: I64,
    visit: I64,
    type_weights: F64,
    value: F32,
) -> None:
    """All the features of the item with events ``keys[begin:end]`` of a session of ``n`` events."""
    describe_absent(value)
    recency = 0.0
    for k in range(begin, end):
        recency += weights[keys[k] & 0xFFFFFFFF]
    newest, oldest = keys[end - 1] & 0xFFFFFFFF, keys[begin] & 0xFFFFFFFF
    value[0] = end - begin
    value[1] = (end - begin) / n
    value[2] = recency
    value[3] = newest == n - 1
    value[4] = n - 1 - newest
    value[5] = items_after[newest]
    value[6] = n - 1 - oldest
    run = 1
    while end - run > begin and keys[end - run] - keys[end - run - 1] == 1:
        run += 1
    value[20] = run
    if ts.size > 0:
        describe_times(ts, first, n, keys, begin, end, visit, value)
    if types.size > 0:
        cart, order = describe_types(types, first, keys, begin, end, weights, type_weights, value)
        if ts.size > 0:
            now = np.int64(ts[first + n - 1])
            if cart >= 0:
                value[18] = math.log1p(now - ts[first + cart])
            if order >= 0:
                value[19] = math.log1p(now - ts[first + order])


@kernel
def fill_pairs(
    events: tuple[I64, I32, I32, I8],
    rows: tuple[I64, I32],
    start: int,
    stop: int,
    visit_gap: int,
    oldest_exponent: float,
    type_weights: F64,
    which: I64,
    out: F32,
    at: int,
) -> None:
    """Merge each session's candidates (ascending) with its history sorted by item; write the features ``which``.

    events : offsets, items, times and types of the log; rows : offsets and items of the candidates
    """
    log_offsets, aids, ts, types = events
    offsets, rows_aids = rows
    most = longest(log_offsets, start, stop)
    keys, weights = np.empty(most, np.int64), np.empty(most)
    items_after, visit = np.empty(most, np.int64), np.empty(most, np.int64)
    value, absent = np.empty(27, np.float32), np.empty(27, np.float32)
    describe_absent(absent)
    for s in range(start, stop):
        first = log_offsets[s]
        n = log_offsets[s + 1] - first
        sort_history(aids, first, first + n, keys)
        describe_events(ts, first, n, visit_gap, oldest_exponent, keys, weights, items_after, visit)
        k = 0
        for row in range(offsets[s], offsets[s + 1]):
            aid = rows_aids[row]
            while k < n and keys[k] >> 32 < aid:
                k += 1
            begin = k
            while k < n and keys[k] >> 32 == aid:
                k += 1
            if k == begin:
                for j in range(which.size):
                    out[row, at + j] = absent[which[j]]
                continue
            describe_pair(ts, types, first, n, keys, begin, k, weights, items_after, visit, type_weights, value)
            for j in range(which.size):
                out[row, at + j] = value[which[j]]


@dataclass(frozen=True, slots=True)
class PairBlock:
    """The candidate in the session's own history.

    which        : int64 places in ``PAIR_FEATURES`` of ``features``
    visit_gap    : seconds
    type_weights : float64[3] of clicks, carts, orders
    """

    features: tuple[Feature, ...]
    which: npt.NDArray[np.int64]
    visit_gap: int
    oldest_exponent: float
    type_weights: npt.NDArray[np.float64]

    def fill(
        self,
        log: SessionLog,
        candidates: Candidates,
        start: int,
        stop: int,
        out: npt.NDArray[np.float32],
        at: int,
    ) -> None:
        """See :class:`features.registry.Block`."""
        ts = log.ts_or_empty
        types = log.types_or_empty
        fill_pairs(
            (log.offsets, log.aids, ts, types),
            (candidates.offsets, candidates.aids),
            start,
            stop,
            self.visit_gap,
            self.oldest_exponent,
            self.type_weights,
            self.which,
            out,
            at,
        )
