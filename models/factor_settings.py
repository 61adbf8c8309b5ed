"""Settings of the factor models: ALS, BPR, matrix factorisation, NeuMF and the hybrid."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from events.settings import Frozen
from models.retriever_settings import RetrieverSettings
from models.training_settings import TrainingSettings

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Width = Annotated[int, Field(ge=1, le=4096)]
"""Numbers of a vector."""
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class EventWeights(Frozen):
    """What an event of each type counts; where a shop has no types, all are clicks."""

    clicks: NotNegative = 1.0
    carts: NotNegative = 2.0
    orders: NotNegative = 3.0

    @property
    def by_code(self) -> tuple[float, float, float]:
        """Weights by type code."""
        return self.clicks, self.carts, self.orders


class FactorSettings(RetrieverSettings):
    """What ALS and BPR have in common."""

    dim: Width = 64
    event_weights: EventWeights = EventWeights()
    half_life: Positive | None = 2.0
    """Events after which an event of an unseen session counts half; left out, all events of a type count alike."""
    revisit: float = 0.0
    """Added to the score of each event's own item, halved as the event's weight is; a large one puts history first."""
    seed: Seed = 42


class AlsSettings(FactorSettings):
    """Alternating least squares on weighted pairs of session and item."""

    kind: Literal["als"] = "als"
    sweeps: Count = 3
    """Times that the sessions and then the items are solved for."""
    alpha: Positive = 100.0
    """Confidence in a pair is 1 + alpha * the sum of its events' weights."""
    regularization: Positive = 1.0


class BprSettings(FactorSettings):
    """Bayesian personalised ranking of items, for sessions that are means of their items."""

    kind: Literal["bpr"] = "bpr"
    epochs: Count = 20
    """Passes; in one, as many positives are drawn as there are pairs of session and item."""
    learning_rate: Positive = 0.05
    """Step of row-wise Adagrad."""
    regularization: NotNegative = 0.001
    """Pull of each used row towards 0, a sample."""
    context: Annotated[int, Field(ge=1, le=1000)] = 20
    """Last different items of a fitted session that count."""
    negative_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A negative is drawn in proportion to the number of its sessions to this power; 0 draws evenly."""
    negatives: Annotated[int, Field(ge=1, le=100)] = 1
    """Negatives of each positive."""
    batch: Annotated[int, Field(ge=1, le=1_000_000)] = 4_096
    """Samples that see the same vectors."""


class MatrixFactorisationSettings(Frozen):
    """Factors and biases of users and items, fitted to ratings by squared error."""

    kind: Literal["matrix_factorisation"] = "matrix_factorisation"
    dim: Width = 64
    epochs: Count = 100
    """At most; early stopping finds how many."""
    learning_rate: Positive = 0.02
    decay: Annotated[float, Field(gt=0, le=1)] = 0.97
    """Factor of the learning rate from one epoch to the next."""
    regularization: NotNegative = 0.1
    """Of factors, a rating."""
    bias_regularization: NotNegative = 0.02
    initial: Positive = 0.02
    """Standard deviation of the first factors."""
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the ratings that early stopping looks at; all are fitted in the end. 0: all epochs are run."""
    patience: Count = 3
    """Epochs without a better error after which fitting stops."""
    seed: Seed = 42


class PairNetworkSettings(Frozen):
    """What NeuMF and the hybrid have in common: products of embeddings beside a network that reads both."""

    product: Annotated[int, Field(ge=0, le=4096)] = 32
    """Numbers of the embeddings that are multiplied; 0: no product."""
    mlp: Annotated[int, Field(ge=0, le=4096)] = 32
    """Numbers of the embeddings that the network reads; 0: no network."""
    layers: tuple[Count, ...] = (64, 32, 16)
    """Widths of the network's hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Of the network's inputs and hidden layers."""
    initial: Positive = 0.05
    """Standard deviation of the first embeddings."""

    @model_validator(mode="after")
    def _has_a_part(self) -> "PairNetworkSettings":
        if self.product + self.mlp == 0:
            raise ValueError("either product or mlp must be above 0")
        return self


class NeuMFSettings(PairNetworkSettings):
    """Neural matrix factorisation: GMF (``mlp = 0``), MLP (``product = 0``), or both fused."""

    kind: Literal["neumf"] = "neumf"
    users: Literal["history", "embedding"] = "history"
    """``history`` a session is the mean of its events before the item; ``embedding`` each fitted session has a vector
    of its own, and an unseen one the mean of them."""
    history: Annotated[int, Field(ge=1, le=1000)] = 50
    """Last events of the history."""
    half_life: Positive | None = None
    """Events after which an event of the history counts half."""
    negatives: Count = 4
    """Items without an event in the session for each of its events."""
    training: TrainingSettings = TrainingSettings(epochs=10, batch_tokens=4096, item_learning_rate=0.01, holdout=0.1)
    """``batch_tokens`` are samples; the last event of the held-out sessions is found among 99 other items."""


class HybridSettings(PairNetworkSettings):
    """Dot product plus a network on plain pairs with targets from 0 to 1."""

    kind: Literal["hybrid"] = "hybrid"
    product: Annotated[int, Field(ge=0, le=4096)] = 8
    mlp: Annotated[int, Field(ge=0, le=4096)] = 16
    layers: tuple[Count, ...] = (32, 16)
    training: TrainingSettings = TrainingSettings(epochs=12, batch_tokens=4096, item_learning_rate=0.003, holdout=0.1)
    """``batch_tokens`` are pairs; the held-out share is of the pairs."""
