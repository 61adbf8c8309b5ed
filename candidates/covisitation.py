"""Co-visitation: for each item, the items that sessions visit together with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from threading import Event

import numpy as np
import numpy.typing as npt

from candidates.covisitation_emit import (
    BLOCK,
    HEAD,
    ITEM_BITS,
    LONGEST_GROUP,
    MOST_FILTERS,
    SET,
    STEP_BITS,
    TIME_BITS,
    Blocks,
    Desk,
    Events,
    emit,
)
from candidates.covisitation_plan import Plan
from candidates.covisitation_sum import Best, Sums, count_items, list_groups, place_lists, rank_range
from candidates.recipes import PairKey, Recipe, usable_recipes
from candidates.threads import costly_bounds, even_bounds, run_ranges
from events.lists import Lists
from events.log import SessionLog

__all__ = ["Recipe", "fit_covisitation", "usable_recipes"]

RANGE_ITEMS, MOST_RANGE_BITS = 2048, 11
"""Items of a range, about, and the binary logarithm of the most ranges."""
PIECES, SAMPLE = 512, 64
"""Pieces of the sessions, and every how manieth of them tells how much memory all will take."""
ARENA_WORDS = 1 << 30
"""Words of memory, at most, for what the sessions emit: 4 GiB. What takes more is worked off in several rounds."""

Part = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Sizes of lists, and the lists one behind the other."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A log whose items are numbered by their frequency, so that what is used often lies together.

    ids     : int32[n_items] the log's ids of the items, the most frequent first
    numbers : int32[n_items] the number of each item of the log
    most    : events of the most frequent item
    t_first : first second of the log
    span    : seconds from there to its last; 0 without time
    """

    log: SessionLog
    ids: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    most: int
    t_first: int
    span: int

    @property
    def range_bits(self) -> int:
        """The binary logarithm of the number of ranges of items."""
        return min(MOST_RANGE_BITS, ceil(log2(max(1.0, self.ids.size / RANGE_ITEMS))))


@dataclass(slots=True)
class Arena:
    """Memory for blocks, used by one pass after the other: fresh memory is dear."""

    words: npt.NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    owner: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    used: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    def reserve(self, words: int) -> None:
        """Have so many words at least; what the blocks held is lost. Memory that is never written is never taken."""
        if self.words.size < words:
            blocks = -(-words // BLOCK)
            self.words = np.empty(blocks * BLOCK, np.uint32)
            self.owner, self.used = np.empty(blocks, np.int32), np.empty(blocks, np.int32)

    def shares(self, ranges: int, threads: int) -> list[Blocks]:
        """The blocks in equal parts, all empty."""
        bounds = even_bounds(self.owner.size, threads)
        return [
            Blocks(self.words, self.owner, self.used, np.full(ranges, -1, np.int64), bounds[t : t + 2].copy())
            for t in range(threads)
        ]


def fit_covisitation(
    log: SessionLog, recipes: dict[str, Recipe], threads: int = 1, progress: bool = False
) -> dict[str, Lists]:
    """One matrix a recipe: for each of ``log.n_items`` items its best neighbours.

    Recipes that the log cannot serve are left out; :func:`usable_recipes` says which and why. Scores are the sums of
    weights, each rounded to 2^-20 (coarser where a sum could leave 64 bits otherwise), as float32; ties of these go by
    ascending item. The result is the same for any number of threads and any order of the sessions. Recipes that keep
    the same events of a session share one pass over the log.

    Raises
    ------
    ValueError
        If the log spans 2^31 seconds or more, has over 2^30 items, or a recipe keeps over 2^16 events of a session.
    """
    usable, _ = usable_recipes(recipes, log.has)
    numbered, arena = _number(log, threads), Arena()
    matrices: dict[str, Lists] = {}
    for names in _passes(usable):
        label = f"co-visitation {', '.join(names)}" if progress else None
        found = Pass.of(numbered, [usable[name] for name in names], arena, threads, label).run()
        matrices.update(zip(names, found, strict=True))
    return {name: matrices[name] for name in usable}


def _number(log: SessionLog, threads: int) -> Numbered:
    """The log with its items numbered."""
    if log.n_items > 1 << ITEM_BITS:
        raise ValueError(f"co-visitation packs up to 2^{ITEM_BITS} items")
    t_first, span = 0, 0
    if log.ts is not None and log.ts.size > 0:
        t_first = int(log.ts.min())
        span = int(log.ts.max()) - t_first
    if span >= 1 << TIME_BITS:
        raise ValueError(f"the log spans {span} seconds; co-visitation packs less than 2^{TIME_BITS}")
    parts: list[npt.NDArray[np.int64]] = []

    def scratch() -> npt.NDArray[np.int64]:
        parts.append(np.zeros(log.n_items, np.int64))
        return parts[-1]

    def work(counts: npt.NDArray[np.int64], first: int, last: int) -> None:
        count_items(first, last, log.aids, counts)

    run_ranges(work, even_bounds(log.n_events, threads), threads, scratch)
    counts = np.sum(parts, axis=0)
    ids = np.argsort(-counts, kind="stable").astype(np.int32)
    numbers = np.empty_like(ids)
    numbers[ids] = np.arange(ids.size, dtype=np.int32)
    return Numbered(log, ids, numbers, int(counts.max(initial=0)), t_first, span)


def _passes(recipes: Mapping[str, Recipe]) -> Iterator[list[str]]:
    """Names of recipes that keep the same events and count pairs in at most ``MOST_FILTERS`` ways."""
    by_pairs: dict[tuple[int, int], dict[PairKey, list[str]]] = {}
    for name, recipe in recipes.items():
        by_pairs.setdefault(recipe.tails, {}).setdefault(recipe.pairs, []).append(name)
    for members in by_pairs.values():
        keys = list(members)
        for i in range(0, len(keys), MOST_FILTERS):
            names = [name for key in keys[i : i + MOST_FILTERS] for name in members[key]]
            yield sorted(names, key=lambda name: recipes[name].shaped)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a log, for recipes that keep the same events.

    events  : the log, as the kernels read it
    bounds  : int64 pieces of the sessions
    longest : most kept events of a session
    bound   : words that all groups take, at most
    """

    numbered: Numbered
    events: Events
    plan: Plan
    arena: Arena
    threads: int
    label: str | None
    bounds: npt.NDArray[np.int64]
    longest: int
    bound: int

    @classmethod
    def of(
        cls, numbered: Numbered, recipes: Sequence[Recipe], arena: Arena, threads: int, label: str | None
    ) -> "Pass":  # fmt: skip
        """Prepare a pass; ``label`` names its progress bars."""
        log, (tail, kept) = numbered.log, recipes[0].tails
        lengths = np.minimum(log.lengths, tail)
        longest = int(lengths.max(initial=1))
        if longest > 1 << STEP_BITS:
            raise ValueError(f"co-visitation pairs up to 2^{STEP_BITS} events of a session")
        plan = Plan.of(recipes, log.has, numbered.span, longest, numbered.most)
        heads = HEAD * int((lengths * (lengths // SET + 1)).sum())
        return cls(
            numbered=numbered,
            events=Events(
                log.offsets,
                log.aids,
                np.empty(0, np.int32) if log.ts is None else log.ts,
                np.empty(0, np.int8) if log.types is None else log.types,
                numbered.numbers,
                numbered.t_first,
                tail,
                kept,
            ),
            plan=plan,
            arena=arena,
            threads=threads,
            label=label,
            bounds=costly_bounds(log.offsets, PIECES),
            longest=longest,
            bound=heads + plan.width * int((lengths * (lengths - 1)).sum()),
        )

    @property
    def ranges(self) -> int:
        """Number of ranges of items."""
        return 1 << self.numbered.range_bits

    def run(self) -> list[Lists]:
        """The matrices of the recipes. What x of some ranges emit is worked off before the next ranges have a turn."""
        unfilled = self.threads * (self.ranges + 1) * BLOCK
        needed = self.threads * self.bound * BLOCK // (BLOCK - LONGEST_GROUP) + unfilled
        self.arena.reserve(min(needed, ARENA_WORDS))
        at_once = self.ranges
        if needed > ARENA_WORDS:
            at_once = max(1, min(at_once, int(at_once * (ARENA_WORDS - unfilled) / (1.2 * self._estimate()))))
        parts: list[list[Part]] = []
        while len(parts) < self.ranges:
            stop = min(len(parts) + at_once, self.ranges)
            shares = self.arena.shares(self.ranges, self.threads)
            if self._emit(shares, len(parts), stop):
                parts += self._rank(shares, len(parts), stop)
            elif at_once > 1:
                at_once = (at_once + 1) // 2
            else:
                self.arena.reserve(2 * self.arena.words.size)
        return [self._gather([range_.pop(0) for range_ in parts]) for _ in self.plan.top_k]

    def _estimate(self) -> int:
        """Words that all groups will take, about: what some of the sessions take, times their share."""
        (blocks,) = self.arena.shares(self.ranges, 1)
        desk, events = Desk.of(self.longest, self.plan.filters.windows.size), 1
        for first, last in zip(self.bounds[:-1:SAMPLE], self.bounds[1::SAMPLE], strict=True):
            if not self._emit_piece(desk, blocks, first, last, 0, self.ranges):
                break
            events += int(self.events.offsets[last] - self.events.offsets[first])
        return int(self.arena.used[: blocks.free[0]].sum()) * self.numbered.log.n_events // events

    def _emit_piece(self, desk: Desk, blocks: Blocks, first: int, last: int, start: int, stop: int) -> bool:
        bits, plan = self.numbered.range_bits, self.plan
        return emit(first, last, start, stop, bits, plan.width, self.events, plan.filters, desk, blocks)

    def _emit(self, shares: Sequence[Blocks], start: int, stop: int) -> bool:
        """Write the groups of x in these ranges into the threads' blocks; whether there was room."""
        full, free = Event(), iter(shares)

        def scratch() -> tuple[Desk, Blocks]:
            return Desk.of(self.longest, self.plan.filters.windows.size), next(free)

        def work(held: tuple[Desk, Blocks], first: int, last: int) -> None:
            if not full.is_set() and not self._emit_piece(*held, first, last, start, stop):
                full.set()

        run_ranges(work, self.bounds, self.threads, scratch, self.label)
        return not full.is_set()

    def _rank(self, shares: Sequence[Blocks], start: int, stop: int) -> list[list[Part]]:
        """Of each of these ranges the lists of its items, for each recipe."""
        plan, n_items = self.plan, self.numbered.ids.size
        begins = even_bounds(self.arena.owner.size, self.threads)
        taken = np.concatenate([np.arange(a, share.free[0]) for a, share in zip(begins[:-1], shares, strict=True)])
        taken = taken[np.argsort(self.arena.owner[taken], kind="stable")]
        bounds = np.searchsorted(self.arena.owner[taken], np.arange(start, stop + 1))
        words = np.concatenate([[0], np.cumsum(self.arena.used[taken], dtype=np.int64)])[bounds]
        most_groups = int(np.diff(words).max(initial=0)) // (HEAD + plan.width)
        room = -(-n_items // self.ranges) * int(plan.top_k.max())
        found: dict[int, list[Part]] = {}

        def scratch() -> tuple[npt.NDArray[np.int64], Sums, Best]:
            shape = n_items + 1, plan.top_k.size
            sums = Sums(np.zeros(n_items, np.int32), np.empty(n_items + 1, np.int32), np.zeros(shape, np.int64))
            aids, scores = np.empty((shape[1], room), np.int32), np.empty((shape[1], room), np.float32)
            filled = np.empty(shape[1], np.int64)
            return np.empty(most_groups, np.int64), sums, Best(np.empty((0, 0), np.int32), filled, aids, scores)

        def work(held: tuple[npt.NDArray[np.int64], Sums, Best], first: int, last: int) -> None:
            groups, sums, room = held
            for range_ in range(first, last):
                starts = np.zeros(self._ids(range_).size + 2, np.int64)
                best = room._replace(sizes=np.empty((plan.top_k.size, starts.size - 2), np.int32))
                own = taken[bounds[range_ - start] : bounds[range_ - start + 1]]
                list_groups(own, plan.width, shares[0], starts, groups)
                rank_range(
                    plan.width, starts, groups, self.arena.words, self.numbered.ids,
                    plan.weights, plan.quanta, plan.top_k, sums, best,
                )  # fmt: skip
                found[range_] = [
                    (best.sizes[r], best.aids[r, :size].copy(), best.scores[r, :size].copy())
                    for r, size in enumerate(best.filled)
                ]

        run_ranges(work, np.arange(start, stop + 1), self.threads, scratch, self.label)
        return [found[range_] for range_ in range(start, stop)]

    def _ids(self, range_: int) -> npt.NDArray[np.int32]:
        """The log's ids of the items of a range."""
        return self.numbered.ids[range_ :: self.ranges]

    def _gather(self, parts: Sequence[Part]) -> Lists:
        """The lists of all ranges, as the log numbers the items."""
        offsets = np.zeros(self.numbered.ids.size + 1, np.int64)
        for range_, (sizes, _, _) in enumerate(parts):
            offsets[self._ids(range_) + 1] = sizes
        np.cumsum(offsets, out=offsets)
        lists = Lists(offsets, np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32))

        def work(_: None, first: int, last: int) -> None:
            for range_ in range(first, last):
                place_lists(self._ids(range_), *parts[range_], offsets, lists.aids, lists.scores)

        run_ranges(work, even_bounds(len(parts), 4 * self.threads), self.threads, lambda: None)
        return lists
