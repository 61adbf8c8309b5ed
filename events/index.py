"""Source ids to dense rows and back: one frozen map for items, one for sessions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from events.errors import InputError


@dataclass(frozen=True, slots=True)
class IdIndex:
    """The sorted unique ids of a source; an id's dense row is its place among them.

    ids : Polars series of Int64 or String, strictly ascending (strings by bytes), no nulls.

    >>> index = IdIndex.of(pl.Series([30, 10, 30, 20]))
    >>> index.rows(pl.Series([10, 30, 99])).tolist()
    [0, 2, -1]
    >>> index.take(np.array([2, 0])).to_list()
    [30, 10]
    """

    ids: pl.Series

    @classmethod
    def of(cls, ids: pl.Series) -> "IdIndex":
        """Index of the unique ids of a series: any integers, or strings."""
        dtype = pl.Int64 if ids.dtype.is_integer() else pl.String
        return cls(ids.cast(dtype).unique().sort().rename("id"))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_integer(self) -> bool:
        """Whether the source's ids are integers (else strings)."""
        return self.ids.dtype == pl.Int64

    def rows(self, ids: pl.Series) -> npt.NDArray[np.int64]:
        """int64[n] dense rows of these ids, -1 where an id is unknown."""
        if len(self) == 0:
            return np.full(len(ids), -1, np.int64)
        if not self.is_integer:
            ids = ids.cast(pl.String)
            place = self.ids.search_sorted(ids, side="left").to_numpy().astype(np.int64)
            clipped = np.minimum(place, len(self) - 1)
            same = (self.ids.gather(clipped) == ids).to_numpy()
            return np.where(same, place, -1)
        known = self.ids.to_numpy()
        asked = ids.cast(pl.Int64).to_numpy()
        place = np.searchsorted(known, asked)
        place = np.minimum(place, len(known) - 1)
        return np.where(known[place] == asked, place, -1)

    def take(self, rows: npt.NDArray[Any]) -> pl.Series:
        """Source ids of these dense rows (all in range)."""
        return self.ids.gather(rows)

    @property
    def falsy_row(self) -> int:
        """Row of the id that Python calls false (0 or the empty string), -1 if there is none.

        The official OTTO script tests the truth of the next clicked id and so gives id 0 no click label.
        """
        falsy = pl.Series([0]) if self.is_integer else pl.Series([""])
        return int(self.rows(falsy)[0])

    def save(self, path: Path) -> None:
        """Write the ids as one Parquet column ``id``."""
        self.ids.to_frame("id").write_parquet(path)

    @classmethod
    def load(cls, path: Path) -> "IdIndex":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is missing.
        """
        if not path.exists():
            raise InputError(path, None, "no such file", "run the stage prepare first")
        return cls(pl.read_parquet(path, columns=["id"])["id"])
