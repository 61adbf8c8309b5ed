"""Hot loops of co-visitation: pack the tails of sessions, list the sessions of each item, add up pairs, keep the best.

An event is packed in one 64-bit word: item (30 bits), seconds since the first event (31), type (2), and whether it is
the first of its session (1), from the highest bit to the lowest.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel

ITEM_BITS, TIME_BITS, EVENT_BITS = 30, 31, 32
MOST_GROUPS = 32
GROUP_BITS = (1 << MOST_GROUPS) - 1
AHEAD = 12
"""Postings by which memory is asked for before it is needed: the sessions of an item lie anywhere."""

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


@kernel
def tail_lengths(
    first: int, last: int, offsets: Ints, types: npt.NDArray[np.int8], kept: int, tail: int, out: Ints
) -> None:  # fmt: skip
    """out[s+1] = events kept of session s in ``first:last``: of a type in the mask, and among the last ``tail``."""
    for s in range(first, last):
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
    first: int, last: int, offsets: Ints, aids: Rows, ts: Rows, types: npt.NDArray[np.int8], numbers: Rows,
    t_first: int, kept: int, tails: Ints, words: Ints,
) -> None:  # fmt: skip
    """Write the kept events of session s in ``first:last`` to ``words[tails[s]:tails[s+1]]``, in their order.

    Items go by their ``numbers``. ``ts`` and ``types`` are of size 0 where the shop has none.
    """
    for s in range(first, last):
        place = tails[s + 1]
        i = offsets[s + 1]
        while place > tails[s]:
            i -= 1
            code = 0 if types.size == 0 else np.int64(types[i])
            if (kept >> code) & 1:
                place -= 1
                time = 0 if ts.size == 0 else np.int64(ts[i]) - t_first
                words[place] = (np.int64(numbers[aids[i]]) << 34) | (time << 3) | (code << 1) | (place == tails[s])


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
def count_postings(first: int, last: int, words: Ints, x_mask: int, counts: Ints) -> None:
    """counts[item+1] = packed events, with a type in ``x_mask``, of the item in ``first:last``."""
    for i in range(words.size - 1):
        item = item_of(words[i])
        if first <= item < last and (x_mask >> type_of(words[i])) & 1:
            counts[item + 1] += 1


@kernel
def fill_postings(
    first: int, last: int, tails: Ints, words: Ints, x_mask: int, cursor: Ints, postings: Ints
) -> None:  # fmt: skip
    """Write these events item after item: place among the words (32 bits) above session (31).

    Sessions ascend, places in a session descend. ``cursor`` starts at each item's first posting.
    """
    for s in range(tails.size - 1):
        for i in range(tails[s + 1] - 1, tails[s] - 1, -1):
            item = item_of(words[i])
            if first <= item < last and (x_mask >> type_of(words[i])) & 1:
                postings[cursor[item]] = (i << 31) | s
                cursor[item] += 1


class Pairs(NamedTuple):
    """Which of up to ``MOST_GROUPS`` groups of recipes count a pair; those of a group count the same pairs.

    windows : int64[K] ascending, seconds
    groups  : int64[4 * 2 * 4 * (K+1)] bits of the groups that count a pair: by the type of x, whether y comes later,
              the type of y, and how many of the windows are as short as the gap or shorter
    reach   : int64[4, 2] the widest window, by the type of x, towards earlier y and towards later y; 0 for none
    once    : int64[1] bits of the groups that count two items once a session
    """

    windows: Ints
    groups: Ints
    reach: Ints
    once: Ints


class Weights(NamedTuple):
    """What a pair weighs in R recipes, in quanta of each recipe.

    group       : int64[R] bit of the group of the recipe
    per_type    : float64[4, R] by the type of y
    base, slope : float64[R] of the time of x, and ``span`` int64[1] seconds of the log
    steps       : float64[R, longest tail] by the places between x and y
    gap         : float64[R] seconds at which a pair weighs half; infinite for no matter
    sloped      : int64 the recipes for which the time of x matters
    shaped      : int64 the recipes for which steps or gap matter
    """

    group: Ints
    per_type: Floats
    base: Floats
    slope: Floats
    span: Ints
    steps: Floats
    gap: Floats
    sloped: Ints
    shaped: Ints


@inline
def key_of(score: float, item: int) -> int:
    """One number that is greater for a greater score (at least 0, as float32) and, among equals, for a lesser item."""
    return int((np.int64(np.float32(score).view(np.int32)) << 32) | (0x7FFFFFFF - np.int64(item)))


@inline
def score_of(key: int) -> np.float32:
    """The score of a key."""
    return np.int32(key >> 32).view(np.float32)


@inline
def id_of(key: int) -> int:
    """The item of a key."""
    return int(0x7FFFFFFF - (key & 0x7FFFFFFF))


@inline
def insert_key(keys: Ints, size: int, k: int, key: int) -> int:
    """Insert into the first ``size`` keys, greatest first, of which ``k`` are kept; return the new size."""
    if size == k:
        if key <= keys[size - 1]:
            return size
        place = size - 1
    else:
        place = size
        size += 1
    while place > 0 and keys[place - 1] < key:
        keys[place] = keys[place - 1]
        place -= 1
    keys[place] = key
    return size


@inline
def weigh_event(weights: Weights, recipes: Ints, time: int, plain: Ints, unshaped: Floats) -> None:
    """Weight of a pair by the type of y and the time of x, [type, r]: rounded, and as it is before it is shaped.

    In ``plain`` the recipes that are shaped weigh nothing.
    """
    span = weights.span[0]
    age = np.float64(time) / np.float64(span) if span > 0 else 0.0
    for code in range(4):
        for r in recipes:
            unshaped[code, r] = weights.per_type[code, r] * (weights.base[r] + weights.slope[r] * age)
            plain[code, r] = np.int64(np.rint(unshaped[code, r]))
        for r in weights.shaped:
            plain[code, r] = 0


@kernel
def rank_neighbours(
    first: int, last: int, starts: Ints, postings: Ints, words: Ints, ids: Rows,
    pairs: Pairs, weights: Weights, quanta: Floats, top_k: Ints,
    cells: Ints, touched: Rows, out_sizes: Rows, out_aids: Rows, out_scores: Singles,
) -> np.int64:  # fmt: skip
    """The best neighbours of items ``first:last`` for R recipes.

    starts, postings : events on item x are ``postings[starts[x]:starts[x+1]]``, see ``fill_postings``
    ids              : int32[n_items] the log's id of an item; ties of scores go by it
    quanta           : float64[R] size of a quantum of each recipe
    cells            : int64[n_items, R+1] zeros: the R sums of an item y, and 1 + the last session that added to them,
                       above the bits of the groups that counted y for it
    touched          : int32[n_items] scratch
    out_sizes        : int32[R, last-first]; out_aids, out_scores : [R, last-first, K]

    Gustavson's row by row product: the sum over all sessions of one item x sits in a dense accumulator over y, so no
    pair is ever stored. ``cells`` is all zeros again at the end. Returns a number without meaning, which keeps the
    early reads alive.
    """
    warm = np.int64(0)
    recipes = quanta.size
    plain, unshaped = np.empty((4, recipes), np.int64), np.empty((4, recipes), np.float64)
    weigh_event(weights, np.arange(recipes), 0, plain, unshaped)
    once, windows, groups, n_windows = pairs.once[0], pairs.windows, pairs.groups, pairs.windows.size
    group, shaped = weights.group, weights.shaped
    best, size, enough = np.empty((recipes, out_aids.shape[2]), np.int64), np.empty_like(top_k), np.empty_like(top_k)
    for x in range(first, last):
        n_touched = 0
        for p in range(starts[x], starts[x + 1]):
            if p + AHEAD < postings.size:
                warm ^= words[(postings[p + AHEAD] >> 31) & 0xFFFFFFFF]
            mark = (postings[p] & 0x7FFFFFFF) + 1
            i = (postings[p] >> 31) & 0xFFFFFFFF
            time, x_code = time_of(words[i]), type_of(words[i])
            back, ahead = pairs.reach[x_code, 0], pairs.reach[x_code, 1]
            row = x_code * 2 * 4 * (n_windows + 1)
            if weights.sloped.size > 0:
                weigh_event(weights, weights.sloped, time, plain, unshaped)
            j = i  # becomes the latest event in reach: times ascend in a session
            while not begins(words[j + 1]) and time_of(words[j + 1]) - time < ahead:
                j += 1
            reached = False
            while not reached:
                place, other = j, words[j]
                j -= 1
                if place < i and time - time_of(other) >= back:
                    break
                reached = begins(other)
                y, code = item_of(other), type_of(other)
                if y == x:
                    continue
                gap = abs(time_of(other) - time)
                kind = row + ((4 if place > i else 0) + code) * (n_windows + 1)
                for w in range(n_windows):
                    kind += gap >= windows[w]
                state = cells[y, recipes]
                counted = state & GROUP_BITS if state >> MOST_GROUPS == mark else 0
                todo = groups[kind] & ~(counted & once)
                if todo == 0:
                    continue
                if state == 0:
                    touched[n_touched] = y
                    n_touched += 1
                cells[y, recipes] = (mark << MOST_GROUPS) | counted | todo
                for r in range(recipes):
                    cells[y, r] += plain[code, r] if todo & group[r] else 0
                for r in shaped:
                    if todo & group[r]:
                        shape = weights.steps[r, abs(place - i)] / (1.0 + np.float64(gap) / weights.gap[r])
                        cells[y, r] += np.int64(np.rint(unshaped[code, r] * shape))
        size[:], enough[:] = 0, 1
        for t in range(n_touched):
            y = touched[t]
            for r in range(recipes):
                total = cells[y, r]
                cells[y, r] = 0
                if total >= enough[r]:
                    key = key_of(np.float64(total) * quanta[r], ids[y])
                    size[r] = insert_key(best[r], size[r], top_k[r], key)
                    if size[r] == top_k[r]:
                        # What rounds down to less than the last of the list need not be tried: float32 keeps 24 bits.
                        least = np.float64(score_of(best[r, top_k[r] - 1])) / quanta[r]
                        enough[r] = max(np.int64(1), np.int64(least * (1.0 - 2.0**-23)))
            cells[y, recipes] = 0
        for r in range(recipes):
            out_sizes[r, x - first] = size[r]
            for t in range(size[r]):
                out_aids[r, x - first, t] = id_of(best[r, t])
                out_scores[r, x - first, t] = score_of(best[r, t])
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
