"""Times of a file, in whatever unit, as unix milliseconds; a mixed-up unit is recognised, not believed."""

from dataclasses import dataclass

import polars as pl

from events.columns import TS

LAST_MS = 2**31 * 1000
"""The structures of events hold seconds in 32 bits: up to January 2038."""
FIRST_PLAUSIBLE_MS = 788_918_400_000
"""1995: before it nobody shopped on the web."""
LONGEST_DAY_MS = 7 * 86_400_000
"""Times of day may go on behind midnight, but not for a week."""
FAR_MS = 3_653 * 86_400_000
"""Ten years."""

UNITS = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
"""Of numbers: how many make a millisecond."""
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "iso": "text"}

DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M%:z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
)
ZONE = r"(?i)[+-]\d\d:?\d\d$|Z$| ?(UTC|GMT)$"


@dataclass(frozen=True, slots=True)
class Times:
    """Parsed times.

    ms      : Int64 unix milliseconds, null where bad
    unit    : what they were read as
    notes   : what was found out, in sentences
    problem : what to say of the values that are null, ``{}`` standing for the value; empty for the usual
    remedy  : and what to do
    """

    ms: pl.Series
    unit: str
    notes: tuple[str, ...]
    problem: str
    remedy: str


def parse_times(values: pl.Series, unit: str) -> Times:
    """Times in a unit (``s``, ``ms``, ``iso``), or in one that is found out (``auto``).

    Bad are values that are no time in this unit, those beyond January 2038, those before 1995 where the same number in
    another unit lies in between, or where most others do (a shop that counts from 0 is taken at its word as a whole),
    and those more than ten years from nearly all others.
    """
    notes: list[str] = []
    if isinstance(values.dtype, pl.Datetime) or values.dtype == pl.Date:
        unit, raw = "date", values.cast(pl.Datetime("ms")).cast(pl.Int64)
    else:
        if unit == "auto":
            unit = guess_unit(values)
            notes.append(f"times are read as {NAMES[unit]}")
        raw = _texts(values, notes) if unit == "iso" else _numbers(values, unit)
    return _plausible(values, raw, unit, notes)


def guess_unit(values: pl.Series) -> str:
    """``s``, ``ms``, ``us`` or ``ns`` by the size of the middle value, ``iso`` where the values are no numbers."""
    numbers = values.cast(pl.Float64, strict=False).drop_nulls()
    if len(numbers) * 2 < len(values) - values.null_count() or len(numbers) == 0:
        return "iso"
    middle = numbers.median()
    assert isinstance(middle, float)
    return "s" if middle < 1e11 else "ms" if middle < 1e14 else "us" if middle < 1e17 else "ns"


def add_days(ms: pl.Series, dates: pl.Series) -> pl.Series:
    """Int64 unix milliseconds of times of day (Int64 milliseconds, null where not known) on these dates."""
    days = parse_times(dates, "iso" if dates.dtype == pl.String else "auto").ms
    return days + ms


def time_of_day(values: pl.Series, unit: str) -> pl.Series:
    """Int64 milliseconds since midnight, null where bad: below 0, or so many that they are of another unit."""
    ms = _numbers(values, "ms" if unit in ("auto", "iso") else unit).to_frame()
    return ms.select(pl.when((pl.first() >= 0) & (pl.first() < LONGEST_DAY_MS)).then(pl.first())).to_series()


def _numbers(values: pl.Series, unit: str) -> pl.Series:
    """Int64 milliseconds of numbers; null where they are none, or do not fit."""
    column = pl.first()
    if unit == "ms" and not values.dtype.is_float():
        return values.cast(pl.Int64, strict=False)
    # A float64 holds milliseconds of this century exactly enough to round: 2^53 ms is the year 287,396.
    ms = values.cast(pl.Float64, strict=False).to_frame().select(column / UNITS[unit])
    return ms.select(
        pl.when(column.is_finite() & (column.abs() < 1e15)).then(column.round()).cast(pl.Int64)
    ).to_series()


def _texts(values: pl.Series, notes: list[str]) -> pl.Series:
    """Int64 milliseconds of text; each form is tried on what those before left over."""
    text = values.cast(pl.String).str.strip_chars()
    zoned = text.str.contains(ZONE).fill_null(False)
    text = text.str.replace(r"(?i) ?(Z|UTC|GMT)$", "+00:00").str.replace(r"(\d\d) ([+-]\d\d:?\d\d)$", "$1$2")
    found = pl.repeat(None, len(text), dtype=pl.Int64, eager=True)
    for form in DATE_FORMATS:
        if found.null_count() == text.null_count():
            break
        left = text.to_frame().select(pl.when(found.is_null()).then(pl.first())).to_series()
        parsed = left.str.to_datetime(form, strict=False, time_unit="ms")
        if form.endswith("%:z"):
            parsed = parsed.dt.replace_time_zone(None)
        found = found.fill_null(parsed.cast(pl.Int64))
    if not zoned.all():
        notes.append("times without a zone are taken as UTC")
    elif text.str.contains(r"[+-]\d\d:?\d\d$").any() and not text.str.ends_with("+00:00").all():
        notes.append("times with an offset are converted to UTC")
    return found


def _plausible(values: pl.Series, raw: pl.Series, unit: str, notes: list[str]) -> Times:
    remedy = (
        f"give a time from 1970 to 2037 in the unit {unit!r}" if unit != "date" else "give a time from 1970 to 2037"
    )
    if unit == "iso":
        remedy += ", such as 2014-04-07T10:51:09Z or 2014-04-07 12:51:09+02:00"
    in_range = (raw >= 0) & (raw < LAST_MS)
    ms = raw.to_frame().select(pl.when(in_range).then(pl.first()).alias(TS)).to_series()
    early = (ms < FIRST_PLAUSIBLE_MS).fill_null(False)
    other = _other_unit(values, ms, unit)
    if other is not None:
        problem = f"{{}} is no time in {NAMES[unit]}: it looks like {NAMES[other]}"
        fit = "set data.time_unit='auto'" if other in ("us", "ns") else f"set data.time_unit={other!r}"
        return Times(_without(ms, early), unit, tuple(notes), problem, f"{fit}, or give all times in one unit")
    if early.any() and not early.all() and early.sum() * 2 < len(ms):
        problem = "the time {} lies before 1995 while most others do not"
        return Times(_without(ms, early), unit, tuple(notes), problem, "correct it, or leave the line out")
    far = _far_off(ms)
    if far.any():
        problem = "the time {} lies more than ten years from nearly all others"
        return Times(_without(ms, far), unit, tuple(notes), problem, "correct it, or leave the line out")
    if early.any() and ms.null_count() < len(ms):
        notes.append("times before 1995 are taken as they are")
    return Times(ms, unit, tuple(notes), "", remedy)


def _far_off(ms: pl.Series) -> pl.Series:
    """Which times lie more than ten years outside the middle 98 %: one of them would move the cut of a split."""
    low, high = ms.quantile(0.01, "lower"), ms.quantile(0.99, "higher")
    if low is None or high is None:
        return pl.repeat(False, len(ms), eager=True)
    return ((ms < low - FAR_MS) | (ms > high + FAR_MS)).fill_null(False)


def _without(ms: pl.Series, wrong: pl.Series) -> pl.Series:
    return ms.to_frame().select(pl.when(~wrong).then(pl.first()).alias(TS)).to_series()


def _other_unit(values: pl.Series, ms: pl.Series, unit: str) -> str | None:
    """The unit in which the first value that is bad or early would lie between 1995 and 2038."""
    if unit == "date":
        return None
    numbers = values.cast(pl.Float64, strict=False)
    suspect = numbers.filter((ms.is_null() | (ms < FIRST_PLAUSIBLE_MS)) & numbers.is_not_null())
    if len(suspect) == 0:
        return None
    for other, size in UNITS.items():
        if other != unit and FIRST_PLAUSIBLE_MS <= suspect[0] / size < LAST_MS:
            return other
    return None


def parse_dates(values: pl.Series, unit: str) -> pl.Series:
    """Int64 unix milliseconds of days in many spellings, null where there is none: publication dates.

    Years (``1995``), ``2017-09-19``, ``September 19, 2017``, ``01-Jan-1995``, a title that ends with ``(1995)``, or a
    time in the unit of the log.
    """
    if isinstance(values.dtype, pl.Datetime) or values.dtype == pl.Date:
        return values.cast(pl.Datetime("ms")).cast(pl.Int64)
    text = values.cast(pl.String).str.strip_chars()
    found = _texts(text, [])
    for form in ("%B %d, %Y", "%b %d, %Y", "%d-%b-%Y", "%m/%d/%Y", "%Y%m%d"):
        found = found.fill_null(text.str.to_date(form, strict=False).cast(pl.Datetime("ms")).cast(pl.Int64))
    year = text.str.extract(r"^(\d{4})(?:\.0)?$").fill_null(text.str.extract(r"\((\d{4})\)$"))
    found = found.fill_null(year.str.to_date("%Y", strict=False, exact=True).cast(pl.Datetime("ms")).cast(pl.Int64))
    numbers = text.to_frame().select(pl.when(pl.first().str.contains(r"^\d{9,}(\.\d+)?$")).then(pl.first())).to_series()
    if numbers.null_count() == len(numbers):
        return found
    return found.fill_null(_numbers(numbers, guess_unit(numbers) if unit in ("auto", "iso") else unit))
