"""Counts of events an item, in one pass over a log of any size: the heavy group-by behind the item table.

State: 4 * (3 * (windows + 1) + 19) bytes an item and thread (136 bytes with four windows), whatever the number of
events. All counts are integers, so the threads' shares add up to the same table for any number of threads.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.arrays import I8, I32, I64
from events.columns import CARTS, DAY, ORDERS
from events.compiled import kernel
from events.log import SessionLog

NEVER_FIRST = np.iinfo(np.int32).max
NEVER_LAST = np.iinfo(np.int32).min

QUARTERS = 4
"""Parts of the day that an item's events are counted by."""


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Counts of a fitted log.

    events   : int32[n_items, W+1, 3] events by age (window 0 is the newest; the last holds the older ones) and type
    sessions : int32[n_items, 3] sessions that hold the item, that cart it, that order it
    habits   : int32[n_items, 10] sessions that begin with it, that end with it, that come to it again; events that are
               followed by one on it; events by quarter of the day; whole log2 of the seconds until the next event of
               the visit, summed, and how many those are
    first    : int32[n_items] time of the first event, ``NEVER_FIRST`` if none
    last     : int32[n_items] time of the last event, ``NEVER_LAST`` if none
    n_sessions, since, until : of the log; seconds, 0 if it has no time
    """

    events: npt.NDArray[np.int32]
    sessions: npt.NDArray[np.int32]
    habits: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    last: npt.NDArray[np.int32]
    n_sessions: int
    since: int
    until: int


@kernel
def whole_log2(seconds: int) -> int:
    """Bits of a number of seconds: 0 for 0, 1 for 1, 2 for 2 and 3, …"""
    bits = 0
    while seconds > 0:
        seconds >>= 1
        bits += 1
    return bits


@kernel
def add_habits(
    first: int, last: int, aids: I32, ts: I32, mark: int, visit_gap: int, utc_offset: int, at: int, counters: I32
) -> None:
    """Add the habits of one session's items, at column ``at``; the mark of those come to again is at ``at + 10``.

    Called before the session is marked in any other way: ``at + 11`` then tells whether the item was seen in it.
    """
    for e in range(first, last):
        row = counters[aids[e]]
        row[at] += int(e == first)
        row[at + 1] += int(e == last - 1)
        if row[at + 11] == mark and row[at + 10] != mark:
            row[at + 10] = mark
            row[at + 2] += 1
        row[at + 11] = mark
        row[at + 3] += int(e + 1 < last and aids[e + 1] == aids[e])
        if ts.size > 0:
            quarter = (np.int64(ts[e]) + utc_offset) % DAY // (DAY // QUARTERS)
            row[at + 4 + quarter] += 1
            gap = np.int64(ts[e + 1]) - ts[e] if e + 1 < last else visit_gap + 1
            if gap <= visit_gap:
                row[at + 8] += whole_log2(gap)
                row[at + 9] += 1


@kernel
def add_events(
    start: int, stop: int, offsets: I64, aids: I32, ts: I32, types: I8, until: int, windows: I64,
    visit_gap: int, utc_offset: int, counters: I32,
) -> None:  # fmt: skip
    """Add the events of sessions ``start:stop`` to ``counters``; empty ``ts`` or ``types`` mean that there are none.

    counters : int32[n_items, 3 * (W+1) + 19], a row an item: counts by window and type; 3 counts of sessions; first
               and last time; 10 habits; then the last session (from 1) that came to it again, that holds, carted and
               ordered it
    """
    n_windows = windows.size
    at = 3 * (n_windows + 1)
    marks = at + 16
    for s in range(start, stop):
        mark = np.int32(s - start + 1)
        add_habits(offsets[s], offsets[s + 1], aids, ts, int(mark), visit_gap, utc_offset, at + 5, counters)
        for e in range(offsets[s], offsets[s + 1]):
            row = counters[aids[e]]
            kind = types[e] if types.size > 0 else 0
            window = n_windows
            if ts.size > 0:
                age = until - ts[e]
                window = 0
                while window < n_windows and age >= windows[window]:
                    window += 1
                row[at + 3] = min(row[at + 3], ts[e])
                row[at + 4] = max(row[at + 4], ts[e])
            row[3 * window + kind] += 1
            if row[marks] == mark:
                row[marks] = -mark
                row[at] += 1
            if kind == CARTS and row[marks + 1] != mark:
                row[marks + 1] = mark
                row[at + 1] += 1
            if kind == ORDERS and row[marks + 2] != mark:
                row[marks + 2] = mark
                row[at + 2] += 1


def count_items(
    log: SessionLog, windows_days: tuple[int, ...], threads: int = 1, visit_gap: int = 1800, utc_offset: int = 0
) -> ItemCounts:
    """Count the events of every item by age and type, its sessions and its habits.

    An event is in the window of ``w`` days if it is less than ``w`` days older than the log's last event.
    visit_gap, utc_offset : seconds
    """
    at = 3 * (len(windows_days) + 1)
    windows = np.array(windows_days, np.int64) * DAY
    ts = log.ts_or_empty
    types = log.types_or_empty
    since, until = (int(ts.min()), int(ts.max())) if ts.size else (0, 0)

    def share(start: int, stop: int) -> npt.NDArray[np.int32]:
        counters = np.zeros((log.n_items, at + 19), np.int32)
        counters[:, at + 3] = NEVER_FIRST
        counters[:, at + 4] = NEVER_LAST
        add_events(start, stop, log.offsets, log.aids, ts, types, until, windows, visit_gap, utc_offset, counters)
        return counters

    # Equal numbers of events for each thread.
    wanted = np.linspace(0, log.n_events, threads + 1)[1:-1]
    bounds = [0, *np.searchsorted(log.offsets, wanted).tolist(), len(log)]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(share, bounds[:-1], bounds[1:]))
    total = parts[0]
    for part in parts[1:]:
        total[:, : at + 3] += part[:, : at + 3]
        total[:, at + 5 : at + 15] += part[:, at + 5 : at + 15]
        np.minimum(total[:, at + 3], part[:, at + 3], out=total[:, at + 3])
        np.maximum(total[:, at + 4], part[:, at + 4], out=total[:, at + 4])
    return ItemCounts(
        events=total[:, :at].reshape(log.n_items, len(windows_days) + 1, 3),
        sessions=total[:, at : at + 3],
        habits=total[:, at + 5 : at + 15],
        first=total[:, at + 3],
        last=total[:, at + 4],
        n_sessions=len(log),
        since=since,
        until=until,
    )
