"""Settings of the row-wise optimiser (no torch here)."""

from typing import Annotated, Literal

from pydantic import Field

from events.settings import Frozen


class RowAdamSettings(Frozen):
    """How the rows of an item table are updated; see ``models.row_optimizer``."""

    method: Literal["adam", "adagrad"] = "adam"
    """``adam`` a fading mean of squared gradients; ``adagrad`` their sum: steps of a row get ever shorter."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fading of the first moment (momentum), which costs a second table; 0 for none."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Fading of the second moment, for ``adam``."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled: each update shrinks the rows it touches by lr * weight_decay."""
