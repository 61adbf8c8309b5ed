"""Settings of the features."""

from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Group = Literal["sources", "pool", "item", "session", "match", "pair", "affinity", "similarity", "knowledge"]


class FeaturesSettings(BaseModel):
    """Which features are built, and their constants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: tuple[Group, ...] = Field(
        ("sources", "pool", "item", "session", "match", "pair", "affinity", "similarity", "knowledge"),
        description="groups of features that are on",
    )
    source_scores: tuple[Literal["zscore", "share"], ...] = Field(
        ("zscore",), description="a source's score within the session: as z-score, as share of the best one"
    )
    fusion: float = Field(60.0, gt=0, description="k of reciprocal rank fusion, sum of 1 / (k + place)")
    windows_days: tuple[int, ...] = Field(
        (1, 7, 14, 21),
        description="windows of the items' shares, days before the last fitted event, ascending; the longest should "
        "reach before the target sessions, of which a transductive fit sees but the beginnings, and not beyond the "
        "shortest fit of any pass",
    )
    conversion_prior: float = Field(
        20.0, gt=0, description="sessions' worth of the mean that an item's conversions are smoothed with"
    )
    trend_prior: float = Field(3.0, gt=0, description="events added to both sides of an item's trend")
    max_age_days: float = Field(
        21.0, gt=0, description="bound of an item's ages; not above the shortest fit of any pass"
    )
    visit_gap_minutes: float = Field(30.0, gt=0, description="a longer gap between two events starts a new visit")
    utc_offset_hours: float = Field(0.0, ge=-14, le=14, description="the shop's clock, for time of day and weekday")
    oldest_exponent: float = Field(
        0.1, ge=0, le=1, description="recency weights run from 2^this - 1 (the oldest event) to 1 (the newest)"
    )
    type_weights: tuple[float, float, float] = Field((1.0, 6.0, 3.0), description="weights of clicks, carts, orders")
    affinity_tail: int = Field(20, ge=1, description="most recent different items that a session's affinity comes from")
    affinity_unit: Literal["sum", "best"] = Field(
        "sum", description="an item's neighbour scores are divided by their sum, or by the best one"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        days = self.windows_days
        if not days or days[0] <= 0 or any(a >= b for a, b in pairwise(days)):
            raise ValueError("windows_days must be positive and ascending")
        if len(set(self.groups)) != len(self.groups) or len(set(self.source_scores)) != len(self.source_scores):
            raise ValueError("groups and source_scores must not repeat")
        return self
