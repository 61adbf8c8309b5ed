"""Sums by item in a small open-addressing hash table: it fits the first-level cache, whatever the number of items."""

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel
from events.lists import insert_best

EMPTY = -1


@inline
def capacity(entries: int) -> int:
    """Slots (a power of two) for so many different items, at most half full."""
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


@inline
def add(keys: npt.NDArray[np.int32], values: npt.NDArray[np.float64], slots: int, aid: int, value: float) -> bool:
    """Add to the sum of an item among the first ``slots`` (a power of two); whether the item is new.

    ``keys`` are ``EMPTY`` where a slot is free.
    """
    slot = (np.int64(aid) * 0x9E3779B1 >> 7) & (slots - 1)
    while keys[slot] != EMPTY and keys[slot] != aid:
        slot = (slot + 1) & (slots - 1)
    if keys[slot] == aid:
        values[slot] += value
        return False
    keys[slot] = aid
    values[slot] = value
    return True


@inline
def find(keys: npt.NDArray[np.int32], slots: int, aid: int) -> int:
    """The slot of an item, or -1 if it has no sum."""
    slot = (np.int64(aid) * 0x9E3779B1 >> 7) & (slots - 1)
    while keys[slot] != EMPTY and keys[slot] != aid:
        slot = (slot + 1) & (slots - 1)
    return int(slot) if keys[slot] == aid else -1


@kernel
def take_best(
    keys: npt.NDArray[np.int32], values: npt.NDArray[np.float64], slots: int,
    barred: npt.NDArray[np.int32], barred_slots: int,
    aids: npt.NDArray[np.int32], scores: npt.NDArray[np.float64],
) -> int:  # fmt: skip
    """Empty the table into the places of ``aids`` and ``scores``, best first, as far as they go; returns their number.

    Sums are rounded to float32, ties go by ascending item. Items of the second table do not enter (none if it has 0
    slots).
    """
    size, k = 0, aids.size
    for slot in range(slots):
        if keys[slot] != EMPTY:
            score = np.float64(np.float32(values[slot]))
            if (size < k or score >= scores[size - 1]) and (
                barred_slots == 0 or find(barred, barred_slots, keys[slot]) < 0
            ):
                size = insert_best(aids, scores, size, k, keys[slot], score)
            keys[slot] = EMPTY
    return size


@inline
def write_row(
    s: int, aids: npt.NDArray[np.int32], scores: npt.NDArray[np.float64], size: int,
    out_offsets: npt.NDArray[np.int64], out_aids: npt.NDArray[np.int32], out_scores: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """Write the first ``size`` places as row ``s``, behind the rows before it."""
    start = out_offsets[s]
    for place in range(size):
        out_aids[start + place] = aids[place]
        out_scores[start + place] = scores[place]
    out_offsets[s + 1] = start + size


@inline
def latest_items(
    aids: npt.NDArray[np.int32], first: int, last: int,
    own: npt.NDArray[np.int32], unused: npt.NDArray[np.float64], own_slots: int, unique: npt.NDArray[np.int32],
) -> int:  # fmt: skip
    """Put the different items of ``aids[first:last]`` into ``unique``, the latest first, and ``own``; their number."""
    found = 0
    for event in range(last - 1, first - 1, -1):
        if add(own, unused, own_slots, aids[event], 0.0):
            unique[found] = aids[event]
            found += 1
    return found


@kernel
def recency_weights(n: int, first_power: float, last_power: float) -> npt.NDArray[np.float64]:
    """float64[n] 2^p - 1 with p rising evenly from the first to the last; a single event has the first power.

    The public rules use ``numpy.logspace(0.1, 1, n, base=2) - 1``.
    """
    out = np.empty(n, np.float64)
    step = (last_power - first_power) / (n - 1) if n > 1 else 0.0
    for i in range(n):
        out[i] = 2.0 ** (first_power + i * step) - 1.0
    return out
