"""Scores by what the true item is: how old, how popular, known or new; and by how the session began.

A slice of items keeps only the labels that are among them: its recall says how many of *these* were found, in lists
that were made for all. An item that the index does not hold is a new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from events.arrays import I32, I64
from events.columns import DAY, TARGETS, WEIGHTS
from events.compiled import kernel
from events.labels import Labels, LabelSet
from events.lists import Lists
from events.log import SessionLog
from submissions.metrics import Scores, score_lists

AGES = (0, 3, 7, 14, 28)
"""Least days since an item's first fitted event, of each slice."""

SHARES = (0.01, 0.1, 0.5)
"""Slices of popularity end at these shares of the fitted items, the most popular first; the last has the rest."""

NEW, KNOWN = "new", "known"


@dataclass(frozen=True, slots=True)
class ItemSlices:
    """A slice for each item.

    codes   : int64[n_items] place in ``names``, -1 for none
    names   : of the slices
    unknown : slice of the items that the index does not hold
    """

    codes: I64
    names: tuple[str, ...]
    unknown: int


def novelty_slices(counts: I64) -> ItemSlices:
    """Items with a fitted event and without: int64[n_items] fitted sessions of each."""
    return ItemSlices((counts == 0).astype(np.int64), (KNOWN, NEW), 1)


def popularity_slices(counts: I64, shares: Sequence[float] = SHARES) -> ItemSlices:
    """Items by their place among the fitted ones, ordered by sessions (ties by ascending item).

    >>> found = popularity_slices(np.array([9, 0, 5, 5, 1]), shares=(0.25, 0.5))
    >>> [found.names[code] for code in found.codes]
    ['top 25 %', 'new', '25 to 50 %', 'the other 50 %', 'the other 50 %']
    """
    order = np.argsort(-counts, kind="stable")
    seen = int(np.count_nonzero(counts))
    edges = [round(share * seen) for share in shares]
    codes = np.full(counts.size, len(shares) + 1, np.int64)
    codes[order[:seen]] = np.searchsorted(edges, np.arange(seen), side="right")
    percent = [f"{100 * share:g}" for share in shares]
    names = [f"top {percent[0]} %", *(f"{low} to {high} %" for low, high in pairwise(percent))]
    return ItemSlices(codes, (*names, f"the other {100 - 100 * shares[-1]:g} %", NEW), len(shares) + 1)


def age_slices(log: SessionLog, until_s: int, edges: Sequence[int] = AGES) -> ItemSlices:
    """Items by the days from their first fitted event to the moment ``until_s`` (unix seconds).

    Raises
    ------
    ValueError
        If the log has no time.
    """
    if log.ts is None:
        raise ValueError("a log without time knows no age")
    first = np.full(log.n_items, np.iinfo(np.int64).max, np.int64)
    _first_times(log.aids, log.ts, first)
    seen = first < np.iinfo(np.int64).max
    days = np.maximum(until_s - np.where(seen, first, until_s), 0) // DAY
    codes = np.where(seen, np.searchsorted(edges, days, side="right") - 1, len(edges)).astype(np.int64)
    names = [f"{low} to {high - 1} days" for low, high in pairwise(edges)]
    return ItemSlices(codes, (*names, f"{edges[-1]} days and more", NEW), len(edges))


@kernel
def _first_times(aids: I32, ts: I32, first: I64) -> None:
    for event in range(aids.size):
        first[aids[event]] = min(first[aids[event]], ts[event])


def first_types(log: SessionLog) -> tuple[I64, tuple[str, ...]]:
    """int64[S] type of each session's first visible event, -1 for an empty session; and the types' names."""
    codes = np.full(len(log), -1, np.int64)
    filled = np.flatnonzero(log.lengths > 0)
    codes[filled] = log.type_codes()[log.offsets[:-1][filled]]
    return codes, TARGETS if log.has_types else TARGETS[:1]


def labels_of_slice(label_set: LabelSet, slices: ItemSlices, code: int) -> LabelSet:
    """The labels that are among the items of a slice; a session may be left without any."""
    of_items = np.append(slices.codes, slices.unknown)  # -1, an unknown item, is the last
    keep = of_items[label_set.aids] == code
    before = np.zeros(keep.size + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    return LabelSet(before[label_set.offsets], label_set.aids[keep])


def item_slice_scores(
    lists: Mapping[str, Lists],
    labels: Labels,
    slices: ItemSlices,
    k: int = 20,
    weights: Mapping[str, float] = WEIGHTS,
) -> dict[str, tuple[Scores, int]]:
    """Scores of each slice that has labels, and the number of its labels."""
    found: dict[str, tuple[Scores, int]] = {}
    for code, name in enumerate(slices.names):
        kept = {target: labels_of_slice(label_set, slices, code) for target, label_set in labels.items()}
        n = sum(label_set.aids.size for label_set in kept.values())
        if n:
            found[name] = score_lists(lists, kept, k, weights), n
    return found


def counts_of(codes: npt.NDArray[np.int64], names: Sequence[str]) -> dict[str, int]:
    """Sessions of each slice."""
    return {name: int(np.count_nonzero(codes == code)) for code, name in enumerate(names)}
