"""Features binned once; every fit of every target takes its rows from the same bins.

Bounds of bins are drawn from the features of all rows that any fit needs, held-out sessions among them: they know no
label, and one set of bounds makes the models of all targets compare a feature with the same thresholds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from rankers.matrix import TrainingMatrix


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


def bin_rows(matrix: TrainingMatrix, rows: Iterable[npt.NDArray[np.int64]], parameters: dict[str, Any]) -> Binned:
    """Bin the union of these rows of the matrix (each int64[m])."""
    wanted = np.zeros(len(matrix), np.bool_)
    for part in rows:
        wanted[part] = True
    data = lgb.Dataset(
        matrix.features(wanted),  # column by column, as LightGBM bins it
        np.zeros(int(wanted.sum()), np.float32),
        feature_name=list(matrix.names),
        params={**parameters, "feature_pre_filter": False},  # what no split of all rows may use, one of a fit may
        free_raw_data=True,
    )
    return Binned(data.construct(), (np.cumsum(wanted) - 1).astype(np.int32))
