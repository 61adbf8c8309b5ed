"""The log as the source wrote it, with its own session ids and milliseconds: what splits and labels work on."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq
from tqdm import tqdm

from events.columns import AID, EVENT, SESSION, TS, TYPE
from events.compiled import kernel
from events.errors import InputError
from events.index import IdIndex

GROUP = "group"
"""Optional column of a log: the session that this one was expanded from."""


@dataclass(frozen=True, slots=True)
class RawLog:
    """Events of S sessions, N in all, by ascending session id and in time order.

    session_ids : series[S]   the source's ids, Int64 or String; ascending (rows of a split: names, in any order)
    offsets     : int64[S+1]  events of session s are ``offsets[s]:offsets[s+1]``
    aids        : int32[N]    dense rows of ``items``
    ts          : int64[N]    unix milliseconds; ``None`` if the shop has none
    types       : int8[N]     0 clicks, 1 carts, 2 orders; ``None`` if the shop has none
    items       : index of the items of all files
    group_ids   : series[S]   id of the session that this one was expanded from; ``None``: its own
    """

    session_ids: pl.Series
    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64] | None
    types: npt.NDArray[np.int8] | None
    items: IdIndex
    group_ids: pl.Series | None = None

    def __len__(self) -> int:
        """Number of sessions S."""
        return self.offsets.size - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64[S] events of each session."""
        return np.diff(self.offsets)

    @property
    def groups(self) -> pl.Series:
        """The group's id of each session."""
        return self.session_ids if self.group_ids is None else self.group_ids

    def take(
        self,
        rows: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64] | None = None,
        stops: npt.NDArray[np.int64] | None = None,
    ) -> "RawLog":
        """These sessions, in this order (copies); of each only the events ``starts:stops`` (places in the log).

        rows, starts, stops : int64[n]; a row may repeat
        """
        starts = self.offsets[:-1][rows] if starts is None else starts
        stops = self.offsets[1:][rows] if stops is None else stops
        offsets = np.zeros(rows.size + 1, np.int64)
        np.cumsum(stops - starts, out=offsets[1:])
        return replace(
            self,
            session_ids=self.session_ids.gather(rows),
            offsets=offsets,
            aids=gather_ranges(self.aids, starts, offsets),
            ts=None if self.ts is None else gather_ranges(self.ts, starts, offsets),
            types=None if self.types is None else gather_ranges(self.types, starts, offsets),
            group_ids=None if self.group_ids is None else self.group_ids.gather(rows),
        )

    def keep_events(self, keep: npt.NDArray[np.bool_]) -> "RawLog":
        """The same sessions with only the events where ``keep`` (bool[N]) holds; sessions may become empty."""
        kept_before = np.zeros(keep.size + 1, np.int64)
        np.cumsum(keep, out=kept_before[1:])
        return replace(
            self,
            offsets=kept_before[self.offsets],
            aids=self.aids[keep],
            ts=None if self.ts is None else self.ts[keep],
            types=None if self.types is None else self.types[keep],
        )


@kernel
def _gather_ranges(source: Any, starts: Any, offsets: Any, out: Any) -> None:
    for row in range(starts.size):
        shift = starts[row] - offsets[row]
        for place in range(offsets[row], offsets[row + 1]):
            out[place] = source[place + shift]


def gather_ranges(
    source: npt.NDArray[Any], starts: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Copy ``source[starts[r] : starts[r] + length]`` to ``out[offsets[r] : offsets[r + 1]]`` for every row r."""
    out = np.empty(int(offsets[-1]), source.dtype)
    _gather_ranges(source, starts, offsets, out)
    return out


def item_index(paths: list[Path], more: pl.Series | None = None) -> IdIndex:
    """Index of the items of these logs, and of the ids ``more``.

    Raises
    ------
    InputError
        If a file is missing, or one log's item ids are integers and another's are text.
    """
    for path in paths:
        if not path.exists():
            raise InputError(path, None, "no such file", "run the stage prepare first")
    if len({pl.read_parquet_schema(path)[AID].is_integer() for path in paths}) > 1:
        problem = "item ids are integers in one file and text in the other"
        raise InputError(paths[-1], None, problem, "set data.text_ids = ['aid']")
    ids = [pl.scan_parquet(path).select(AID).unique().collect(engine="streaming")[AID] for path in paths]
    if more is not None:
        if more.dtype.is_integer() != ids[0].dtype.is_integer():
            problem = "item ids are integers in the log and text in the files about items, or the other way round"
            raise InputError(paths[0], None, problem, "set data.text_ids = ['aid']")
        ids.append(more.rename(AID))
    return IdIndex.of(pl.concat(ids))


def load_raw(path: Path, items: IdIndex) -> RawLog:
    """Read a ``log.parquet``, one row group at a time.

    Raises
    ------
    InputError
        If the file is missing or is not a log.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "run the stage prepare first")
    file = pq.ParquetFile(path)
    names = set(file.schema_arrow.names)
    if not {SESSION, AID, EVENT} <= names:
        raise InputError(path, None, "not a log: columns session, aid, event are needed", "run prepare again")
    size = file.metadata.num_rows
    aids = np.empty(size, np.int32)
    ts = np.empty(size, np.int64) if TS in names else None
    types = np.empty(size, np.int8) if TYPE in names else None
    rows_of = _Rows(items)
    starts: list[npt.NDArray[np.int64]] = []
    sessions: list[pl.Series] = []
    groups: list[pl.Series] = []
    place = 0
    for group in tqdm(range(file.num_row_groups), f"load {path.name}", unit="part", disable=None):
        frame = pl.DataFrame(file.read_row_group(group))
        end = place + frame.height
        aids[place:end] = rows_of(frame[AID])
        if ts is not None:
            ts[place:end] = frame[TS].to_numpy()
        if types is not None:
            types[place:end] = frame[TYPE].to_numpy()
        first = np.flatnonzero(frame[EVENT].to_numpy() == 0)
        starts.append(first + place)
        sessions.append(frame[SESSION].gather(first))
        if GROUP in names:
            groups.append(frame[GROUP].gather(first))
        place = end
    if size == 0:
        raise InputError(path, None, "a log without events", "check the source file and run prepare again")
    offsets = np.concatenate([*starts, np.array([size])]).astype(np.int64)
    group_ids = pl.concat(groups).rechunk() if groups else None
    return RawLog(pl.concat(sessions).rechunk(), offsets, aids, ts, types, items, group_ids)


class _Rows:
    """Dense rows of item ids that are all known; by a table where the ids are small integers."""

    def __init__(self, items: IdIndex) -> None:
        self.items = items
        self.table: npt.NDArray[np.int32] | None = None
        if items.is_integer and len(items) and items.ids[0] >= 0 and items.ids[-1] < 8 * len(items) + (1 << 20):
            self.table = np.full(items.ids[-1] + 1, -1, np.int32)
            self.table[items.ids.to_numpy()] = np.arange(len(items), dtype=np.int32)

    def __call__(self, ids: pl.Series) -> npt.NDArray[Any]:
        return self.items.rows(ids) if self.table is None else self.table[ids.to_numpy()]
