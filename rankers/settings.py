"""Settings of the rankers."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from events.columns import TARGETS
from rankers.sizing import memory_bytes, rows_per_session, sessions_that_fit, sessions_within

Share = float
Objective = Literal["lambdarank", "recall"]
Measure = Literal["ndcg", "recall"]

MULTI: Final = "all"
"""Name of the model that ranks for every target."""
MODELS: Final = (*TARGETS, MULTI)


class LambdaRankSettings(BaseModel):
    """LightGBM's LambdaRank, with LightGBM's own names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(0.1, gt=0, le=1)
    num_leaves: int = Field(15, ge=2)
    min_data_in_leaf: int = Field(200, ge=1)
    max_bin: int = Field(127, ge=2, le=255)
    lambda_l2: float = Field(10.0, ge=0)
    feature_fraction: float = Field(0.4, gt=0, le=1)
    bagging_fraction: float = Field(0.8, gt=0, le=1)
    """Share of the rows that each tree sees."""
    lambdarank_truncation_level: int = Field(30, ge=1)
    """A little over the list's length. The objective ``recall`` knows no such level."""
    lambdarank_norm: bool = True
    """Whether the gradients of a session are scaled down where they are many, by either objective."""
    max_trees: int = Field(80, ge=1)
    early_stopping_rounds: int = Field(20, ge=0)
    """Trees without a better value of what is watched before fitting stops; 0: every fit has ``max_trees`` trees, and
    no session is set aside to stop by."""
    eval_at: int = Field(20, ge=1)
    """Place of the NDCG or recall that early stopping watches, and of the objective ``recall``."""

    @property
    def stops_early(self) -> bool:
        """Whether fits end before ``max_trees`` where more trees do not help, and sessions are set aside to know."""
        return self.early_stopping_rounds > 0


class _OnlyGiven(BaseModel):
    """Settings of which only those given count: the others are not written out either."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if key in self.model_fields_set}


class LambdaRankOverrides(_OnlyGiven, LambdaRankSettings):
    """The keys of ``rankers.lambdarank`` that are different for one target."""

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        if "max_bin" in self.model_fields_set:
            raise ValueError("max_bin is common to all targets, as their models share the bins: set it in lambdarank")
        return self


class TargetSettings(_OnlyGiven):
    """What is different for one target; what is not given is as for all."""

    objective: Objective = "lambdarank"
    softness: float = Field(2.0, ge=0)
    stop_by: Measure = "ndcg"
    negatives: Annotated[Share, Field(gt=0, le=1)] = 1.0
    """In place of the target's share in ``rankers.negatives``."""
    lambdarank: LambdaRankOverrides = LambdaRankOverrides()


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
    backend: Literal["lightgbm", "xgboost"] = "lightgbm"
    """Who grows the trees. XGBoost is an extra (``pip install cartograph[xgboost]``), and may use a GPU."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where XGBoost grows them; LightGBM knows the CPU only."""
    mode: Literal["per_target", "multi_target", "both"] = "per_target"
    """``per_target`` fits one model for each target, ``multi_target`` a single one (named ``all``) that ranks for every
    target by graded gains; ``both`` fits all of them, and a target is ranked by the mean of its own model's and the
    single one's scores, each standardised within the session."""
    gains: dict[str, float] = {"clicks": 1.0, "carts": 3.0, "orders": 6.0}
    """Gain of a candidate for the model of every target, by the last of these that it is a label of: they ascend."""
    objective: Objective = "lambdarank"
    """``lambdarank`` weighs a pair by what a swap changes of the NDCG; ``recall`` by what it changes of the recall at
    ``lambdarank.eval_at``: only pairs of which one lies inside count."""
    softness: float = Field(2.0, ge=0)
    """Places over which the objective ``recall`` lets a row pass from inside to outside; 0 for a sharp border."""
    stop_by: Measure = "ndcg"
    """What early stopping watches on the inner split."""
    seeds: int = Field(1, ge=1, le=50)
    """Models of each target and fold that differ in the seed of LightGBM alone (bagged rows, tried features). Their
    scores are standardised within the session before the mean is taken: each has trees of its own number, and with
    them a scale of its own, and the distances between scores say more than their ranks."""
    stacking: bool = False
    """Whether the models see out-of-fold scores of every target's first-level model (place and standard score within
    the session). Groups fall into two halves, and a row is always described by the model of the other half, in
    training and prediction. Doubles the cost of fits and prediction."""
    negatives: dict[str, Share] = {"clicks": 0.1, "carts": 0.4, "orders": 0.4, MULTI: 0.4}
    """Share of the candidates that are no positives which a model is trained on (``all``: that of every target)."""
    targets: dict[str, TargetSettings] = {}
    """By target (or ``all``), the settings that differ from the common ones:
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
    def _check_names(self) -> Self:
        for name, share in self.negatives.items():
            if name not in MODELS:
                raise ValueError(f"negatives: unknown target {name!r}, use {', '.join(MODELS)}")
            if not 0 < share <= 1:
                raise ValueError(f"negatives.{name} must be over 0 and at most 1")
        if self.backend == "lightgbm" and self.device != "cpu":
            raise ValueError('device: LightGBM grows its trees on the CPU; set backend = "xgboost" for a GPU')
        for name in self.targets:
            if name not in MODELS:
                raise ValueError(f"targets: unknown target {name!r}, use {', '.join(MODELS)}")
        if set(self.gains) != set(TARGETS) or (np.diff(self.gain_table()) < 0).any() or self.gains[TARGETS[0]] <= 0:
            raise ValueError(f"gains: give {', '.join(TARGETS)} a gain over 0 each, none smaller than the one before")
        return self

    def of(self, name: str) -> "RankersSettings":
        """The settings of one model (a target, or ``MULTI``), with its own in place of the common ones."""
        own = self.targets.get(name)
        if own is None:
            return self
        given = {key: getattr(own, key) for key in own.model_fields_set & {"objective", "softness", "stop_by"}}
        overrides = {key: getattr(own.lambdarank, key) for key in own.lambdarank.model_fields_set}
        lambdarank = self.lambdarank.model_copy(update=overrides)
        negatives = {**self.negatives, name: self.negative_share(name)}
        return self.model_copy(update={**given, "lambdarank": lambdarank, "negatives": negatives, "targets": {}})

    def negative_share(self, name: str) -> float:
        """Share of a model's negatives to train on; all where the settings do not name it."""
        own = self.targets.get(name)
        if own is not None and "negatives" in own.model_fields_set:
            return own.negatives
        return self.negatives.get(name, 1.0)

    def models(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The models that are fitted for these targets.

        >>> RankersSettings(mode="both").models(["clicks", "carts"])
        ('clicks', 'carts', 'all')
        """
        own = () if self.mode == "multi_target" else tuple(targets)
        return own if self.mode == "per_target" else (*own, MULTI)

    def gain_table(self) -> npt.NDArray[np.float64]:
        """float64[4] gain of each grade: none, clicks, carts, orders. Of a model for one target only 0 and 1 count."""
        return np.array([0.0, *(self.gains[target] for target in TARGETS)])

    def training_sessions(self, n_features: int, labelled: Mapping[str, float], pool_size: int = 100) -> int:
        """Sessions to sample at most: as set, or as many as memory and work allow.

        labelled : target to the share of sessions with a label
        """
        if self.max_sessions is not None:
            return self.max_sessions
        fits = 1 + (self.folds - 1 if self.folds > 1 else 1 - self.holdout_share)  # the refit, and the folds
        sessions = {name: labelled.get(name, min(1.0, sum(labelled.values()))) for name in self.models(labelled)}
        shares = {name: self.negative_share(name) for name in sessions}
        rows = rows_per_session(sessions, shares, fits * self.seeds, pool_size)
        if self.stacking:
            shares = {name: self.negative_share(name) for name in labelled}
            rows += rows_per_session(labelled, shares, fits, pool_size)
        return min(
            sessions_that_fit(n_features, pool_size, memory_bytes()),
            sessions_within(self.max_work, rows, n_features, self.most_trees(sessions)),
        )

    def most_trees(self, names: Iterable[str]) -> int:
        """Most trees that a fit of these models may have."""
        return max((self.of(name).lambdarank.max_trees for name in names), default=self.lambdarank.max_trees)

    def sampling(self) -> dict[str, Any]:
        """What :meth:`training_sessions` and the draw depend on, besides data and machine."""
        if self.max_sessions is not None:
            return self.model_dump(mode="json", include={"max_sessions", "seed"})
        kept = {"seed", "max_work", "folds", "holdout_share", "mode", "seeds", "stacking"}
        shares = {name: self.negative_share(name) for name in MODELS}
        trees = {name: self.of(name).lambdarank.max_trees for name in MODELS}
        return self.model_dump(mode="json", include=kept) | {"negatives": shares, "max_trees": trees}

    def fit_settings(self, name: str) -> dict[str, Any]:
        """What a model of this name depends on, besides its data, its negatives and the bound of its trees."""
        kept = {"seed", "folds", "holdout_share", "inner_share", "inner_sessions", "min_sessions", "backend",
                "device", "objective", "softness", "stop_by", "lambdarank"}  # fmt: skip
        found = self.of(name).model_dump(mode="json", include=kept)
        return found | {"gains": self.gains} if name == MULTI else found

    def for_the_record(self) -> dict[str, Any]:
        """What the rankers depend on as a whole, besides their data."""
        outside = {"submission", "top", "chunk_sessions", "max_sessions", "reported_sessions"}
        return self.model_dump(mode="json", exclude=outside)
