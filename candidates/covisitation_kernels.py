"""Hot loops of co-visitation: pack the tails of sessions, list the sessions of each item, add up pairs, keep the best.

An event is packed in one 64-bit word: item (30 bits), seconds since the first event (31), type (2), and whether it is
the first of its session (1), from the highest bit to the lowest.
"""

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel
from events.lists import insert_best

ITEM_BITS, TIME_BITS, EVENT_BITS = 30, 31, 32
AHEAD = 12
"""Postings by which memory is asked for before it is needed: the sessions of an item lie anywhere."""

QUANTUM = 2.0**-20
"""Weights are counted in integers of this size, so that sums depend neither on order nor on threads."""

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


@kernel
def tail_lengths(offsets: Ints, types: npt.NDArray[np.int8], kept: int, tail: int, out: Ints) -> None:
    """out[s+1] = events of session s that are kept: of a type in the mask ``kept``, and among the last ``tail``."""
    for s in range(offsets.size - 1):
        n = 0
        for i in range(offsets[s], offsets[s + 1]):
            if types.size == 0 or (kept >> types[i]) & 1:
                n += 1
        out[s + 1] = min(n, tail)


@kernel
def pack_tails(
    offsets: Ints, aids: Rows, ts: Rows, types: npt.NDArray[np.int8], t_first: int, kept: int, tails: Ints, words: Ints
) -> None:
    """Write the kept events of session s to ``words[tails[s]:tails[s+1]]``, in their order.

    ``ts`` and ``types`` are of size 0 where the shop has none. ``words`` has one more place, for a word that begins a
    session, so that the last session, too, is followed by one.
    """
    for s in range(offsets.size - 1):
        place = tails[s + 1]
        i = offsets[s + 1]
        while place > tails[s]:
            i -= 1
            code = 0 if types.size == 0 else np.int64(types[i])
            if (kept >> code) & 1:
                place -= 1
                time = 0 if ts.size == 0 else np.int64(ts[i]) - t_first
                words[place] = (np.int64(aids[i]) << 34) | (time << 3) | (code << 1) | (place == tails[s])
    words[tails[tails.size - 1]] = 1


@inline
def item_of(word: int) -> int:
    """The item of a packed event."""
    return (word >> 34) & 0x3FFFFFFF


@inline
def time_of(word: int) -> int:
    """Seconds since the first event of the log."""
    return (word >> 3) & 0x7FFFFFFF


@inline
def type_of(word: int) -> int:
    """The code of the type."""
    return (word >> 1) & 3


@inline
def begins(word: int) -> bool:
    """Whether the event is the first of its session."""
    return (word & 1) == 1


@kernel
def count_postings(words: Ints, x_mask: int, counts: Ints) -> None:
    """counts[item+1] = packed events of the item with a type in ``x_mask``."""
    for i in range(words.size - 1):
        if (x_mask >> type_of(words[i])) & 1:
            counts[item_of(words[i]) + 1] += 1


@kernel
def fill_postings(tails: Ints, words: Ints, x_mask: int, cursor: Ints, postings: Ints) -> None:
    """Write these events item after item: place among the words (32 bits) above session (31).

    Sessions ascend, places in a session descend. ``cursor`` starts at each item's first posting.
    """
    for s in range(tails.size - 1):
        for i in range(tails[s + 1] - 1, tails[s] - 1, -1):
            if (x_mask >> type_of(words[i])) & 1:
                item = item_of(words[i])
                postings[cursor[item]] = (i << 31) | s
                cursor[item] += 1


@kernel
def event_weights(
    time: int, span: int, base: npt.NDArray[np.float64], slope: npt.NDArray[np.float64],
    type_weights: npt.NDArray[np.float64], out: Ints,
) -> None:  # fmt: skip
    """out[r, type of y] = weight of a pair in quanta, for each of R recipes, given the time of x."""
    age = np.float64(time) / np.float64(span) if span > 0 else 0.0
    for r in range(base.size):
        factor = base[r] + slope[r] * age
        for code in range(3):
            out[r, code] = np.int64(np.rint(type_weights[r, code] * factor * 1048576.0))


@kernel
def rank_neighbours(
    first: int, last: int, starts: Ints, postings: Ints, words: Ints,
    y_mask: int, window: int, forward: bool, dedup: bool,
    span: int, base: npt.NDArray[np.float64], slope: npt.NDArray[np.float64],
    type_weights: npt.NDArray[np.float64], top_k: Ints,
    cells: Ints, touched: Rows, out_sizes: Rows, out_aids: Rows, out_scores: npt.NDArray[np.float32],
) -> np.int64:  # fmt: skip
    """The best neighbours of items ``first:last`` for R recipes that count the same pairs.

    starts, postings : events on item x are ``postings[starts[x]:starts[x+1]]``, see ``fill_postings``
    cells            : int64[n_items, R+1] zeros: the R sums of an item y, and 1 + the last session that added to it
    touched          : int32[n_items] scratch
    out_sizes        : int32[R, n_items]; out_aids, out_scores : [R, n_items, K]

    Gustavson's row by row product: the sum over all sessions of one item x sits in a dense accumulator over y, so no
    pair is ever stored. ``cells`` is all zeros again at the end. Returns a number without meaning, which keeps the
    early reads alive.
    """
    warm = np.int64(0)
    recipes = base.size
    weights = np.empty((recipes, 4), np.int64)
    best_aids = np.empty(out_aids.shape[2], np.int32)
    best_scores = np.empty(out_aids.shape[2], np.float64)
    for x in range(first, last):
        n_touched = 0
        for p in range(starts[x], starts[x + 1]):
            if p + AHEAD < postings.size:
                warm ^= words[(postings[p + AHEAD] >> 31) & 0xFFFFFFFF]
            s = postings[p] & 0x7FFFFFFF
            i = (postings[p] >> 31) & 0xFFFFFFFF
            time = time_of(words[i])
            event_weights(time, span, base, slope, type_weights, weights)
            j = i  # becomes the latest event in the window: times ascend in a session
            while not begins(words[j + 1]) and time_of(words[j + 1]) - time < window:
                j += 1
            reached = False
            while not reached and not (forward and j == i):
                other = words[j]
                j -= 1
                if time - time_of(other) >= window:
                    break
                reached = begins(other)
                y = item_of(other)
                code = type_of(other)
                if y == x or not (y_mask >> code) & 1 or (dedup and cells[y, recipes] == s + 1):
                    continue
                if cells[y, recipes] == 0:
                    touched[n_touched] = y
                    n_touched += 1
                cells[y, recipes] = s + 1
                for r in range(recipes):
                    cells[y, r] += weights[r, code]
        for r in range(recipes):
            size, enough = 0, np.int64(1)
            for t in range(n_touched):
                y = touched[t]
                if cells[y, r] >= enough:
                    # Rounded to what a list can hold first: equal scores in the list are ties, and go by item.
                    score = np.float64(np.float32(np.float64(cells[y, r]) * QUANTUM))
                    size = insert_best(best_aids, best_scores, size, top_k[r], y, score)
                    if size == top_k[r]:
                        # What rounds down to less than the last of the list need not be tried: float32 keeps 24 bits.
                        enough = max(np.int64(1), np.int64(best_scores[size - 1] * (1048576.0 * (1.0 - 2.0**-23))))
            out_sizes[r, x] = size
            for t in range(size):
                out_aids[r, x, t] = best_aids[t]
                out_scores[r, x, t] = best_scores[t]
        for t in range(n_touched):
            for r in range(recipes + 1):
                cells[touched[t], r] = 0
    return warm


@kernel
def close_up(
    sizes: Rows, aids: Rows, scores: npt.NDArray[np.float32], offsets: Ints, out_aids: Rows,
    out_scores: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """Copy lists of fixed width [n_items, K] to their offsets."""
    for x in range(sizes.size):
        for t in range(sizes[x]):
            out_aids[offsets[x] + t] = aids[x, t]
            out_scores[offsets[x] + t] = scores[x, t]
