"""Candidates made elsewhere, from a Parquet file."""

from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from candidates.settings import ExternalSettings
from events.columns import AID, SESSION, TARGETS
from events.errors import InputError
from events.files import read_json, write_json
from events.index import IdIndex
from events.lists import Lists
from events.log import SessionLog

SCORE = "score"
TARGET = "target"
TOGETHER = "all"
"""Key of the lists when the file names no targets."""


class External:
    """What a file proposes: columns ``session, aid, score`` with the source's ids, and perhaps ``target``.

    A session's items go by descending score, ties by ascending item; of a repeated item the best score counts. Rows of
    unknown items or sessions are left out, sessions that the file does not name get an empty list. Needs nothing.
    """

    def __init__(
        self, name: str, settings: ExternalSettings, items: IdIndex, sessions: IdIndex, first_session: int = 0
    ) -> None:
        """``first_session``: row in the log of the first session of the index."""
        self.name = name
        self.settings = settings
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._items = items
        self._sessions, self._first = sessions, first_session
        self._lists: dict[str, Lists] = {}

    def fit(self, log: SessionLog) -> Self:  # noqa: ARG002
        """Read the file.

        Raises
        ------
        InputError
            If it is missing, is not Parquet, lacks a column, or holds a missing score or an unknown target.
        """
        table = self._read()
        names = [target for target in TARGETS if TARGET in table.columns and target in set(table[TARGET])]
        self.targets = tuple(names)
        parts = {name: table.filter(pl.col(TARGET) == name) for name in names} if names else {TOGETHER: table}
        self._lists = {name: self._by_session(part) for name, part in parts.items()}
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        """The best ``k`` items of the file for each session."""
        lists = self._lists.get(target or TOGETHER)
        if lists is None:
            return Lists.empty(len(log))
        nothing = len(lists) - 1
        rows = log.sessions - self._first
        known = (rows >= 0) & (rows < nothing)
        return lists.take(np.where(known, rows, nothing)).top(k)

    def save(self, folder: Path) -> None:
        """Write the lists of all sessions of the index."""
        write_json(folder / "targets.json", list(self.targets))
        for name, lists in self._lists.items():
            (folder / name).mkdir()
            lists.save(folder / name)

    def load(self, folder: Path) -> Self:
        """Open the lists."""
        self.targets = tuple(read_json(folder / "targets.json"))
        self._lists = {name: Lists.load(folder / name) for name in self.targets or (TOGETHER,)}
        return self

    def _read(self) -> pl.DataFrame:
        path = self.settings.path
        try:
            table = pl.read_parquet(path)
        except FileNotFoundError:
            raise InputError(path, None, "no such file", f"set candidates.sources.{self.name}.path") from None
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(path, None, f"not a Parquet file: {error}", "write it as Parquet") from None
        for column, index in ((SESSION, self._sessions), (AID, self._items), (SCORE, None)):
            if column not in table.columns:
                raise InputError(path, None, f"no column {column!r}", "give the columns session, aid and score")
            dtype = table.schema[column]
            fits = dtype.is_numeric() if index is None else dtype.is_integer() or not index.is_integer
            if not fits:
                raise InputError(
                    path, None, f"column {column!r} is {dtype}", "use the ids of the log, and numbers as scores"
                )
        if table[SCORE].is_null().any() or not table[SCORE].cast(pl.Float64).is_finite().all():
            raise InputError(path, None, "a score is missing or not finite", "give every row a finite score")
        if TARGET in table.columns and not set(table[TARGET].unique()) <= set(TARGETS):
            raise InputError(path, None, "an unknown target", "use clicks, carts or orders, or leave the column out")
        return table

    def _by_session(self, table: pl.DataFrame) -> Lists:
        """One list for each session of the index, and an empty one at the end, for sessions that it does not hold."""
        rows = (
            pl.DataFrame(
                {
                    SESSION: self._sessions.rows(table[SESSION]),
                    AID: self._items.rows(table[AID]),
                    SCORE: table[SCORE].cast(pl.Float32),
                }
            )
            .filter((pl.col(SESSION) >= 0) & (pl.col(AID) >= 0))
            .group_by(SESSION, AID)
            .agg(pl.col(SCORE).max())
            .sort(SESSION, SCORE, AID, descending=[False, True, False])
        )
        offsets = np.zeros(len(self._sessions) + 2, np.int64)
        np.cumsum(np.bincount(rows[SESSION].to_numpy(), minlength=len(self._sessions) + 1), out=offsets[1:])
        return Lists(offsets, rows[AID].to_numpy().astype(np.int32), rows[SCORE].to_numpy().astype(np.float32))
