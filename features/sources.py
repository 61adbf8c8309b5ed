"""What the sources say of a candidate: place and score in each list, and how far they agree."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.compiled import kernel
from events.log import SessionLog
from features.arrays import F32, F64, I16, I32, I64
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
    for c in range(ranks.shape[0]):
        column = at + c * width
        for s in range(start, stop):
            first, last = offsets[s], offsets[s + 1]
            n = 0
            total, squares = 0.0, 0.0
            best = -np.inf
            for row in range(first, last):
                if ranks[c, row] >= 0:
                    n += 1
                    total += scores[c, row]
                    best = max(best, np.float64(scores[c, row]))
            mean = total / max(n, 1)
            for row in range(first, last):
                if ranks[c, row] >= 0:
                    squares += (scores[c, row] - mean) ** 2
            deviation = np.sqrt(squares / max(n, 1))
            for row in range(first, last):
                here = ranks[c, row] >= 0
                out[row, column] = np.float32(ranks[c, row]) if here else np.nan
                if zscore:
                    z = (scores[c, row] - mean) / deviation if deviation > 1e-12 * abs(mean) else 0.0
                    out[row, column + 1] = np.float32(z) if here else np.nan
                if share:
                    of_best = np.float32(scores[c, row] / best) if best > 0 else np.nan
                    out[row, column + width - 1] = of_best if here else np.nan


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


POOL_FEATURES = (
    Feature("pool_size", "pool", "candidates of the session"),
    Feature("pool_sources", "pool", "sources that propose the item"),
    Feature("pool_best_rank", "pool", "best place in any source's list, 0 is best"),
    Feature("pool_fusion", "pool", "reciprocal rank fusion: sum over the sources of 1 / (k + place)"),
    Feature("pool_fusion_place", "pool", "share of the session's candidates with a greater reciprocal rank fusion"),
    Feature("pool_popularity_place", "pool", "share of the session's candidates with more fitted events"),
)


@kernel
def greater_share(values: F64, n: int, ordered: F64, out: F32, first: int, column: int) -> None:
    """For each of ``values[:n]`` the share of them that are greater, into ``out[first:first + n, column]``."""
    ordered[:n] = values[:n]
    ordered[:n].sort()
    for i in range(n):
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if ordered[middle] <= values[i]:
                low = middle + 1
            else:
                high = middle
        out[first + i, column] = np.float32((n - low) / n)


@kernel
def fill_pool(
    offsets: I64, aids: I32, ranks: I16, popularity: F32, start: int, stop: int, fusion: float, out: F32, at: int
) -> None:
    """The features of ``POOL_FEATURES``; ``popularity`` float32[n_items] is any value that rises with it."""
    most = 0
    for s in range(start, stop):
        most = max(most, offsets[s + 1] - offsets[s])
    fused, popular, ordered = np.empty(most), np.empty(most), np.empty(most)
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        n = last - first
        for i in range(n):
            row = first + i
            count, best, total = 0, 32767, 0.0
            for c in range(ranks.shape[0]):
                rank = ranks[c, row]
                if rank >= 0:
                    count += 1
                    best = min(best, rank)
                    total += 1.0 / (fusion + rank)
            fused[i] = total
            popular[i] = popularity[aids[row]] if 0 <= aids[row] < popularity.size else -np.inf
            out[row, at] = n
            out[row, at + 1] = count
            out[row, at + 2] = best if count > 0 else np.nan
            out[row, at + 3] = np.float32(total)
        greater_share(fused, n, ordered, out, first, at + 4)
        greater_share(popular, n, ordered, out, first, at + 5)


@dataclass(frozen=True, slots=True)
class PoolBlock:
    """The candidate among the session's other candidates; ``popularity`` float32[n_items] rises with it."""

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
