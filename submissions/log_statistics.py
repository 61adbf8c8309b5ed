"""What a session log is like, counted in one reading of its events."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.columns import DAY, HOUR
from events.compiled import kernel
from events.log import SessionLog

LONGEST = 512
"""Sessions at least so long are counted together."""

STEPS_PER_OCTAVE, OCTAVES = 2, 26
GAP_BINS = 1 + STEPS_PER_OCTAVE * OCTAVES
"""Bin 0 holds gaps of 0 s, bin i those from 2^((i-1)/2) s."""

OUTSIDE = 3
"""Row (before the first event) and column (after the last) of the transitions."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LogStatistics:
    """Counts over S sessions of N events.

    lengths     : int64[LONGEST + 1] sessions of each length, the last of all longer ones
    items       : int64[n_items] events on each item
    revisits    : events on an item that the session holds already
    returning   : sessions with such an event
    transitions : int64[4, 4] from type to type, ``OUTSIDE`` for the beginning and the end; ``None`` without types
    pairs       : int64[8] pairs of a session and an item by the bits of the types that occur; ``None`` likewise
    with_types  : int64[8] sessions, likewise
    first_day   : days from 1970 to the first event's, in the shop's time; ``None`` without time
    hours       : int64[D, 24] events by day and hour
    starts      : int64[D] sessions that begin on each day
    gaps        : int64[GAP_BINS] by the time between an event and the next of its session
    """

    sessions: int
    events: int
    lengths: Counts
    items: Counts
    revisits: int
    returning: int
    transitions: Counts | None
    pairs: Counts | None
    with_types: Counts | None
    first_day: int | None
    hours: Counts | None
    starts: Counts | None
    gaps: Counts | None


def gap_edges() -> npt.NDArray[np.float64]:
    """float64[GAP_BINS + 1] seconds at which the bins of gaps begin, and the end of the last."""
    return np.concatenate([[0.0], 2.0 ** (np.arange(GAP_BINS) / STEPS_PER_OCTAVE)])


@kernel
def _count_events(
    offsets: Counts, aids: npt.NDArray[np.int32], types: npt.NDArray[np.int8], last_session: npt.NDArray[np.int64],
    bits: npt.NDArray[np.int8], lengths: Counts, items: Counts, totals: Counts, transitions: Counts, pairs: Counts,
    with_types: Counts,
) -> None:  # fmt: skip
    """``last_session`` and ``bits`` of an item: the session that last held it, and the types that occurred there."""
    typed = types.size > 0
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        lengths[min(last - first, LONGEST)] += 1
        held, again, before = 0, 0, OUTSIDE
        for i in range(first, last):
            aid = aids[i]
            items[aid] += 1
            code = types[i] if typed else 0
            if last_session[aid] == s:
                again += 1
            else:
                last_session[aid] = s
                bits[aid] = 0
            if typed:
                old = bits[aid]
                bits[aid] = old | (1 << code)
                held |= 1 << code
                pairs[bits[aid]] += 1
                if old:
                    pairs[old] -= 1
                transitions[before, code] += 1
                before = code
        totals[0] += again
        totals[1] += again > 0
        if typed and last > first:
            with_types[held] += 1
            transitions[before, OUTSIDE] += 1


@kernel
def _count_times(
    offsets: Counts, ts: npt.NDArray[np.int32], offset_s: int, first_day: int, hours: Counts, starts: Counts,
    gaps: Counts,
) -> None:  # fmt: skip
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        for i in range(first, last):
            local = np.int64(ts[i]) + offset_s
            day = local // DAY - first_day
            hours[day, (local % DAY) // HOUR] += 1
            if i == first:
                starts[day] += 1
            else:
                gap = np.int64(ts[i]) - np.int64(ts[i - 1])
                place = 0 if gap <= 0 else 1 + int(math.log2(gap) * STEPS_PER_OCTAVE)
                gaps[min(place, GAP_BINS - 1)] += 1


def count_log(log: SessionLog, utc_offset_s: int = 0) -> LogStatistics:
    """Statistics of a log, in memory of about 25 bytes an item besides what is returned.

    >>> log = SessionLog.of([[3, 1, 3], [2]], n_items=4)
    >>> found = count_log(log)
    >>> found.revisits, found.returning, found.items.tolist(), found.lengths[:4].tolist()
    (1, 1, [0, 1, 1, 2], [0, 1, 0, 1])
    """
    size = log.n_items
    lengths, items, totals = np.zeros(LONGEST + 1, np.int64), np.zeros(size, np.int64), np.zeros(2, np.int64)
    transitions, pairs, with_types = np.zeros((4, 4), np.int64), np.zeros(8, np.int64), np.zeros(8, np.int64)
    types = np.zeros(0, np.int8) if log.types is None else log.types
    scratch = np.full(size, -1, np.int64), np.zeros(size, np.int8)
    _count_events(log.offsets, log.aids, types, *scratch, lengths, items, totals, transitions, pairs, with_types)
    typed = log.types is not None
    first_day, hours, starts, gaps = _times(log, utc_offset_s)
    return LogStatistics(
        sessions=len(log),
        events=log.n_events,
        lengths=lengths,
        items=items,
        revisits=int(totals[0]),
        returning=int(totals[1]),
        transitions=transitions if typed else None,
        pairs=pairs if typed else None,
        with_types=with_types if typed else None,
        first_day=first_day,
        hours=hours,
        starts=starts,
        gaps=gaps,
    )


def _times(log: SessionLog, utc_offset_s: int) -> tuple[int, Counts, Counts, Counts] | tuple[None, None, None, None]:
    if log.ts is None or log.n_events == 0:
        return None, None, None, None
    first, last = ((int(end) + utc_offset_s) // DAY for end in (log.ts.min(), log.ts.max()))
    hours, starts = np.zeros((last - first + 1, 24), np.int64), np.zeros(last - first + 1, np.int64)
    gaps = np.zeros(GAP_BINS, np.int64)
    _count_times(log.offsets, log.ts, utc_offset_s, first, hours, starts, gaps)
    return first, hours, starts, gaps
