"""Tables of events, one a line: CSV (also .gz) or Parquet with any column and type names; ratings and targets."""

from pathlib import Path

import polars as pl

from events.columns import AID, SESSION, TARGETS, TS, TYPE
from events.readers.csvfile import read_columns
from events.readers.report import BadLines, ReadReport
from events.readers.write import write_log
from events.settings import DataSettings

VALUE = "value"
"""Extra column of ratings and targets: what the user gave the item."""

LAST_MS = 2**31 * 1000
"""The structures of events hold seconds in 32 bits: up to January 2038."""

DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
)
POSITIONS = {"ratings": (SESSION, AID, VALUE, TS), "targets": (SESSION, AID, VALUE)}
"""Columns of the kinds that go by order."""


def read_table(path: Path, data: DataSettings, out: Path, skip: bool) -> ReadReport:
    """Read one event a line; lines may come in any order and are sorted by session, time and place in the file.

    Raises
    ------
    InputError
        If the file or a column is missing, or an id, time, type or value is bad (with the line).
    """
    bad = BadLines(path, skip)
    frame, lines = read_columns(path, data, _wanted(data), bad)
    columns: list[pl.Series] = []
    good = pl.repeat(True, frame.height, eager=True)
    for name in frame.columns:
        parsed, remedy = _parse(frame[name], name, data)
        wrong = (parsed.is_null() & good).arg_true()
        # The earliest bad line of a column is named; in skip mode the rest are only counted.
        if len(wrong):
            row = int(wrong[0])
            value = frame[name][row]
            problem = f"{name} is missing" if value in (None, "") else f"{value!r} is no {name}"
            bad.add(lines(row), problem, remedy, len(wrong))
        good &= parsed.is_not_null()
        columns.append(parsed.alias(name))
    return write_log(pl.DataFrame(columns).filter(good), out, bad)


def _wanted(data: DataSettings) -> dict[str, str | int]:
    """Our column names to the file's names or positions."""
    if data.kind in POSITIONS:
        return {name: place for place, name in enumerate(POSITIONS[data.kind])}
    names = {SESSION: data.columns.session, AID: data.columns.aid, TS: data.columns.ts, TYPE: data.columns.type}
    return {ours: theirs for ours, theirs in names.items() if theirs is not None}


def _parse(values: pl.Series, name: str, data: DataSettings) -> tuple[pl.Series, str]:
    """The values as the log holds them, null where they are bad, and the remedy for those."""
    if name == TYPE:
        codes = {theirs: TARGETS.index(ours) for theirs, ours in data.types.items()}
        known = values.cast(pl.String).replace_strict(codes, default=None, return_dtype=pl.Int8)
        return known, f"use {', '.join(codes)}, or map the name in data.types"
    if name == TS:
        return _parse_time(values, data.time_unit), f"give a time from 1970 to 2037 in the unit {data.time_unit!r}"
    if name == VALUE:
        numbers = values.cast(pl.Float32, strict=False)
        return numbers.to_frame().select(pl.when(pl.first().is_finite()).then(pl.first())).to_series(), "give a number"
    if name in data.text_ids:
        text = values.cast(pl.String)
        return text.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series(), "fill it in"
    if values.dtype.is_float() or values.dtype == pl.Boolean:
        values = values.cast(pl.String)
    ids = values.cast(pl.Int64, strict=False).to_frame()
    remedy = f"give an integer from 0 to 2^63-1, or set data.text_ids=['{name}'] if ids are text"
    return ids.select(pl.when(pl.first() >= 0).then(pl.first())).to_series(), remedy


def _parse_time(values: pl.Series, unit: str) -> pl.Series:
    """Int64 unix milliseconds, null where bad."""
    frame = values.alias(TS).to_frame()
    column = pl.col(TS)
    if isinstance(values.dtype, pl.Datetime) or values.dtype == pl.Date:
        ms = column.cast(pl.Datetime("ms")).cast(pl.Int64)
    elif unit == "iso":
        text = column.cast(pl.String).str.strip_chars().str.replace(r"Z$", "+00:00")
        tries = [text.str.to_datetime(form, strict=False, time_unit="ms") for form in DATE_FORMATS]
        ms = pl.coalesce(
            *[
                one.dt.replace_time_zone(None) if form.endswith("%:z") else one
                for one, form in zip(tries, DATE_FORMATS, strict=True)
            ]
        ).cast(pl.Int64)
    elif unit == "s":
        seconds = column.cast(pl.Float64, strict=False)
        # A float64 holds milliseconds of this century exactly enough to round: 2^53 ms is the year 287,396.
        ms = pl.when(seconds.is_finite() & (seconds.abs() < 1e12)).then((seconds * 1000).round()).cast(pl.Int64)
    else:
        ms = column.cast(pl.Int64, strict=False)
    return frame.select(pl.when((ms >= 0) & (ms < LAST_MS)).then(ms).alias(TS)).to_series()
