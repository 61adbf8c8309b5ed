"""What the sources say of a candidate: place and score in each list, and how far they agree."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, I16, I32, I64
from events.compiled import kernel
from events.log import SessionLog
from features.history import longest
from features.places import write_places
from features.registry import Feature
from features.settings import FeaturesSettings


def source_features(columns: tuple[str, ...], settings: FeaturesSettings) -> tuple[Feature, ...]:
    """Two or three features for each column of the pool."""
    rows = []
    for name in columns:
        rows.append(Feature(f"rank_{name}", "sources", f"place in the list of {name}, 0 is best; NaN if not in it"))
        if "zscore" in settings.source_scores:
            meaning = f"score in {name} less the session's mean, in standard deviations; NaN if not in it"
            rows.append(Feature(f"zscore_{name}", "sources", meaning))
        if "share" in settings.source_scores:
            meaning = f"score in {name} as share of the session's best; NaN if not in it or the best is not positive"
            rows.append(Feature(f"share_{name}", "sources", meaning))
    return tuple(rows)


@kernel
def fill_sources(
    offsets: I64, ranks: I16, scores: F32, start: int, stop: int, zscore: bool, share: bool, out: F32, at: int
) -> None:
    """Ranks and scores of every column for the rows of sessions ``start:stop``."""
    width = 1 + int(zscore) + int(share)
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        for c in range(ranks.shape[0]):
            column = at + c * width
            n = 0
            total, squares, best = 0.0, 0.0, 0.0
            for row in range(first, last):
                here = ranks[c, row] >= 0
                score = np.float64(scores[c, row]) if here else 0.0
                n += int(here)
                total += score
                best = max(best, score)
            mean = total / max(n, 1)
            for row in range(first, last):
                squares += (scores[c, row] - mean) ** 2 if ranks[c, row] >= 0 else 0.0
            deviation = math.sqrt(squares / max(n, 1))
            # Equal scores differ from their mean by rounding alone.
            unit = 1.0 / deviation if deviation > 1e-7 * abs(mean) else 0.0
            of_best = 1.0 / best if best > 0.0 else np.nan
            for row in range(first, last):
                here = ranks[c, row] >= 0
                out[row, column] = np.float32(ranks[c, row]) if here else np.float32(np.nan)
                score = np.float64(scores[c, row]) if here else np.nan
                if zscore:
                    out[row, column + 1] = np.float32((score - mean) * unit)
                if share:
                    out[row, column + width - 1] = np.float32(score * of_best)


@dataclass(frozen=True, slots=True)
class SourceBlock:
    """Place and score of the candidate in the list of every column of the pool."""

    features: tuple[Feature, ...]
    zscore: bool
    share: bool

    def fill(
        self,
        log: SessionLog,  # noqa: ARG002  (the contract of a block)
        candidates: Candidates,
        start: int,
        stop: int,
        out: npt.NDArray[np.float32],
        at: int,
    ) -> None:
        """See :class:`features.registry.Block`."""
        c = candidates
        fill_sources(c.offsets, c.ranks, c.scores, start, stop, self.zscore, self.share, out, at)


ABSENT_LAST = 1 << 15
"""A place behind any that an int16 rank can hold."""

POOL_FEATURES = (
    Feature("pool_size", "pool", "candidates of the session"),
    Feature("pool_sources", "pool", "sources that propose the item"),
    Feature("pool_best_rank", "pool", "best place in any source's list, 0 is best"),
    Feature("pool_fusion", "pool", "reciprocal rank fusion: sum over the sources of 1 / (k + place)"),
    Feature("pool_fusion_place", "pool", "share of the session's candidates with a greater reciprocal rank fusion"),
    Feature("pool_popularity_place", "pool", "share of the session's candidates with more fitted events"),
)


@kernel
def fill_pool(
    offsets: I64,
    aids: I32,
    ranks: I16,
    popularity: F32,
    start: int,
    stop: int,
    fusion: float,
    out: F32,
    at: int,
) -> None:
    """The features of ``POOL_FEATURES``; ``popularity`` float32[n_items], none negative, rises with it."""
    most = longest(offsets, start, stop)
    fused, popular, keys = np.empty(most, np.float32), np.empty(most, np.float32), np.empty(most, np.int64)
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        n = last - first
        for row in range(first, last):
            count, best, total = 0, ABSENT_LAST, 0.0
            for c in range(ranks.shape[0]):
                here = ranks[c, row] >= 0
                rank = int(ranks[c, row]) if here else ABSENT_LAST
                count += int(here)
                best = min(best, rank)
                total += 1.0 / (fusion + rank) if here else 0.0
            fused[row - first] = np.float32(total)
            popular[row - first] = popularity[aids[row]] if 0 <= aids[row] < popularity.size else np.float32(0.0)
            out[row, at] = n
            out[row, at + 1] = count
            out[row, at + 2] = np.float32(best) if count > 0 else np.float32(np.nan)
            out[row, at + 3] = np.float32(total)
        write_places(fused[:n], keys, out, first, at + 4)
        write_places(popular[:n], keys, out, first, at + 5)


@dataclass(frozen=True, slots=True)
class PoolBlock:
    """The candidate among the session's others; ``popularity`` float32[n_items], none negative, rises with it."""

    features: tuple[Feature, ...]
    popularity: npt.NDArray[np.float32]
    fusion: float

    def fill(
        self,
        log: SessionLog,  # noqa: ARG002  (the contract of a block)
        candidates: Candidates,
        start: int,
        stop: int,
        out: npt.NDArray[np.float32],
        at: int,
    ) -> None:
        """See :class:`features.registry.Block`."""
        c = candidates
        fill_pool(c.offsets, c.aids, c.ranks, self.popularity, start, stop, self.fusion, out, at)
