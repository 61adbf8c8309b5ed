"""Features of a session: how long, how fast, how late, how near to buying."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, I8, I32, I64
from events.columns import CARTS, DAY, HOUR, ORDERS
from events.compiled import kernel
from events.log import SessionLog
from features.history import longest, sort_history
from features.registry import BOTH, TIME, TYPES, Feature

SESSION_FEATURES = (
    Feature("session_events", "session", "events of the session"),
    Feature("session_items", "session", "different items of the session"),
    Feature("session_repeat", "session", "share of its events on an item already seen"),
    Feature("session_top_share", "session", "share of its events on its most frequent item"),
    Feature("session_carts", "session", "share of its events that are carts", TYPES),
    Feature("session_orders", "session", "share of its events that are orders", TYPES),
    Feature("session_last_type", "session", "type of its last event: 0 click, 1 cart, 2 order", TYPES),
    Feature("session_open_carts", "session", "items carted and not ordered since", TYPES),
    Feature("session_cart_ago", "session", "events since the last cart; NaN if none", TYPES),
    Feature("session_order_ago", "session", "events since the last order; NaN if none", TYPES),
    Feature("session_span", "session", "seconds from first to last event, log1p", TIME),
    Feature("session_gap", "session", "mean seconds between events of one visit, log1p; NaN if no two", TIME),
    Feature("session_last_gap", "session", "seconds between the last two events, log1p; NaN if no two", TIME),
    Feature("session_visits", "session", "visits: stretches of events without a long gap", TIME),
    Feature("session_visit_events", "session", "events of the last visit", TIME),
    Feature("session_visit_span", "session", "seconds of the last visit, log1p", TIME),
    Feature("session_tempo", "session", "events an hour in the last visit (of at least a minute), log1p", TIME),
    Feature("session_away", "session", "seconds between the last two visits, log1p; NaN if one visit", TIME),
    Feature("session_visit_carts", "session", "share of the last visit's events that are carts", BOTH),
    Feature("session_hour_sin", "session", "sine of the last event's time of day", TIME),
    Feature("session_hour_cos", "session", "cosine of the last event's time of day", TIME),
    Feature("session_weekday", "session", "weekday of the last event, 0 is Monday", TIME),
    Feature("session_entropy", "session", "entropy of its events over its items, nats"),
    Feature("session_new", "session", "share of its last 5 events that are the first on their item"),
    Feature("session_visit_items", "session", "different items of the last visit", TIME),
    Feature("session_since_cart", "session", "seconds since the last cart, log1p; NaN if none", BOTH),
    Feature("session_since_order", "session", "seconds since the last order, log1p; NaN if none", BOTH),
)
"""In the order that :func:`describe_session` writes them."""


NEWEST = 5
"""Events of a session's end whose novelty is told."""


@kernel
def describe_items(aids: I32, types: I8, first: int, last: int, keys: I64, value: F32) -> None:
    """The features of a session of one event or more that need no time."""
    n = last - first
    sort_history(aids, first, last, keys)
    items, top, open_carts, new = 0, 0, 0, 0
    run, is_open, entropy = 0, False, 0.0
    for i in range(n):
        if i == 0 or keys[i] >> 32 != keys[i - 1] >> 32:
            open_carts += int(is_open)
            items += 1
            run, is_open = 0, False
            new += int((keys[i] & 0xFFFFFFFF) >= n - NEWEST)
        run += 1
        top = max(top, run)
        if i == n - 1 or keys[i] >> 32 != keys[i + 1] >> 32:
            entropy -= run / n * math.log(run / n)
        if types.size > 0:
            kind = types[first + (keys[i] & 0xFFFFFFFF)]
            if kind != 0:
                is_open = kind == CARTS
    open_carts += int(is_open)
    value[0] = n
    value[1] = items
    value[2] = (n - items) / n
    value[3] = top / n
    value[22] = entropy
    value[23] = new / min(n, NEWEST)
    if types.size > 0:
        carts, orders = 0, 0
        for i in range(n):
            kind = types[first + i]
            carts += int(kind == CARTS)
            orders += int(kind == ORDERS)
            if kind == CARTS:
                value[8] = n - 1 - i
            elif kind == ORDERS:
                value[9] = n - 1 - i
        value[4] = carts / n
        value[5] = orders / n
        value[6] = types[last - 1]
        value[7] = open_carts


@kernel
def describe_times(
    ts: I32, types: I8, first: int, last: int, visit_gap: int, utc_offset: int, keys: I64, value: F32
) -> None:
    """The features of a session of one event or more that need time."""
    n = last - first
    visits, begin = 1, first
    inside, gaps = 0, 0
    away = np.nan
    for e in range(first + 1, last):
        gap = np.int64(ts[e]) - ts[e - 1]
        if gap > visit_gap:
            visits += 1
            begin = e
            away = math.log1p(gap)
        else:
            inside += gap
            gaps += 1
    span = np.int64(ts[last - 1]) - ts[begin]
    value[10] = math.log1p(np.int64(ts[last - 1]) - ts[first])
    value[11] = math.log1p(inside / gaps) if gaps > 0 else np.nan
    value[12] = math.log1p(np.int64(ts[last - 1]) - ts[last - 2]) if n > 1 else np.nan
    value[13] = visits
    value[14] = last - begin
    value[15] = math.log1p(span)
    value[16] = math.log1p((last - begin) * HOUR / max(span, 60))
    value[17] = away
    items, before = 0, np.int64(-1)
    for k in range(n):  # by item, then by place
        if first + (keys[k] & 0xFFFFFFFF) >= begin and (items == 0 or keys[k] >> 32 != before):
            items += 1
            before = keys[k] >> 32
    value[24] = items
    if types.size > 0:
        carts = 0
        for e in range(begin, last):
            carts += int(types[e] == CARTS)
        value[18] = carts / (last - begin)
        for e in range(first, last):
            if types[e] == CARTS:
                value[25] = math.log1p(np.int64(ts[last - 1]) - ts[e])
            elif types[e] == ORDERS:
                value[26] = math.log1p(np.int64(ts[last - 1]) - ts[e])
    local = np.int64(ts[last - 1]) + utc_offset
    angle = 2.0 * math.pi * (local % DAY) / DAY
    value[19] = math.sin(angle)
    value[20] = math.cos(angle)
    value[21] = (local // DAY + 3) % 7  # 1 January 1970 was a Thursday


@kernel
def describe_session(
    aids: I32, ts: I32, types: I8, first: int, last: int, visit_gap: int, utc_offset: int, keys: I64, value: F32
) -> None:
    """All the features of one session into ``value``; NaN where there is none."""
    value[:] = np.nan
    if last == first:
        value[0] = 0
        value[1] = 0
        return
    describe_items(aids, types, first, last, keys, value)
    if ts.size > 0:
        describe_times(ts, types, first, last, visit_gap, utc_offset, keys, value)


@kernel
def fill_sessions(
    events: tuple[I64, I32, I32, I8],
    offsets: I64,
    start: int,
    stop: int,
    visit_gap: int,
    utc_offset: int,
    which: I64,
    out: F32,
    at: int,
) -> None:
    """Describe each session once and copy the features ``which`` to all of its rows.

    events : offsets, items, times and types of the log; offsets : of the candidates
    """
    log_offsets, aids, ts, types = events
    keys = np.empty(longest(log_offsets, start, stop), np.int64)
    value = np.empty(27, np.float32)
    for s in range(start, stop):
        if offsets[s] == offsets[s + 1]:
            continue
        describe_session(aids, ts, types, log_offsets[s], log_offsets[s + 1], visit_gap, utc_offset, keys, value)
        for row in range(offsets[s], offsets[s + 1]):
            for j in range(which.size):
                out[row, at + j] = value[which[j]]


@dataclass(frozen=True, slots=True)
class SessionBlock:
    """The session of the candidate.

    which : int64 places in ``SESSION_FEATURES`` of ``features``; visit_gap and utc_offset in seconds
    """

    features: tuple[Feature, ...]
    which: npt.NDArray[np.int64]
    visit_gap: int
    utc_offset: int

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
        events = (log.offsets, log.aids, ts, types)
        fill_sessions(events, candidates.offsets, start, stop, self.visit_gap, self.utc_offset, self.which, out, at)
