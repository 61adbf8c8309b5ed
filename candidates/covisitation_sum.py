"""Second hot loop of co-visitation: add up the groups of a range of items x, and keep the best neighbours of each."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from candidates.bits import prefetch
from candidates.covisitation_emit import BLOCK, HEAD, STEP_BITS, Blocks
from events.compiled import inline, kernel

GROUPS_AHEAD, EVENTS_AHEAD = 16, 4
"""Groups by which a group, and what its events y need, are asked for before they are read."""
HITS = 64
"""Sums that are compared at a time with the least that is kept."""
HALF = 8
"""Bits of filters that are looked up at a time."""

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


class Weights(NamedTuple):
    """What a pair weighs in R recipes, in quanta of each; the first ``plain`` recipes depend on types and times only.

    per_type    : float64[4, R] by the type of y
    base, slope : float64[R] of the time of x
    span        : seconds of the log, at least 1
    sloped      : int64 the recipes with a slope
    plain       : how many recipes weigh all gaps and places alike
    steps       : float64[longest session + 1, R] by the places between x and y
    gap         : float64[R] seconds at which a pair weighs half; infinite for no matter
    masks       : int64[2, 2^HALF, R] -1 if the recipe counts with one of the filters in these bits, lower and upper
    """

    per_type: Floats
    base: Floats
    slope: Floats
    span: int
    sloped: Ints
    plain: int
    steps: Floats
    gap: Floats
    masks: Ints


class Sums(NamedTuple):
    """The sums of one item x, for up to M different items y: scratch, zero between two items.

    slots : int32[n_items] row of the sums of y, 0 for none
    ys    : int32[M+1] item y of each row
    cells : int64[M+1, R]
    """

    slots: Rows
    ys: Rows
    cells: Ints


class Best(NamedTuple):
    """The best neighbours of n items x, for R recipes, one list behind the other.

    sizes  : int32[R, n]
    filled : int64[R] length of all the lists
    aids   : int32[R, n * K] as the log numbers items
    scores : float32[R, n * K]
    """

    sizes: Rows
    filled: Ints
    aids: Rows
    scores: Singles


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
def least_of(key: int, quantum: float) -> int:
    """The least sum, at least 1, whose score may not be less than that of a key: float32 keeps 24 bits."""
    return int(max(np.int64(1), np.int64(np.float64(score_of(key)) / quantum * (1.0 - 2.0**-23))))


@kernel
def list_groups(taken: Ints, width: int, blocks: Blocks, starts: Ints, groups: Ints) -> None:
    """Places in ``blocks.words`` of the groups of each item x of a range: ``groups[starts[x]:starts[x+1]]``.

    taken  : int64 the blocks of the range
    starts : int64[n+2] zeros; the last is left over
    """
    words, _, used, _, _ = blocks
    for block in taken:
        at, stop = block * BLOCK, block * BLOCK + used[block]
        while at < stop:
            head = int(words[at])
            starts[(head >> 6) + 2] += 1
            at += HEAD + ((head & 63) + 1) * width
    for x in range(2, starts.size):
        starts[x] += starts[x - 1]
    for block in taken:
        at, stop = block * BLOCK, block * BLOCK + used[block]
        while at < stop:
            head = int(words[at])
            x = (head >> 6) + 1
            groups[starts[x]] = at
            starts[x] += 1
            at += HEAD + ((head & 63) + 1) * width


@inline
def weigh(
    time: int, recipes: Ints, per_type: Floats, base: Floats, slope: Floats, span: int, exact: Floats, plain: Ints
) -> None:  # fmt: skip
    """Weight of a pair by the time of x and the type of y, [type, R]: exact, and rounded."""
    age = np.float64(time) / np.float64(span)
    for code in range(4):
        for r in recipes:
            exact[code, r] = per_type[code, r] * (base[r] + slope[r] * age)
            plain[code, r] = np.int64(np.rint(exact[code, r]))


@inline
def row_of(y: int, n: int, slots: Rows, ys: Rows) -> int:
    """Row of the sums of item y: its own, or row ``n`` + 1, which becomes its own."""
    row = int(slots[y])
    row = n + 1 if row == 0 else row  # without a branch: nobody can guess it
    slots[y] = row
    ys[row] = y
    return row


@inline
def add_plain(at: int, stop: int, n: int, words: Words, plain: Ints, slots: Rows, ys: Rows, cells: Ints) -> int:
    """Add the pairs of a group of width 1, which count for all recipes, to the sums of ``n`` different items y.

    Returns how many these are now.
    """
    for p in range(at, stop):
        row = row_of(int(words[p] >> 2), n, slots, ys)
        n = max(n, row)
        for r in range(plain.shape[1]):
            cells[row, r] += plain[words[p] & 3, r]
    return n


@inline
def add_shaped(
    at: int, stop: int, width: int, n: int, words: Words, n_plain: int, steps: Floats, gap: Floats, masks: Ints,
    exact: Floats, plain: Ints, slots: Rows, ys: Rows, cells: Ints,
) -> int:  # fmt: skip
    """The same for a group of any width."""
    for p in range(at, stop, width):
        row, code = row_of(int(words[p] >> 2), n, slots, ys), words[p] & 3
        n = max(n, row)
        lower, upper = (words[p + 1] >> STEP_BITS) & ((1 << HALF) - 1), words[p + 1] >> (STEP_BITS + HALF)
        for r in range(n_plain):
            cells[row, r] += plain[code, r] & (masks[0, lower, r] | masks[1, upper, r])
        step, far = words[p + 1] & ((1 << STEP_BITS) - 1), np.float64(words[p + 2] if width > 2 else 0)
        for r in range(n_plain, gap.size):
            shaped = np.int64(np.rint(exact[code, r] * (steps[step, r] / (1.0 + far / gap[r]))))
            cells[row, r] += shaped & (masks[0, lower, r] | masks[1, upper, r])
    return n


@inline
def keep_best(
    r: int, n: int, k: int, quantum: float, ids: Rows, ys: Rows, cells: Ints, keys: Ints, hits: Ints, best: Ints
) -> int:  # fmt: skip
    """The greatest ``k`` of the ``n`` sums of a recipe, as keys in ``best``; return how many.

    Nobody can guess which sums are great enough, so that branches are dear. The first k are put in order by counting
    the greater ones; those that follow are sifted, ``HITS`` at a time, before they are inserted.
    """
    size, t = 0, 1
    while t <= n and size < k:
        if cells[t, r] > 0:
            keys[size] = key_of(np.float64(cells[t, r]) * quantum, ids[ys[t]])
            size += 1
        t += 1
    for i in range(size):
        key, place = keys[i], 0
        for j in range(size):
            place += keys[j] > key
        best[place] = key
    while t <= n:
        least, found, stop = least_of(best[k - 1], quantum), 0, min(t + HITS, n + 1)
        for row in range(t, stop):
            hits[found] = row
            found += cells[row, r] >= least
        t = stop
        for row in hits[:found]:
            key = key_of(np.float64(cells[row, r]) * quantum, ids[ys[row]])
            if key > best[k - 1]:
                place = k - 1
                while place > 0 and best[place - 1] < key:
                    best[place] = best[place - 1]
                    place -= 1
                best[place] = key
    return size


@kernel
def rank_range(
    width: int, starts: Ints, groups: Ints, words: Words, ids: Rows, weights: Weights, quanta: Floats, top_k: Ints,
    sums: Sums, best: Best,
) -> None:  # fmt: skip
    """The best neighbours of the items x of a range, as many as ``best.sizes`` has columns.

    starts, groups : see ``list_groups``
    ids            : int32[n_items] the log's id of an item; ties of scores go by it
    quanta         : float64[R] size of a quantum
    top_k          : int64[R]
    """
    per_type, base, slope, span, sloped, n_plain, steps, gap, masks = weights
    slots, ys, cells = sums
    sizes, filled, aids, scores = best
    recipes = quanta.size
    exact, plain = np.empty((4, recipes)), np.empty((4, recipes), np.int64)
    weigh(0, np.arange(recipes), per_type, base, slope, span, exact, plain)
    keys, hits, greatest = np.empty(top_k.max(), np.int64), np.empty(HITS, np.int64), np.empty(top_k.max(), np.int64)
    filled[:] = 0
    for x in range(sizes.shape[1]):
        n, stop = 0, starts[x + 1]
        for g in range(starts[x], stop):
            if g + GROUPS_AHEAD < stop:
                prefetch(words, groups[g + GROUPS_AHEAD])
            if g + EVENTS_AHEAD < stop:
                at = groups[g + EVENTS_AHEAD]
                for p in range(at + HEAD, at + HEAD + (np.int64(words[at] & 63) + 1) * width, width):
                    prefetch(slots, np.int64(words[p] >> 2))
            if sloped.size > 0:
                weigh(int(words[groups[g] + 1]), sloped, per_type, base, slope, span, exact, plain)
            at = groups[g] + HEAD
            end = at + (np.int64(words[groups[g]] & 63) + 1) * width
            if width == 1:
                n = add_plain(at, end, n, words, plain, slots, ys, cells)
            else:
                n = add_shaped(
                    at, end, width, n, words, n_plain, steps, gap, masks, exact, plain, slots, ys, cells
                )  # fmt: skip
        for t in range(1, n + 1):
            slots[ys[t]] = 0
        for r in range(recipes):
            size = keep_best(r, n, top_k[r], quanta[r], ids, ys, cells, keys, hits, greatest)
            for t in range(size):
                aids[r, filled[r] + t], scores[r, filled[r] + t] = id_of(greatest[t]), score_of(greatest[t])
            sizes[r, x] = size
            filled[r] += size
        cells[1 : n + 1] = 0


@kernel
def place_lists(
    ids: Rows, sizes: Rows, aids: Rows, scores: Singles, offsets: Ints, out_aids: Rows, out_scores: Singles
) -> None:  # fmt: skip
    """Put lists, one behind the other, where those of the items ``ids`` begin."""
    n = 0
    for x in range(sizes.size):
        for t in range(sizes[x]):
            out_aids[offsets[ids[x]] + t], out_scores[offsets[ids[x]] + t] = aids[n + t], scores[n + t]
        n += sizes[x]


@kernel
def count_items(first: int, last: int, aids: Rows, counts: Ints) -> None:
    """counts[item] += its events among ``first:last``."""
    for i in range(first, last):
        counts[aids[i]] += 1
