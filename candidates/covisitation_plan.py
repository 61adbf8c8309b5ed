"""What the kernels of co-visitation need to know of recipes, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from candidates.covisitation_emit import Filters
from candidates.covisitation_sum import HALF, Weights
from candidates.recipes import PairKey, Recipe

NO_WINDOW = 1 << 62
QUANTUM_BITS = 20
"""Weights are counted in integers of 2^-20, so that sums depend neither on order nor on threads."""
SUM_BITS = 62


@dataclass(frozen=True, slots=True)
class Plan:
    """R recipes that keep the same events, those that weigh all gaps and places alike first.

    filters : the different ways in which they let pairs count
    width   : words of an event y, see ``covisitation_emit``
    quanta  : float64[R] size of a quantum of each
    top_k   : int64[R]
    """

    filters: Filters
    width: int
    weights: Weights
    quanta: npt.NDArray[np.float64]
    top_k: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, recipes: Sequence[Recipe], has: frozenset[str], span: int, longest: int, most: int
    ) -> "Plan":  # fmt: skip
        """The plan for a log.

        has     : what of time and types it has
        span    : its seconds
        longest : most kept events of a session
        most    : events of the most frequent item
        """
        keys = list(dict.fromkeys(recipe.pairs for recipe in recipes))
        plain = len(keys) == 1 and not any(recipe.shaped for recipe in recipes)
        quanta = _quanta(recipes, longest, most)
        return cls(
            filters=_filters(keys),
            width=1 if plain else 2 if all(recipe.gap_seconds is None for recipe in recipes) else 3,
            weights=_weights(recipes, keys, has, span, longest, quanta),
            quanta=quanta,
            top_k=np.array([recipe.top_k for recipe in recipes], np.int64),
        )


def _filters(keys: Sequence[PairKey]) -> Filters:
    rows = [(NO_WINDOW if window is None else window, *rest) for window, *rest in keys]
    return Filters(*np.array(rows, np.int64).T.copy())


def _weights(
    recipes: Sequence[Recipe],
    keys: Sequence[PairKey],
    has: frozenset[str],
    span: int,
    longest: int,
    quanta: npt.NDArray[np.float64],
) -> Weights:
    per_type = np.zeros((4, len(recipes)))
    per_type[:3] = np.transpose([recipe.type_weights.of("types" in has) for recipe in recipes])
    timed = "time" in has
    slope = np.array([recipe.time_slope if timed else 0.0 for recipe in recipes])
    steps = np.arange(longest + 1, dtype=np.float64)
    steps[0] = 1.0  # no pair lies there
    masks = np.zeros((2, 1 << HALF, len(recipes)), np.int64)
    for r, recipe in enumerate(recipes):
        half, bit = divmod(keys.index(recipe.pairs), HALF)
        masks[half, :, r] = -(np.arange(1 << HALF) >> bit & 1)
    return Weights(
        per_type=per_type / quanta,
        base=np.array([recipe.time_base if timed else 1.0 for recipe in recipes]),
        slope=slope,
        span=max(span, 1),
        sloped=np.flatnonzero(slope),
        plain=sum(not recipe.shaped for recipe in recipes),
        steps=steps[:, None] ** -np.array([recipe.step_decay for recipe in recipes]),
        gap=np.array([np.inf if recipe.gap_seconds is None else recipe.gap_seconds for recipe in recipes]),
        masks=masks,
    )


def _quanta(recipes: Sequence[Recipe], longest: int, most: int) -> npt.NDArray[np.float64]:
    """2^-20, or so much more that no sum of one pair of items can leave 64 bits."""
    bits = []
    for recipe in recipes:
        largest = max(*recipe.type_weights.of(True), 1.0) * max(recipe.time_base + recipe.time_slope, 1.0)
        pairs = max(most if recipe.dedup == "pair" else most * longest, 1)
        bits.append(min(QUANTUM_BITS, SUM_BITS - ceil(log2(largest * pairs))))
    return np.asarray(2.0 ** -np.array(bits, np.float64))
