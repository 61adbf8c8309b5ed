"""Settings of the models floor: the retrievers of a run, and how they are searched. No model is imported here."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from events.settings import Frozen, merge_named
from models.index_settings import IndexSettings
from models.retriever_settings import CustomRetrieverSettings
from models.svd_settings import SvdSettings

Name = Annotated[str, Field(pattern=r"^\w+$")]
"""Name of a retriever: letters, digits and underscores, as it names folders and columns."""

AnyRetriever = Annotated[SvdSettings | CustomRetrieverSettings, Field(discriminator="kind")]

DEFAULT_RETRIEVERS: dict[str, AnyRetriever] = {"svd": SvdSettings(on=False)}


class ModelsSettings(Frozen):
    """Which retrievers are fitted.

    Those that a config names are added to the default ones; one with the name of a default changes only the keys it
    gives. Each that is on is a candidate source and describes every candidate of the pool.
    """

    defaults: bool = True
    """Whether the default retrievers are there; without them only those named count."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of every fit."""
    retrievers: dict[Name, AnyRetriever] = Field(default={})
    index: IndexSettings = IndexSettings()

    @model_validator(mode="before")
    @classmethod
    def _add_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("defaults", True) is False:
            return data
        return {**data, "retrievers": merge_named(DEFAULT_RETRIEVERS, data.get("retrievers", {}))}
