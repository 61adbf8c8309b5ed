"""What the settings of every retriever have in common."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from events.settings import Frozen


class RetrieverSettings(Frozen):
    """Inherit, and add ``kind`` and what the model asks for. ``needs`` is the class's, as in the contract."""

    needs: ClassVar[frozenset[str]] = frozenset()

    on: bool = True
    """Whether it is fitted and used."""
    k: Annotated[int, Field(ge=0, le=10_000)] = 40
    """Items that it brings into the pool; with 0 it only describes what others propose."""


class CustomRetrieverSettings(RetrieverSettings):
    """A retriever of the user's own: a class called with (name, options) that obeys ``models.retriever.Retriever``."""

    kind: Literal["custom"] = "custom"
    retriever: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    """``package.module:Class``."""
    options: dict[str, Any] = Field(default={})
