"""One number a session, and how many of them count: what every mean over sessions, and its interval, is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS, WEIGHTS
from submissions.metrics import weighted_total


class Counted(Protocol):
    """What a ratio of sums over sessions is made of; ``submissions.metrics.Hits`` is one, too."""

    @property
    def hits(self) -> npt.NDArray[np.int32] | npt.NDArray[np.float64]:
        """[S] above the line."""
        ...

    @property
    def denominators(self) -> npt.NDArray[np.int32]:
        """int32[S] below the line."""
        ...


@dataclass(frozen=True, slots=True)
class SessionValues:
    """A metric of each of S sessions.

    hits         : float64[S] the session's value; 0 where it does not count
    denominators : int32[S] 1 where the session counts, else 0

    >>> SessionValues.of(np.array([0.5, 9.0]), np.array([True, False])).mean
    0.5
    """

    hits: npt.NDArray[np.float64]
    denominators: npt.NDArray[np.int32]

    @classmethod
    def of(cls, values: npt.NDArray[np.float64], counts: npt.NDArray[np.bool_]) -> "SessionValues":
        """From the values float64[S] and whether each session counts, bool[S]."""
        return cls(np.where(counts, values, 0.0), counts.astype(np.int32))

    def __len__(self) -> int:
        return self.hits.size

    @property
    def mean(self) -> float | None:
        """Mean over the sessions that count; ``None`` if none does."""
        n = int(self.denominators.sum(dtype=np.int64))
        return float(self.hits.sum()) / n if n else None


def ratio(counted: Counted) -> float | None:
    """Sum above the line over sum below it; ``None`` if nothing is below it."""
    below = int(counted.denominators.sum(dtype=np.int64))
    return float(counted.hits.sum(dtype=np.float64)) / below if below else None


def by_target(found: Mapping[str, Counted], weights: Mapping[str, float] = WEIGHTS) -> dict[str, float | None]:
    """``{"clicks", "carts", "orders", "total"}``; an absent target is ``None``, the total goes over the others."""
    values = {target: ratio(found[target]) if target in found else None for target in TARGETS}
    return {**values, "total": weighted_total(values, weights)[0]}
