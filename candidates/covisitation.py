"""Co-visitation: for each item, the items that sessions visit together with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil, log2
from operator import or_

import numpy as np
import numpy.typing as npt

from candidates.covisitation_kernels import (
    EVENT_BITS,
    ITEM_BITS,
    MOST_GROUPS,
    TIME_BITS,
    Pairs,
    Weights,
    close_up,
    count_items,
    count_postings,
    fill_postings,
    pack_tails,
    rank_neighbours,
    reorder,
    tail_lengths,
)
from candidates.recipes import PairKey, Recipe, usable_recipes
from candidates.threads import costly_bounds, even_bounds, run_ranges
from events.lists import Lists
from events.log import SessionLog

__all__ = ["Recipe", "fit_covisitation", "usable_recipes"]

RANGES_PER_THREAD = 128
"""Ranges of items a thread, so that no thread waits long for the last one."""
PIECES_PER_THREAD = 8
"""Ranges of sessions a thread when packing."""
ITEM_COST = 8
"""An item costs as much as this many events, whatever its own: ranges of rare items do not grow without end."""
NO_WINDOW = 1 << 62
QUANTUM_BITS = 20
"""Weights are counted in integers of 2^-20, so that sums depend neither on order nor on threads."""
SUM_BITS = 62


@dataclass(frozen=True, slots=True)
class Tails:
    """The last events of each session, packed; items are numbered by their count, so that the frequent lie together.

    offsets : int64[S+1]; words : int64[M+1], see ``covisitation_kernels``
    ids     : int32[n_items] the log's ids of the items
    place   : int32[n_items] the number of each item of the log
    span    : seconds between the first and the last event of the whole log; 0 without time
    """

    offsets: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    span: int

    @property
    def longest(self) -> int:
        """Most events of a session."""
        return int(np.diff(self.offsets).max(initial=0))


def fit_covisitation(
    log: SessionLog, recipes: dict[str, Recipe], threads: int = 1, progress: bool = False
) -> dict[str, Lists]:
    """One matrix a recipe: for each of ``log.n_items`` items its best neighbours.

    Recipes that the log cannot serve are left out; :func:`usable_recipes` says which and why. Scores are the sums of
    weights, each rounded to 2^-20 (coarser where a sum could leave 64 bits otherwise), as float32; ties of these go by
    ascending item. The result is the same for any number of threads and any order of the sessions. Recipes that keep
    the same events of a session share one packed copy of the log (16 bytes an event) and one pass over it.

    Raises
    ------
    ValueError
        If the log spans 2^31 seconds or more, or has over 2^30 items or 2^32 events.
    """
    usable, _ = usable_recipes(recipes, log.has)
    t_first, span = _span(log)
    passes: dict[tuple[int, int], list[str]] = {}
    for name, recipe in usable.items():
        passes.setdefault(recipe.tails, []).append(name)
    matrices: dict[str, Lists] = {}
    for (tail, kept), members in passes.items():
        tails = _pack(log, tail, kept, t_first, span, threads)
        for names in (members[i : i + MOST_GROUPS] for i in range(0, len(members), MOST_GROUPS)):
            label = f"co-visitation {', '.join(names)}" if progress else None
            found = _count(tails, [usable[name] for name in names], log, threads, label)
            matrices.update(zip(names, found, strict=True))
    return {name: matrices[name] for name in usable}


def _span(log: SessionLog) -> tuple[int, int]:
    """First second of the log and the seconds from there to its last."""
    if log.ts is None or log.ts.size == 0:
        return 0, 0
    t_first, t_last = int(log.ts.min()), int(log.ts.max())
    if t_last - t_first >= 1 << TIME_BITS:
        raise ValueError(f"the log spans {t_last - t_first} seconds; co-visitation packs less than 2^{TIME_BITS}")
    return t_first, t_last - t_first


def _pack(log: SessionLog, tail: int, kept: int, t_first: int, span: int, threads: int) -> Tails:
    """The last ``tail`` events of each session, of the types in the mask ``kept``."""
    if log.n_items > 1 << ITEM_BITS or log.n_events >= 1 << EVENT_BITS:
        raise ValueError(f"co-visitation packs up to 2^{ITEM_BITS} items and less than 2^{EVENT_BITS} events")
    ts = np.empty(0, np.int32) if log.ts is None else log.ts
    types = np.empty(0, np.int8) if log.types is None else log.types
    counts = np.zeros(log.n_items, np.int64)
    count_items(log.offsets, log.aids, types, kept, counts)
    ids = np.argsort(-counts, kind="stable").astype(np.int32)
    place = np.empty_like(ids)
    place[ids] = np.arange(ids.size, dtype=np.int32)
    offsets = np.zeros(len(log) + 1, np.int64)
    bounds = costly_bounds(log.offsets, PIECES_PER_THREAD * threads)

    def measure(_: None, first: int, last: int) -> None:
        tail_lengths(first, last, log.offsets, types, kept, tail, offsets)

    run_ranges(measure, bounds, threads, _no_scratch)
    np.cumsum(offsets, out=offsets)
    words = np.empty(offsets[-1] + 1, np.int64)
    words[-1] = 1  # begins a session, so that the last session, too, is followed by one that does

    def pack(_: None, first: int, last: int) -> None:
        pack_tails(first, last, log.offsets, log.aids, ts, types, place, t_first, kept, offsets, words)

    run_ranges(pack, bounds, threads, _no_scratch)
    return Tails(offsets, words, ids, place, span)


def _no_scratch() -> None:
    """Packing needs no buffers."""


def _postings(tails: Tails, x_mask: int, threads: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each item its events with a type in the mask: offsets int64[n_items+1], and int64 postings.

    Each thread reads all the words, in their order, and writes the postings of its own range of items.
    """
    starts = np.zeros(tails.ids.size + 1, np.int64)

    def count(_: None, first: int, last: int) -> None:
        count_postings(first, last, tails.words, x_mask, starts)

    run_ranges(count, even_bounds(tails.ids.size, threads), threads, _no_scratch)
    np.cumsum(starts, out=starts)
    postings, cursor = np.empty(starts[-1], np.int64), starts[:-1].copy()

    def fill(_: None, first: int, last: int) -> None:
        fill_postings(first, last, tails.offsets, tails.words, x_mask, cursor, postings)

    run_ranges(fill, costly_bounds(starts, threads), threads, _no_scratch)
    return starts, postings


def _pairs(groups: Sequence[PairKey]) -> Pairs:
    """Which groups count a pair."""
    windows = [NO_WINDOW if window is None else window for window, *_ in groups]
    distinct = sorted(set(windows))
    bits = np.zeros((4, 2, 4, len(distinct) + 1), np.int64)
    reach = np.zeros((4, 2), np.int64)
    once = 0
    for g, (_, x_mask, y_mask, forward, dedup) in enumerate(groups):
        once |= dedup << g
        for x in range(4):
            for later in range(2):
                if not x_mask >> x & 1 or (forward and not later):
                    continue
                reach[x, later] = max(reach[x, later], windows[g])
                for y in range(4):
                    if y_mask >> y & 1:
                        bits[x, later, y, : distinct.index(windows[g]) + 1] |= 1 << g
    return Pairs(np.array(distinct, np.int64), bits.ravel(), reach, np.array([once], np.int64))


def _weights(
    recipes: Sequence[Recipe], groups: Sequence[PairKey], log: SessionLog, tails: Tails, quanta: npt.NDArray[np.float64]
) -> Weights:
    """The weights in quanta."""
    per_type = np.zeros((4, len(recipes)))
    per_type[:3] = np.transpose([recipe.type_weights.of(log.has_types) for recipe in recipes])
    steps = np.arange(tails.longest + 1, dtype=np.float64)
    steps[0] = 1.0  # no pair lies there
    decays = np.array([recipe.step_decay for recipe in recipes])
    gap = np.array([np.inf if recipe.gap_seconds is None else recipe.gap_seconds for recipe in recipes])
    slope = np.array([recipe.time_slope if log.has_time else 0.0 for recipe in recipes])
    return Weights(
        group=np.array([1 << groups.index(recipe.pairs) for recipe in recipes], np.int64),
        per_type=per_type / quanta,
        base=np.array([recipe.time_base if log.has_time else 1.0 for recipe in recipes]),
        slope=slope,
        span=np.array([tails.span]),
        steps=steps ** -decays[:, None],
        gap=gap,
        sloped=np.flatnonzero(slope),
        shaped=np.flatnonzero((decays > 0) | np.isfinite(gap)),
    )


def _quanta(tails: Tails, recipes: Sequence[Recipe], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64[R] size of a quantum: 2^-20, or so much more that no sum of one pair of items can leave 64 bits."""
    events = int(np.diff(starts).max(initial=0))
    bits = []
    for recipe in recipes:
        largest = max(*recipe.type_weights.of(True), 1.0) * max(recipe.time_base + recipe.time_slope, 1.0)
        pairs = max(events if recipe.dedup == "pair" else events * tails.longest, 1)
        bits.append(min(QUANTUM_BITS, SUM_BITS - ceil(log2(largest * pairs))))
    return np.asarray(2.0 ** -np.array(bits, np.float64))


def _count(tails: Tails, recipes: Sequence[Recipe], log: SessionLog, threads: int, label: str | None) -> list[Lists]:
    """The matrices of recipes that keep the same events."""
    groups = list(dict.fromkeys(recipe.pairs for recipe in recipes))
    starts, postings = _postings(tails, reduce(or_, (x_mask for _, x_mask, *_ in groups)), threads)
    quanta = _quanta(tails, recipes, starts)
    pairs, weights = _pairs(groups), _weights(recipes, groups, log, tails, quanta)
    top_k = np.array([recipe.top_k for recipe in recipes], np.int64)
    n_items = tails.ids.size
    bounds = costly_bounds(starts + ITEM_COST * np.arange(n_items + 1), RANGES_PER_THREAD * threads)
    shape = (len(recipes), int(np.diff(bounds).max()))
    parts: dict[int, list[Part]] = {}

    def scratch() -> Scratch:
        best = np.empty((*shape, int(top_k.max())), np.int32), np.empty((*shape, int(top_k.max())), np.float32)
        return (
            np.zeros((n_items, len(recipes) + 1), np.int64),
            np.empty(n_items, np.int32),
            np.empty(shape, np.int32),
            *best,
        )

    def work(held: Scratch, first: int, last: int) -> None:
        rank_neighbours(first, last, starts, postings, tails.words, tails.ids, pairs, weights, quanta, top_k, *held)
        sizes, aids, scores = held[2:]
        parts[first] = [_part(sizes[r, : last - first], aids[r], scores[r]) for r in range(len(recipes))]

    run_ranges(work, bounds, threads, scratch, label)
    return [_gather(tails, [parts[first][r] for first in sorted(parts)]) for r in range(len(recipes))]


Part = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Sizes of lists, and the lists one behind the other."""
Scratch = tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]
]


def _part(sizes: npt.NDArray[np.int32], aids: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]) -> Part:
    total = int(sizes.sum())
    part = sizes.copy(), np.empty(total, np.int32), np.empty(total, np.float32)
    close_up(sizes, aids, scores, part[1], part[2])
    return part


def _gather(tails: Tails, parts: Sequence[Part]) -> Lists:
    """The lists of the items as the log numbers them."""
    sizes, aids, scores = (np.concatenate([part[i] for part in parts]) for i in range(3))
    starts = np.cumsum(sizes, dtype=np.int64) - sizes
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes[tails.place], out=offsets[1:])
    lists = Lists(offsets, np.empty(aids.size, np.int32), np.empty(aids.size, np.float32))
    reorder(tails.place, starts, aids, scores, offsets, lists.aids, lists.scores)
    return lists
