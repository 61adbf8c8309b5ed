"""The last step of every reader that holds its events in memory: sort, number, write."""

from pathlib import Path

import numpy as np
import polars as pl

from events.columns import EVENT, SESSION, TS
from events.files import atomic_file
from events.readers.report import BadLines, ReadReport

ROW_GROUP = 4_000_000
"""Events; what reads a log needs memory for one row group beside its result."""


def write_log(frame: pl.DataFrame, out: Path, bad: BadLines) -> ReadReport:
    """Sort events by session, time and place in the file, number them in their session, and write ``out``.

    frame : ``session``, ``aid``, optionally ``ts``, ``type`` and others, in the order of the file
    """
    # Long text costs much as one of several keys, its rank little.
    rank = pl.col(SESSION).rank("dense") if frame.schema[SESSION] == pl.String else pl.col(SESSION)
    order = [rank, TS] if TS in frame.columns else [rank]
    frame = frame.sort(order, maintain_order=True)
    starts = (frame[SESSION] != frame[SESSION].shift(1)).fill_null(True).arg_true().to_numpy().astype(np.int64)
    lengths = np.diff(starts, append=frame.height)
    event = np.arange(frame.height) - np.repeat(starts, lengths)
    frame = frame.with_columns(pl.Series(EVENT, event.astype(np.int32)))
    report = bad.report(starts.size, frame.height)
    with atomic_file(out) as beside:
        frame.write_parquet(beside, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
    return report
