"""Training: models of every target, fold and seed, each finished one kept, so that a killed run goes on."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from threading import Event, Lock
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from rankers import xgboost_backend
from rankers.binning import Binned, bin_rows
from rankers.fitting import fit_fold, parameters
from rankers.keeping import keep, kept
from rankers.matrix import TrainingMatrix
from rankers.models import Fit, Rankers, fit_name
from rankers.predict import Predictor
from rankers.selection import ALL, Selection, select
from rankers.settings import MULTI, RankersSettings
from rankers.sizing import trees_within
from rankers.standard import describe, stacked_names
from rankers.xgboost_backend import Held, hold_rows

Job = tuple[str, int, int, int | None]
"""A fit: its model, fold, seed, and half (of the first level; ``None`` for the last)."""


def train_rankers(
    matrix: TrainingMatrix,
    settings: RankersSettings,
    work: Path,
    targets: tuple[str, ...] | None = None,
    threads: int = 0,
    progress: bool | None = None,
) -> Rankers:
    """Train every model of the settings on every fold (and the refit).

    matrix   : candidates, features and labels of the sampled sessions
    work     : folder of finished fits; those of the same data and settings are not made again
    targets  : the targets of the matrix unless given
    threads  : of LightGBM, 0 for every core; no result depends on it
    progress : a bar; ``None`` shows it on a terminal only

    A model that cannot be trained is left out with its reason, and never an error.
    """
    targets = tuple(matrix.labels) if targets is None else targets
    work.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(matrix, settings, work, threads)
    names = settings.models(targets)
    with tqdm(total=len(trainer.jobs(names)), desc="rankers", unit="fit", disable=_disable(progress)) as bar:
        for name in trainer.train(names):
            bar.set_postfix_str(name)
            bar.update()
    return Rankers(
        features=matrix.names,
        targets=targets,
        folds=settings.folds,
        holdout_share=settings.holdout_share,
        seed=settings.seed,
        submission=settings.submission,
        fits=trainer.made(names),
        reasons=trainer.reasons,
        settings=settings.for_the_record(),
        stacked=trainer.stacked,
    )


@dataclass(frozen=True)
class _Trainer:
    """Makes the fits that are not kept; rows are chosen and binned when the first of them needs it."""

    matrix: TrainingMatrix
    settings: RankersSettings
    work: Path
    threads: int
    fits: dict[str, Fit] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    _bins: dict[int | None, Binned | Held] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _stopped: Event = field(default_factory=Event)

    @property
    def stacked(self) -> tuple[str, ...]:
        """Targets that have first-level models: all of the matrix, or none."""
        return tuple(self.matrix.labels) if self.settings.stacking else ()

    @property
    def folds(self) -> tuple[int, ...]:
        every = range(self.settings.folds)
        return (*every, ALL) if self.settings.submission == "refit" else tuple(every)

    @cached_property
    def selections(self) -> dict[str, Selection]:
        """Of every model that the matrix could have, so that the work does not depend on which are asked for."""
        names = dict.fromkeys((*self.settings.models(self.matrix.labels), *self.stacked))
        return {name: select(self.matrix, name, self.settings) for name in names}

    @cached_property
    def tree_bound(self) -> int:
        """Most trees of a fit that the work of all fits and a refit allows."""
        finals, rows = self.settings.models(self.matrix.labels), 0
        for name, selection in self.selections.items():
            fits = self.settings.seeds * (name in finals) + (name in self.stacked)
            rows += fits * sum(int(selection.training_rows(fold).sum()) for fold in (*range(self.settings.folds), ALL))
        most = self.settings.most_trees(self.selections)
        return trees_within(self.settings.max_work, rows, len(self.matrix.names), most)

    def jobs(self, names: tuple[str, ...]) -> list[Job]:
        """The fits to come, if none fails: the first level, then model by model and fold by fold.

        Stacked models come fold by fold: the rows are binned anew for each.
        """
        first = [(target, fold, 0, half) for target in self.stacked for half in (0, 1) for fold in self.folds]
        seeds = range(self.settings.seeds)
        last: list[Job] = [(name, fold, seed, None) for name in names for fold in self.folds for seed in seeds]
        if self.stacked:
            last.sort(key=lambda job: self.folds.index(job[1]))
        return [*first, *last]

    def made(self, names: tuple[str, ...]) -> tuple[Fit, ...]:
        """The fits there are, in the order of the jobs."""
        stems = [fit_name(*job) for job in self.jobs(names)]
        return tuple(self.fits[stem] for stem in stems if stem in self.fits)

    def _turn(self, job: Job) -> tuple[int, int]:
        """Fits of one turn need nothing of each other, and the same bins; a refit counts the trees of the folds."""
        _, fold, _, half = job
        last = half is None
        return int(last), self.folds.index(fold) if last and self.stacked else int(fold == ALL)

    def train(self, names: tuple[str, ...]) -> Iterator[str]:
        """Make all fits; yields the name of each that is there, or that is missing for a reason."""
        for name in names:
            if name != MULTI and name not in self.matrix.labels:
                self.reasons[name] = "the training matrix has no labels of this target"
        jobs = self.jobs(tuple(name for name in names if name not in self.reasons))
        for _, together in groupby(sorted(jobs, key=self._turn), key=self._turn):
            yield from self._side_by_side(list(together))
        for name in names:
            if not any(fit.target == name and fit.half is None for fit in self.fits.values()):
                self.reasons.setdefault(name, "no fold could be trained")

    def _side_by_side(self, jobs: list[Job]) -> Iterator[str]:
        """Make fits that need nothing of each other, one on each thread as far as there are so many.

        Threads that share a fit wait for each other at every node: two of them take three times the CPU seconds of one
        (332,000 rows, 160 features, LightGBM 4.7).
        """
        threads = self.threads or len(os.sched_getaffinity(0))
        workers = min(threads, len(jobs))
        _ = self.tree_bound  # each thread would count it anew
        with ThreadPoolExecutor(workers) as pool:
            made = [pool.submit(self._fit, *job, threads // workers) for job in jobs]
            try:
                for one in made:
                    stem, reason = one.result()
                    self.reasons.update(reason)
                    yield stem
            except BaseException:
                self._stopped.set()  # fits under way end with their next tree
                pool.shutdown(cancel_futures=True)
                raise

    def _fit(self, name: str, fold: int, seed: int, half: int | None, threads: int) -> tuple[str, dict[str, str]]:
        """Have one fit, or the reason why not."""
        stem, digest = fit_name(name, fold, seed, half), self._digest(name, seed, half)
        fit = kept(self.work, stem, digest)
        if fit is None:
            trees = self._trees(name, fold, seed, half)
            reason = None if fold == ALL else _why_not(self.selections[name], fold, self.settings.of(name), half)
            if reason is not None:
                return stem, {f"{name} fold {fold}" + ("" if half is None else f" half {half}"): reason}
            if trees == 0:
                return stem, {}
            with self._lock:
                selection, binned = self.selections[name], self._binned(fold, half)
            fit = fit_fold(selection, binned, name, fold, self.settings, trees, threads, seed, half, self._go_on)
            keep(self.work, fit, digest)
        self.fits[stem] = fit
        return stem, {}

    def _go_on(self, _: float) -> None:
        if self._stopped.is_set():
            raise InterruptedError

    def _trees(self, name: str, fold: int, seed: int, half: int | None) -> int:
        """Most trees of a fold's fit; those of the refit are the folds' median, 0 if no fold could be trained."""
        if fold != ALL:
            return min(self.tree_bound, self.settings.of(name).lambdarank.max_trees)
        stems = [fit_name(name, one, seed, half) for one in range(self.settings.folds)]
        counts = [self.fits[stem].trees for stem in stems if stem in self.fits]
        return max(int(np.median(counts)), 1) if counts else 0

    def _binned(self, fold: int, half: int | None) -> Binned | Held:
        """The bins of the first level, and of everything without stacking; else those of a fold."""
        key = fold if self.stacked and half is None else None
        if key not in self._bins:
            self._bins.clear()
            rows = [selection.rows for selection in self.selections.values()]
            more = None if key is None else self._first_level(key)
            if self.settings.backend == "xgboost":
                self._bins[key] = hold_rows(self.matrix, rows, more)
            else:
                self._bins[key] = bin_rows(self.matrix, rows, parameters(self.settings, self.threads), more)
        return self._bins[key]

    def _first_level(self, fold: int) -> dict[str, npt.NDArray[np.float32]]:
        """What the first-level models of a fold say of every row of the matrix: name to float32[R]."""
        matrix, names = self.matrix, stacked_names(self.stacked)
        fits = [fit for fit in self.fits.values() if fit.half is not None and fit.fold == fold]
        raw = np.empty((len(fits), len(matrix)), np.float64)
        predictor = Predictor.of([fit.text for fit in fits])
        for start, stop in zip(matrix.row_groups[:-1], matrix.row_groups[1:], strict=True):
            wanted = np.zeros(len(matrix), np.bool_)
            wanted[start:stop] = True
            part = np.ascontiguousarray(matrix.features(wanted))
            if fits and stop > start:
                raw[:, start:stop] = predictor.scores(part, self.threads)
        scores = {(fit.target, fit.half or 0): row for fit, row in zip(fits, raw, strict=True)}
        out = np.empty((len(matrix), len(names)), np.float32)
        describe(scores, self.stacked, matrix.offsets, self.selections[self.stacked[0]].half, out)
        return {name: out[:, c] for c, name in enumerate(names)}

    def _digest(self, name: str, seed: int, half: int | None) -> str:
        """Of everything that a fit depends on: no setting of another target is among it."""
        settings = self.settings
        facts: dict[str, Any] = {
            "data": self.matrix.digest,
            "name": name,
            "settings": settings.fit_settings(name),
            "negatives": settings.negative_share(name),
            "trees": min(self.tree_bound, settings.of(name).lambdarank.max_trees),
            "seed": seed,
            "half": half,
            "version": lgb.__version__ if settings.backend == "lightgbm" else xgboost_backend.version(),
        }
        if half is None and self.stacked:
            facts["first"] = [self._digest(target, 0, 0) for target in self.stacked]
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _why_not(selection: Selection, fold: int, settings: RankersSettings, half: int | None) -> str | None:
    """Why a fold cannot be trained; ``None`` if it can."""
    if not (selection.fold == fold).any():
        return "no session of the training matrix lies in this fold"
    train = int(selection.training_sessions(fold, half).sum())
    if train < settings.min_sessions:
        return f"{train} training sessions have a positive among their candidates, {settings.min_sessions} are needed"
    if settings.lambdarank.stops_early and not selection.inner_sessions(fold, half).any():
        return "no session is left to stop early by"
    return None


def _disable(progress: bool | None) -> bool | None:
    return None if progress is None else not progress
