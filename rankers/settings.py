"""Settings of the rankers."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.columns import TARGETS
from rankers.sizing import memory_bytes, rows_per_session, sessions_that_fit, sessions_within

Share = float


class LambdaRankSettings(BaseModel):
    """LightGBM's LambdaRank, with LightGBM's own names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(0.05, gt=0, le=1)
    num_leaves: int = Field(15, ge=2)
    min_data_in_leaf: int = Field(200, ge=1)
    max_bin: int = Field(127, ge=2, le=255)
    lambda_l2: float = Field(10.0, ge=0)
    feature_fraction: float = Field(0.4, gt=0, le=1)
    bagging_fraction: float = Field(0.8, gt=0, le=1)
    """Share of the rows that each tree sees."""
    lambdarank_truncation_level: int = Field(30, ge=1)
    """A little over the list's length."""
    max_trees: int = Field(400, ge=1)
    early_stopping_rounds: int = Field(40, ge=1)
    eval_at: int = Field(20, ge=1)
    """Early stopping watches the NDCG at this place."""


class TargetSettings(BaseModel):
    """What is different for one target: only keys that are given count, the others are as for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    negatives: Share = Field(1.0, gt=0, le=1)
    """In place of the target's share in ``rankers.negatives``."""
    lambdarank: LambdaRankSettings = LambdaRankSettings()

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        if "max_bin" in self.lambdarank.model_fields_set:
            raise ValueError("max_bin is common to all targets, as their models share the bins: set it in lambdarank")
        return self


class RankersSettings(BaseModel):
    """Folds, samples and models of the rankers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, lt=2**31)
    folds: int = Field(5, ge=1, le=50)
    """Folds by group; 1 makes one split into a part to train on and a part to report."""
    holdout_share: Share = Field(0.2, gt=0, lt=1)
    """Share of the groups that is reported where ``folds`` is 1."""
    inner_share: Share = Field(0.15, gt=0, lt=1)
    """Share of the training groups that early stopping watches; they are never trained on by a fold's model."""
    inner_sessions: int = Field(4_000, ge=1)
    """At most about this many of them (they keep every candidate, and are scored after every tree)."""
    min_sessions: int = Field(30, ge=2)
    """A target with fewer training sessions than this that hold a positive gets no model."""
    max_sessions: int | None = Field(None, ge=1)
    """Training sessions to sample, over all folds; ``None`` sizes the sample from the machine's memory and
    ``max_work``; set a number where results must not depend on the machine."""
    max_work: float = Field(3.5e11, gt=0)
    """Training rows x features x trees over all fits and a refit, at most (3.5e11: 6 to 15 minutes on two cores);
    where the sample is still too large for it, each fit gets fewer trees."""
    reported_sessions: int = Field(100_000, ge=1)
    """Sessions outside training that are ranked and reported, at most: a sample has an interval, and costs less."""
    negatives: dict[str, Share] = {"clicks": 0.25, "carts": 0.6, "orders": 0.8}
    """Share of the candidates that are no positives which a model is trained on."""
    targets: dict[str, TargetSettings] = {}
    """By target, the settings that differ from the common ones:
    ``[rankers.targets.orders] lambdarank = { num_leaves = 31 }``."""
    submission: Literal["mean_of_folds", "refit"] = "refit"
    """What scores sessions outside the folds: the mean of the fold models, or one model trained on every session with
    the folds' median number of trees."""
    top: int = Field(20, ge=1)
    """Length of the ranked lists."""
    chunk_sessions: int = Field(8_192, ge=1)
    """Sessions whose candidates and features are in memory at once; no result depends on it."""
    lambdarank: LambdaRankSettings = LambdaRankSettings()

    @model_validator(mode="after")
    def _check_negatives(self) -> Self:
        for target, share in self.negatives.items():
            if target not in TARGETS:
                raise ValueError(f"negatives: unknown target {target!r}, use {', '.join(TARGETS)}")
            if not 0 < share <= 1:
                raise ValueError(f"negatives.{target} must be over 0 and at most 1")
        for target in self.targets:
            if target not in TARGETS:
                raise ValueError(f"targets: unknown target {target!r}, use {', '.join(TARGETS)}")
        return self

    def of(self, target: str) -> "RankersSettings":
        """The settings of one target, with its own in place of the common ones."""
        own = self.targets.get(target)
        if own is None:
            return self
        given = {key: getattr(own.lambdarank, key) for key in own.lambdarank.model_fields_set}
        negatives = {**self.negatives, target: self.negative_share(target)}
        lambdarank = self.lambdarank.model_copy(update=given)
        return self.model_copy(update={"lambdarank": lambdarank, "negatives": negatives, "targets": {}})

    def negative_share(self, target: str) -> float:
        """Share of a target's negatives to train on; all where the settings do not name the target."""
        own = self.targets.get(target)
        if own is not None and "negatives" in own.model_fields_set:
            return own.negatives
        return self.negatives.get(target, 1.0)

    def training_sessions(self, n_features: int, labelled: Mapping[str, float], pool_size: int = 100) -> int:
        """Sessions to sample at most: as set, or as many as memory and work allow.

        labelled : target to the share of sessions with a label
        """
        if self.max_sessions is not None:
            return self.max_sessions
        fits = 1 + (self.folds - 1 if self.folds > 1 else 1 - self.holdout_share)  # the refit, and the folds
        shares = {target: self.negative_share(target) for target in labelled}
        rows = rows_per_session(labelled, shares, fits, pool_size)
        return min(
            sessions_that_fit(n_features, pool_size, memory_bytes()),
            sessions_within(self.max_work, rows, n_features, self.lambdarank.max_trees),
        )

    def sampling(self) -> dict[str, Any]:
        """What :meth:`training_sessions` and the draw depend on, besides data and machine."""
        if self.max_sessions is not None:
            return self.model_dump(mode="json", include={"max_sessions", "seed"})
        kept = {"seed", "max_work", "folds", "holdout_share"}
        shares = {target: self.negative_share(target) for target in TARGETS}
        return self.model_dump(mode="json", include=kept) | {
            "negatives": shares,
            "max_trees": self.lambdarank.max_trees,
        }

    def fit_settings(self) -> dict[str, Any]:
        """What a fitted model depends on, besides its data."""
        outside = {"submission", "top", "chunk_sessions", "max_sessions", "reported_sessions"}
        return self.model_dump(mode="json", exclude=outside)
