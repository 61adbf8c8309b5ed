"""The rungs of the ladder by name: what a run may be compared with, and with which settings."""

from collections.abc import Sequence

from pydantic import Field

from candidates.settings import (
    CandidatesSettings,
    HistorySettings,
    ItemCfSettings,
    ItemKnnSettings,
    PopularitySettings,
    SessionKnnSettings,
    SourceSettings,
    UserCfSettings,
)
from models.factor_settings import NeuMFSettings
from models.settings import DEFAULT_RETRIEVERS, AnyRetriever, ModelsSettings
from models.training_settings import TrainingSettings
from submissions.metric_settings import MetricSettings

RANKER, RERANKED, NEUMF, RULES = "ranker", "reranked", "neumf", "rules"

CLASSIC = ("popularity", "history", RULES)
"""Rungs that are cheap enough to be scored on every session, though the ranker is on a sample."""

DEFAULT = (*CLASSIC, RANKER)

COLLABORATIVE: dict[str, SourceSettings] = {
    "item_cf": ItemCfSettings(),
    "item_cf_pearson": ItemCfSettings(similarity="pearson"),
    "user_cf": UserCfSettings(),
    "user_cf_pearson": UserCfSettings(similarity="pearson"),
    "item_knn": ItemKnnSettings(),
    "session_knn": SessionKnnSettings(),
}
"""Sources that need no setting; one of the run's own with the same name takes its place."""


class EvaluationSettings(MetricSettings):
    """What is reported beside the official metric."""

    exclude_seen: bool = False
    """Whether the rungs below the ranker leave out the session's own items: for shops where nobody takes one twice."""
    pool_sessions: int = Field(20_000, ge=1)
    """Sessions whose candidates' recall is measured, at most: a sample of whole groups."""
    neumf: NeuMFSettings = Field(
        default=NeuMFSettings(
            half_life=5,
            history=20,
            training=TrainingSettings(epochs=4, batch_tokens=4096, item_learning_rate=0.01, sessions=60_000),
        )
    )
    """The rung ``neumf``, which scores the pool's candidates: it has no vectors to search."""


def classic_settings(name: str, candidates: CandidatesSettings) -> SourceSettings:
    """Settings of one of ``CLASSIC``: of the run's own source of that kind, if it has one."""
    if name == RULES:
        return candidates.rules
    own = [one for one in candidates.sources.values() if one.kind == name]
    plain: SourceSettings = PopularitySettings() if name == "popularity" else HistorySettings()
    return own[-1] if own else plain


def retriever_settings(name: str, models: ModelsSettings) -> AnyRetriever | None:
    """Settings of a retriever by name: the run's, else the default ones; ``None`` if there is none."""
    return models.retrievers.get(name, DEFAULT_RETRIEVERS.get(name))


def check_ladder(ladder: Sequence[str], candidates: CandidatesSettings, models: ModelsSettings) -> None:
    """Refuse names that nothing answers to.

    Raises
    ------
    ValueError
        If a rung is unknown or named twice; the message lists those known.
    """
    if not ladder or len(set(ladder)) < len(ladder):
        raise ValueError("ladder: name at least one rung, and none twice")
    known = (*DEFAULT, *COLLABORATIVE, *DEFAULT_RETRIEVERS, NEUMF, *models.retrievers, *candidates.sources)
    for name in ladder:
        if name not in known:
            raise ValueError(f"ladder: no rung {name!r}; there are {', '.join(dict.fromkeys(known))}")
