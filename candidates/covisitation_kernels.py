"""Hot loops of co-visitation: pack the tails of sessions, list the sessions of each item, add up pairs, keep the best.

An event is packed in one 64-bit word: item (30 bits), seconds since the first event (31), type (2), and whether it is
the first of its session (1), from the highest bit to the lowest.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel

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
def weigh_event(weights: Weights, time: int, only_sloped: bool, plain: Ints, shaped: Floats) -> None:
    """Weight of a pair by the type of y and the time of x, [r, type]: rounded in ``plain``, as it is in ``shaped``."""
    span = weights.span[0]
    age = np.float64(time) / np.float64(span) if span > 0 else 0.0
    for r in range(weights.base.size):
        if only_sloped and weights.slope[r] == 0.0:
            continue
        factor = weights.base[r] + weights.slope[r] * age
        for code in range(3):
            shaped[r, code] = weights.per_type[r, code] * factor
            plain[r, code] = np.int64(np.rint(shaped[r, code]))


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
    plain, shaped = np.empty((recipes, 4), np.int64), np.empty((recipes, 4), np.float64)
    weigh_event(weights, 0, False, plain, shaped)
    sloped = bool((weights.slope != 0.0).any())
    best, size, enough = np.empty((recipes, out_aids.shape[2]), np.int64), np.empty_like(top_k), np.empty_like(top_k)
    for x in range(first, last):
        n_touched = 0
        for p in range(starts[x], starts[x + 1]):
            if p + AHEAD < postings.size:
                warm ^= words[(postings[p + AHEAD] >> 31) & 0xFFFFFFFF]
            mark = (postings[p] & 0x7FFFFFFF) + 1
            i = (postings[p] >> 31) & 0xFFFFFFFF
            time, x_code = time_of(words[i]), type_of(words[i])
            if sloped:
                weigh_event(weights, time, True, plain, shaped)
            for g in range(n_groups):
                if not (groups.x_mask[g] >> x_code) & 1:
                    continue
                window, y_mask = groups.window[g], groups.y_mask[g]
                forward, dedup = groups.forward[g] == 1, groups.dedup[g] == 1
                first_recipe, last_recipe = groups.first[g], groups.first[g + 1]
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
                    y, code = item_of(other), type_of(other)
                    if y == x or not (y_mask >> code) & 1:
                        continue
                    seen = cells[y, recipes + g]
                    if dedup and seen == mark:
                        continue
                    if seen == 0:
                        new = True
                        for h in range(n_groups):
                            new = new and cells[y, recipes + h] == 0
                        if new:
                            touched[n_touched] = y
                            n_touched += 1
                    cells[y, recipes + g] = mark
                    for r in range(first_recipe, last_recipe):
                        if weights.shaped[r]:
                            gap = np.float64(abs(time_of(other) - time)) / weights.gap[r]
                            cells[y, r] += np.int64(
                                np.rint(shaped[r, code] * weights.steps[r, abs(j + 1 - i)] / (1.0 + gap))
                            )
                        else:
                            cells[y, r] += plain[r, code]
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
            for g in range(n_groups):
                cells[y, recipes + g] = 0
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
