"""What a run answers: lists with their reasons, and explanations."""

from dataclasses import dataclass, field
from typing import Any

from events.arrays import F32
from rankers.reasons import Chosen, Reason


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One session's list for one target, best first.

    items   : n items, by the source's ids
    scores  : float32[n] of the ranker, comparable within the list only
    unknown : items of the session that the run does not know; they were left out
    session : the session's id, where a frame or the run itself gave it
    """

    target: str
    items: list[Any]
    scores: F32
    unknown: tuple[Any, ...] = ()
    session: Any = None
    chosen: Chosen | None = field(default=None, repr=False, compare=False)

    @property
    def reasons(self) -> list[tuple[Reason, ...]]:
        """Of each item the sources that proposed it, with the session's items that it was seen together with."""
        return [] if self.chosen is None else self.chosen.reasons()


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature adds to an item's score (in the ranker's units); ``value`` is NaN where it has none."""

    feature: str
    group: str
    meaning: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item stands where it does.

    place : in the list of all candidates, 0 is best
    score : what it is ranked by
    base  : mean contribution that every item has; with all features' contributions it adds up to the mean raw score of
            the models, which is ``score`` unless models of different kinds or seeds are blended
    features : the strongest, by the size of their contribution
    """

    item: Any
    target: str
    place: int
    candidates: int
    score: float
    base: float
    features: list[Contribution]
    reasons: tuple[Reason, ...]
