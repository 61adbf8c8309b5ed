"""One door to all readers."""

from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.parquet as pq

from events.columns import TS
from events.errors import InputError
from events.readers.duplicates import handle_duplicates
from events.readers.otto import read_otto
from events.readers.report import BadLines, ReadReport
from events.readers.sequences import read_prefix_labels, read_sequences
from events.readers.table import read_tables
from events.readers.times import parse_times
from events.readers.write import write_log
from events.settings import DataSettings, EventsSettings, LogFileSettings


def read(
    data: DataSettings, events: EventsSettings, part: Literal["train", "test"], out: Path, threads: int = 2
) -> ReadReport:
    """Read the train or test files of a shop and write them as the canonical log ``out``, whole or not at all.

    Raises
    ------
    InputError
        If a file is missing or malformed; with the line, the problem and the remedy.
    """
    files = _files(data, part)
    for path, _ in files:
        if not path.is_file():
            raise InputError(path, None, "no such file", f"correct data.root or data.{part}")
    path = files[0][0]
    skip = events.on_bad_rows == "skip"
    if data.kind == "otto":
        return _checked(path, out, read_otto(path, out, skip, threads), events)
    if data.kind == "prefix_labels" and part == "test":
        return read_prefix_labels(path, data, out, skip)
    if data.kind in ("sequences", "prefix_labels"):
        return read_sequences(path, data, out, skip)
    return read_tables(files, data, events, out)


def _files(data: DataSettings, part: Literal["train", "test"]) -> list[tuple[Path, LogFileSettings | None]]:
    """The files of a log, and the settings of their own."""
    if part == "train" and data.files:
        return [(data.root / one.name, one) for one in data.files]
    name = data.train if part == "train" else data.test
    if name is None or data.kind == "shop":
        raise InputError(data.root, None, f"there is no {part} file to read", f"set data.{part}")
    return [(data.root / name, None)]


def _checked(path: Path, out: Path, report: ReadReport, events: EventsSettings) -> ReadReport:
    """OTTO's log once more: seconds are not taken for milliseconds, and repeats are dropped or refused if asked to."""
    with pq.ParquetFile(out) as file:
        some = pl.DataFrame(next(file.iter_batches(1_000, columns=[TS])))[TS]
    times = parse_times(some, "ms")
    if times.ms.null_count() == len(some) and times.problem:
        out.unlink()
        remedy = "give milliseconds, as OTTO does; a table of events may have others (configs/otto_parquet.toml)"
        raise InputError(path, 1, times.problem.format(some[0]), remedy)
    if events.duplicates == "keep":
        return report
    frame = pl.read_parquet(out, memory_map=False)
    whole, said = handle_duplicates(frame, events.duplicates, lambda row: (f"{path}, session {frame[row, 0]}", None))
    if said is None:
        return report
    bad = BadLines(path, events.on_bad_rows == "skip")
    bad.skipped, bad.reasons = report.skipped, list(report.reasons)
    bad.say(said)
    return write_log(whole, out, bad)
