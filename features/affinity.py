"""Affinity of the candidate and the session's items in a co-visitation matrix.

The neighbour lists of the session's recent items are walked once a session, and each neighbour is looked up in a
small hash table of the session's candidates that stays in the first-level cache: no search per (item, candidate).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, F64, I8, I32, I64
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog
from features.history import longest, recency_weight
from features.registry import TYPES, Feature

EMPTY = -1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def affinity_features(matrix: str) -> tuple[Feature, ...]:
    """The features of one matrix, in the order that :func:`fill_affinity` writes them."""
    of = f"affinity_{matrix}"
    return (
        Feature(f"{of}_sum", "affinity", f"sum over the session's recent items of their share for it in {matrix}"),
        Feature(f"{of}_max", "affinity", f"greatest share for it in {matrix} of any recent item"),
        Feature(f"{of}_count", "affinity", f"recent items that have it among their neighbours in {matrix}"),
        Feature(f"{of}_last", "affinity", f"share of the session's last item for it in {matrix}"),
        Feature(f"{of}_recent", "affinity", f"sum of shares in {matrix}, weighted by recency"),
        Feature(f"{of}_typed", "affinity", f"sum of shares in {matrix}, weighted by recency and type", TYPES),
    )


@kernel
def recent_items(
    aids: I32, types: I8, first: int, last: int, tail: int, type_weights: F64, items: I32, strength: F64
) -> int:
    """The last ``tail`` different items of a session, newest first, and the best type weight of each; their number."""
    n = 0
    for e in range(last - 1, first - 1, -1):
        weight = type_weights[types[e]] if types.size > 0 else 1.0
        place = 0
        while place < n and items[place] != aids[e]:
            place += 1
        if place < n:
            strength[place] = max(strength[place], weight)
        elif n < tail:
            items[n] = aids[e]
            strength[n] = weight
            n += 1
    return n


@kernel
def slot_of(aid: int, bits: int) -> np.int64:
    """First slot to look for an item in a table of 2^bits (Fibonacci hashing)."""
    return np.int64((np.uint64(aid) * GOLDEN) >> np.uint64(64 - bits))


@kernel
def build_slots(aids: I32, first: int, last: int, keys: I32, places: I32) -> int:
    """Hash table of ``aids[first:last]`` to their places, at most a quarter full; returns its number of bits."""
    bits = 4
    while (1 << bits) < 4 * (last - first):
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
def add_neighbours(
    aids: I32,
    scores: F32,
    begin: int,
    end: int,
    of_sum: bool,
    keys: I32,
    places: I32,
    bits: int,
    recency: float,
    strength: float,
    is_last: bool,
    total: F64,
) -> None:
    """Add one item's neighbour list to the candidates that are in it.

    total : float64[candidates, 6] as in :func:`affinity_features`
    """
    mask = (1 << bits) - 1
    unit = 0.0
    for m in range(begin, end if of_sum else begin + 1):
        unit += scores[m]
    if not unit > 0.0:
        return
    for m in range(begin, end):
        slot = slot_of(aids[m], bits)
        while keys[slot] != EMPTY and keys[slot] != aids[m]:
            slot = (slot + 1) & mask
        if keys[slot] == EMPTY:
            continue
        share = scores[m] / unit
        row = total[places[slot]]
        row[0] += share
        row[1] = max(row[1], share)
        row[2] += 1.0
        if is_last:
            row[3] = share
        row[4] += share * recency
        row[5] += share * recency * strength


@kernel
def fill_affinity(
    events: tuple[I64, I32, I8],
    rows: tuple[I64, I32],
    lists: tuple[I64, I32, F32],
    start: int,
    stop: int,
    of_sum: bool,
    tail: int,
    oldest_exponent: float,
    type_weights: F64,
    which: I64,
    out: F32,
    at: int,
) -> None:
    """Affinities of one matrix for the rows of sessions ``start:stop``.

    events : offsets, items and types of the log; rows : offsets and items of the candidates; lists : the matrix
    """
    log_offsets, aids, types = events
    offsets, rows_aids = rows
    list_offsets, list_aids, list_scores = lists
    most = longest(offsets, start, stop)
    size = 16
    while size < 4 * most:
        size *= 2
    keys, places = np.empty(size, np.int32), np.empty(size, np.int32)
    total = np.empty((most, 6))
    items, strength = np.empty(tail, np.int32), np.empty(tail)
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        bits = build_slots(rows_aids, first, last, keys, places)
        total[: last - first] = 0.0
        n = recent_items(aids, types, log_offsets[s], log_offsets[s + 1], tail, type_weights, items, strength)
        for u in range(n):
            x = items[u]
            if x < 0 or x >= list_offsets.size - 1 or list_offsets[x] == list_offsets[x + 1]:
                continue
            recency = recency_weight(n - 1 - u, n, oldest_exponent)
            add_neighbours(
                list_aids,
                list_scores,
                list_offsets[x],
                list_offsets[x + 1],
                of_sum,
                keys,
                places,
                bits,
                recency,
                strength[u],
                u == 0,
                total,
            )
        for row in range(first, last):
            for j in range(which.size):
                out[row, at + j] = np.float32(total[row - first, which[j]])


@dataclass(frozen=True, slots=True)
class AffinityBlock:
    """Affinities of one matrix: neighbour lists of all items, scores divided by each list's sum (or best).

    which        : int64 places in :func:`affinity_features` of ``features``
    tail         : recent different items of a session that count
    type_weights : float64[3] of clicks, carts, orders; an item counts with its greatest
    """

    features: tuple[Feature, ...]
    which: npt.NDArray[np.int64]
    matrix: Lists
    of_sum: bool
    tail: int
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
        types = np.zeros(0, np.int8) if log.types is None else log.types
        fill_affinity(
            (log.offsets, log.aids, types),
            (candidates.offsets, candidates.aids),
            (self.matrix.offsets, self.matrix.aids, self.matrix.scores),
            start,
            stop,
            self.of_sum,
            self.tail,
            self.oldest_exponent,
            self.type_weights,
            self.which,
            out,
            at,
        )
