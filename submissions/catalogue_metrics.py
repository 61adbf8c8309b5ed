"""What lists do to the catalogue: coverage, novelty, diversity and the bias to what is popular anyway.

coverage        : different items among the first k of all lists, over all items of the shop
novelty         : mean over a list of -log2(share of the fitted sessions with the item), an unseen item as if one
                  session had it; Zhou et al., Solving the apparent diversity-accuracy dilemma (PNAS 2010)
diversity       : mean over the pairs of a list of 1 - cosine of their vectors (an item without a vector is unlike all),
                  or, without vectors, 1 - the share of their categories that both have; Ziegler et al. (WWW 2005)
head_share      : share of a list that is among the most popular fifth of the fitted items
popularity_rank : mean over a list of the share of the fitted items that are more popular, 0 for the best seller;
                  equally popular items are halfway, an unseen item has 1

All but coverage are a mean over the sessions whose list has an item (two for diversity), with or without labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.arrays import F32, F64, I32, I64
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog
from submissions.session_values import SessionValues

HEAD = 0.2
"""Share of the fitted items that is called the head."""

NAMES = ("coverage", "novelty", "diversity", "head_share", "popularity_rank")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known of the items.

    n_sessions : sessions that the counts are of
    counts     : int64[n_items] fitted sessions with the item
    vectors    : float32[n_items, d], 0 for an item without one; ``None`` where there are none
    categories : int64[n_items+1] and int32[M], ascending codes of each item; ``None`` where there are none
    """

    n_sessions: int
    counts: I64
    vectors: F32 | None = None
    categories: tuple[I64, I32] | None = None

    @classmethod
    def of(cls, log: SessionLog, vectors: F32 | None = None, categories: tuple[I64, I32] | None = None) -> "Catalogue":
        """Popularity from the sessions that a pass fits on."""
        return cls(len(log), session_counts(log), vectors, categories)

    @property
    def popularity_ranks(self) -> F64:
        """float64[n_items] share of the fitted items that are more popular, ties halfway; 1 for an unseen item."""
        seen = np.sort(self.counts[self.counts > 0])
        above = seen.size - np.searchsorted(seen, self.counts, side="right")
        equal = np.searchsorted(seen, self.counts, side="right") - np.searchsorted(seen, self.counts, side="left")
        ranks = (above + np.maximum(equal - 1, 0) / 2) / max(seen.size, 1)
        return np.asarray(np.where(self.counts > 0, ranks, 1.0))

    @property
    def head(self) -> npt.NDArray[np.bool_]:
        """bool[n_items] the most popular fifth of the fitted items, at least one; ties by ascending item."""
        wanted = max(1, round(HEAD * np.count_nonzero(self.counts)))
        order = np.argsort(-self.counts, kind="stable")[:wanted]
        head = np.zeros(self.counts.size, np.bool_)
        head[order[self.counts[order] > 0]] = True
        return head


def session_counts(log: SessionLog) -> I64:
    """int64[n_items] sessions with each item, however often it occurs there."""
    counts, latest = np.zeros(log.n_items, np.int64), np.full(log.n_items, -1, np.int64)
    _count_sessions(log.offsets, log.aids, latest, counts)
    return counts


@kernel
def _count_sessions(offsets: I64, aids: I32, latest: I64, counts: I64) -> None:
    for s in range(offsets.size - 1):
        for event in range(offsets[s], offsets[s + 1]):
            if latest[aids[event]] != s:
                latest[aids[event]] = s
                counts[aids[event]] += 1


def coverage(lists: Sequence[Lists], n_items: int, k: int) -> float | None:
    """Share of the items that stand among the first k of any list; ``None`` for a shop without items."""
    shown = np.zeros(n_items, np.bool_)
    for one in lists:
        shown[one.top(k).aids] = True
    return float(np.count_nonzero(shown)) / n_items if n_items else None


def list_values(name: str, lists: Lists, k: int, catalogue: Catalogue) -> SessionValues:
    """One of ``NAMES`` but coverage, of the first k entries of S lists of known items.

    Raises
    ------
    ValueError
        If diversity is asked for and the catalogue has neither vectors nor categories, or the name is unknown.
    """
    top = lists.top(k)
    if name == "diversity":
        return _diversity(top, catalogue)
    if name == "novelty":
        of_items = np.log2(max(catalogue.n_sessions, 1)) - np.log2(np.maximum(catalogue.counts, 1))
    elif name == "head_share":
        of_items = catalogue.head.astype(np.float64)
    elif name == "popularity_rank":
        of_items = catalogue.popularity_ranks
    else:
        raise ValueError(f"no metric of lists is called {name!r}")
    sizes = top.lengths
    sums = np.zeros(len(top))
    _sum_lists(top.offsets, of_items[top.aids], sums)
    return SessionValues.of(sums / np.maximum(sizes, 1), sizes > 0)


@kernel
def _sum_lists(offsets: I64, values: F64, out: F64) -> None:
    for s in range(out.size):
        for place in range(offsets[s], offsets[s + 1]):
            out[s] += values[place]


def _diversity(top: Lists, catalogue: Catalogue) -> SessionValues:
    out = np.zeros(len(top))
    if catalogue.vectors is not None:
        norms = np.linalg.norm(catalogue.vectors, axis=1)
        _unlike_vectors(top.offsets, top.aids, catalogue.vectors, norms.astype(np.float64), out)
    elif catalogue.categories is not None:
        _unlike_categories(top.offsets, top.aids, *catalogue.categories, out)
    else:
        raise ValueError("diversity needs vectors or categories of the items")
    return SessionValues.of(out, top.lengths > 1)


@kernel
def _unlike_vectors(offsets: I64, aids: I32, vectors: F32, norms: F64, out: F64) -> None:
    """Mean over pairs of 1 - cosine: the cosines of all pairs are half of |Σ v|² - Σ |v|², v of length 1 or 0."""
    total = np.zeros(vectors.shape[1])
    for s in range(out.size):
        n = offsets[s + 1] - offsets[s]
        if n < 2:
            continue
        total[:] = 0.0
        own = 0.0
        for place in range(offsets[s], offsets[s + 1]):
            norm = norms[aids[place]]
            if norm > 0:
                own += 1.0
                for i in range(total.size):
                    total[i] += vectors[aids[place], i] / norm
        square = 0.0
        for i in range(total.size):
            square += total[i] * total[i]
        out[s] = 1.0 - (square - own) / (n * (n - 1))


@kernel
def _unlike_categories(offsets: I64, aids: I32, starts: I64, codes: I32, out: F64) -> None:
    """Mean over pairs of 1 - common categories over all categories; an item without one is unlike all."""
    for s in range(out.size):
        n = offsets[s + 1] - offsets[s]
        if n < 2:
            continue
        like = 0.0
        for a in range(offsets[s], offsets[s + 1]):
            for b in range(a + 1, offsets[s + 1]):
                i, j, both = starts[aids[a]], starts[aids[b]], 0
                last_i, last_j = starts[aids[a] + 1], starts[aids[b] + 1]
                sizes = last_i - i + last_j - j
                while i < last_i and j < last_j:
                    if codes[i] == codes[j]:
                        both += 1
                    step = codes[i] - codes[j]
                    i += step <= 0
                    j += step >= 0
                if both > 0:
                    like += both / (sizes - both)
        out[s] = 1.0 - like / (n * (n - 1) / 2.0)
