"""The tables of items and sessions that the stage ``prepare`` writes, as arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from events.arrays import F32, I32, I64
from events.errors import InputError
from events.knowledge.settings import KnowledgeSettings

UNKNOWN = -1
"""Code of an unknown category or brand."""
NEVER = np.iinfo(np.int64).min
"""Time of publication where it is unknown."""
KINDS: dict[str, tuple[str, Any]] = {
    "category": ("a list of text, from the root to the leaf", lambda t: t == pl.List(pl.String)),
    "brand": ("text", lambda t: t == pl.String),
    "price": ("a number", lambda t: t.is_numeric()),
    "text": ("text", lambda t: t == pl.String),
    "published": ("a whole number, unix milliseconds", lambda t: t.is_integer()),
}
REMEDY = "run the stage prepare again"


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """What a shop knows of its n items; ``None`` where it knows nothing of the kind.

    leaf      : int32[n] code of the whole category path, -1 where unknown; the same leaf under two parents are two
    parent    : int32[n] code of the path without its leaf, -1 where unknown or empty; ``None`` where no path has two
    brand     : int32[n], -1 where unknown
    price     : float32[n], NaN where unknown, not negative
    published : int64[n] unix seconds, ``NEVER`` where unknown
    text      : String[n], null where unknown
    """

    leaf: I32 | None = None
    parent: I32 | None = None
    brand: I32 | None = None
    price: F32 | None = None
    published: I64 | None = None
    text: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class UserColumns:
    """What a shop knows of the S sessions of a pass.

    numeric     : name to float32[S], NaN where unknown
    categorical : name to String[S], null where unknown
    """

    numeric: dict[str, F32]
    categorical: dict[str, pl.Series]


def read_items(path: Path, settings: KnowledgeSettings) -> ItemColumns:
    """The columns of ``items.parquet`` that the settings name and the file has.

    Raises
    ------
    InputError
        If a column is of another type, a price is negative or infinite, or a name in a path is null.
    """
    there = pl.read_parquet_schema(path)
    names: list[str] = [name for name in settings.columns if name in there]
    for name in names:
        wanted, fits = KINDS[name]
        if there[name] != pl.Null and not fits(there[name]):
            raise InputError(path, None, f"column {name} is {there[name]}, not {wanted}", REMEDY)
    table = pl.read_parquet(path, columns=names)
    # A column that is wholly null says nothing.
    table = table.select(column for column in table if column.null_count() < table.height)
    leaf = parent = None
    if "category" in table.columns:
        leaf, parent = _categories(table["category"], path)
    brand = _codes(table["brand"]) if "brand" in table.columns else None
    published = None
    if "published" in table.columns:
        stamps = table["published"].cast(pl.Int64)
        published = (stamps // 1000).fill_null(NEVER).to_numpy().astype(np.int64)
    price = None
    if "price" in table.columns:
        price = table["price"].cast(pl.Float32).fill_null(float("nan")).to_numpy().astype(np.float32)
        wrong = np.flatnonzero((price < 0) | np.isinf(price))
        if wrong.size:
            raise InputError(path, None, f"the price of item row {wrong[0]} is {price[wrong[0]]}", "correct the prices")
    return ItemColumns(leaf, parent, brand, price, published, table["text"] if "text" in table.columns else None)


def _categories(paths: pl.Series, file: Path) -> tuple[I32 | None, I32 | None]:
    """Codes of whole paths, and of paths without their leaves."""
    if paths.list.eval(pl.element().is_null().any()).list.any().any():
        raise InputError(file, None, "a category path holds a null", REMEDY)
    path = pl.col("path")
    depth = path.list.len().fill_null(0).cast(pl.Int64)
    # A character that no name holds keeps ["a", "b c"] and ["a b", "c"] apart.
    both = pl.DataFrame({"path": paths}).select(
        leaf=pl.when(depth > 0).then(path.list.join("\x00")),
        parent=pl.when(depth > 1).then(path.list.head((depth - 1).clip(0)).list.join("\x00")),
    )
    return _codes(both["leaf"]), _codes(both["parent"])


def _codes(names: pl.Series) -> I32 | None:
    """int32[n] place of each name among the sorted ones, -1 for null; ``None`` if all are."""
    if names.null_count() == len(names):
        return None
    codes = names.rank("dense").cast(pl.Int32) - 1
    return codes.fill_null(UNKNOWN).to_numpy().astype(np.int32)


def read_users(path: Path, settings: KnowledgeSettings, rows: int) -> UserColumns:
    """The columns of ``users.parquet`` that the settings name, of ``rows`` sessions.

    Raises
    ------
    InputError
        If it has not a row for each session, lacks a column that is named, or one is neither a number nor text.
    """
    there = pl.read_parquet_schema(path)
    names = list(there) if settings.users is None else list(settings.users)
    for name in names:
        if name not in there:
            known = ", ".join(there) or "none"
            raise InputError(path, None, f"there is no column {name}", f"set knowledge.users to some of: {known}")
    table = pl.read_parquet(path, columns=names)
    if names and table.height != rows:
        raise InputError(path, None, f"{table.height:,} rows, but the pass has {rows:,} sessions", REMEDY)
    numeric: dict[str, F32] = {}
    categorical: dict[str, pl.Series] = {}
    for name in names:
        column = table[name]
        if column.dtype == pl.String:
            categorical[name] = column
        elif column.dtype.is_numeric() or column.dtype == pl.Boolean:
            values = column.cast(pl.Float32).fill_null(float("nan")).to_numpy().astype(np.float32)
            numeric[name] = np.where(np.isfinite(values), values, np.float32(np.nan))
        elif column.dtype != pl.Null:
            raise InputError(path, None, f"column {name} is {column.dtype}, neither a number nor text", REMEDY)
    return UserColumns(numeric, categorical)
