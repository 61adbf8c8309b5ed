"""Settings of the knowledge of items and sessions."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from events.settings import Frozen

Column = Literal["category", "brand", "price", "text", "published"]
COLUMNS: tuple[Column, ...] = ("category", "brand", "price", "text", "published")


class VectorsSettings(Frozen):
    """Vectors of items that the user supplies: embeddings of images or sentences, say."""

    name: Annotated[str, Field(pattern=r"^\w+$")]
    path: Path
    """Parquet with a column ``id`` and a list column or numeric columns; or .npy float[n, d], with ``ids``."""
    ids: Path | None = None
    """For .npy: the items of its rows, a Parquet column ``id`` or a text file of one id a line."""

    @model_validator(mode="after")
    def _ids_fit(self) -> "VectorsSettings":
        if self.path.suffix not in (".npy", ".parquet"):
            raise ValueError(f"vectors {self.name!r}: path must end with .npy or .parquet")
        if (self.path.suffix == ".npy") != (self.ids is not None):
            which = "a .npy file needs ids" if self.ids is None else "ids belong to a .npy file"
            raise ValueError(f"vectors {self.name!r}: {which}")
        return self


class KnowledgeSettings(Frozen):
    """What of the shop's tables of items and sessions is used; a shop without tables is run without them."""

    columns: tuple[Column, ...] = COLUMNS
    """Of the table of items."""
    users: tuple[str, ...] | None = None
    """Of the table of sessions; left out, every column."""
    text_dim: Annotated[int, Field(ge=1, le=1024)] = 64
    """Dimensions that hashed TF-IDF vectors of the text are brought down to."""
    vectors: tuple[VectorsSettings, ...] = ()
    cold: bool = False
    """Whether items without an event in the fit may be proposed by what is known of them. Only where the table of
    items is a catalogue that was known beforehand: of a table that was made from the log itself, those items are the
    very ones of hidden events. Items published after the end of the fit are not proposed."""

    @model_validator(mode="after")
    def _names_differ(self) -> "KnowledgeSettings":
        names = [one.name for one in self.vectors]
        if len({*names, "text"}) != len(names) + 1:
            raise ValueError("vectors need names of their own, other than 'text'")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns must not repeat")
        return self
