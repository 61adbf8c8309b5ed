"""Counts of events an item, in one pass over a log of any size: the heavy group-by behind the item table.

State: 4 * (3 * (windows + 1) + 8) bytes an item and thread (80 bytes with three windows), whatever the number of
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


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Counts of a fitted log.

    events   : int32[n_items, W+1, 3] events by age (window 0 is the newest; the last holds the older ones) and type
    sessions : int32[n_items, 3] sessions that hold the item, that cart it, that order it
    first    : int32[n_items] time of the first event, ``NEVER_FIRST`` if none
    last     : int32[n_items] time of the last event, ``NEVER_LAST`` if none
    n_sessions, since, until : of the log; seconds, 0 if it has no time
    """

    events: npt.NDArray[np.int32]
    sessions: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    last: npt.NDArray[np.int32]
    n_sessions: int
    since: int
    until: int


@kernel
def add_events(
    start: int, stop: int, offsets: I64, aids: I32, ts: I32, types: I8, until: int, windows: I64, counters: I32
) -> None:
    """Add the events of sessions ``start:stop`` to ``counters``; empty ``ts`` or ``types`` mean that there are none.

    counters : int32[n_items, 3 * (W+1) + 8], a row an item: counts by window and type, 3 counts of sessions, first
               and last time, and the last session (from 1) that touched, carted and ordered it
    """
    n_windows = windows.size
    at = 3 * (n_windows + 1)
    for s in range(start, stop):
        mark = np.int32(s - start + 1)
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
            if row[at + 5] != mark:
                row[at + 5] = mark
                row[at] += 1
            if kind == CARTS and row[at + 6] != mark:
                row[at + 6] = mark
                row[at + 1] += 1
            if kind == ORDERS and row[at + 7] != mark:
                row[at + 7] = mark
                row[at + 2] += 1


def count_items(log: SessionLog, windows_days: tuple[int, ...], threads: int = 1) -> ItemCounts:
    """Count the events of every item by age and type, and its sessions.

    An event is in the window of ``w`` days if it is less than ``w`` days older than the log's last event.
    """
    at = 3 * (len(windows_days) + 1)
    windows = np.array(windows_days, np.int64) * DAY
    ts = np.zeros(0, np.int32) if log.ts is None else log.ts
    types = np.zeros(0, np.int8) if log.types is None else log.types
    since, until = (int(ts.min()), int(ts.max())) if ts.size else (0, 0)

    def share(start: int, stop: int) -> npt.NDArray[np.int32]:
        counters = np.zeros((log.n_items, at + 8), np.int32)
        counters[:, at + 3] = NEVER_FIRST
        counters[:, at + 4] = NEVER_LAST
        add_events(start, stop, log.offsets, log.aids, ts, types, until, windows, counters)
        return counters

    # Equal numbers of events for each thread.
    wanted = np.linspace(0, log.n_events, threads + 1)[1:-1]
    bounds = [0, *np.searchsorted(log.offsets, wanted).tolist(), len(log)]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(share, bounds[:-1], bounds[1:]))
    total = parts[0]
    for part in parts[1:]:
        total[:, : at + 3] += part[:, : at + 3]
        np.minimum(total[:, at + 3], part[:, at + 3], out=total[:, at + 3])
        np.maximum(total[:, at + 4], part[:, at + 4], out=total[:, at + 4])
    return ItemCounts(
        events=total[:, :at].reshape(log.n_items, len(windows_days) + 1, 3),
        sessions=total[:, at : at + 3],
        first=total[:, at + 3],
        last=total[:, at + 4],
        n_sessions=len(log),
        since=since,
        until=until,
    )
