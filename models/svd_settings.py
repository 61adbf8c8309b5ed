"""Settings of the truncated SVD."""

from typing import Annotated, Literal

from pydantic import Field

from models.retriever_settings import RetrieverSettings


class SvdSettings(RetrieverSettings):
    """Truncated SVD of the matrix of sessions and items."""

    kind: Literal["svd"] = "svd"
    dim: Annotated[int, Field(ge=1, le=1_024)] = 64
    iterations: Annotated[int, Field(ge=1, le=100)] = 6
    """Of the subspace; each reads all sessions twice."""
    popularity_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    """An item's column is divided by its number of sessions to this power."""
    tail: Annotated[int, Field(ge=1)] = 20
    """Last events of a session that make its vector."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    """An event weighs this many times the one after it."""
