"""What a feature is, what a block of features must do, and which features a log allows."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.log import SessionLog

GROUPS = ("sources", "pool", "item", "session", "match", "pair", "affinity", "similarity", "knowledge")
"""Groups of features, in the order of their columns."""

DTYPE = "float32"
"""Every feature is a column of one float32 matrix; NaN says that it has no value for a row."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the matrix that a ranker sees.

    name    : unique
    group   : one of ``GROUPS``
    meaning : one line, with its unit
    needs   : what it asks of a log, of ``events.log.NEEDS``
    """

    name: str
    group: str
    meaning: str
    needs: frozenset[str] = frozenset()


TIME = frozenset({"time"})
TYPES = frozenset({"types"})
BOTH = TIME | TYPES


class Block(Protocol):
    """Columns that are computed together: a pure function of a log, its candidates and fitted tables.

    A block is never handed a label, so that it cannot see one, and a session's rows depend on that session alone:
    chunks and threads cannot change them.
    """

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns, in order."""
        ...

    def fill(
        self,
        log: SessionLog,
        candidates: Candidates,
        start: int,
        stop: int,
        out: npt.NDArray[np.float32],
        at: int,
    ) -> None:
        """Write the columns ``at:at + len(features)`` of ``out`` for the rows of sessions ``start:stop``.

        out : float32[R, F] C-contiguous, a row a candidate; nothing else in it is touched
        """
        ...


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A feature that is not built, and why."""

    name: str
    reason: str


def choose(
    features: tuple[Feature, ...], has: frozenset[str], groups: tuple[str, ...]
) -> tuple[npt.NDArray[np.int64], tuple[LeftOut, ...]]:
    """Which of a block's features a log with ``has`` allows, among the groups that are on.

    Returns their places (int64, ascending) and what is left out.

    >>> ages = Feature("age", "item", "days", TIME)
    >>> places, left_out = choose((ages,), frozenset(), GROUPS)
    >>> places.tolist(), left_out[0].reason
    ([], 'the log has no time')
    """
    places: list[int] = []
    left_out: list[LeftOut] = []
    for place, feature in enumerate(features):
        lacking = sorted(feature.needs - has)
        if feature.group not in groups:
            left_out.append(LeftOut(feature.name, f"the group {feature.group} is off"))
        elif lacking:
            left_out.append(LeftOut(feature.name, f"the log has no {' and no '.join(lacking)}"))
        else:
            places.append(place)
    return np.array(places, np.int64), tuple(left_out)


def pick(features: tuple[Feature, ...], places: npt.NDArray[np.int64]) -> tuple[Feature, ...]:
    """The features at these places."""
    return tuple(features[place] for place in places.tolist())


def check_unique(features: tuple[Feature, ...]) -> None:
    """Raise ``ValueError`` if two features share a name."""
    twice = sorted(name for name, count in Counter(feature.name for feature in features).items() if count > 1)
    if twice:
        raise ValueError(f"features of the same name: {', '.join(twice)}")
