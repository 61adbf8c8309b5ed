"""Settings of the losses (no torch here)."""

from typing import Annotated, Literal

from pydantic import Field

from events.settings import Frozen

SampledLossName = Literal["sampled_softmax", "gbce", "bpr", "bpr_max", "binary_cross_entropy"]
LossName = Literal["full_softmax"] | SampledLossName


class LossSettings(Frozen):
    """Which loss a model is trained with; see ``models.losses`` for the formulas."""

    name: LossName = "sampled_softmax"
    """``full_softmax`` needs no negatives, and its time grows with the number of items."""
    calibration: Annotated[float, Field(ge=0, le=1)] = 0.75
    """For ``gbce``: 0 leaves the scores too high by the sampling, as plain cross-entropy does; 1 undoes it wholly."""
    regularisation: Annotated[float, Field(ge=0)] = 1.0
    """For ``bpr_max``: how much large scores of negatives cost."""
    hardest: Annotated[int, Field(ge=1)] | None = None
    """Only so many of each row's sampled negatives count, those of the highest scores; left out, all."""
