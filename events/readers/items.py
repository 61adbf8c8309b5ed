"""What a shop's files say of items: category path, brand, price, text, date of publication."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import polars as pl

from events.columns import AID
from events.errors import InputError
from events.readers.csvfile import Dialect, read_columns
from events.readers.jsonfile import is_json, read_json_columns
from events.readers.report import BadLines
from events.readers.table import read_ids
from events.readers.times import parse_dates
from events.settings import CategoryTreeSettings, DataSettings, ItemFileSettings

CATEGORY, BRAND, PRICE, TEXT, PUBLISHED = "category", "brand", "price", "text", "published"
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    CATEGORY: pl.List(pl.String),
    BRAND: pl.String,
    PRICE: pl.Float32,
    TEXT: pl.String,
    PUBLISHED: pl.Int64,
}
"""Columns of the table of items, in order."""

PROPERTY, VALUE, TIME = "property", "value", "time"
MISSING = ("", "na", "n/a", "nan", "none", "null", "—")
"""Texts that stand for nothing, in lower case."""
DEEPEST = 64
"""Levels of a category tree; more are a circle."""
SETTING = "data.items.files.columns"


def read_items(data: DataSettings, skip: bool) -> pl.DataFrame | None:
    """What is known of each item: ``aid`` (Int64 or String, unique) and those of ``SCHEMA`` that the shop has.

    The first known value of each item counts, in the order of the files and their lines (by time, where a ``long`` file
    has it): later values would tell the past of the future. ``None`` without ``data.items``.

    Raises
    ------
    InputError
        If a file or a column is missing, or an item has no id (with the line); if categories form a circle.
    """
    if data.items is None:
        return None
    frames = [_read_file(data.root / one.name, one, data, skip) for one in data.items.files]
    schemas = {frame.schema[AID] for frame in frames}
    whole = reduce(_first_known, frames) if len(schemas) == 1 else None
    if whole is None:
        raise InputError(data.root, None, "item ids are integers in one file and text in another", "set data.text_ids")
    if data.items.tree is not None and CATEGORY in whole.columns:
        whole = _with_paths(whole, _paths(data.root / data.items.tree.name, data.items.tree, data, skip))
    return whole.select(AID, *(name for name in SCHEMA if name in whole.columns))


def _read_file(path: Path, file: ItemFileSettings, data: DataSettings, skip: bool) -> pl.DataFrame:
    """One row an item, its first known values."""
    bad = BadLines(path, skip)
    frame = _read_long(path, file, data, bad) if file.long else _read_wide(path, file, data, bad)
    columns = file.columns
    frame = frame.with_columns(_unpack(frame[name], is_json(path)).alias(name) for name in frame.columns if name != AID)
    known = [frame[AID]]
    if columns.category:
        levels = frame.select(_place(CATEGORY, i) for i in range(len(columns.category)))
        known.append(_category(levels, file.category_separator))
    if columns.brand is not None:
        known.append(_joined(frame, [BRAND], BRAND))
    if columns.price is not None:
        price = _number(_joined(frame, [PRICE], PRICE))
        known.append(pl.select(2.0**price).to_series().alias(PRICE) if file.price_log2 else price)
    if columns.text:
        known.append(_joined(frame, [_place(TEXT, i) for i in range(len(columns.text))], TEXT))
    if columns.published is not None:
        known.append(parse_dates(_joined(frame, [PUBLISHED], PUBLISHED), data.time_unit).alias(PUBLISHED))
    table = pl.DataFrame([known[0], *(one.cast(SCHEMA[one.name]) for one in known[1:])])
    return table.group_by(AID, maintain_order=True).agg(pl.exclude(AID).drop_nulls().first())


def _place(name: str, place: int) -> str:
    return f"{name}_{place}"


def _names(file: ItemFileSettings) -> dict[str, str]:
    """Our names of the file's columns or properties, several to an attribute numbered."""
    columns = file.columns
    names = {_place(CATEGORY, i): name for i, name in enumerate(columns.category)}
    names |= {_place(TEXT, i): name for i, name in enumerate(columns.text)}
    single = {BRAND: columns.brand, PRICE: columns.price, PUBLISHED: columns.published}
    return names | {ours: theirs for ours, theirs in single.items() if theirs is not None}


def _read_wide(path: Path, file: ItemFileSettings, data: DataSettings, bad: BadLines) -> pl.DataFrame:
    return _read(path, file, data, {AID: file.columns.aid} | _names(file), bad)


def _read(
    path: Path, file: ItemFileSettings, data: DataSettings, wanted: dict[str, str], bad: BadLines
) -> pl.DataFrame:
    """The wanted columns of the lines that have an item's id."""
    if is_json(path):
        frame, lines = read_json_columns(path, wanted, bad, SETTING)
    else:
        frame, lines = read_columns(path, Dialect.of(data, file), wanted, bad, SETTING)
    ids, remedy = read_ids(frame[AID], AID, data)
    wrong = ids.is_null().arg_true()
    if len(wrong):
        value = frame[AID][int(wrong[0])]
        problem = "the item's id is missing" if value in (None, "") else f"{value!r} is no aid"
        bad.add(lines(int(wrong[0])), problem, remedy, len(wrong))
    return frame.with_columns(ids.alias(AID)).filter(ids.is_not_null())


def _read_long(path: Path, file: ItemFileSettings, data: DataSettings, bad: BadLines) -> pl.DataFrame:
    """One line a property, as one row an item: the first value of each, by time where there is one."""
    wanted = {AID: file.columns.aid, PROPERTY: file.property_column, VALUE: file.value_column}
    wanted |= {TIME: file.time_column} if file.time_column is not None else {}
    names = _names(file)
    frame = _read(path, file, data, wanted, bad).filter(pl.col(PROPERTY).is_in(list(names.values())))
    if TIME in frame.columns:
        number = pl.col(TIME).cast(pl.Float64, strict=False)
        frame = frame.sort(number, pl.col(TIME), maintain_order=True, nulls_last=True)
    first = frame.unique([AID, PROPERTY], keep="first", maintain_order=True)
    table = first.select(AID).unique(maintain_order=True)
    for ours, theirs in names.items():
        one = first.filter(pl.col(PROPERTY) == theirs).select(AID, pl.col(VALUE).alias(ours))
        table = table.join(one, on=AID, how="left", maintain_order="left")
    return table


def _unpack(values: pl.Series, from_json: bool) -> pl.Series:
    """Lists of text, or text: what a Parquet file holds as lists, and lists in JSON, become lists."""
    if isinstance(values.dtype, pl.List):
        return values.cast(pl.List(pl.String))
    text = values.cast(pl.String).str.strip_chars()
    if from_json and text.str.starts_with("[").any():
        as_list = pl.when(pl.first().str.starts_with("[")).then(pl.first()).otherwise("[" + _quoted(pl.first()) + "]")
        text = text.to_frame().select(as_list).to_series()
        return text.str.json_decode(pl.List(pl.String))
    missing = text.str.to_lowercase().is_in(MISSING)
    return text.to_frame().select(pl.when(~missing).then(pl.first())).to_series()


def _quoted(text: pl.Expr) -> pl.Expr:
    """Text as a JSON string."""
    return '"' + text.str.replace_all(r"\\", r"\\").str.replace_all('"', r"\"") + '"'


def _category(levels: pl.DataFrame, separator: str | None) -> pl.Series:
    """Paths from the root to the leaf: the levels one behind the other, each itself a path if it is a list or text with
    separators; null without any."""
    paths: list[pl.Expr] = []
    for name, dtype in levels.schema.items():
        column = pl.col(name)
        if not isinstance(dtype, pl.List):
            column = column.str.split(separator) if separator is not None else pl.concat_list(column)
        paths.append(pl.when(pl.col(name).is_not_null()).then(column).otherwise(pl.lit([], pl.List(pl.String))))
    path = pl.concat_list(paths).list.eval(pl.element().str.strip_chars()).list.drop_nulls()
    path = path.list.eval(pl.element().filter(pl.element() != ""))
    return levels.select(pl.when(path.list.len() > 0).then(path).alias(CATEGORY)).to_series()


def _joined(frame: pl.DataFrame, names: Sequence[str], out: str) -> pl.Series:
    """The text of these columns joined by spaces, null where all are."""
    parts = [
        pl.col(name).list.drop_nulls().list.join(" ") if isinstance(frame.schema[name], pl.List) else pl.col(name)
        for name in names
    ]
    text = pl.concat_str(parts, separator=" ", ignore_nulls=True).str.replace_all(r"\s+", " ").str.strip_chars()
    return frame.select(pl.when(text != "").then(text).alias(out)).to_series()


def _number(values: pl.Series) -> pl.Series:
    """The first number in each text, null where there is none or it is negative; commas divide thousands, or decimals
    if one or two digits follow at the end."""
    text = values.str.extract(r"(-?\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?)").str.replace(r",(\d{1,2})$", ".$1")
    numbers = text.str.replace_all(",", "").cast(pl.Float32, strict=False).to_frame()
    return numbers.select(pl.when(pl.first().is_finite() & (pl.first() >= 0)).then(pl.first())).to_series()


def _first_known(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Both tables as one; where both know something, the first counts."""
    both = a.join(b, on=AID, how="full", coalesce=True, suffix="__b", maintain_order="left_right")
    shared = [name for name in b.columns if name != AID and name in a.columns]
    return both.with_columns(pl.coalesce(name, f"{name}__b") for name in shared).drop(f"{name}__b" for name in shared)


def _paths(path: Path, tree: CategoryTreeSettings, data: DataSettings, skip: bool) -> pl.DataFrame:
    """``leaf`` and ``path`` of each category of the tree, from the root to the leaf."""
    wanted = {"leaf": tree.category, "parent": tree.parent}
    frame, _ = read_columns(path, Dialect.of(data, tree), wanted, BadLines(path, skip), "data.items.tree")
    frame = frame.select(pl.all().cast(pl.String).str.strip_chars()).filter(pl.col("leaf") != "")
    frame = frame.with_columns(pl.when(pl.col("parent") != "").then("parent")).unique("leaf", keep="first")
    parents = frame.select(pl.col("leaf").alias("top"), pl.col("parent").alias("above"))
    paths = frame.select("leaf", pl.concat_list("leaf").alias("path"), pl.col("parent").alias("top"))
    for _ in range(DEEPEST):
        if paths["top"].null_count() == paths.height:
            return paths.select("leaf", "path").sort("leaf")
        longer = pl.when(pl.col("top").is_not_null()).then(pl.concat_list("top", "path")).otherwise("path")
        paths = paths.with_columns(longer.alias("path")).join(parents, on="top", how="left")
        paths = paths.select("leaf", "path", pl.col("above").alias("top"))
    circle = paths.filter(pl.col("top").is_not_null())["leaf"].sort()
    raise InputError(path, None, f"category {circle[0]} lies under itself", "correct the parents of the categories")


def _with_paths(items: pl.DataFrame, paths: pl.DataFrame) -> pl.DataFrame:
    """The items with the whole path of their leaf; a leaf that the tree lacks stays as it is."""
    leaf = items.with_columns(pl.col(CATEGORY).list.last().alias("leaf"))
    joined = leaf.join(paths, on="leaf", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("path", CATEGORY).alias(CATEGORY)).drop("leaf", "path")
