"""How far a total may be off by chance: the bootstrap over original sessions or users."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS, WEIGHTS
from submissions.session_values import Counted

BATCH = 2_000_000
"""Multinomial counts that are held at once."""

QUANTUM = 2.0**-20
"""Values that are no whole numbers are counted in steps of this size, so that their sums are exact in any order."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval of the bootstrap, and the width of the distribution."""

    low: float
    high: float
    standard_error: float


def _group_sums(hits: Mapping[str, Counted], groups: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64[2T, G] sums over each group: numerators of the T targets, then denominators. All are whole quanta."""
    _, group = np.unique(groups, return_inverse=True)
    targets = [target for target in TARGETS if target in hits]
    columns = [np.rint(hits[target].hits / QUANTUM) * QUANTUM for target in targets]
    columns += [hits[target].denominators.astype(np.float64) for target in targets]
    n = int(group.max()) + 1 if group.size else 0
    return np.stack([np.bincount(group, weights=column, minlength=n) for column in columns])


def _totals(sums: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64[B] weighted recall of float64[B, 2T] numerators and denominators; NaN where there is no label at all."""
    numerators, denominators = np.split(sums, 2, axis=1)
    present = (denominators > 0) * weights
    whole = present.sum(axis=1)
    recalls = numerators / np.maximum(denominators, 1.0)
    return np.where(whole > 0, (recalls * present).sum(axis=1) / np.where(whole > 0, whole, 1.0), np.nan)


def bootstrap_total(
    hits: Mapping[str, Counted],
    groups: npt.NDArray[np.int64],
    *,
    minus: Mapping[str, Counted] | None = None,
    weights: Mapping[str, float] = WEIGHTS,
    repeats: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Interval of the weighted total, or of its difference to ``minus`` on the same sessions.

    hits, minus : target to the hits of S sessions, or to a metric's values (``SessionValues``)
    groups      : int64[S] original session or user; groups are drawn with replacement, whole

    ``None`` if there is no label. Groups with equal sums are one cell of a multinomial draw, which has the same
    distribution as drawing the groups one by one and makes 1.8 million of them a matter of a second.
    """
    targets = [target for target in TARGETS if target in hits and weights.get(target, 0.0) > 0]
    pairs = [{target: side[target] for target in targets} for side in ([hits] if minus is None else [hits, minus])]
    if not targets or groups.size == 0:
        return None
    width = 2 * len(targets)
    sums = pl.DataFrame(np.concatenate([_group_sums(side, groups) for side in pairs]).T)
    cells = sums.group_by(sums.columns).len("groups").sort(sums.columns)
    values = cells.select(sums.columns).to_numpy()
    n_groups = sums.height
    shares = cells["groups"].to_numpy() / n_groups
    target_weights = np.array([weights[target] for target in targets])

    rng = np.random.default_rng(seed)
    totals: list[npt.NDArray[np.float64]] = []
    batch = max(1, BATCH // shares.size)
    for start in range(0, repeats, batch):
        counts = rng.multinomial(n_groups, shares, size=min(batch, repeats - start))
        drawn = counts.astype(np.float64) @ values  # whole quanta, below 2^53 of them: exact in any order
        total = _totals(drawn[:, :width], target_weights)
        totals.append(total if minus is None else total - _totals(drawn[:, width:], target_weights))
    known = np.concatenate(totals)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), float(known.std()))
