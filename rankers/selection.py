"""Which sessions and rows of the training matrix a model is trained with."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS
from rankers.folds import TRAINED_ON, fold_of, half_of, inner_groups, keep_rows
from rankers.labelling import positives_of
from rankers.matrix import TrainingMatrix
from rankers.settings import MULTI, RankersSettings

ALL: Final = -1
"""Fold of the model that is trained on every session."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the models of one name are trained with: the n rows that any of them needs.

    usable   : bool[S] sessions with a positive in the pool; the others have no gradient
    inner    : bool[S] usable sessions that early stopping watches, with all their candidates
    aside    : bool[S] sessions of their groups, which no fold's model is trained on
    fold     : int64[S]
    half     : int8[S] which of the two first-level models the session may train
    session  : int64[n] session (0 to S-1) of each row, ascending
    trained  : bool[n] rows that a model may be trained on: positives and sampled negatives
    labels   : int8[n]
    rows     : int64[n] row of the matrix, ascending
    """

    usable: Mask
    inner: Mask
    aside: Mask
    fold: npt.NDArray[np.int64]
    half: npt.NDArray[np.int8]
    session: npt.NDArray[np.int64]
    trained: Mask
    labels: npt.NDArray[np.int8]
    rows: npt.NDArray[np.int64]

    def training_sessions(self, fold: int, half: int | None = None) -> Mask:
        """bool[S] sessions that the model of a fold is trained on; for ``ALL``, every usable one (of a half)."""
        mine = self.usable if half is None else self.usable & (self.half == half)
        if fold == ALL:
            return mine
        return np.asarray(mine & ~self.aside & (self.fold != fold))

    def training_rows(self, fold: int, half: int | None = None) -> Mask:
        """bool[n] rows that the model of a fold is trained on."""
        return np.asarray(self.trained & self.training_sessions(fold, half)[self.session])

    def inner_sessions(self, fold: int, half: int | None = None) -> Mask:
        """bool[S] sessions that its early stopping watches; never of the reported fold, never of the other half."""
        mine = self.inner if half is None else self.inner & (self.half == half)
        return np.asarray(mine & (self.fold != fold))


def labels_of(matrix: TrainingMatrix, name: str) -> npt.NDArray[np.int8]:
    """int8[R] labels of a target; for ``MULTI`` grades: 1, 2, 3 where its highest target is clicks, carts, orders."""
    if name != MULTI:
        return matrix.labels[name]
    grades = np.zeros(len(matrix), np.int8)
    for grade, target in enumerate(TARGETS, 1):
        if target in matrix.labels:
            grades[matrix.labels[target] > 0] = grade
    return grades


def select(matrix: TrainingMatrix, name: str, settings: RankersSettings) -> Selection:
    """Choose the sessions and rows of the models of one name: a target, or ``MULTI``."""
    labels = labels_of(matrix, name)
    usable = positives_of(matrix.offsets, labels) > 0
    fold = fold_of(matrix.groups, settings.folds, settings.seed, settings.holdout_share)
    fold[matrix.n_folded :] = TRAINED_ON
    inner = np.zeros(usable.size, np.bool_)
    stops = settings.of(name).lambdarank.stops_early
    watched = np.flatnonzero(usable[: matrix.n_reported] & stops)
    inner[watched] = inner_groups(matrix.groups[watched], settings.inner_share, settings.inner_sessions, settings.seed)
    aside = np.zeros(usable.size, np.bool_)
    aside[: matrix.n_folded] = np.isin(matrix.groups[: matrix.n_folded], matrix.groups[inner])
    share = settings.negative_share(name)
    trained = keep_rows(matrix.offsets, matrix.sessions, matrix.aids, labels, share, settings.seed)
    session = np.repeat(np.arange(usable.size), np.diff(matrix.offsets))
    wanted = usable[session] & (trained | inner[session])
    return Selection(
        usable=usable,
        inner=inner,
        aside=aside,
        fold=fold,
        half=half_of(matrix.groups, settings.seed),
        session=session[wanted],
        trained=trained[wanted],
        labels=labels[wanted],
        rows=np.flatnonzero(wanted),
    )
