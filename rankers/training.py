"""Training: one LambdaRank model a target and fold, each finished one kept, so that a killed run goes on."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from events.errors import InputError
from events.files import atomic_file, read_json, write_json
from rankers.folds import fold_of, inner_groups, keep_rows
from rankers.labelling import positives_of
from rankers.matrix import TrainingMatrix
from rankers.models import Fit, Rankers
from rankers.ndcg import mean_ndcg
from rankers.settings import RankersSettings

ALL = -1
"""Fold of the model that is trained on every session."""

Mask = npt.NDArray[np.bool_]
Evaluation = tuple[str, float, bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """What one target is trained with: the n rows that any of its models needs.

    usable   : bool[S] sessions with a positive in the pool; the others have no gradient
    inner    : bool[S] usable sessions set aside for early stopping, with all their candidates
    fold     : int64[S]
    session  : int64[n] session (0 to S-1) of each row, ascending
    trained  : bool[n] rows that a model may be trained on: positives and sampled negatives
    labels   : int8[n]
    features : float32[n, F]
    names    : the F features
    """

    usable: Mask
    inner: Mask
    fold: npt.NDArray[np.int64]
    session: npt.NDArray[np.int64]
    trained: Mask
    labels: npt.NDArray[np.int8]
    features: npt.NDArray[np.float32]
    names: tuple[str, ...]

    def training_sessions(self, fold: int) -> Mask:
        """bool[S] sessions that the model of a fold is trained on; for ``ALL``, every usable one."""
        if fold == ALL:
            return self.usable
        return np.asarray(self.usable & ~self.inner & (self.fold != fold))

    def inner_sessions(self, fold: int) -> Mask:
        """bool[S] sessions that its early stopping watches; never of the reported fold."""
        return np.asarray(self.inner & (self.fold != fold))


def select(matrix: TrainingMatrix, target: str, settings: RankersSettings) -> Selection:
    """Choose the sessions and rows of one target, and read their features."""
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
    return Selection(
        usable, inner, fold, session[wanted], trained[wanted], labels[wanted], matrix.features(wanted), matrix.names
    )


def parameters(settings: RankersSettings, threads: int) -> dict[str, Any]:
    """LightGBM's parameters, such that additions come in one order for any thread count.

    Histograms are therefore built column by column, and rows are bagged, not sessions: with ``bagging_by_query`` one
    fit in a hundred differed in its last digits from run to run (LightGBM 4.7, two threads, a busy machine).
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
        "seed": settings.seed,
        "num_threads": threads,
        "verbosity": -1,
    }


def fit_fold(
    selection: Selection,
    target: str,
    fold: int,
    settings: RankersSettings,
    trees: int | None = None,
    threads: int = 0,
) -> Fit:
    """Fit the model of one fold with early stopping, or of ``ALL`` sessions with a given number of trees."""
    train_sessions = selection.training_sessions(fold)
    train_rows = selection.trained & train_sessions[selection.session]
    train = _dataset(selection, train_rows, settings)
    model = settings.lambdarank
    if trees is not None:
        booster = lgb.train(parameters(settings, threads), train, trees)
        best, score = booster.num_trees(), None
    else:
        inner_rows = selection.inner_sessions(fold)[selection.session]
        booster = lgb.train(
            parameters(settings, threads),
            train,
            model.max_trees,
            [_dataset(selection, inner_rows, settings, train)],
            valid_names=["inner"],
            feval=_ndcg_of(selection, inner_rows, model.eval_at),
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


def _ndcg_of(selection: Selection, rows: Mask, k: int) -> Callable[[npt.NDArray[np.float64], Any], Evaluation]:
    sizes = np.unique(selection.session[rows], return_counts=True)[1]
    offsets = np.cumsum([0, *sizes]).astype(np.int64)
    labels = selection.labels[rows]
    return lambda scores, _: ("ndcg", float(mean_ndcg(offsets, labels, scores, k)), True)


def _dataset(selection: Selection, rows: Mask, settings: RankersSettings, reference: Any = None) -> Any:
    sizes = np.unique(selection.session[rows], return_counts=True)[1]  # present sessions only: LightGBM needs sizes > 0
    return lgb.Dataset(
        selection.features.T[:, rows].T,  # column by column, as LightGBM bins it
        selection.labels[rows],
        reference=reference,
        group=sizes,
        feature_name=list(selection.names),
        params={"max_bin": settings.lambdarank.max_bin, "verbosity": -1},
        free_raw_data=True,
    )


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
    fits: list[Fit] = []
    reasons: dict[str, str] = {}
    per_target = settings.folds + (settings.submission == "refit")
    with tqdm(total=len(targets) * per_target, desc="rankers", unit="fit", disable=_disable(progress)) as bar:
        for target in targets:
            bar.set_postfix_str(target)
            for outcome in _train_target(matrix, target, settings, work, threads):
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


def _train_target(
    matrix: TrainingMatrix, target: str, settings: RankersSettings, work: Path, threads: int
) -> Iterator[Fit | dict[str, str]]:
    """Its fits, and the reasons for those that are missing."""
    if target not in matrix.labels:
        yield {target: "the training matrix has no labels of this target"}
        return
    fold_numbers = range(settings.folds)
    digest = _digest(matrix, target, settings)
    kept = {fold: _kept(work, target, fold, digest) for fold in (*fold_numbers, ALL)}
    selection: Selection | None = None
    fits = []
    for fold in fold_numbers:
        fit = kept[fold]
        if fit is None:
            selection = selection or select(matrix, target, settings)
            reason = _why_not(selection, fold, settings)
            if reason is not None:
                yield {f"{target} fold {fold}": reason}
                continue
            fit = fit_fold(selection, target, fold, settings, threads=threads)
            _keep(work, fit, digest)
        fits.append(fit)
        yield fit
    if not fits:
        yield {target: "no fold could be trained"}
    elif settings.submission == "refit":
        refit = kept[ALL]
        if refit is None:
            selection = selection or select(matrix, target, settings)
            median = int(np.median([fit.trees for fit in fits]))
            refit = fit_fold(selection, target, ALL, settings, trees=max(median, 1), threads=threads)
            _keep(work, refit, digest)
        yield refit


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
