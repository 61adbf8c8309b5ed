"""Settings of item2vec."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.retriever_settings import RetrieverSettings

Weight = Annotated[float, Field(ge=0, le=1000)]
Share = Annotated[float, Field(gt=0, le=1)]
Tiled = Annotated[int, Field(ge=8, le=1024, multiple_of=8)]

TypeWeights = tuple[Weight, Weight, Weight]
"""Of clicks, carts and orders; all 1 where the shop has no types."""


class Item2VecSettings(RetrieverSettings):
    """Skip-gram with negative sampling on sessions: items predict the items after them."""

    kind: Literal["item2vec"] = "item2vec"
    dim: Tiled = 64
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Left out, so many (1 to 12) that an item is met 480 times on average: fewer on larger logs."""
    rate: Annotated[float, Field(gt=0)] = 0.2
    """First rate of row-wise Adagrad; it falls evenly to 0."""
    window: Annotated[int, Field(ge=1, le=100)] = 3
    """Events that an event predicts; and as many before it, if ``backward`` is not 0."""
    distance_power: Annotated[float, Field(ge=0, le=4)] = 1.0
    """A pair weighs distance ^ -power (a window of random length, as in the paper, is a weight on average)."""
    backward: Weight = 0.3
    """Weight of predicting the earlier item from the later one; 0: forward only, 1: symmetric as in the paper."""
    negatives: Annotated[float, Field(gt=0, le=1000)] = 10
    """Negatives for each pair: how much the shared ones weigh together."""
    shared_negatives: Tiled = 64
    """Different draws, which the events of a block share."""
    block: Tiled = 64
    """Events that are trained at once."""
    negative_power: Annotated[float, Field(ge=0, le=2)] = 0.75
    """Negatives are drawn by an item's events to this power."""
    subsample: Annotated[float, Field(gt=0)] | None = None
    """Mikolov's t: an event of an item with a share f of all events is kept with the chance √(t/f) + t/f."""
    skip_self: bool = False
    """Whether pairs of an item with itself are left out: then nothing but ``revisit`` says what comes again."""
    pair_type_weights: TypeWeights = (1.0, 1.0, 1.0)
    """Weight of a pair by the type of the event that is predicted."""
    max_gap_seconds: Annotated[int, Field(ge=0)] | None = None
    """Pairs further apart do not count; left out, or where the shop has no time, all do."""
    round_tokens: Annotated[float, Field(gt=0)] = 1.0
    """Events that a thread trains before the threads' changes are merged, in units of the number of items; fewer where
    there are so many threads that they would merge less than about 128 times."""
    tail: Annotated[int, Field(ge=1)] = 20
    """Last events that make up a session's vector."""
    recency: Share = 0.7
    """The i-th event from the end weighs recency ^ i in a session's vector."""
    type_weights: TypeWeights = (1.0, 1.0, 1.0)
    """Factors on that weight."""
    revisit: Annotated[float, Field(ge=0)] = 24.0
    """Added to the score of a session's own items, times their share in its vector; 0 for none."""

    @model_validator(mode="after")
    def _window_fits(self) -> "Item2VecSettings":
        if self.window >= self.block:
            raise ValueError(f"window = {self.window} must be smaller than block = {self.block}")
        return self

    def epochs_of(self, events: int, items: int) -> int:
        """Epochs over a log of so many events on so many different items."""
        if self.epochs is not None:
            return self.epochs
        return int(min(12, max(1, round(480 * items / max(events, 1)))))
