"""Fitting one model: LightGBM's parameters, what early stopping goes by, and the model as text."""

from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from rankers import xgboost_backend
from rankers.binning import Binned
from rankers.models import Fit
from rankers.ndcg import BINARY, gain_recall, mean_ndcg
from rankers.objective import recall_objective
from rankers.selection import ALL, Mask, Selection
from rankers.settings import MULTI, RankersSettings
from rankers.xgboost_backend import Gradients, Held, Measure

CURVE_DECIMALS = 6


def parameters(settings: RankersSettings, threads: int, seed: int = 0) -> dict[str, Any]:
    """LightGBM's parameters, such that additions come in one order for any thread count.

    seed : added to that of the settings

    Histograms are therefore built column by column, and rows are bagged, not sessions: with ``bagging_by_query`` one
    fit in a hundred differed in its last digits from run to run (LightGBM 4.7, two threads, a busy machine), which is
    why no setting offers it. Features are not bundled: with some sets of columns a subset of a bundled dataset writes
    beyond its memory.
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
        "seed": settings.seed + seed,
        "num_threads": threads,
        "verbosity": -1,
    }


def fit_fold(
    selection: Selection,
    binned: Binned | Held,
    target: str,
    fold: int,
    settings: RankersSettings,
    trees: int,
    threads: int = 0,
    seed: int = 0,
    half: int | None = None,
    watch: Callable[[float], None] | None = None,
) -> Fit:
    """Fit the model of one fold with early stopping, within ``trees``; or with so many: of ``ALL`` sessions, or where
    the settings do not stop early.

    target   : a target, or ``MULTI``
    settings : the common ones; those of the target take their place
    half     : of a first-level model, the half of the groups to train on and to stop by
    watch    : hears after every tree what early stopping goes by; what it raises ends the fit
    """
    settings = settings.of(target)
    gains = settings.gain_table() if target == MULTI else BINARY
    train_sessions = selection.training_sessions(fold, half)
    train_rows = selection.training_rows(fold, half)
    train = _dataset(selection, binned, train_rows)
    gradients, inner, measure = None, None, None
    curve: list[float] = []
    if settings.objective == "recall":
        gradients = _recall_of(selection, train_rows, settings, settings.negative_share(target), gains, threads)
    if fold != ALL and settings.lambdarank.stops_early:
        inner_rows = selection.inner_sessions(fold, half)[selection.session]
        inner = _dataset(selection, binned, inner_rows)
        measure = _watched(_measure(selection, inner_rows, settings, gains), curve, watch)
    boost = _boost if settings.backend == "lightgbm" else xgboost_backend.boost
    text, best, score = boost(settings, train, trees, threads, seed, gains, gradients, inner, measure)
    return Fit(
        target=target,
        fold=fold,
        text=text,
        trees=best,
        score=score,
        sessions=int(train_sessions.sum()),
        rows=int(train_rows.sum()),
        seed=seed,
        half=half,
        curve=tuple(curve),
    )


def _boost(
    settings: RankersSettings,
    train: Any,
    trees: int,
    threads: int,
    seed: int,
    gains: npt.NDArray[np.float64],
    gradients: Gradients | None,
    inner: Any,
    measure: Measure | None,
) -> tuple[str, int, float | None]:
    """Train by LightGBM; arguments and result as of ``xgboost_backend.boost``."""
    given = parameters(settings, threads, seed)
    if gradients is not None:
        given["objective"] = gradients
    elif gains is not BINARY:
        given["label_gain"] = gains.tolist()
    if inner is None:
        booster = lgb.train(given, train, trees)
        best, score = booster.num_trees(), None
    else:
        stop = lgb.early_stopping(settings.lambdarank.early_stopping_rounds, verbose=False)
        booster = lgb.train(given, train, trees, [inner], valid_names=["inner"], feval=measure, callbacks=[stop])
        best, score = booster.best_iteration, float(booster.best_score["inner"][settings.stop_by])
    return _without_threads(booster.model_to_string(num_iteration=best)), best, score


def _sessions(selection: Selection, rows: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Offsets of the sessions that have some of these rows, and the rows' labels."""
    sizes = np.unique(selection.session[rows], return_counts=True)[1]
    return np.cumsum([0, *sizes]).astype(np.int64), selection.labels[rows]


def _measure(selection: Selection, rows: Mask, settings: RankersSettings, gains: npt.NDArray[np.float64]) -> Measure:
    offsets, labels = _sessions(selection, rows)
    measure, k = mean_ndcg if settings.stop_by == "ndcg" else gain_recall, settings.lambdarank.eval_at
    return lambda scores, _: (settings.stop_by, float(measure(offsets, labels, scores, k, gains)), True)


def _watched(measure: Measure, curve: list[float], watch: Callable[[float], None] | None) -> Measure:
    def both(scores: npt.NDArray[np.float64], data: Any) -> tuple[str, float, bool]:
        found = measure(scores, data)
        curve.append(round(found[1], CURVE_DECIMALS))
        if watch is not None:
            watch(found[1])
        return found

    return both


def _recall_of(
    selection: Selection,
    rows: Mask,
    settings: RankersSettings,
    share: float,
    gains: npt.NDArray[np.float64],
    threads: int,
) -> Gradients:
    offsets, labels = _sessions(selection, rows)
    k, norm = settings.lambdarank.eval_at, settings.lambdarank.lambdarank_norm
    return recall_objective(offsets, labels, gains, share, k, settings.softness, norm, threads)


def _dataset(selection: Selection, binned: Binned | Held, rows: Mask) -> Any:
    return binned.take(selection.rows[rows], selection.labels[rows], selection.session[rows])


def _without_threads(text: str) -> str:
    """The model text says how many threads fitted it, which no result depends on."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("[num_threads:"))
