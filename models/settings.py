"""Settings of the models floor: the retrievers of a run, and how they are searched. No model is imported here."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from events.settings import Frozen, merge_named, without_changes
from models.bert4rec_settings import BERT4RecSettings
from models.factor_settings import AlsSettings, BprSettings
from models.index_settings import IndexSettings
from models.item2vec_settings import Item2VecSettings
from models.retriever_settings import CustomRetrieverSettings
from models.svd_settings import SvdSettings
from models.training_settings import GRU4RecSettings, NegativeSettings, SASRecSettings, TrainingSettings
from models.two_tower_settings import TwoTowerSettings

Name = Annotated[str, Field(pattern=r"^\w+$")]
"""Name of a retriever: letters, digits and underscores, as it names folders and columns."""

AnyRetriever = Annotated[
    Item2VecSettings
    | TwoTowerSettings
    | GRU4RecSettings
    | SASRecSettings
    | BERT4RecSettings
    | AlsSettings
    | BprSettings
    | SvdSettings
    | CustomRetrieverSettings,
    Field(discriminator="kind"),
]

QUICK = TrainingSettings(epochs=1, sessions=60_000, batch_tokens=2048, learning_rate=3e-3, item_learning_rate=0.1)
"""The default sequence models are small, and trained on the last sessions: they fit into minutes of two cores."""

FEW = NegativeSettings(uniform=1024, power=0.5)

DEFAULT_RETRIEVERS: dict[str, AnyRetriever] = {
    "item2vec": Item2VecSettings(k=20, epochs=3),
    "two_tower": TwoTowerSettings(
        k=10, dim=32, length=20, training=QUICK, negatives=FEW.model_copy(update={"in_batch": 1024})
    ),
    "gru4rec": GRU4RecSettings(k=10, dim=48, length=20, normalise=True, copying=True, training=QUICK, negatives=FEW),
    "sasrec": SASRecSettings(k=10, dim=48, length=20, normalise=True, copying=True, training=QUICK, negatives=FEW),
    "bert4rec": BERT4RecSettings(on=False),
    "als": AlsSettings(on=False),
    "bpr": BprSettings(on=False),
    "svd": SvdSettings(on=False),
}


class ModelsSettings(Frozen):
    """Which retrievers are fitted.

    Those that a config names are added to the default ones; one with the name of a default changes only the keys it
    gives. Each that is on is a candidate source and describes every candidate of the pool.
    """

    defaults: bool = True
    """Whether the default retrievers are there; without them only those named with their kind count: what a config
    changes of a default one (``gru4rec = { k = 5 }``) goes with it."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of every fit, added to the seed that a model has of its own."""
    retrievers: dict[Name, AnyRetriever] = Field(default={})
    index: IndexSettings = IndexSettings()

    @model_validator(mode="before")
    @classmethod
    def _add_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        join = without_changes if data.get("defaults", True) is False else merge_named
        return {**data, "retrievers": join(DEFAULT_RETRIEVERS, data.get("retrievers", {}))}
