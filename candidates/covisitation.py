"""Co-visitation: for each item, the items that sessions visit together with it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.covisitation_kernels import (
    EVENT_BITS,
    ITEM_BITS,
    QUANTUM,
    TIME_BITS,
    close_up,
    count_postings,
    fill_postings,
    pack_tails,
    rank_neighbours,
    tail_lengths,
)
from candidates.recipes import Recipe, usable_recipes
from candidates.threads import costly_bounds, run_ranges
from events.lists import Lists
from events.log import SessionLog

__all__ = ["Recipe", "fit_covisitation", "usable_recipes"]

RANGES_PER_THREAD = 64
"""Ranges of items a thread, so that no thread waits long for the last one."""
NO_WINDOW = 1 << 62


@dataclass(frozen=True, slots=True)
class Tails:
    """The last events of each session, packed.

    offsets : int64[S+1]; words : int64[M+1], see ``covisitation_kernels``
    span    : seconds between the first and the last event of the whole log; 0 without time
    """

    offsets: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    span: int
    n_items: int


def fit_covisitation(
    log: SessionLog, recipes: dict[str, Recipe], threads: int = 1, progress: bool = False
) -> dict[str, Lists]:
    """One matrix a recipe: for each of ``log.n_items`` items its best neighbours.

    Recipes that the log cannot serve are left out; :func:`usable_recipes` says which and why. Scores are the sums of
    weights, exact to 2^-20 a pair, as float32; ties of these go by ascending item. The result is the same for any
    number of threads and any order of the sessions. Recipes that count the same pairs share one pass, recipes that
    keep the same events one packed copy of the log (16 bytes an event).

    Raises
    ------
    ValueError
        If the log spans 2^31 seconds or more, has over 2^30 items or 2^32 events, or its sums could exceed 64 bits.
    """
    usable, _ = usable_recipes(recipes, log.has)
    t_first, span = _span(log)
    passes: dict[tuple[int, int], dict[tuple[object, ...], list[str]]] = {}
    for name, recipe in usable.items():
        tail, _, x_mask, y_mask, _, _ = recipe.pairs
        same_tails = passes.setdefault((tail, x_mask | y_mask), {})
        same_tails.setdefault(recipe.pairs, []).append(name)

    matrices: dict[str, Lists] = {}
    for (tail, kept), groups in passes.items():
        tails = _pack(log, tail, kept, t_first, span)
        for names in groups.values():
            label = f"co-visitation {', '.join(names)}" if progress else None
            group = [usable[name] for name in names]
            matrices.update(zip(names, _count(tails, group, log, threads, label), strict=True))
    return {name: matrices[name] for name in usable}


def _span(log: SessionLog) -> tuple[int, int]:
    """First second of the log and the seconds from there to its last."""
    if log.ts is None or log.ts.size == 0:
        return 0, 0
    t_first, t_last = int(log.ts.min()), int(log.ts.max())
    if t_last - t_first >= 1 << TIME_BITS:
        raise ValueError(f"the log spans {t_last - t_first} seconds; co-visitation packs less than 2^{TIME_BITS}")
    return t_first, t_last - t_first


def _pack(log: SessionLog, tail: int, kept: int, t_first: int, span: int) -> Tails:
    """The last ``tail`` events of each session, of the types in the mask ``kept``."""
    if log.n_items > 1 << ITEM_BITS or log.n_events >= 1 << EVENT_BITS:
        raise ValueError(f"co-visitation packs up to 2^{ITEM_BITS} items and less than 2^{EVENT_BITS} events")
    ts = np.empty(0, np.int32) if log.ts is None else log.ts
    types = np.empty(0, np.int8) if log.types is None else log.types
    offsets = np.zeros(len(log) + 1, np.int64)
    tail_lengths(log.offsets, types, kept, tail, offsets)
    np.cumsum(offsets, out=offsets)
    words = np.empty(offsets[-1] + 1, np.int64)
    pack_tails(log.offsets, log.aids, ts, types, t_first, kept, offsets, words)
    return Tails(offsets, words, span, log.n_items)


def _postings(tails: Tails, x_mask: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each item its events with a type in the mask: offsets int64[n_items+1], and int64 postings."""
    starts = np.zeros(tails.n_items + 1, np.int64)
    count_postings(tails.words, x_mask, starts)
    np.cumsum(starts, out=starts)
    postings = np.empty(starts[-1], np.int64)
    fill_postings(tails.offsets, tails.words, x_mask, starts[:-1].copy(), postings)
    return starts, postings


def _count(
    tails: Tails, recipes: list[Recipe], log: SessionLog, threads: int, label: str | None
) -> list[Lists]:  # fmt: skip
    """The matrices of recipes that count the same pairs."""
    _, window, x_mask, y_mask, forward, dedup = recipes[0].pairs
    base = np.array([recipe.time_base if log.has_time else 1.0 for recipe in recipes])
    slope = np.array([recipe.time_slope if log.has_time else 0.0 for recipe in recipes])
    type_weights = np.array([recipe.type_weights.of(log.has_types) for recipe in recipes])
    top_k = np.array([recipe.top_k for recipe in recipes], np.int64)
    starts, postings = _postings(tails, x_mask)
    _check_sums(tails, recipes, starts)

    shape = (len(recipes), tails.n_items, int(top_k.max()))
    sizes = np.zeros(shape[:2], np.int32)
    aids, scores = np.empty(shape, np.int32), np.empty(shape, np.float32)

    def scratch() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        return np.zeros((tails.n_items, len(recipes) + 1), np.int64), np.empty(tails.n_items, np.int32)

    def work(held: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]], first: int, last: int) -> None:
        rank_neighbours(
            first, last, starts, postings, tails.words,
            y_mask, NO_WINDOW if window is None else window, forward, dedup,
            tails.span, base, slope, type_weights, top_k, *held, sizes, aids, scores,
        )  # fmt: skip

    run_ranges(work, costly_bounds(starts, RANGES_PER_THREAD * threads), threads, scratch, label)
    return [_close_up(sizes[r], aids[r], scores[r]) for r in range(len(recipes))]


def _check_sums(tails: Tails, recipes: list[Recipe], starts: npt.NDArray[np.int64]) -> None:
    """Refuse weights with which the sum of one pair of items could leave 64 bits."""
    events = int(np.diff(starts).max(initial=0))
    longest = int(np.diff(tails.offsets).max(initial=0))
    for recipe in recipes:
        largest = max(recipe.type_weights.of(True)) * (recipe.time_base + recipe.time_slope) / QUANTUM
        pairs = events if recipe.dedup == "pair" else events * longest
        if max(largest, 1 / QUANTUM) * pairs >= 2.0**62:
            raise ValueError("weights are too large for exact sums: divide all of them by the same number")


def _close_up(
    sizes: npt.NDArray[np.int32], aids: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]
) -> Lists:  # fmt: skip
    """Lists of fixed width as one run of items."""
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    lists = Lists(offsets, np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32))
    close_up(sizes, aids, scores, offsets, lists.aids, lists.scores)
    return lists
