"""Tables of events, one a line: CSV (also .gz), Parquet or JSONL with any column and type names; ratings and targets.

A log may be several files, each with its own columns and type of event.
"""

from pathlib import Path

import numpy as np
import polars as pl

from events.columns import AID, SESSION, TARGETS, TS, TYPE
from events.errors import InputError
from events.raw import GROUP
from events.readers.csvfile import Dialect, Lines, read_columns
from events.readers.duplicates import handle_duplicates
from events.readers.jsonfile import is_json, read_json_columns
from events.readers.names import DROPPED, type_codes
from events.readers.report import BadLines, ReadReport, merged
from events.readers.sessions import form_sessions
from events.readers.times import add_days, parse_times, time_of_day
from events.readers.write import write_log
from events.settings import ColumnSettings, DataSettings, EventsSettings, LogFileSettings

VALUE = "value"
"""Extra column of ratings and targets: what the user gave the item."""

DATE = "date"
ROW = "__row__"
"""Row of an event in what was read of its file."""

POSITIONS = {"ratings": (SESSION, AID, VALUE, TS), "targets": (SESSION, AID, VALUE)}
"""Columns of the kinds that go by order."""


def read_tables(
    files: list[tuple[Path, LogFileSettings | None]], data: DataSettings, events: EventsSettings, out: Path
) -> ReadReport:
    """Read one event a line; lines may come in any order and are sorted by session, time and place in the files.

    files : the files of the log, and how each differs from ``data``

    Raises
    ------
    InputError
        If a file or a column is missing, files differ in having time or types, an id, time, type or value is bad (with
        the line), or an event is repeated and that is an error.
    """
    bads = [BadLines(path, events.on_bad_rows == "skip") for path, _ in files]
    frames: list[pl.DataFrame] = []
    lines: list[Lines] = []
    starts = [0]
    for (path, own), bad in zip(files, bads, strict=True):
        frame, line_of, n_rows = _read_one(path, own, data, bad)
        if events.duplicates != "error":
            frame = frame.drop(ROW)
        elif frames:
            frame = frame.with_columns(pl.col(ROW) + starts[-1])
        if frames:
            _require_same(frames[0], files[0][0], frame, path)
        frames.append(frame)
        lines.append(line_of)
        starts.append(starts[-1] + n_rows)

    def where(row: int) -> tuple[str, int | None]:
        place = int(formed[ROW][row])
        file = int(np.searchsorted(starts, place, side="right")) - 1
        return str(files[file][0]), lines[file](place - starts[file])

    bad = merged(bads)
    formed = form_sessions(pl.concat(frames), data.sessions)
    whole, said = handle_duplicates(formed, events.duplicates, where)
    if said is not None:
        bad.say(said)
    return write_log(whole.drop(ROW, strict=False), out, bad)


def _require_same(first: pl.DataFrame, first_path: Path, frame: pl.DataFrame, path: Path) -> None:
    if frame.columns != first.columns:
        a, b = ([name for name in one.columns if name != ROW] for one in (first, frame))
        problem = f"the file gives {', '.join(b)}, but {first_path.name} {', '.join(a)}"
        remedy = "name the same columns for each of data.files; for its type, a column or data.files.type"
        raise InputError(path, None, problem, remedy)
    if frame.schema != first.schema:
        problem = f"ids are text here and integers in {first_path.name}, or the other way round"
        raise InputError(path, None, problem, "set data.text_ids = ['session', 'aid']")


def _read_one(
    path: Path, own: LogFileSettings | None, data: DataSettings, bad: BadLines
) -> tuple[pl.DataFrame, Lines, int]:
    """The good events of a file, each with its ``ROW`` among those read; row to line; and how many were read."""
    columns = own.columns if own is not None and own.columns is not None else data.columns
    unit = own.time_unit if own is not None and own.time_unit is not None else data.time_unit
    kind = own.type if own is not None and own.type is not None else data.type
    wanted = _wanted(data, columns)
    if is_json(path):
        frame, lines = read_json_columns(path, {ours: str(theirs) for ours, theirs in wanted.items()}, bad)
    else:
        frame, lines = read_columns(path, Dialect.of(data, own), wanted, bad)
    parsed: list[pl.Series] = []
    good = pl.repeat(True, frame.height, eager=True)
    for name in frame.columns:
        if name == DATE:
            continue
        values, problem, remedy = _parse(frame, name, unit, data, bad)
        wrong = (values.is_null() & good).arg_true()
        # The earliest bad line of a column is named; in skip mode the rest are only counted.
        if len(wrong):
            row = int(wrong[0])
            value = frame[name][row]
            usual = f"{name} is missing" if value in (None, "") else f"{value!r} is no {name}"
            bad.add(lines(row), problem.format(repr(value)) if problem and value else usual, remedy, len(wrong))
        good &= values.is_not_null()
        parsed.append(values.alias(name))
    read = pl.DataFrame(parsed).with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    if TYPE in read.columns:
        good &= read[TYPE] != DROPPED
    elif kind is not None:
        read = read.with_columns(pl.lit(TARGETS.index(kind), pl.Int8).alias(TYPE))
    return read.filter(good), lines, frame.height


def _wanted(data: DataSettings, columns: ColumnSettings) -> dict[str, str | int]:
    """Our column names to the file's names or positions."""
    if data.kind in POSITIONS:
        return {name: place for place, name in enumerate(POSITIONS[data.kind])}
    names = {
        SESSION: columns.session,
        GROUP: columns.user,
        AID: columns.aid,
        TS: columns.ts,
        DATE: columns.date,
        TYPE: columns.type,
    }
    return {ours: theirs for ours, theirs in names.items() if theirs is not None}


def _parse(frame: pl.DataFrame, name: str, unit: str, data: DataSettings, bad: BadLines) -> tuple[pl.Series, str, str]:
    """The values as the log holds them, null where they are bad; for those, what to say (``{}`` stands for the value,
    empty: the usual) and the remedy."""
    values = frame[name]
    if name == TYPE:
        known, remedy, said = type_codes(values, data)
        if said is not None:
            bad.say(said)
        return known, "", remedy
    if name == TS and DATE in frame.columns:
        since = time_of_day(values, unit)
        wrong = "day" if since.null_count() == 0 else "time of day"
        remedy = "give the milliseconds since midnight (or set data.time_unit='s') and a day such as 2016-05-09"
        return add_days(since, frame[DATE]), f"{{}} and its day make no time: the {wrong} is bad", remedy
    if name == TS:
        times = parse_times(values, unit)
        bad.say(*times.notes)
        return times.ms, times.problem, times.remedy
    if name == VALUE:
        numbers = values.cast(pl.Float32, strict=False).to_frame()
        return numbers.select(pl.when(pl.first().is_finite()).then(pl.first())).to_series(), "", "give a number"
    ids, remedy = read_ids(values, "aid" if name == AID else "session", data)
    return ids, "", remedy


def read_ids(values: pl.Series, name: str, data: DataSettings) -> tuple[pl.Series, str]:
    """The ids, null where bad, and the remedy."""
    if name in data.text_ids:
        text = values.cast(pl.String)
        return text.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series(), "fill it in"
    if values.dtype.is_float():  # as whole numbers are kept beside missing ones, in a table of pandas say
        whole = pl.first().is_finite() & (pl.first() == pl.first().floor()) & (pl.first() < 2.0**53)
        values = values.to_frame().select(pl.when(whole).then(pl.first())).to_series()
    elif values.dtype == pl.Boolean:
        values = values.cast(pl.String)
    ids = values.cast(pl.Int64, strict=False).to_frame()
    remedy = f"give an integer from 0 to 2^63-1, or set data.text_ids=['{name}'] if ids are text"
    return ids.select(pl.when(pl.first() >= 0).then(pl.first())).to_series(), remedy
