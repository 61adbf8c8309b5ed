"""Features binned once; every fit of every target takes its rows from the same bins.

Bounds of bins are drawn from a sample of all rows of the matrix, those of held-out sessions among them. Which rows are
sampled knows no label and no setting, and one set of bounds makes all models compare a feature at the same thresholds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from rankers.folds import BINS, stream_uniforms
from rankers.matrix import TrainingMatrix

SAMPLE: Final = 200_000
"""Rows that the bounds are drawn from, about: LightGBM's own number."""


@dataclass(frozen=True, slots=True)
class Binned:
    """Binned rows of a training matrix.

    data  : LightGBM's Dataset of the n rows
    place : int32[R] row in ``data`` of each row of the matrix; means nothing for rows that are not in it
    """

    data: Any
    place: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], session: npt.NDArray[np.int64]) -> Any:
        """A Dataset of some rows (int64[m], ascending) of the matrix, of their labels and sessions (ascending)."""
        sizes = np.unique(session, return_counts=True)[1]  # present sessions only: LightGBM needs sizes > 0
        part = self.data.subset(self.place[rows]).construct()
        return part.set_label(labels).set_group(sizes)


def bin_rows(
    matrix: TrainingMatrix,
    rows: Iterable[npt.NDArray[np.int64]],
    parameters: dict[str, Any],
    more: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> Binned:
    """Bin the union of these rows of the matrix (each int64[m]).

    more : further features behind those of the matrix: name to float32[R]
    """
    more = more or {}
    draw = stream_uniforms(0, BINS, np.arange(len(matrix)))
    sampled = draw < SAMPLE / max(len(matrix), 1)
    kept = sampled.copy()
    for part in rows:
        kept[part] = True
    features = matrix.features(kept, tuple(more.values()))  # column by column, as LightGBM bins it
    # What no split of the sample may use, one of a fit may.
    given = {**parameters, "feature_pre_filter": False, "bin_construct_sample_cnt": 2 * SAMPLE}

    def dataset(values: npt.NDArray[np.float32], bounds: Any) -> Any:
        return lgb.Dataset(
            values,
            np.zeros(len(values), np.float32),
            reference=bounds,
            feature_name=[*matrix.names, *more],
            params=given,
            free_raw_data=True,
        ).construct()

    bounds = dataset(np.take(features.T, np.flatnonzero(sampled[kept]), axis=1).T, None)
    return Binned(dataset(features, bounds), (np.cumsum(kept) - 1).astype(np.int32))
