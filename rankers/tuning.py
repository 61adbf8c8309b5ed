"""Tuning of the rankers: which settings of a target's model find more, on sessions that chose nothing.

A fifth of the groups is unseen: no trial knows their labels. A trial is trained on the rest, but an inner part that
stops it early and gives its value; where that part is small, the trial is repeated with others. In the end the settings
found and those to be beaten are fitted once more on the same sessions and meet on the unseen ones.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.errors import InputError
from events.labels import LabelSet
from models.study import Choice, Found, Real, Report, Space, Study, Values, Whole
from rankers.binning import Binned, bin_rows
from rankers.fitting import fit_fold, parameters
from rankers.folds import TRAINED_ON, stream_uniforms
from rankers.matrix import TrainingMatrix
from rankers.models import Fit
from rankers.predict import Predictor
from rankers.selection import Selection, select
from rankers.settings import LambdaRankSettings, RankersSettings
from rankers.topk import top_lists
from rankers.xgboost_backend import Held, hold_rows
from submissions.metrics import Hits, count_hits

UNSEEN: Final = 101
"""Stream of random numbers that draws the unseen groups (see ``rankers.folds``)."""
UNSEEN_SHARE: Final = 0.2
INNER_SESSIONS: Final = 10_000
"""Inner sessions, at most: more than a fold's model needs to stop by, since here they choose as well."""
ENOUGH: Final = 4_000
"""Inner sessions, over all repeats, that a trial's value should rest on."""
REPEATS: Final = 5
"""At most, with another inner part, other negatives and another seed of LightGBM each."""
CHUNK: Final = 4_000
"""Sessions whose features are in memory at once when unseen sessions are ranked."""
STEPS: Final = 2.0
"""Steps at which trials are compared, per unit of trees x learning rate: at equal numbers of trees a low rate would
always look worse."""

SPACE: Space = {
    "learning_rate": Real(0.02, 0.3, log=True),
    "num_leaves": Whole(7, 127, log=True),
    "min_data_in_leaf": Whole(20, 2_000, log=True),
    "lambda_l2": Real(0.1, 100.0, log=True),
    "feature_fraction": Real(0.2, 1.0),
    "bagging_fraction": Real(0.4, 1.0),
    "lambdarank_truncation_level": Whole(20, 100, log=True),
    "lambdarank_norm": Choice((True, False)),
    "negatives": Real(0.05, 1.0, log=True),
    "objective": Choice(("lambdarank", "recall")),
}
"""LightGBM's settings, and those beside them."""

STOPPING: Final = LambdaRankSettings().early_stopping_rounds
"""Trees without a better value before a trial's fit stops, where the settings do not stop early."""

NEGATIVES: Final = "negatives"
BESIDE: Final = (NEGATIVES, "objective")
"""Keys that are not LightGBM's."""


def values_of(settings: RankersSettings, target: str) -> Values:
    """What the settings say of a target, key by key of ``SPACE``."""
    own = settings.of(target)
    values = {key: getattr(own.lambdarank, key) for key in SPACE if key not in BESIDE}
    return values | {NEGATIVES: own.negative_share(target), "objective": own.objective}


def with_values(settings: RankersSettings, target: str, values: Mapping[str, Any]) -> RankersSettings:
    """The settings of a target with these values in place of its own."""
    own = settings.of(target)
    lambdarank = own.lambdarank.model_copy(update={key: one for key, one in values.items() if key not in BESIDE})
    negatives = {**own.negatives, target: values[NEGATIVES]}
    objective = values["objective"]
    return own.model_copy(update={"lambdarank": lambdarank, "negatives": negatives, "objective": objective})


def as_settings(target: str, values: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """The part of a config that sets these values, as nested tables.

    rounds : of early stopping, by which the values were found
    """
    own = {key: one for key, one in values.items() if key not in BESIDE} | {"early_stopping_rounds": rounds}
    beside = {key: values[key] for key in BESIDE}
    return {"rankers": {"targets": {target: {**beside, "lambdarank": own}}}}


@dataclass(frozen=True, slots=True)
class Part:
    """Some sessions with all their candidates, ready to be ranked.

    candidates : of the n sessions, R rows, without sources
    features   : float32[R, F] C-contiguous
    labels     : of the n sessions; those outside the pool count in the denominator
    """

    candidates: Candidates
    features: npt.NDArray[np.float32]
    labels: LabelSet

    @classmethod
    def of(cls, matrix: TrainingMatrix, labels: LabelSet, sessions: npt.NDArray[np.int64]) -> "Part":
        """Of sessions (int64[n], ascending) of the matrix; ``labels`` of all its sessions."""
        lengths = np.diff(matrix.offsets)
        wanted = np.zeros(matrix.n_sessions, np.bool_)
        wanted[sessions] = True
        rows = np.repeat(wanted, lengths)
        pool = _pool(lengths[sessions], matrix.aids[rows])
        return cls(pool, np.ascontiguousarray(matrix.features(rows)), labels.take(sessions))

    def take(self, sessions: npt.NDArray[np.int64]) -> "Part":
        """Of these of its sessions (int64[m], ascending; copies)."""
        lengths = np.diff(self.candidates.offsets)
        wanted = np.zeros(lengths.size, np.bool_)
        wanted[sessions] = True
        rows = np.repeat(wanted, lengths)
        pool = _pool(lengths[sessions], self.candidates.aids[rows])
        return Part(pool, self.features[rows], self.labels.take(sessions))

    def hits(self, fit: Fit, k: int, threads: int) -> Hits:
        """How the first ``k`` by a model meet the labels."""
        scores = Predictor.of([fit.text]).scores(self.features, threads)[0].astype(np.float32)
        return count_hits(top_lists(self.candidates, scores, k), self.labels, k)


def _pool(lengths: npt.NDArray[np.int64], aids: npt.NDArray[np.int32]) -> Candidates:
    """Candidates of sessions of these lengths, without sources."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Candidates(offsets, aids, (), np.zeros((0, aids.size), np.int16), np.zeros((0, aids.size), np.float32))


@dataclass(frozen=True)
class RankerTuning:
    """The search for one target.

    matrix   : of the run, with every feature
    labels   : int sets of the matrix's sessions, those outside the pool among them
    target   : whose settings are searched
    settings : the run's; those of the target are to be beaten
    k        : depth of the recall
    threads  : of LightGBM and prediction, 0 for every core; no result depends on it

    Raises
    ------
    InputError
        From :meth:`search`, if there is too little to train on, to stop by, or to compare on.
    """

    matrix: TrainingMatrix
    labels: LabelSet
    target: str
    settings: RankersSettings
    k: int = 20
    threads: int = 0

    @cached_property
    def unseen(self) -> npt.NDArray[np.bool_]:
        """bool[S] sessions of the groups that no trial sees; the same for every target."""
        draw = stream_uniforms(self.settings.seed, UNSEEN, self.matrix.groups)
        return np.asarray(draw < UNSEEN_SHARE)

    @cached_property
    def _seen(self) -> TrainingMatrix:
        """The matrix without the labels of unseen sessions: nothing that reads it can choose one of their rows."""
        hidden = np.repeat(self.unseen, np.diff(self.matrix.offsets))
        return replace(self.matrix, labels={self.target: np.where(hidden, 0, self.matrix.labels[self.target])})

    @cached_property
    def _common(self) -> RankersSettings:
        own = self.settings.of(self.target)
        stopped = own.lambdarank.model_copy(update={"early_stopping_rounds": self.rounds})
        inner = max(own.inner_sessions, INNER_SESSIONS)
        return own.model_copy(update={"folds": 1, "inner_sessions": inner, "lambdarank": stopped})

    @property
    def rounds(self) -> int:
        """Of early stopping: trials stop early even where the settings do not."""
        return self.settings.of(self.target).lambdarank.early_stopping_rounds or STOPPING

    @cached_property
    def repeats(self) -> int:
        """Fits of a trial."""
        inner = int(self._select(self._common).inner.sum())
        return min(REPEATS, math.ceil(ENOUGH / max(inner, 1)))

    def _settings(self, values: Values, repeat: int) -> RankersSettings:
        tuned = with_values(self._common, self.target, values)
        return tuned.model_copy(update={"seed": tuned.seed + repeat})

    def _select(self, settings: RankersSettings) -> Selection:
        chosen = select(self._seen, self.target, settings)
        # Every seen session may train; "reported" are the unseen, of which no row is here.
        return replace(chosen, fold=np.where(self.unseen, 0, TRAINED_ON).astype(np.int64))

    @cached_property
    def _binned(self) -> Binned | Held:
        """Rows that any trial may want: shares of negatives are nested, so those of the greatest share."""
        widest = with_values(self._common, self.target, values_of(self._common, self.target) | {NEGATIVES: 1.0})
        rows = [self._select(widest).rows]
        if self._common.backend == "xgboost":
            return hold_rows(self._seen, rows)
        return bin_rows(self._seen, rows, parameters(self._common, self.threads))

    @cached_property
    def _inner(self) -> list[Part]:
        values = values_of(self._common, self.target)
        chosen = [self._select(self._settings(values, repeat)) for repeat in range(self.repeats)]
        every = np.flatnonzero(np.any([one.inner for one in chosen], axis=0))
        whole = Part.of(self.matrix, self.labels, every)  # the file is read once: these sessions are all over it
        return [whole.take(np.searchsorted(every, np.flatnonzero(one.inner))) for one in chosen]

    def fit(self, values: Values, repeat: int = 0, report: Report | None = None) -> Fit:
        """Train on the seen sessions with these settings; ``report`` hears of the inner part as trees are added."""
        tuned = self._settings(values, repeat)
        model = tuned.lambdarank
        watch = None if report is None else _Watch(report, model.learning_rate)
        chosen = self._select(tuned)
        return fit_fold(chosen, self._binned, self.target, 0, tuned, model.max_trees, self.threads, watch=watch)

    def _value(self, values: Values, report: Report) -> float:
        found = []
        for repeat, part in enumerate(self._inner):
            fit = self.fit(values, repeat, report if repeat == 0 else None)
            found.append(part.hits(fit, self.k, self.threads))
        recall = Hits.concat(found).recall
        assert recall is not None
        return recall

    def search(self, journal: Path, trials: int) -> Found:
        """Go on with the study of this journal until so many trials have finished."""
        reason = self.why_not()
        if reason is not None:
            remedy = "give more sessions, or leave the target out (--targets)"
            raise InputError(self.matrix.paths[0], None, reason, remedy)
        identity = {
            "matrix": self.matrix.digest,
            "target": self.target,
            "settings": self._common.model_dump(mode="json", exclude={"top", "chunk_sessions", "submission"}),
            "unseen": UNSEEN_SHARE,
            "inner": [INNER_SESSIONS, ENOUGH, REPEATS],
            "k": self.k,
            "lightgbm": lgb.__version__,
        }
        first = values_of(self.settings, self.target)
        study = Study(journal, identity, SPACE, first, self.settings.seed)
        return study.run(self._value, trials, self.target)

    def why_not(self) -> str | None:
        """Why there is nothing to search with; ``None`` if there is."""
        chosen = self._select(self._common)
        train, needed = int(chosen.training_sessions(0).sum()), self._common.min_sessions
        if train < needed:
            return f"{train} sessions to train on have a positive for {self.target}, {needed} are needed"
        if not chosen.inner.any():
            return f"no session is left to choose settings for {self.target} by"
        if self.labels.take(np.flatnonzero(self.unseen)).aids.size == 0:
            return f"no unseen session has a label for {self.target}"
        return None

    def compare(self, values: Values) -> tuple[Hits, Hits]:
        """Hits on the unseen sessions, of the run's settings and of these; each fitted on all that trials saw.

        Both are fitted as often as in a trial, and their hits pooled: one seed may be a lucky one.
        """
        sides = (values_of(self.settings, self.target), values)
        fits = [[self.fit(side, repeat) for repeat in range(self.repeats)] for side in sides]
        found: tuple[list[Hits], list[Hits]] = ([], [])
        for part in self._unseen_parts():
            for hits, of_side in zip(found, fits, strict=True):
                hits.append(Hits.pooled([part.hits(fit, self.k, self.threads) for fit in of_side]))
        return Hits.concat(found[0]), Hits.concat(found[1])

    def _unseen_parts(self) -> Iterator[Part]:
        sessions = np.flatnonzero(self.unseen)
        for start in range(0, sessions.size, CHUNK):
            yield Part.of(self.matrix, self.labels, sessions[start : start + CHUNK])


@dataclass
class _Watch:
    """Reports the best inner value so far, at equal amounts of trees x learning rate."""

    report: Report
    rate: float
    trees: int = 0
    best: float = -np.inf
    step: int = 0

    def __call__(self, value: float) -> None:
        self.trees += 1
        self.best = max(self.best, value)
        reached = int(self.trees * self.rate * STEPS)
        for step in range(self.step + 1, reached + 1):
            self.report(step, self.best)
        self.step = max(self.step, reached)
