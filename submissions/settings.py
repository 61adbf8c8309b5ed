"""Settings of what leaves the house."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.columns import WEIGHTS

COLUMN = r'^[^,"\s]+$'
"""Names of columns need no quotes."""


class TargetWeights(BaseModel):
    """Weight of each target's recall in the total; they need not add up to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clicks: float = Field(WEIGHTS["clicks"], ge=0, allow_inf_nan=False)
    carts: float = Field(WEIGHTS["carts"], ge=0, allow_inf_nan=False)
    orders: float = Field(WEIGHTS["orders"], ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if self.clicks + self.carts + self.orders <= 0:
            raise ValueError("at least one target must have a weight above 0")
        return self

    def by_target(self) -> dict[str, float]:
        """Target name to weight, in the order of the event types."""
        return {"clicks": self.clicks, "carts": self.carts, "orders": self.orders}


class SubmissionSettings(BaseModel):
    """Length of the submitted lists, which is also the depth of the reported recall, the targets' weights, and the form
    of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(20, ge=1, le=1_000)
    weights: TargetWeights = TargetWeights()
    form: Literal["otto", "lists"] = "otto"
    """``otto`` rows ``<session>_<target>,<items>``; ``lists`` one row a session, of one target, under columns of one's
    own."""
    session_column: str = Field("session", pattern=COLUMN)
    list_column: str = Field("labels", pattern=COLUMN)
    target: Literal["clicks", "carts", "orders"] = "orders"
    """The target of ``lists``; where the shop has no types, its only one is taken."""
