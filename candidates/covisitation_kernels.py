"""Hot loops of co-visitation: pack the tails of sessions, list the sessions of each item, add up pairs, keep the best.

An event is packed in one 64-bit word: item (30 bits), seconds since the first event (31), type (2), and whether it is
the first of its session (1), from the highest bit to the lowest.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel
from events.lists import insert_best

ITEM_BITS, TIME_BITS, EVENT_BITS = 30, 31, 32
AHEAD = 12
"""Postings by which memory is asked for before it is needed: the sessions of an item lie anywhere."""

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


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
def count_items(offsets: Ints, aids: Rows, types: npt.NDArray[np.int8], kept: int, counts: Ints) -> None:
    """counts[item] = events of the item among those that are kept, were tails endless."""
    for i in range(offsets[0], offsets[offsets.size - 1]):
        if types.size == 0 or (kept >> types[i]) & 1:
            counts[aids[i]] += 1


@kernel
def pack_tails(
    offsets: Ints, aids: Rows, ts: Rows, types: npt.NDArray[np.int8], numbers: Rows, t_first: int, kept: int,
    tails: Ints, words: Ints,
) -> None:  # fmt: skip
    """Write the kept events of session s to ``words[tails[s]:tails[s+1]]``, in their order; items by their ``numbers``.

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
                words[place] = (np.int64(numbers[aids[i]]) << 34) | (time << 3) | (code << 1) | (place == tails[s])
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


class Groups(NamedTuple):
    """G groups of recipes; those of a group count the same pairs. Group g holds recipes ``first[g]:first[g+1]``.

    window         : int64[G] seconds; pairs lie less than this apart
    x_mask, y_mask : int64[G] types of x and of y
    forward, dedup : int64[G] 1 for yes
    first          : int64[G+1]
    """

    window: Ints
    x_mask: Ints
    y_mask: Ints
    forward: Ints
    dedup: Ints
    first: Ints


class Weights(NamedTuple):
    """What a pair weighs in R recipes, in quanta of each recipe.

    per_type    : float64[R, 4] by the type of y
    base, slope : float64[R] of the time of x, and ``span`` int64[1] seconds of the log
    steps       : float64[R, longest tail] by the places between x and y
    gap         : float64[R] seconds at which a pair weighs half; infinite for no matter
    shaped      : bool[R] whether steps or gap matter
    """

    per_type: Floats
    base: Floats
    slope: Floats
    span: Ints
    steps: Floats
    gap: Floats
    shaped: npt.NDArray[np.bool_]


@inline
def weigh_event(weights: Weights, time: int, only_sloped: bool, out: Floats) -> None:
    """out[r, type of y] = weight of a pair by its types and the time of x, whole numbers unless shaped further."""
    span = weights.span[0]
    age = np.float64(time) / np.float64(span) if span > 0 else 0.0
    for r in range(weights.base.size):
        if only_sloped and weights.slope[r] == 0.0:
            continue
        factor = weights.base[r] + weights.slope[r] * age
        for code in range(4):
            weight = weights.per_type[r, code] * factor
            out[r, code] = weight if weights.shaped[r] else np.rint(weight)


@kernel
def rank_neighbours(
    first: int, last: int, starts: Ints, postings: Ints, words: Ints, ids: Rows,
    groups: Groups, weights: Weights, quanta: Floats, top_k: Ints,
    cells: Ints, touched: Rows, out_sizes: Rows, out_aids: Rows, out_scores: Singles,
) -> np.int64:  # fmt: skip
    """The best neighbours of items ``first:last`` for R recipes in G groups.

    starts, postings : events on item x are ``postings[starts[x]:starts[x+1]]``, see ``fill_postings``
    ids              : int32[n_items] the log's id of an item; ties of scores go by it
    quanta           : float64[R] size of a quantum of each recipe
    cells            : int64[n_items, R+G] zeros: the R sums of an item y, and for each group 1 + the last session
                       that added to them
    touched          : int32[n_items] scratch
    out_sizes        : int32[R, last-first]; out_aids, out_scores : [R, last-first, K]

    Gustavson's row by row product: the sum over all sessions of one item x sits in a dense accumulator over y, so no
    pair is ever stored. ``cells`` is all zeros again at the end. Returns a number without meaning, which keeps the
    early reads alive.
    """
    warm = np.int64(0)
    recipes, n_groups = quanta.size, groups.window.size
    weight = np.empty((recipes, 4), np.float64)
    weigh_event(weights, 0, False, weight)
    sloped = bool((weights.slope != 0.0).any())
    active = np.empty(n_groups, np.int64)
    best_aids = np.empty(out_aids.shape[2], np.int32)
    best_scores = np.empty(out_aids.shape[2], np.float64)
    for x in range(first, last):
        n_touched = 0
        for p in range(starts[x], starts[x + 1]):
            if p + AHEAD < postings.size:
                warm ^= words[(postings[p + AHEAD] >> 31) & 0xFFFFFFFF]
            s = postings[p] & 0x7FFFFFFF
            i = (postings[p] >> 31) & 0xFFFFFFFF
            time, code = time_of(words[i]), type_of(words[i])
            if sloped:
                weigh_event(weights, time, True, weight)
            n_active, widest, backward = 0, np.int64(0), False
            for g in range(n_groups):
                if (groups.x_mask[g] >> code) & 1:
                    active[n_active] = g
                    n_active += 1
                    widest = max(widest, groups.window[g])
                    backward = backward or groups.forward[g] == 0
            j = i  # becomes the latest event in the widest window: times ascend in a session
            while not begins(words[j + 1]) and time_of(words[j + 1]) - time < widest:
                j += 1
            reached = n_active == 0
            while not reached and (backward or j > i):
                place = j
                other = words[place]
                j -= 1
                gap = abs(time_of(other) - time)
                if place < i and gap >= widest:
                    break
                reached = begins(other)
                y, code = item_of(other), type_of(other)
                if y == x:
                    continue
                for a in range(n_active):
                    g = active[a]
                    mark = cells[y, recipes + g]
                    if (
                        gap >= groups.window[g]
                        or not (groups.y_mask[g] >> code) & 1
                        or (groups.forward[g] == 1 and place < i)
                        or (groups.dedup[g] == 1 and mark == s + 1)
                    ):
                        continue
                    if mark == 0:
                        new = True
                        for h in range(n_groups):
                            new = new and cells[y, recipes + h] == 0
                        if new:
                            touched[n_touched] = y
                            n_touched += 1
                    cells[y, recipes + g] = s + 1
                    for r in range(groups.first[g], groups.first[g + 1]):
                        value = weight[r, code]
                        if weights.shaped[r]:
                            shape = weights.steps[r, abs(place - i)] / (1.0 + np.float64(gap) / weights.gap[r])
                            value = np.rint(value * shape)
                        cells[y, r] += np.int64(value)
        for r in range(recipes):
            size, enough = 0, np.int64(1)
            for t in range(n_touched):
                y = touched[t]
                if cells[y, r] >= enough:
                    # Rounded to what a list can hold first: equal scores in the list are ties, and go by item.
                    score = np.float64(np.float32(np.float64(cells[y, r]) * quanta[r]))
                    size = insert_best(best_aids, best_scores, size, top_k[r], ids[y], score)
                    if size == top_k[r]:
                        # What rounds down to less than the last of the list need not be tried: float32 keeps 24 bits.
                        enough = max(np.int64(1), np.int64(best_scores[size - 1] / quanta[r] * (1.0 - 2.0**-23)))
            out_sizes[r, x - first] = size
            for t in range(size):
                out_aids[r, x - first, t] = best_aids[t]
                out_scores[r, x - first, t] = best_scores[t]
        for t in range(n_touched):
            cells[touched[t], :] = 0
    return warm


@kernel
def close_up(sizes: Rows, aids: Rows, scores: Singles, out_aids: Rows, out_scores: Singles) -> None:
    """Lists of fixed width, [n, K], one behind the other."""
    n = 0
    for x in range(sizes.size):
        for t in range(sizes[x]):
            out_aids[n] = aids[x, t]
            out_scores[n] = scores[x, t]
            n += 1


@kernel
def reorder(
    place: Rows, starts: Ints, aids: Rows, scores: Singles, offsets: Ints, out_aids: Rows, out_scores: Singles
) -> None:
    """The lists of items, which stand at their ``place`` so far, in the order of the items."""
    for x in range(place.size):
        start = starts[place[x]]
        for t in range(offsets[x + 1] - offsets[x]):
            out_aids[offsets[x] + t] = aids[start + t]
            out_scores[offsets[x] + t] = scores[start + t]
