"""Training: one LambdaRank model a target and fold, each finished one kept, so that a killed run goes on."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from events.errors import InputError
from events.files import atomic_file, read_json, write_json
from rankers.binning import Binned, bin_rows
from rankers.folds import fold_of, inner_groups, keep_rows
from rankers.labelling import positives_of
from rankers.matrix import TrainingMatrix
from rankers.models import Fit, Rankers
from rankers.ndcg import mean_ndcg
from rankers.settings import RankersSettings
from rankers.sizing import trees_within

ALL = -1
"""Fold of the model that is trained on every session."""

Mask = npt.NDArray[np.bool_]
Evaluation = tuple[str, float, bool]
Measure = Callable[[npt.NDArray[np.float64], Any], Evaluation]


@dataclass(frozen=True, slots=True)
class Selection:
    """What one target is trained with: the n rows that any of its models needs.

    usable   : bool[S] sessions with a positive in the pool; the others have no gradient
    inner    : bool[S] usable sessions set aside for early stopping, with all their candidates
    fold     : int64[S]
    session  : int64[n] session (0 to S-1) of each row, ascending
    trained  : bool[n] rows that a model may be trained on: positives and sampled negatives
    labels   : int8[n]
    rows     : int64[n] row of the matrix, ascending
    """

    usable: Mask
    inner: Mask
    fold: npt.NDArray[np.int64]
    session: npt.NDArray[np.int64]
    trained: Mask
    labels: npt.NDArray[np.int8]
    rows: npt.NDArray[np.int64]

    def training_sessions(self, fold: int) -> Mask:
        """bool[S] sessions that the model of a fold is trained on; for ``ALL``, every usable one."""
        if fold == ALL:
            return self.usable
        return np.asarray(self.usable & ~self.inner & (self.fold != fold))

    def training_rows(self, fold: int) -> Mask:
        """bool[n] rows that the model of a fold is trained on."""
        return np.asarray(self.trained & self.training_sessions(fold)[self.session])

    def inner_sessions(self, fold: int) -> Mask:
        """bool[S] sessions that its early stopping watches; never of the reported fold."""
        return np.asarray(self.inner & (self.fold != fold))


def select(matrix: TrainingMatrix, target: str, settings: RankersSettings) -> Selection:
    """Choose the sessions and rows of one target."""
    labels = matrix.labels[target]
    usable = positives_of(matrix.offsets, labels) > 0
    fold = fold_of(matrix.groups, settings.folds, settings.seed, settings.holdout_share)
    inner = np.zeros(usable.size, np.bool_)
    groups = matrix.groups[usable]
    inner[usable] = inner_groups(groups, settings.inner_share, settings.inner_sessions, settings.seed)
    trained = keep_rows(
        matrix.offsets, matrix.sessions, matrix.aids, labels, settings.negative_share(target), settings.seed
    )
    session = np.repeat(np.arange(usable.size), np.diff(matrix.offsets))
    wanted = usable[session] & (trained | inner[session])
    return Selection(usable, inner, fold, session[wanted], trained[wanted], labels[wanted], np.flatnonzero(wanted))


def parameters(settings: RankersSettings, threads: int) -> dict[str, Any]:
    """LightGBM's parameters, such that additions come in one order for any thread count.

    Histograms are therefore built column by column, and rows are bagged, not sessions: with ``bagging_by_query`` one
    fit in a hundred differed in its last digits from run to run (LightGBM 4.7, two threads, a busy machine). Features
    are not bundled: with some sets of columns a subset of a bundled dataset writes beyond its memory.
    """
    model = settings.lambdarank.model_dump()
    del model["max_trees"], model["early_stopping_rounds"], model["eval_at"]
    return {
        **model,
        "objective": "lambdarank",
        "metric": "None",
        "bagging_freq": 1 if settings.lambdarank.bagging_fraction < 1 else 0,
        "deterministic": True,
        "force_col_wise": True,
        "enable_bundle": False,
        "seed": settings.seed,
        "num_threads": threads,
        "verbosity": -1,
    }


def fit_fold(
    selection: Selection,
    binned: Binned,
    target: str,
    fold: int,
    settings: RankersSettings,
    trees: int,
    threads: int = 0,
    watch: Callable[[float], None] | None = None,
) -> Fit:
    """Fit the model of one fold with early stopping, within ``trees``; or of ``ALL`` sessions, with so many.

    watch : hears after every tree what early stopping goes by; what it raises ends the fit
    """
    train_sessions = selection.training_sessions(fold)
    train_rows = selection.training_rows(fold)
    train = _dataset(selection, binned, train_rows)
    model = settings.lambdarank
    if fold == ALL:
        booster = lgb.train(parameters(settings, threads), train, trees)
        best, score = booster.num_trees(), None
    else:
        inner_rows = selection.inner_sessions(fold)[selection.session]
        booster = lgb.train(
            parameters(settings, threads),
            train,
            trees,
            [_dataset(selection, binned, inner_rows)],
            valid_names=["inner"],
            feval=_watched(_ndcg_of(selection, inner_rows, model.eval_at), watch),
            callbacks=[lgb.early_stopping(model.early_stopping_rounds, verbose=False)],
        )
        best, score = booster.best_iteration, float(booster.best_score["inner"]["ndcg"])
    return Fit(
        target=target,
        fold=fold,
        text=_without_threads(booster.model_to_string(num_iteration=best)),
        trees=best,
        score=score,
        sessions=int(train_sessions.sum()),
        rows=int(train_rows.sum()),
    )


def _watched(measure: Measure, watch: Callable[[float], None] | None) -> Measure:
    def both(scores: npt.NDArray[np.float64], data: Any) -> Evaluation:
        found = measure(scores, data)
        if watch is not None:
            watch(found[1])
        return found

    return both


def _ndcg_of(selection: Selection, rows: Mask, k: int) -> Measure:
    sizes = np.unique(selection.session[rows], return_counts=True)[1]
    offsets = np.cumsum([0, *sizes]).astype(np.int64)
    labels = selection.labels[rows]
    return lambda scores, _: ("ndcg", float(mean_ndcg(offsets, labels, scores, k)), True)


def _dataset(selection: Selection, binned: Binned, rows: Mask) -> Any:
    return binned.take(selection.rows[rows], selection.labels[rows], selection.session[rows])


def _without_threads(text: str) -> str:
    """The model text says how many threads fitted it, which no result depends on."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("[num_threads:"))


def train_rankers(
    matrix: TrainingMatrix,
    settings: RankersSettings,
    work: Path,
    targets: tuple[str, ...] | None = None,
    threads: int = 0,
    progress: bool | None = None,
) -> Rankers:
    """Train every target on every fold (and the refit).

    matrix   : candidates, features and labels of the sampled sessions
    work     : folder of finished fits; those of the same data and settings are not made again
    targets  : the targets of the matrix unless given
    threads  : of LightGBM, 0 for every core; no result depends on it
    progress : a bar; ``None`` shows it on a terminal only

    A target that cannot be trained is left out with its reason, and never an error.
    """
    targets = tuple(matrix.labels) if targets is None else targets
    work.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(matrix, settings, work, threads)
    fits: list[Fit] = []
    reasons: dict[str, str] = {}
    per_target = settings.folds + (settings.submission == "refit")
    with tqdm(total=len(targets) * per_target, desc="rankers", unit="fit", disable=_disable(progress)) as bar:
        for target in targets:
            bar.set_postfix_str(target)
            for outcome in trainer.train(target):
                if isinstance(outcome, Fit):
                    fits.append(outcome)
                else:
                    reasons.update(outcome)
                bar.update()
    return Rankers(
        features=matrix.names,
        targets=targets,
        folds=settings.folds,
        holdout_share=settings.holdout_share,
        seed=settings.seed,
        submission=settings.submission,
        fits=tuple(fits),
        reasons=reasons,
        settings=settings.fit_settings(),
    )


@dataclass(frozen=True)
class _Trainer:
    """Makes the fits that are not kept; rows are chosen and binned when the first of them needs it."""

    matrix: TrainingMatrix
    settings: RankersSettings
    work: Path
    threads: int

    @cached_property
    def selections(self) -> dict[str, Selection]:
        """Of every target of the matrix, so that no fit depends on which of them are asked for or kept."""
        return {target: select(self.matrix, target, self.settings.of(target)) for target in self.matrix.labels}

    @cached_property
    def binned(self) -> Binned:
        rows = [selection.rows for selection in self.selections.values()]
        return bin_rows(self.matrix, rows, parameters(self.settings, self.threads))

    @cached_property
    def trees(self) -> int:
        """Most trees of a fit: as set, or as the work of all fits and a refit allows."""
        folds = (*range(self.settings.folds), ALL)
        rows = sum(int(one.training_rows(fold).sum()) for one in self.selections.values() for fold in folds)
        return trees_within(self.settings.max_work, rows, len(self.matrix.names), self.settings.lambdarank.max_trees)

    def train(self, target: str) -> Iterator[Fit | dict[str, str]]:
        """The fits of a target, and the reasons for those that are missing."""
        if target not in self.matrix.labels:
            yield {target: "the training matrix has no labels of this target"}
            return
        digest = _digest(self.matrix, target, self.settings)
        fits = []
        for fold in range(self.settings.folds):
            fit = _kept(self.work, target, fold, digest)
            if fit is None:
                reason = _why_not(self.selections[target], fold, self.settings)
                if reason is not None:
                    yield {f"{target} fold {fold}": reason}
                    continue
                fit = self._fit(target, fold, self.trees, digest)
            fits.append(fit)
            yield fit
        if not fits:
            yield {target: "no fold could be trained"}
        elif self.settings.submission == "refit":
            median = int(np.median([fit.trees for fit in fits]))
            yield _kept(self.work, target, ALL, digest) or self._fit(target, ALL, max(median, 1), digest)

    def _fit(self, target: str, fold: int, trees: int, digest: str) -> Fit:
        fit = fit_fold(
            self.selections[target], self.binned, target, fold, self.settings.of(target), trees, self.threads
        )
        _keep(self.work, fit, digest)
        return fit


def _why_not(selection: Selection, fold: int, settings: RankersSettings) -> str | None:
    """Why a fold cannot be trained; ``None`` if it can."""
    if not (selection.fold == fold).any():
        return "no session of the training matrix lies in this fold"
    train = int(selection.training_sessions(fold).sum())
    if train < settings.min_sessions:
        return f"{train} training sessions have a positive among their candidates, {settings.min_sessions} are needed"
    if not selection.inner_sessions(fold).any():
        return "no session is left to stop early by"
    return None


def _digest(matrix: TrainingMatrix, target: str, settings: RankersSettings) -> str:
    facts = {"data": matrix.digest, "target": target, "settings": settings.fit_settings(), "lightgbm": lgb.__version__}
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _keep(work: Path, fit: Fit, digest: str) -> None:
    """The model first, then the mark that it is done."""
    with atomic_file(work / f"{fit.name}.txt") as beside:
        beside.write_text(fit.text, encoding="utf-8")
    text_digest = hashlib.blake2b(fit.text.encode(), digest_size=16).hexdigest()
    write_json(work / f"{fit.name}.done.json", {"digest": digest, "text": text_digest, "fit": fit.facts()})


def _kept(work: Path, target: str, fold: int, digest: str) -> Fit | None:
    """A finished fit of the same data and settings."""
    name = Fit(target, fold, "", 0, 0.0, 0, 0).name
    path, mark = work / f"{name}.txt", work / f"{name}.done.json"
    if not (path.exists() and mark.exists()):
        return None
    try:
        done = read_json(mark)
        text = path.read_text(encoding="utf-8")
        whole = done["text"] == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return Fit.of(done["fit"], text) if done["digest"] == digest and whole else None
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _disable(progress: bool | None) -> bool | None:
    return None if progress is None else not progress
