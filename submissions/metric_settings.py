"""Settings of what is reported beside the official metric."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Metric = Literal[
    "recall", "recall_mean", "precision", "hit_rate", "mrr", "map", "ndcg",
    "coverage", "novelty", "diversity", "head_share", "popularity_rank",
]  # fmt: skip
"""``submissions.ranking_metrics`` and ``submissions.catalogue_metrics`` say what they are; ``recall`` is official."""


class MetricSettings(BaseModel):
    """The further metrics, and how deep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: tuple[Annotated[int, Field(ge=1, le=1_000)], ...] = ()
    """Depths, one number or several, none above ``submissions.k``; left out, that one."""
    metrics: tuple[Metric, ...] = ("recall", "mrr", "ndcg", "coverage")
    vectors: str | None = None
    """Retriever whose item vectors tell how diverse a list is; left out, the first that the run has, else the items'
    categories."""

    @field_validator("k", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, int) else given
