"""Some columns of a CSV or Parquet file, as text or as they are, with the line that each row came from."""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from events.errors import InputError
from events.readers.report import BadLines
from events.settings import DataSettings

Lines = Callable[[int], int]
"""Row of the frame (from 0) to line of the file (from 1)."""

RECORD = "__record__"
"""Number of a row in the file; no name that a file would use."""


def read_columns(
    path: Path, data: DataSettings, wanted: dict[str, str | int], bad: BadLines
) -> tuple[pl.DataFrame, Lines]:
    """The wanted columns under our names, and how to find a row's line. Blank lines are left out.

    wanted : our name to the file's column name or position

    Raises
    ------
    InputError
        If the file is missing, empty, cut off, or lacks a column; if a line has too many fields.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "correct data.root and the file's name")
    if path.suffix == ".parquet":
        try:
            frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                path, None, f"not a Parquet file: {str(error).splitlines()[0]}", "write it again"
            ) from None
        return _choose(frame, path, wanted), lambda row: row + 1
    frame = _read_text(path, data, bad)
    chosen = _choose(frame.drop(RECORD), path, wanted).with_columns(frame[RECORD])
    chosen = chosen.filter(~pl.all_horizontal(pl.exclude(RECORD).is_null()))
    records = chosen[RECORD]
    return chosen.drop(RECORD), lambda row: _line_of(path, data, int(records[row]))


def _choose(frame: pl.DataFrame, path: Path, wanted: dict[str, str | int]) -> pl.DataFrame:
    names = frame.columns
    for theirs in wanted.values():
        missing = theirs not in names if isinstance(theirs, str) else theirs >= len(names)
        if missing:
            what = f"no column {theirs!r}" if isinstance(theirs, str) else f"only {len(names)} columns"
            there = ", ".join(names)
            remedy = f"name the file's columns in data.columns (it has {there}), or correct data.separator"
            raise InputError(path, 1, what, remedy)
    return frame.select(
        pl.col(theirs if isinstance(theirs, str) else names[theirs]).alias(ours) for ours, theirs in wanted.items()
    )


def _read_text(path: Path, data: DataSettings, bad: BadLines) -> pl.DataFrame:
    """All columns as text, and ``RECORD``, the row's number in the file with the header and blank lines."""
    content = _content(path)
    options = {"separator": data.separator, "has_header": data.header, "infer_schema": False}
    dropped: list[int] = []
    try:
        frame = pl.read_csv(content, **options)  # type: ignore[arg-type]
    except pl.exceptions.NoDataError:
        raise InputError(path, None, "no events: the file is empty", "check data.root and the file's name") from None
    except pl.exceptions.PolarsError as error:
        dropped = _long_records(path, data, bad)
        if not dropped:
            problem = str(error).split("\n")[0]
            raise InputError(
                path, None, f"not a CSV file: {problem}", "correct its quotes and its encoding (UTF-8)"
            ) from None
        frame = pl.read_csv(content, truncate_ragged_lines=True, **options)  # type: ignore[arg-type]
    if not data.header:
        frame.columns = [f"column_{place}" for place in range(1, frame.width + 1)]
    frame = frame.with_row_index(RECORD, offset=int(data.header))
    return frame.filter(~pl.col(RECORD).is_in(dropped)) if dropped else frame


def _content(path: Path) -> bytes | Path:
    if path.suffix != ".gz":
        return path
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, None, f"the compressed file is damaged or cut off: {error}", "fetch it again") from None


def _records(path: Path, data: DataSettings) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each record, slowly: only walked to name a bad line."""
    content = _content(path)
    raw: BinaryIO = io.BytesIO(content) if isinstance(content, bytes) else path.open("rb")
    with io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=data.separator)
        before = 0
        for fields in reader:
            yield before + 1, fields
            before = reader.line_num


def _line_of(path: Path, data: DataSettings, record: int) -> int:
    for number, (line, _) in enumerate(_records(path, data)):
        if number == record:
            return line
    return record + 1


def _long_records(path: Path, data: DataSettings, bad: BadLines) -> list[int]:
    """Records with more fields than the first."""
    records: list[int] = []
    width = 0
    for number, (line, fields) in enumerate(_records(path, data)):
        width = len(fields) if number == 0 else width
        if len(fields) > width:
            bad.add(line, f"{len(fields)} fields, {width} expected", "remove or quote the extra separators")
            records.append(number)
    return records
