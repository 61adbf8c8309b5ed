"""Affinity of the candidate and the session's items in a co-visitation matrix.

The neighbour lists of the session's recent items are walked once a session, and each neighbour is looked up in a
small hash table of the session's candidates that stays in the first-level cache: no search per (item, candidate). The
other way round, each candidate's own list is walked once, against a table of the recent items.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, F64, I8, I32, I64, read_only
from events.columns import HOUR
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog
from features.history import longest, recency_weight
from features.places import write_places
from features.registry import TIME, TYPES, Feature
from features.settings import FeaturesSettings

EMPTY = -1
SPARSE, SPARSER = 8, 32
"""Slots of a hash table for each item in it: most lookups find nothing, and a branch that seldom goes the other way is
cheap. The more lookups, the more slots; they stay in the first-level cache."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)

WAYS = 8
"""Ways to weigh the session's recent items, in the order of :func:`weigh_items`."""

COUNT, BEST, MAX, LAST_PLACE = 8, 9, 10, 11
"""Behind the weighted sums of a candidate: lists that hold it, best place, greatest share, place in the last list."""


def affinity_features(matrix: str) -> tuple[Feature, ...]:
    """The features of one matrix, in the order that :func:`fill_affinity` writes them."""
    nothing: frozenset[str] = frozenset()
    rows = (
        ("sum", f"sum over the session's recent items of their share for it in {matrix}", nothing),
        ("recent", f"sum of shares in {matrix}, weighted by recency", nothing),
        ("typed", f"sum of shares in {matrix}, weighted by recency and type", TYPES),
        ("bought", f"sum of the shares in {matrix} of carted and ordered items", TYPES),
        ("visit", f"sum of the shares in {matrix} of the last visit's items", TIME),
        ("fresh", f"sum of shares in {matrix}, each divided by 1 + the item's age in hours", TIME),
        ("last", f"share of the session's last item for it in {matrix}", nothing),
        ("second", f"share of the last but one different item for it in {matrix}", nothing),
        ("count", f"recent items that have it among their neighbours in {matrix}", nothing),
        (
            "best_place",
            f"its best place among the neighbours of a recent item in {matrix}; NaN if in no list",
            nothing,
        ),
        ("max", f"greatest share for it in {matrix} of any recent item", nothing),
        ("last_place", f"its place among the neighbours of the last item in {matrix}; NaN if not there", nothing),
        ("mean", f"sum of shares in {matrix} over the number of recent items", nothing),
        ("standing", f"share of the session's candidates with a greater recency-weighted sum in {matrix}", nothing),
        ("back", f"sum of its own shares for the recent items in {matrix}, weighted by recency", nothing),
        ("back_last", f"its own share for the session's last item in {matrix}", nothing),
        ("listed", f"items that have it among their neighbours in {matrix}, log1p", nothing),
    )
    return tuple(Feature(f"affinity_{matrix}_{name}", "affinity", meaning, needs) for name, meaning, needs in rows)


@kernel
def recent_items(aids: I32, first: int, last: int, tail: int, items: I32, newest: I64) -> int:
    """The last ``tail`` different items of a session, newest first, and the last event of each; their number."""
    n = 0
    for e in range(last - 1, first - 1, -1):
        place = 0
        while place < n and items[place] != aids[e]:
            place += 1
        if place == n and n < tail:
            items[n] = aids[e]
            newest[n] = e
            n += 1
    return n


@kernel
def best_types(
    aids: I32, types: I8, first: int, last: int, type_weights: F64, items: I32, n: int, strength: F64, bought: F64
) -> None:
    """The best type weight of each item, and 1 where one of its events is a cart or an order."""
    strength[:n] = 0.0
    bought[:n] = 0.0
    for e in range(first, last):
        for place in range(n):
            if items[place] == aids[e]:
                strength[place] = max(strength[place], type_weights[types[e]] if types.size > 0 else 1.0)
                if types.size > 0 and types[e] > 0:
                    bought[place] = 1.0


@kernel
def weigh_items(
    ts: I32, first: int, last: int, visit_gap: int, oldest_exponent: float, n: int, newest: I64, strength: F64,
    bought: F64, weights: F64,
) -> None:  # fmt: skip
    """weights[u] of recent item u: 1; recency; recency and type; bought; in the last visit; age; last; last but one."""
    begin = last - 1
    while ts.size > 0 and begin > first and np.int64(ts[begin]) - ts[begin - 1] <= visit_gap:
        begin -= 1
    for u in range(n):
        recency = recency_weight(n - 1 - u, n, oldest_exponent)
        age = np.int64(ts[last - 1]) - ts[newest[u]] if ts.size > 0 else 0
        weights[u, 0] = 1.0
        weights[u, 1] = recency
        weights[u, 2] = recency * strength[u]
        weights[u, 3] = bought[u]
        weights[u, 4] = newest[u] >= begin
        weights[u, 5] = HOUR / (HOUR + age)
        weights[u, 6] = u == 0
        weights[u, 7] = u == 1


@kernel
def slot_of(aid: int, bits: int) -> np.int64:
    """First slot to look for an item in a table of 2^bits (Fibonacci hashing)."""
    return np.int64((np.uint64(aid) * GOLDEN) >> np.uint64(64 - bits))


@kernel
def build_slots(aids: I32, first: int, last: int, spread: int, keys: I32, places: I32) -> int:
    """Hash table of ``aids[first:last]`` to their places, ``spread`` slots for each; returns its number of bits."""
    bits = 4
    while (1 << bits) < spread * (last - first):
        bits += 1
    mask = (1 << bits) - 1
    keys[: mask + 1] = EMPTY
    for row in range(first, last):
        slot = slot_of(aids[row], bits)
        while keys[slot] != EMPTY:
            slot = (slot + 1) & mask
        keys[slot] = aids[row]
        places[slot] = row - first
    return bits


@kernel
def find(aid: int, keys: I32, bits: int) -> np.int64:
    """Slot of an item in a table of 2^bits; that of an empty one if it is not there."""
    mask = (1 << bits) - 1
    slot = slot_of(aid, bits)
    while keys[slot] != EMPTY and keys[slot] != aid:
        slot = (slot + 1) & mask
    return slot


@kernel
def add_neighbours(
    aids: I32, scores: F32, begin: int, end: int, unit: float, keys: I32, places: I32, bits: int, weights: F64,
    total: F64,
) -> None:  # fmt: skip
    """Add one item's neighbour list, its scores divided by ``unit``, to the candidates that are in it.

    weights : float64[WAYS] of the item; total : float64[candidates, WAYS + 4]
    """
    for m in range(begin, end):
        slot = find(aids[m], keys, bits)
        if keys[slot] == EMPTY:
            continue
        share = scores[m] / unit
        row = total[places[slot]]
        for way in range(WAYS):
            row[way] += share * weights[way]
        row[COUNT] += 1.0
        row[BEST] = min(row[BEST], m - begin) if row[COUNT] > 1.0 else m - begin
        row[MAX] = max(row[MAX], share)
        if weights[6] > 0.0:
            row[LAST_PLACE] = m - begin


@kernel
def look_back(
    aids: I32, scores: F32, begin: int, end: int, unit: float, keys: I32, places: I32, bits: int, weights: F64
) -> tuple[float, float]:
    """An item's own shares for the session's recent items: weighted by recency, and for the last of them."""
    total, of_last = 0.0, 0.0
    for m in range(begin, end):
        slot = find(aids[m], keys, bits)
        if keys[slot] != EMPTY:
            share = scores[m] / unit
            total += share * weights[places[slot], 1]
            of_last += share * weights[places[slot], 6]
    return total, of_last


@kernel
def touch_lists(offsets: I64, list_aids: I32, list_scores: F32, aids: I32, first: int, last: int) -> float:
    """Read the head of every candidate's list, many at a time: they may lie anywhere in memory.

    Returns a number without meaning, which keeps the reads alive.
    """
    warm = 0.0
    for row in range(first, last):
        x = aids[row]
        if 0 <= x < offsets.size - 1 and offsets[x] < offsets[x + 1]:
            warm += list_aids[offsets[x]] + list_scores[offsets[x]]
    return warm


@kernel
def list_units(offsets: I64, scores: F32, of_sum: bool, units: F32) -> None:
    """What each list's scores are divided by: their sum or the first of them; 0 for a list that does not count."""
    for x in range(offsets.size - 1):
        unit = 0.0
        for m in range(offsets[x], offsets[x + 1] if of_sum else min(offsets[x] + 1, offsets[x + 1])):
            unit += scores[m]
        units[x] = max(unit, 0.0)


@kernel
def fill_affinity(
    events: tuple[I64, I32, I32, I8],
    rows: tuple[I64, I32],
    lists: tuple[I64, I32, F32, F32, F32],
    start: int,
    stop: int,
    tail: int,
    visit_gap: int,
    oldest_exponent: float,
    type_weights: F64,
    which: I64,
    out: F32,
    at: int,
) -> float:
    """Affinities of one matrix for the rows of sessions ``start:stop``.

    events : offsets, items, times and types of the log; rows : offsets and items of the candidates
    lists  : offsets, items, scores of the matrix, then a row an item: unit of its list, log1p of its listings

    Returns a number without meaning.
    """
    log_offsets, aids, ts, types = events
    offsets, rows_aids = rows
    list_offsets, list_aids, list_scores, units, listed = lists
    most = longest(offsets, start, stop)
    size = 16
    while size < max(SPARSE * most, SPARSER * tail):
        size *= 2
    keys, places = np.empty(size, np.int32), np.empty(size, np.int32)
    own_keys, own_places = np.empty(size, np.int32), np.empty(size, np.int32)
    total, recent = np.empty((most, WAYS + 4)), np.empty(most, np.float32)
    order, standing = np.empty(most, np.int64), np.empty((most, 1), np.float32)
    items, newest = np.empty(tail, np.int32), np.empty(tail, np.int64)
    strength, bought, weights = np.empty(tail), np.empty(tail), np.empty((tail, WAYS))
    value, warm = np.empty(WAYS + 9, np.float32), 0.0
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        warm += touch_lists(list_offsets, list_aids, list_scores, rows_aids, first, last)
        bits = build_slots(rows_aids, first, last, SPARSE, keys, places)
        total[: last - first] = 0.0
        begin, end = log_offsets[s], log_offsets[s + 1]
        n = recent_items(aids, begin, end, tail, items, newest)
        best_types(aids, types, begin, end, type_weights, items, n, strength, bought)
        weigh_items(ts, begin, end, visit_gap, oldest_exponent, n, newest, strength, bought, weights)
        own_bits = build_slots(items, 0, n, SPARSER, own_keys, own_places)
        for row in range(last - first):
            total[row, LAST_PLACE] = np.nan
        for u in range(n):
            x = items[u]
            if 0 <= x < units.size and units[x] > 0.0:
                span = list_offsets[x], list_offsets[x + 1]
                add_neighbours(
                    list_aids, list_scores, span[0], span[1], units[x], keys, places, bits, weights[u], total
                )
        for row in range(last - first):
            recent[row] = np.float32(total[row, 1])
        write_places(recent[: last - first], order, standing, 0, 0)
        for row in range(first, last):
            mine = total[row - first]
            for way in range(WAYS):
                value[way] = mine[way]
            value[8] = mine[COUNT]
            value[9] = mine[BEST] if mine[COUNT] > 0.0 else np.nan
            value[10] = mine[MAX]
            value[11] = mine[LAST_PLACE]
            value[12] = mine[0] / max(n, 1)
            value[13] = standing[row - first, 0]
            x = rows_aids[row]
            back, back_last = 0.0, 0.0
            if 0 <= x < units.size and units[x] > 0.0:
                back, back_last = look_back(
                    list_aids, list_scores, list_offsets[x], list_offsets[x + 1], units[x],
                    own_keys, own_places, own_bits, weights,
                )  # fmt: skip
            value[14] = back
            value[15] = back_last
            value[16] = listed[x] if 0 <= x < listed.size else 0.0
            for j in range(which.size):
                out[row, at + j] = value[which[j]]
    return warm


@dataclass(frozen=True, slots=True)
class AffinityBlock:
    """Affinities of one matrix: neighbour lists of all items, scores divided by each list's sum (or best).

    which        : int64 places in :func:`affinity_features` of ``features``
    units        : float32[n_items] what the scores of each list are divided by; 0: it does not count
    listed       : float32[n_items] log1p of the number of lists that hold each item
    tail         : recent different items of a session that count
    visit_gap    : seconds; a longer gap between two events starts a new visit
    type_weights : float64[3] of clicks, carts, orders; an item counts with its greatest
    """

    features: tuple[Feature, ...]
    which: npt.NDArray[np.int64]
    matrix: Lists
    units: npt.NDArray[np.float32]
    listed: npt.NDArray[np.float32]
    tail: int
    visit_gap: int
    oldest_exponent: float
    type_weights: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        features: tuple[Feature, ...],
        which: npt.NDArray[np.int64],
        matrix: Lists,
        settings: FeaturesSettings,
        held: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None,
    ) -> "AffinityBlock":
        """The block of a matrix, with what is counted once for all sessions: ``held`` units and listed, or now."""
        if held is None:
            units = np.empty(len(matrix), np.float32)
            list_units(matrix.offsets, matrix.scores, settings.affinity_unit == "sum", units)
            listed = np.log1p(np.bincount(matrix.aids, minlength=len(matrix))).astype(np.float32)
        else:
            units, listed = held
        return cls(
            features,
            which,
            matrix,
            read_only(units),
            read_only(listed),
            settings.affinity_tail,
            int(settings.visit_gap_minutes * 60),
            settings.oldest_exponent,
            np.array(settings.type_weights),
        )

    def fill(
        self, log: SessionLog, candidates: Candidates, start: int, stop: int, out: npt.NDArray[np.float32], at: int
    ) -> None:
        """See :class:`features.registry.Block`."""
        ts = log.ts_or_empty
        types = log.types_or_empty
        fill_affinity(
            (log.offsets, log.aids, ts, types),
            (candidates.offsets, candidates.aids),
            (self.matrix.offsets, self.matrix.aids, self.matrix.scores, self.units, self.listed),
            start,
            stop,
            self.tail,
            self.visit_gap,
            self.oldest_exponent,
            self.type_weights,
            self.which,
            out,
            at,
        )
