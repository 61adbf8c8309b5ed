"""Diversity after the ranking: maximal marginal relevance by item vectors, and at most so many items of a category.

Source of the former: Carbonell, Goldstein: The use of MMR (SIGIR 1998). An item is chosen, place after place, by

    mmr * relevance - (1 - mmr) * max over the items chosen before of max(0, cosine)

with the relevance as the ranker's scores of the list, stretched to 0 for its last and 1 for its first item. Difference
to the paper: a cosine below 0 counts as 0, so that the scores of a list descend.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from events.arrays import F32, F64, I32, I64
from events.categories import level_codes, need_categories
from events.compiled import kernel
from events.errors import InputError
from events.lists import Lists
from events.settings import Frozen
from models.searcher import Searcher

ITEMS = "items.parquet"
"""What is known of the items, in the folder that ``prepare`` writes."""
NO_VECTORS = np.zeros((0, 0), np.float32)
NO_CODES = np.zeros(0, np.int32)


class RerankSettings(Frozen):
    """An optional last step behind the rankers; off unless ``mmr`` or ``category_cap`` is given."""

    mmr: Annotated[float, Field(ge=0, le=1)] | None = None
    """Weight of the ranker's relevance against likeness to the items before; 1 changes nothing, 0 looks at likeness
    alone. Left out, likeness does not matter."""
    vectors: str | None = None
    """Retriever whose item vectors say what is alike; left out, the first that the run has."""
    category_cap: Annotated[int, Field(ge=1)] | None = None
    """Items of one category in a list, at most; a list that would be too short takes the best of the others."""
    category_level: int = -1
    """Level of the category's path: 0 the broadest, -1 the narrowest."""
    depth: Annotated[int, Field(ge=1, le=1_000)] = 60
    """Items of each list that may come to the top, of those the ranker puts first."""

    @property
    def on(self) -> bool:
        """Whether lists are reranked at all."""
        return self.mmr is not None or self.category_cap is not None

    @model_validator(mode="after")
    def _belongs_together(self) -> "RerankSettings":
        if self.vectors is not None and self.mmr is None:
            raise ValueError("rerank.vectors does nothing without rerank.mmr")
        return self

    def list_length(self, k: int) -> int:
        """Items that the rankers' lists must have, for lists of k after this step."""
        return max(k, self.depth) if self.on else k


@dataclass(frozen=True, slots=True)
class Reranker:
    """What the step needs of the items.

    vectors    : target (or ``None`` for all of them) to float32[n_items, d]; empty without MMR
    categories : int32[n_items], -1 for none; ``None`` without a cap
    """

    settings: RerankSettings
    vectors: Mapping[str | None, F32]
    categories: I32 | None = None

    @classmethod
    def open(cls, settings: RerankSettings, searchers: Mapping[str, Searcher], items: Path) -> "Reranker | None":
        """The step of a pass that has these retrievers; ``None`` where it is off.

        items : the run's ``prepared/items.parquet``

        Raises
        ------
        InputError
            If the run has no such item vectors, or the shop no categories.
        """
        if not settings.on:
            return None
        vectors = {}
        if settings.mmr is not None:
            searcher = chosen_searcher(searchers, settings.vectors, "rerank.vectors")
            if searcher is None:
                raise InputError("rerank.mmr", None, "this run has no retriever, so no item vectors", "switch one on")
            vectors = {target: searcher.retriever.item_vectors(target) for target in searcher.indices}
        categories = None
        if settings.category_cap is not None:
            categories = level_codes(need_categories(items), settings.category_level)
        return cls(settings, vectors, categories)

    def apply(self, lists: Lists, k: int, target: str | None = None) -> Lists:
        """The lists of S sessions, of up to k items each; what the step cannot move stays in the ranker's order."""
        vectors = self.vectors.get(target, self.vectors.get(None, NO_VECTORS))
        return rerank(lists, self.settings, k, vectors, NO_CODES if self.categories is None else self.categories)

    def apply_all(self, lists: Mapping[str, Lists], k: int) -> dict[str, Lists]:
        """The same for each target's lists."""
        return {target: self.apply(one, k, target) for target, one in lists.items()}


def chosen_searcher(searchers: Mapping[str, Searcher], name: str | None, key: str) -> Searcher | None:
    """The retriever of this name, or the first of the run.

    Raises
    ------
    InputError
        If the run has no retriever of this name.
    """
    if name is None:
        return next(iter(searchers.values()), None)
    if name not in searchers:
        problem = f"this run has no retriever {name!r}, but {', '.join(searchers) or 'none at all'}"
        raise InputError(key, None, problem, f"name one of them, or set models.retrievers.{name}.on=true")
    return searchers[name]


def rerank(lists: Lists, settings: RerankSettings, k: int, vectors: F32, categories: I32) -> Lists:
    """Choose k items of the first ``depth`` of each list.

    vectors    : float32[n_items, d], of any length; looked at for MMR only
    categories : int32[n_items], -1 for none; with no rows nothing is capped

    Scores are those that the items were chosen by: of MMR, else the ranker's; they descend strictly after a capped
    item that fills a list.
    """
    deep = lists.top(settings.list_length(k))
    lengths = np.minimum(deep.lengths, k)
    offsets = np.zeros(len(deep) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    aids, scores = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    choose(
        deep.offsets, deep.aids, deep.scores, vectors, settings.mmr is not None, settings.mmr or 0.0, categories,
        settings.category_cap or 0, offsets, aids, scores,
    )  # fmt: skip
    return Lists(offsets, aids, scores)


@kernel
def choose(
    offsets: I64, aids: I32, scores: F32, vectors: F32, mmr: bool, weight: float, categories: I32, cap: int,
    out_offsets: I64, out_aids: I32, out_scores: F32,
) -> None:  # fmt: skip
    """Fill the lists ``out_aids[out_offsets[s]:out_offsets[s+1]]``; without ``mmr`` by the given scores."""
    longest = 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    relevance, likest, norms = np.empty(longest), np.empty(longest), np.zeros(longest)
    taken, of_category = np.empty(longest, np.bool_), np.empty(longest, np.int64)
    for s in range(offsets.size - 1):
        first, n = offsets[s], offsets[s + 1] - offsets[s]
        if n == 0:
            continue
        top, span = np.float64(scores[first]), np.float64(scores[first]) - np.float64(scores[first + n - 1])
        for i in range(n):
            score = np.float64(scores[first + i])
            relevance[i] = score
            if mmr:
                relevance[i] = 1.0 - (top - score) / span if span > 0.0 else 1.0
                square = 0.0
                for d in range(vectors.shape[1]):
                    square += np.float64(vectors[aids[first + i], d]) ** 2
                norms[i] = np.sqrt(square)
            likest[i], taken[i], of_category[i] = 0.0, False, 0
        for out in range(out_offsets[s], out_offsets[s + 1]):
            best = _next(first, n, aids, relevance, likest, taken, of_category, mmr, weight, cap)
            filling = best < 0
            if filling:  # all that is left is capped
                best = _next(first, n, aids, relevance, likest, taken, of_category, mmr, weight, 0)
            value = np.float32(_value(relevance[best], likest[best], mmr, weight))
            if filling and out > out_offsets[s] and value >= out_scores[out - 1]:
                value = np.nextafter(out_scores[out - 1], np.float32(-np.inf))
            aid = aids[first + best]
            out_aids[out], out_scores[out], taken[best] = aid, value, True
            for i in range(n):
                other = aids[first + i]
                if cap > 0 and categories[aid] >= 0 and categories[other] == categories[aid]:
                    of_category[i] += 1
                if mmr and not taken[i] and norms[best] > 0.0 and norms[i] > 0.0:
                    product = 0.0
                    for d in range(vectors.shape[1]):
                        product += np.float64(vectors[aid, d]) * np.float64(vectors[other, d])
                    likest[i] = max(likest[i], product / (norms[best] * norms[i]))


@kernel
def _value(relevance: float, likest: float, mmr: bool, weight: float) -> float:
    return weight * relevance - (1.0 - weight) * likest if mmr else relevance


@kernel
def _next(
    first: int, n: int, aids: I32, relevance: F64, likest: F64, taken: npt.NDArray[np.bool_], of_category: I64,
    mmr: bool, weight: float, cap: int,
) -> int:  # fmt: skip
    """Place of the best item that is not taken nor capped, ties by ascending item; -1 if there is none."""
    best, most = -1, np.float32(-np.inf)
    for i in range(n):
        if taken[i] or (cap > 0 and of_category[i] >= cap):
            continue
        value = np.float32(_value(relevance[i], likest[i], mmr, weight))
        if best < 0 or value > most or (value == most and aids[first + i] < aids[first + best]):
            best, most = i, value
    return best
