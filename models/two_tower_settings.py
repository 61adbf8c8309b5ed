"""Settings of the two-tower model (no torch here)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.training_settings import NegativeSettings, Positive, SequenceSettings, TrainingSettings


class TwoTowerSettings(SequenceSettings):
    """A tower for sessions and one for items."""

    kind: Literal["two_tower"] = "two_tower"
    normalise: bool = True
    hidden: Positive = 128
    """Width of the towers' inner layers."""
    pools: Positive = 4
    """Weighted means of the session's items, each with weights of its own for places, recency and items."""
    id_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the items of a training step that are seen by what is known of them alone, so that the tower learns the
    vectors of items without events; no use where nothing is known."""
    negatives: NegativeSettings = NegativeSettings(uniform=256, in_batch=768)
    training: TrainingSettings = TrainingSettings(learning_rate=3e-3, item_learning_rate=0.1)

    @model_validator(mode="after")
    def _pools_fit(self) -> "TwoTowerSettings":
        if self.dim % self.pools:
            raise ValueError("dim must be a multiple of pools")
        if self.copying:
            raise ValueError("copying needs an encoder that reads events in order")
        return self
