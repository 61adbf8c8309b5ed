"""Events on disk between parsing and sorting: a log larger than memory is brought into session order."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from events.columns import AID, TS, TYPE
from events.files import atomic_file
from events.raw import gather_ranges
from events.readers.encode import log_table, log_writer
from events.readers.report import BadLines, ReadReport
from events.readers.write import ROW_GROUP

COLUMNS = {AID: np.int32, TS: np.int64, TYPE: np.int8}


class Spill:
    """Appends blocks of sessions to flat files, then writes them in session order.

    In memory stay 20 bytes a session; the flat files need 13 bytes an event and are mapped for reading.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, BinaryIO] = {}
        self.sessions: list[npt.NDArray[np.int64]] = []
        self.lines: list[npt.NDArray[np.int64]] = []
        self.lengths: list[npt.NDArray[np.int32]] = []

    def __enter__(self) -> "Spill":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files = {name: (self.folder / name).open("wb") for name in COLUMNS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self.files.values():
            file.close()

    def add(
        self,
        sessions: npt.NDArray[np.int64],
        lines: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int32],
        aids: npt.NDArray[np.int32],
        ts: npt.NDArray[np.int64],
        types: npt.NDArray[np.int8],
    ) -> None:
        """Append sessions: id, line in the source and number of events of each; item, time and type of each event."""
        # Copies: the arrays are views into a whole block's buffers.
        self.sessions.append(sessions.copy())
        self.lines.append(lines.copy())
        self.lengths.append(lengths.copy())
        for name, values in ((AID, aids), (TS, ts), (TYPE, types)):
            values.tofile(self.files[name])

    def write(self, out: Path, bad: BadLines) -> ReadReport:
        """Write all sessions, ascending, as a log; of a repeated session the first line counts.

        Raises
        ------
        InputError
            If a session is repeated and bad lines are not skipped, or there is no session.
        """
        for file in self.files.values():
            file.flush()
        empty = np.zeros(0, np.int64)
        sessions = np.concatenate([*self.sessions, empty])
        lengths = np.concatenate([*self.lengths, empty.astype(np.int32)]).astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        if (np.diff(sessions) <= 0).any():
            order = self._sorted_unique(sessions, bad)
            sessions, lengths, starts = sessions[order], lengths[order], starts[order]
        report = bad.report(sessions.size, int(lengths.sum()))
        with atomic_file(out) as beside, log_writer(beside) as writer:
            for table in self._tables(sessions, lengths, starts):
                writer.write_table(table, row_group_size=table.num_rows)
        return report

    def _sorted_unique(self, sessions: npt.NDArray[np.int64], bad: BadLines) -> npt.NDArray[np.int64]:
        order = np.argsort(sessions, kind="stable")
        repeated = np.zeros(order.size, np.bool_)
        repeated[1:] = np.diff(sessions[order]) == 0
        lines = np.concatenate(self.lines)
        for row in np.sort(order[repeated]):
            problem = f"session {sessions[row]} is repeated"
            bad.add(int(lines[row]) + 1, problem, "give each session one line")
        return order[~repeated]

    def _tables(
        self, sessions: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]
    ) -> Iterator[pa.Table]:
        """The events in batches of whole sessions, about one row group each."""
        mapped = {name: np.memmap(self.folder / name, dtype, mode="r") for name, dtype in COLUMNS.items()}
        ends = np.cumsum(lengths)
        first = 0
        while first < sessions.size:
            done = ends[first] - lengths[first]
            last = max(int(np.searchsorted(ends, done + ROW_GROUP, side="right")), first + 1)
            offsets = np.concatenate([[0], ends[first:last] - done]).astype(np.int64)
            part = slice(first, last)
            aids, ts, types = (gather_ranges(np.asarray(mapped[name]), starts[part], offsets) for name in COLUMNS)
            yield log_table(sessions[part], lengths[part], aids, ts, types)
            first = last
