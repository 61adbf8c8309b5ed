"""Settings of BERT4Rec (no torch here)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.training_settings import Positive, SequenceSettings, TrainingSettings


class BERT4RecSettings(SequenceSettings):
    """A transformer that reads both ways, trained by hidden items."""

    kind: Literal["bert4rec"] = "bert4rec"
    normalise: bool = True
    layers: Positive = 2
    heads: Positive = 2
    hidden_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of a window's events that are hidden and guessed from those on both sides."""
    cut_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the windows that end at a random event instead of their last, with nothing hidden but what follows:
    sessions as they come to be recommended for."""
    training: TrainingSettings = TrainingSettings(learning_rate=3e-3, item_learning_rate=0.1)

    @model_validator(mode="after")
    def _heads_fit(self) -> "BERT4RecSettings":
        if self.dim % self.heads:
            raise ValueError("dim must be a multiple of heads")
        if self.copying:
            raise ValueError("copying needs an encoder that reads one way")
        return self
