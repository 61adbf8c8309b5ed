"""First hot loop of co-visitation: the pairs of each session that count, written out by ranges of items x.

A session is read once and worked on in the first cache. Its events have places, from 0 for the latest; sets of events
are bits, 64 places to a word. What counts leaves as *groups* of uint32 words, one for an event x and up to 64 events y:

    item of x within its range << 6 | (number of y - 1);   seconds of x since the first event of the log
    and for each y ``width`` words, from 1 to 3:
    item of y << 2 | type of y;   bits of the filters that count the pair << 16 | places between;   seconds between

Items go by their numbers; the range of an item is its number modulo the number of ranges, a power of two, so that
each range gets its share of the frequent items. Groups stand in blocks of memory, each of one range.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from candidates.bits import lowest_bit
from events.compiled import inline, kernel

ITEM_BITS, TIME_BITS, STEP_BITS = 30, 31, 16
MOST_FILTERS = 16
SET = 64
"""Places in a word of a set."""
HEAD, MOST_WIDTH = 2, 3
LONGEST_GROUP = HEAD + SET * MOST_WIDTH
BLOCK = 4096
"""Words of a block: 16 KiB."""
SCATTER = 0x9E3779B1
"""2^32 over the golden ratio: multiples of it lie far apart in their upper bits."""

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32]


class Events(NamedTuple):
    """A log, and which of its events are kept.

    offsets, aids, ts, types : as in ``SessionLog``; ``ts`` and ``types`` of size 0 where the shop has none
    numbers : int32[n_items] the numbers that items go by
    t_first : first second of the log
    tail    : most events that are kept of a session, the latest
    kept    : mask of the types that are kept
    """

    offsets: Ints
    aids: Rows
    ts: Rows
    types: npt.NDArray[np.int8]
    numbers: Rows
    t_first: int
    tail: int
    kept: int


class Filters(NamedTuple):
    """Which pairs count, in each of F ways: int64[F] each.

    windows          : seconds; x and y lie less than this apart
    x_masks, y_masks : types of x and of y
    forward          : 1 if only y later than x count
    once             : 1 if two items count once a session: the latest x, and for it the latest y
    """

    windows: Ints
    x_masks: Ints
    y_masks: Ints
    forward: Ints
    once: Ints


class Blocks(NamedTuple):
    """Memory in blocks; threads share the first three arrays, each takes blocks of its own.

    words  : uint32[blocks * BLOCK]
    owner  : int32[blocks] range of each block that is taken
    used   : int32[blocks] words in use
    open   : int64[ranges] block that is being filled, -1 for none
    free   : int64[2] first block that is not taken yet, and the end of this thread's blocks
    """

    words: Words
    owner: Rows
    used: Rows
    open: Ints
    free: Ints


class Desk(NamedTuple):
    """Room for one session of up to L kept events, in sets of W words, and F filters.

    items, times, codes : int64[L] of the event at each place
    local        : int64[L] its item, numbered within the session
    heads, marks : int64[power of two > L] hash table of the items: place of their latest event, and mark of the session
    mark         : int64[1] mark of the latest session
    occurs       : int64[L, W] the events of a local item
    eligible     : int64[F, W] the events with a type of y
    fresh        : int64[F, W] of these, the latest of each item that is in the window or before it; all if not ``once``
    pending      : int64[F, L, W] the events whose item is not counted yet with a local item x
    near, far    : int64[F] the window: places from ``near`` to before ``far``
    won          : int64[F] the events y that count with x, of one word
    """

    items: Ints
    times: Ints
    codes: Ints
    local: Ints
    heads: Ints
    marks: Ints
    mark: Ints
    occurs: Ints
    eligible: Ints
    fresh: Ints
    pending: Ints
    near: Ints
    far: Ints
    won: Ints

    @classmethod
    def of(cls, longest: int, n_filters: int) -> "Desk":
        """Room for sessions of up to ``longest`` events."""
        words, slots = -(-longest // SET), 1 << (2 * longest).bit_length()
        shapes = [longest] * 4 + [slots] * 2 + [1, (longest, words)] + [(n_filters, words)] * 2
        shapes += [(n_filters, longest, words)] + [n_filters] * 3
        return cls(*(np.zeros(shape, np.int64) for shape in shapes))


@inline
def number_items(
    n: int, words: int, mark: int, items: Ints, local: Ints, heads: Ints, marks: Ints, occurs: Ints
) -> int:  # fmt: skip
    """Number the different items of a session of ``n`` events and collect their events; return how many there are."""
    last, different = heads.size - 1, 0
    for place in range(n):
        item = items[place]
        slot = (item * SCATTER >> 12) & last
        while marks[slot] == mark and items[heads[slot]] != item:
            slot = (slot + 1) & last
        if marks[slot] != mark:
            marks[slot], heads[slot], local[place] = mark, place, different
            for word in range(words):
                occurs[different, word] = 0
            different += 1
        x = local[heads[slot]]
        local[place] = x
        occurs[x, place // SET] |= 1 << (place % SET)
    return different


@inline
def add_latest(f: int, x: int, word: int, among: int, words: int, occurs: Ints, eligible: Ints, fresh: Ints) -> None:
    """Make the latest eligible event of item x fresh, of those in ``among`` in this word or in a later word."""
    left = occurs[x, word] & eligible[f, word] & among
    while left == 0 and word + 1 < words:
        word += 1
        left = occurs[x, word] & eligible[f, word]
    fresh[f, word] |= left & -left


@inline
def begin_filter(
    f: int, n: int, words: int, different: int, y_mask: int, once: int,
    codes: Ints, occurs: Ints, eligible: Ints, fresh: Ints, pending: Ints, near: Ints, far: Ints,
) -> None:  # fmt: skip
    """The window is before the latest event, and nothing has been counted."""
    near[f] = far[f] = 0
    for word in range(words):
        eligible[f, word] = 0
    for place in range(n):
        eligible[f, place // SET] |= ((y_mask >> codes[place]) & 1) << (place % SET)
    for word in range(words):
        fresh[f, word] = 0 if once else eligible[f, word]
    if once:
        for x in range(different):
            add_latest(f, x, 0, -1, words, occurs, eligible, fresh)
            for word in range(words):
                pending[f, x, word] = -1


@inline
def slide(
    f: int, place: int, n: int, words: int, window: int, once: int,
    times: Ints, local: Ints, occurs: Ints, eligible: Ints, fresh: Ints, near: Ints, far: Ints,
) -> None:  # fmt: skip
    """Move the window to the event at ``place``, no later than the one before."""
    time, start, stop = times[place], near[f], far[f]
    while times[start] - time >= window:
        word, bit = start // SET, 1 << (start % SET)
        if once and fresh[f, word] & bit:
            fresh[f, word] ^= bit
            add_latest(f, local[start], word, -bit ^ bit, words, occurs, eligible, fresh)
        start += 1
    while stop < n and time - times[stop] < window:
        stop += 1
    near[f], far[f] = start, stop


@inline
def places(first: int, last: int, word: int) -> int:
    """The set of places from ``first`` to before ``last``, in one word."""
    low, high = max(first - word * SET, 0), min(last - word * SET, SET)
    if low >= high:
        return 0
    return (-1 << low) & ~(-2 << (high - 1))


@inline
def room(range_: int, owner: Rows, used: Rows, open_: Ints, free: Ints) -> int:
    """A block of the range with room for a group; -1 if none is free."""
    block = open_[range_]
    if block >= 0 and used[block] <= BLOCK - LONGEST_GROUP:
        return int(block)
    block = free[0]
    if block == free[1]:
        return -1
    free[0] = block + 1
    owner[block], used[block], open_[range_] = range_, 0, block
    return int(block)


@inline
def write_plain(
    union: int, at: int, x: int, once: int,
    items: Ints, codes: Ints, local: Ints, occurs: Ints, pending: Ints, out: Words,
) -> int:  # fmt: skip
    """Write the events y of a group of width 1, in sessions of one word of places; return where they end."""
    counted = 0
    while union != 0:
        other = lowest_bit(union)
        union &= union - 1
        out[at] = items[other] << 2 | codes[other]
        counted |= occurs[local[other], 0]
        at += 1
    if once:
        pending[0, x, 0] &= ~counted
    return at


@inline
def write_shaped(
    union: int, at: int, place: int, word: int, words: int, width: int, once: Ints,
    items: Ints, times: Ints, codes: Ints, local: Ints, occurs: Ints, pending: Ints, won: Ints, out: Words,
) -> int:  # fmt: skip
    """The same for any width and session."""
    while union != 0:
        other, bit = word * SET + lowest_bit(union), union & -union
        union ^= bit
        counted = 0
        for f in range(won.size):
            if won[f] & bit:
                counted |= 1 << f
                if once[f]:
                    for w in range(words):
                        pending[f, local[place], w] &= ~occurs[local[other], w]
        out[at] = items[other] << 2 | codes[other]
        if width > 1:
            out[at + 1] = counted << STEP_BITS | abs(other - place)
        if width > 2:
            out[at + 2] = abs(times[other] - times[place])
        at += width
    return at


@kernel
def emit(
    first: int, last: int, from_range: int, to_range: int, range_bits: int, width: int,
    events: Events, filters: Filters, desk: Desk, blocks: Blocks,
) -> bool:  # fmt: skip
    """Write the groups of sessions ``first:last`` whose x is in the ranges ``from_range:to_range``.

    Returns False, with the work undone in part, if the blocks do not suffice.
    """
    # Taken apart here, once: numba counts references each time that it takes an array out of a tuple.
    offsets, aids, ts, types, numbers, t_first, tail, kept = events
    windows, x_masks, y_masks, forward, once = filters
    items, times, codes, local, heads, marks, mark, occurs, eligible, fresh, pending, near, far, won = desk
    out, owner, used, open_, free = blocks
    n_filters = windows.size
    for session in range(first, last):
        n, i = 0, offsets[session + 1]
        while n < tail and i > offsets[session]:
            i -= 1
            code = 0 if types.size == 0 else np.int64(types[i])
            if (kept >> code) & 1:
                items[n], codes[n] = numbers[aids[i]], code
                times[n] = 0 if ts.size == 0 else np.int64(ts[i]) - t_first
                n += 1
        words = (n + SET - 1) // SET
        mark[0] += 1
        different = number_items(n, words, mark[0], items, local, heads, marks, occurs)
        if different < 2:
            continue
        for f in range(n_filters):
            begin_filter(
                f, n, words, different, y_masks[f], once[f],
                codes, occurs, eligible, fresh, pending, near, far,
            )  # fmt: skip
        for place in range(n):
            range_ = items[place] & ((1 << range_bits) - 1)
            if not from_range <= range_ < to_range:
                continue
            code, x = codes[place], local[place]
            for f in range(n_filters):
                slide(f, place, n, words, windows[f], once[f], times, local, occurs, eligible, fresh, near, far)
            for word in range(words):
                union = 0
                for f in range(n_filters):
                    stop = place if forward[f] else far[f]
                    won[f] = (
                        fresh[f, word] & ~occurs[x, word] & places(near[f], stop, word) & -((x_masks[f] >> code) & 1)
                    )
                    if once[f]:
                        won[f] &= pending[f, x, word]
                    union |= won[f]
                if union == 0:
                    continue
                block = room(range_, owner, used, open_, free)
                if block < 0:
                    return False
                start = block * BLOCK + used[block]
                if width == 1 and words == 1:
                    at = write_plain(union, start + HEAD, x, once[0], items, codes, local, occurs, pending, out)
                else:
                    at = write_shaped(
                        union, start + HEAD, place, word, words, width, once,
                        items, times, codes, local, occurs, pending, won, out,
                    )  # fmt: skip
                out[start] = (items[place] >> range_bits) << 6 | ((at - start - HEAD) // width - 1)
                out[start + 1] = times[place]
                used[block] = at - block * BLOCK
    return True
