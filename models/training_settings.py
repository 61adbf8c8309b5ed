"""Settings of the trainer and of the sequence models; torch is not needed to read them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from events.settings import Frozen
from models.loss_settings import LossSettings
from models.optimizer_settings import RowAdamSettings
from models.retriever_settings import RetrieverSettings

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class TrainingSettings(Frozen):
    """How a model is trained."""

    epochs: Positive = 5
    sessions: Positive | None = None
    """At most so many sessions are trained on, the last ones; items that only earlier ones hold stay unknown."""
    batch_tokens: Positive = 4096
    """Events of a batch, padding counted."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the encoder, at its highest."""
    item_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Of the item table, at its highest."""
    item_optimizer: RowAdamSettings = RowAdamSettings()
    """Of the rows of the item table; with ``full_softmax``, which touches all of them, it is Adam without decay."""
    warmup: Share = 0.05
    """Share of the training over which the learning rate rises from 0; it then falls along a cosine."""
    last_rate: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Learning rate at the end as share of the highest."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Bound of the norm of the encoder's gradient."""
    holdout: Share = 0.0
    """Share of the sessions, the last ones, that are not trained on: recall on them decides when to stop."""
    holdout_sessions: Positive = 5_000
    """At most so many of them are scored."""
    patience: Positive = 2
    """Epochs without a better recall before training stops; the best epoch is kept."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products; ``auto``: bf16 where the device has instructions for it."""
    device: str = "auto"
    """``auto``: the GPU if there is one; or a name that torch knows: cpu, cuda, cuda:1."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Threads of torch; 0: as many as the run's."""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 5.0
    """Minutes between checkpoints within an epoch; each epoch ends with one."""
    tensorboard: bool = False
    """Write losses and recall for TensorBoard (the extra ``board``)."""
    seed: int = 42


class NegativeSettings(Frozen):
    """Which items stand against the positive."""

    uniform: Annotated[int, Field(ge=0)] = 1024
    """Items drawn a step, shared by the batch."""
    power: Annotated[float, Field(ge=0, le=1)] = 0.0
    """They are drawn by the number of their events to this power; 0 is uniform."""
    in_batch: Annotated[int, Field(ge=0)] = 0
    """Positives of other positions that join them, at most."""
    logq: bool = True
    """Whether scores are corrected by the log of the chance to be drawn (for the softmax)."""


class SequenceSettings(RetrieverSettings):
    """What all models that read a session's events in order share."""

    dim: Positive = 64
    length: Annotated[int, Field(ge=1, le=1000)] = 30
    """Last events of a session that are read."""
    dropout: Share = 0.1
    embedding_dropout: Share = 0.1
    use_types: bool = True
    use_gaps: bool = True
    normalise: bool = False
    """Cosine with a learned temperature instead of the inner product."""
    copying: bool = False
    """Whether the items of the session itself compete twice: as items, and as places of the session to copy from."""
    target_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """How often a position predicts a click, a cart, an order, where more than one of them is still to come."""
    horizon: Positive = 3
    """Clicks ahead that are predicted, not only the next one."""
    horizon_decay: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The j-th click after the next counts this to the power j."""
    loss: LossSettings = LossSettings()
    negatives: NegativeSettings = NegativeSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _fits(self) -> "SequenceSettings":
        if self.copying and self.loss.name not in ("full_softmax", "sampled_softmax"):
            raise ValueError("copying goes with full_softmax or sampled_softmax")
        if self.loss.name != "full_softmax" and self.negatives.uniform + self.negatives.in_batch == 0:
            raise ValueError(f"{self.loss.name} needs negatives: set negatives.uniform or negatives.in_batch")
        return self


class SASRecSettings(SequenceSettings):
    """A causal transformer."""

    kind: Literal["sasrec"] = "sasrec"
    layers: Positive = 2
    heads: Positive = 2

    @model_validator(mode="after")
    def _heads_fit(self) -> "SASRecSettings":
        if self.dim % self.heads:
            raise ValueError("dim must be a multiple of heads")
        return self


class GRU4RecSettings(SequenceSettings):
    """A recurrent network."""

    kind: Literal["gru4rec"] = "gru4rec"
    layers: Positive = 1
    hidden: Positive = 64
