"""The last step of every reader that holds its events in memory: sort, number, write."""

from pathlib import Path

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
    order = [SESSION, TS] if TS in frame.columns else [SESSION]
    frame = frame.sort(order, maintain_order=True)
    frame = frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(SESSION).alias(EVENT))
    report = bad.report(frame[SESSION].n_unique(), frame.height)
    with atomic_file(out) as beside:
        frame.write_parquet(beside, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
    return report
