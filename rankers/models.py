"""Fitted rankers: LightGBM models of targets, folds and seeds, and what is known about them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from events.errors import InputError
from events.files import atomic_file, read_json, write_json
from rankers.predict import Predictor
from rankers.settings import MULTI
from rankers.standard import stacked_names

REFIT = "refit"
INDEX = "rankers.json"
IMPORTANCES = ("target", "feature", "gain", "gain_share", "splits")


def fit_name(target: str, fold: int, seed: int = 0, half: int | None = None) -> str:
    """Stem of a fit's files.

    >>> fit_name("carts", 2), fit_name("all", -1, seed=1), fit_name("carts", 0, half=1)
    ('carts_fold2', 'all_refit_seed1', 'carts_fold0_half1')
    """
    name = f"{target}_{REFIT if fold < 0 else f'fold{fold}'}"
    name += "" if half is None else f"_half{half}"
    return f"{name}_seed{seed}" if seed else name


@dataclass(frozen=True, slots=True)
class Fit:
    """One fitted model.

    target   : what it ranks for; ``settings.MULTI`` for every target
    fold     : the fold that it was not trained on; -1 for the refit on every session
    text     : LightGBM's model text
    trees    : number of trees, chosen by early stopping (given, for the refit)
    score    : what early stopping watched, on the inner split at that number; ``None`` for the refit
    sessions : training sessions
    rows     : training rows
    seed     : which of the models that differ in their seed alone
    half     : of a first-level model, the half of the groups that it was trained on; ``None`` for a final one
    curve    : what early stopping watched after each tree, those beyond ``trees`` too; empty for the refit
    """

    target: str
    fold: int
    text: str
    trees: int
    score: float | None
    sessions: int
    rows: int
    seed: int = 0
    half: int | None = None
    curve: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Stem of its file."""
        return fit_name(self.target, self.fold, self.seed, self.half)

    def facts(self) -> dict[str, Any]:
        """What is worth telling besides the model text."""
        return {"target": self.target, "fold": self.fold, "trees": self.trees, "inner_score": self.score,
                "sessions": self.sessions, "rows": self.rows, "seed": self.seed, "half": self.half,
                "curve": list(self.curve)}  # fmt: skip

    @classmethod
    def of(cls, facts: Mapping[str, Any], text: str) -> "Fit":
        """Back from :meth:`facts` and the model text."""
        score = None if facts["inner_score"] is None else float(facts["inner_score"])
        half = None if facts["half"] is None else int(facts["half"])
        return cls(str(facts["target"]), int(facts["fold"]), text, int(facts["trees"]), score,
                   int(facts["sessions"]), int(facts["rows"]), int(facts["seed"]), half,
                   tuple(float(value) for value in facts["curve"]))  # fmt: skip


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
    stacked  : targets whose first-level scores the final models see besides the features; mostly none
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
    stacked: tuple[str, ...] = ()
    _boosters: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _predictors: dict[tuple[str, ...], Predictor] = field(default_factory=dict, repr=False, compare=False)

    def booster(self, fit: Fit) -> Any:
        """The LightGBM model of a fit, parsed once."""
        if fit.name not in self._boosters:
            import lightgbm as lgb  # half a second, which scoring with this project's own walker does without

            self._boosters[fit.name] = lgb.Booster(model_str=fit.text)
        return self._boosters[fit.name]

    def predictor(self, fits: Sequence[Fit]) -> Predictor:
        """What scores rows by these models, at least one, in one pass; laid out once."""
        names = tuple(fit.name for fit in fits)
        if names not in self._predictors:
            self._predictors[names] = Predictor.of([fit.text for fit in fits])
        return self._predictors[names]

    def _final(self, target: str) -> list[Fit]:
        return [fit for fit in self.fits if fit.half is None and fit.target in (target, MULTI)]

    def of_fold(self, target: str, fold: int) -> list[Fit]:
        """The models for a target that were not trained on this fold: one for each seed and kind, or none."""
        return [fit for fit in self._final(target) if fit.fold == fold >= 0]

    def for_others(self, target: str) -> list[Fit]:
        """The models whose mean scores sessions outside the folds: the refits if there are some, else the folds'."""
        fits = self._final(target)
        refit = [fit for fit in fits if fit.fold < 0]
        return refit or fits

    def first_level(self, fold: int) -> list[Fit]:
        """The first-level models whose scores the final models of a fold were trained with; -1 for the refit."""
        return [fit for fit in self.fits if fit.half is not None and fit.fold == fold]

    def importances(self) -> list[dict[str, Any]]:
        """One row a target and feature: mean gain and mean number of splits over the fold models, gains first."""
        rows = []
        names = (*self.features, *stacked_names(self.stacked))
        for target in (*self.targets, MULTI):
            fits = [fit for fit in self._final(target) if fit.target == target and fit.fold >= 0]
            if not fits:
                continue
            gain: npt.NDArray[np.float64]
            split: npt.NDArray[np.float64]
            gain = np.mean([self.booster(fit).feature_importance("gain") for fit in fits], axis=0)
            split = np.mean([self.booster(fit).feature_importance("split") for fit in fits], axis=0)
            share = gain / max(float(gain.sum()), 1e-12)
            for f in np.argsort(-gain, kind="stable"):
                values = (target, names[f], float(gain[f]), float(share[f]), float(split[f]))
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
            "stacked": list(self.stacked),
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
                stacked=tuple(index["stacked"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            problem = f"not an index of rankers ({type(error).__name__}: {error})"
            raise InputError(folder / INDEX, None, problem, "run the stage rank again") from None
