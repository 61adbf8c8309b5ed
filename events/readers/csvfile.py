"""Some columns of a CSV or Parquet file, as text or as they are, with the line that each row came from."""

import csv
import difflib
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from events.errors import InputError
from events.readers.report import BadLines
from events.settings import DataSettings, FileSettings

Lines = Callable[[int], int]
"""Row of the frame (from 0) to line of the file (from 1)."""

NUMBER = re.compile(r"-?\d+(\.\d+)?(_duplicated_\d+)?$")
"""A number, as Polars names a column whose header is one."""
RECORD = "__record__"
"""Number of a row in the file; no name that a file would use."""


WHOLE_BYTES = 1 << 30
"""Of a larger file only the wanted columns are parsed, which saves memory but lets lines with too many fields pass."""

UNIT_SEPARATOR = "\x1f"
"""Stands for a separator of several characters, which the parser cannot take."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text table is written."""

    separator: str = ","
    header: bool = True
    encoding: str = "utf-8"

    @classmethod
    def of(cls, data: DataSettings, file: FileSettings | None = None) -> "Dialect":
        """As the shop's settings say, where the file's own say nothing else."""
        if file is None:
            return cls(data.separator, data.header, data.encoding)
        return cls(
            data.separator if file.separator is None else file.separator,
            data.header if file.header is None else file.header,
            data.encoding if file.encoding is None else file.encoding,
        )

    @property
    def delimiter(self) -> str:
        """The single character that divides fields, after :func:`_content`."""
        return self.separator if len(self.separator) == 1 else UNIT_SEPARATOR

    @property
    def quoted(self) -> bool:
        """Whether quotes have a meaning."""
        return len(self.separator) == 1


def read_columns(
    path: Path, data: Dialect, wanted: Mapping[str, str | int], bad: BadLines, setting: str = "data.columns"
) -> tuple[pl.DataFrame, Lines]:
    """The wanted columns under our names, and how to find a row's line. Blank lines are left out.

    wanted  : our name to the file's column name or position
    setting : where the user names the columns, for messages

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
        names = _resolve(frame.columns, path, wanted, setting)
        return frame.select(pl.col(theirs).alias(ours) for ours, theirs in names.items()), lambda row: row + 1
    frame, names = _read_text(path, data, wanted, setting, bad)
    by_place = data.header and all(isinstance(theirs, int) for theirs in wanted.values())
    if by_place and all(NUMBER.match(name) for name in names.values()):
        # The first line of a file without a header would be lost and nothing be amiss.
        raise InputError(path, 1, "the header holds nothing but numbers", "set data.header=false")
    chosen = frame.select(RECORD, *(pl.col(theirs).alias(ours) for ours, theirs in names.items()))
    chosen = chosen.filter(~pl.all_horizontal(pl.exclude(RECORD).is_null()))
    records = chosen[RECORD]
    return chosen.drop(RECORD), lambda row: _line_of(path, data, int(records[row]))


def _resolve(names: Sequence[str], path: Path, wanted: Mapping[str, str | int], setting: str) -> dict[str, str]:
    """Our names to the file's."""
    for theirs in wanted.values():
        if isinstance(theirs, str) and theirs not in names:
            raise no_column(path, theirs, names, setting)
        if isinstance(theirs, int) and theirs >= len(names):
            remedy = f"correct data.separator (the first is {names[0]!r}), or data.kind"
            raise InputError(path, 1, f"only {len(names)} columns", remedy)
    return {ours: theirs if isinstance(theirs, str) else names[theirs] for ours, theirs in wanted.items()}


def no_column(path: Path, missing: str, names: Sequence[str], setting: str) -> InputError:
    """The error of a column that is not there, with the nearest that is."""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(missing.lower(), by_lower, n=1, cutoff=0.5)
    found = f"; did you mean {by_lower[near[0]]!r}?" if near else ""
    remedy = f"name the file's columns in {setting} (it has {', '.join(names)})"
    remedy += ", or correct data.separator" if len(names) < 2 else ""
    return InputError(path, 1, f"no column {missing!r}{found}", remedy)


def _read_text(
    path: Path, data: Dialect, wanted: Mapping[str, str | int], setting: str, bad: BadLines
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The wanted columns as text, and ``RECORD``, the row's number in the file with the header and blank lines."""
    content = _content(path, data)
    options = {
        "separator": data.delimiter,
        "has_header": data.header,
        "infer_schema": False,
        "quote_char": '"' if data.quoted else None,
    }
    dropped: list[int] = []
    names: dict[str, str] = {}
    try:
        first = pl.read_csv(content, n_rows=1, truncate_ragged_lines=True, **options)  # type: ignore[arg-type]
        there = first.columns if data.header else [f"column_{place + 1}" for place in range(first.width)]
        names = _resolve(there, path, wanted, setting)
        if isinstance(content, Path) and content.stat().st_size > WHOLE_BYTES:
            options["columns"] = sorted({there.index(theirs) for theirs in names.values()})
            there = [there[place] for place in options["columns"]]  # type: ignore[attr-defined]
        frame = pl.read_csv(content, **options)  # type: ignore[arg-type]
    except pl.exceptions.NoDataError:
        raise InputError(path, None, "no events: the file is empty", "check data.root and the file's name") from None
    except pl.exceptions.PolarsError as error:
        dropped = _long_records(path, data, bad)
        if not dropped:
            problem = str(error).split("\n")[0]
            remedy = "correct its quotes, or its encoding: data.encoding is 'utf-8' or 'latin-1'"
            raise InputError(path, None, f"not a CSV file: {problem}", remedy) from None
        frame = pl.read_csv(content, truncate_ragged_lines=True, **options)  # type: ignore[arg-type]
    frame.columns = there
    frame = frame.with_row_index(RECORD, offset=int(data.header))
    return (frame.filter(~pl.col(RECORD).is_in(dropped)) if dropped else frame), names


def _content(path: Path, data: Dialect) -> bytes | Path:
    """The file as UTF-8 whose fields a single character divides: itself, or its bytes made so."""
    plain = data.quoted and data.encoding == "utf-8"
    if path.suffix != ".gz" and plain:
        return path
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, None, f"the compressed file is damaged or cut off: {error}", "fetch it again") from None
    if data.encoding != "utf-8":
        content = content.decode(data.encoding).encode()
    return content if data.quoted else content.replace(data.separator.encode(), UNIT_SEPARATOR.encode())


def _records(path: Path, data: Dialect) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each record, slowly: only walked to name a bad line."""
    content = _content(path, data)
    raw: BinaryIO = io.BytesIO(content) if isinstance(content, bytes) else path.open("rb")
    with io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(
            file, delimiter=data.delimiter, quoting=csv.QUOTE_MINIMAL if data.quoted else csv.QUOTE_NONE
        )
        before = 0
        for fields in reader:
            yield before + 1, fields
            before = reader.line_num


def _line_of(path: Path, data: Dialect, record: int) -> int:
    for number, (line, _) in enumerate(_records(path, data)):
        if number == record:
            return line
    return record + 1


def _long_records(path: Path, data: Dialect, bad: BadLines) -> list[int]:
    """Records with more fields than the first."""
    records: list[int] = []
    width = 0
    for number, (line, fields) in enumerate(_records(path, data)):
        width = len(fields) if number == 0 else width
        if len(fields) > width:
            bad.add(line, f"{len(fields)} fields, {width} expected", "remove or quote the extra separators")
            records.append(number)
    return records
