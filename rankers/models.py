"""Fitted rankers: one LightGBM model a target and fold, and what is known about them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from events.errors import InputError
from events.files import atomic_file, read_json, write_json
from rankers.predict import Predictor

REFIT = "refit"
INDEX = "rankers.json"
IMPORTANCES = ("target", "feature", "gain", "gain_share", "splits")


@dataclass(frozen=True, slots=True)
class Fit:
    """One fitted model.

    target   : what it ranks for
    fold     : the fold that it was not trained on; -1 for the refit on every session
    text     : LightGBM's model text
    trees    : number of trees, chosen by early stopping (given, for the refit)
    score    : NDCG on the inner split at that number; ``None`` for the refit
    sessions : training sessions
    rows     : training rows
    """

    target: str
    fold: int
    text: str
    trees: int
    score: float | None
    sessions: int
    rows: int

    @property
    def name(self) -> str:
        """Stem of its file."""
        return f"{self.target}_{REFIT if self.fold < 0 else f'fold{self.fold}'}"

    def facts(self) -> dict[str, Any]:
        """What is worth telling besides the model text."""
        return {"target": self.target, "fold": self.fold, "trees": self.trees, "inner_ndcg": self.score,
                "sessions": self.sessions, "rows": self.rows}  # fmt: skip

    @classmethod
    def of(cls, facts: Mapping[str, Any], text: str) -> "Fit":
        """Back from :meth:`facts` and the model text."""
        score = None if facts["inner_ndcg"] is None else float(facts["inner_ndcg"])
        return cls(str(facts["target"]), int(facts["fold"]), text, int(facts["trees"]), score,
                   int(facts["sessions"]), int(facts["rows"]))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rankers:
    """The fitted models of every target.

    features : names of the F features, in the order of the columns
    targets  : every target of the shop, with or without a model
    folds, holdout_share, seed : as in the settings; with them ``folds.fold_of`` finds the fold of any group
    submission : "mean_of_folds" or "refit"
    fits     : all models
    reasons  : why a target, or a fold of it ("clicks fold 3"), has no model
    settings : what the models were fitted with, for the record
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    folds: int
    holdout_share: float
    seed: int
    submission: str
    fits: tuple[Fit, ...]
    reasons: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    _boosters: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _predictors: dict[tuple[str, ...], Predictor] = field(default_factory=dict, repr=False, compare=False)

    def booster(self, fit: Fit) -> Any:
        """The LightGBM model of a fit, parsed once."""
        if fit.name not in self._boosters:
            self._boosters[fit.name] = lgb.Booster(model_str=fit.text)
        return self._boosters[fit.name]

    def predictor(self, fits: Sequence[Fit]) -> Predictor:
        """What scores rows by these models, at least one, in one pass; laid out once."""
        names = tuple(fit.name for fit in fits)
        if names not in self._predictors:
            self._predictors[names] = Predictor.of([fit.text for fit in fits])
        return self._predictors[names]

    def of_fold(self, target: str, fold: int) -> list[Fit]:
        """The model that was not trained on this fold, or none."""
        return [fit for fit in self.fits if fit.target == target and fit.fold == fold >= 0]

    def for_others(self, target: str) -> list[Fit]:
        """The models whose mean scores sessions outside the folds: the refit if there is one, else the folds'."""
        fits = [fit for fit in self.fits if fit.target == target]
        refit = [fit for fit in fits if fit.fold < 0]
        return refit or fits

    def importances(self) -> list[dict[str, Any]]:
        """One row a target and feature: mean gain and mean number of splits over the fold models, gains first."""
        rows = []
        for target in self.targets:
            fits = [fit for fit in self.fits if fit.target == target and fit.fold >= 0]
            if not fits:
                continue
            gain: npt.NDArray[np.float64]
            split: npt.NDArray[np.float64]
            gain = np.mean([self.booster(fit).feature_importance("gain") for fit in fits], axis=0)
            split = np.mean([self.booster(fit).feature_importance("split") for fit in fits], axis=0)
            share = gain / max(float(gain.sum()), 1e-12)
            for f in np.argsort(-gain, kind="stable"):
                values = (target, self.features[f], float(gain[f]), float(share[f]), float(split[f]))
                rows.append(dict(zip(IMPORTANCES, values, strict=True)))
        return rows

    def save(self, folder: Path) -> None:
        """Write ``<target>_fold<i>.txt``, ``importances.csv`` and, last, ``rankers.json`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        for fit in self.fits:
            with atomic_file(folder / f"{fit.name}.txt") as beside:
                beside.write_text(fit.text, encoding="utf-8")
        with atomic_file(folder / "importances.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, IMPORTANCES)
            writer.writeheader()
            writer.writerows(self.importances())
        index = {
            "features": list(self.features),
            "targets": list(self.targets),
            "folds": self.folds,
            "holdout_share": self.holdout_share,
            "seed": self.seed,
            "submission": self.submission,
            "fits": [fit.facts() for fit in self.fits],
            "reasons": self.reasons,
            "settings": self.settings,
        }
        write_json(folder / INDEX, index)

    @classmethod
    def load(cls, folder: Path) -> "Rankers":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the index or a model is missing or damaged.
        """
        index = read_json(folder / INDEX)
        try:
            fits = []
            for facts in index["fits"]:
                fit = Fit.of(facts, "")
                path = folder / f"{fit.name}.txt"
                if not path.exists():
                    raise InputError(path, None, "no such file", "run the stage rank again")
                fits.append(Fit.of(facts, path.read_text(encoding="utf-8")))
            return cls(
                features=tuple(index["features"]),
                targets=tuple(index["targets"]),
                folds=int(index["folds"]),
                holdout_share=float(index["holdout_share"]),
                seed=int(index["seed"]),
                submission=str(index["submission"]),
                fits=tuple(fits),
                reasons=dict(index["reasons"]),
                settings=dict(index["settings"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            problem = f"not an index of rankers ({type(error).__name__}: {error})"
            raise InputError(folder / INDEX, None, problem, "run the stage rank again") from None
