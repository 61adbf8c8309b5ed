"""Vectors of items that the user supplies, by the source's ids."""

from pathlib import Path

import numpy as np
import polars as pl

from events.arrays import F32, F64, I64
from events.errors import InputError
from events.index import IdIndex
from events.knowledge.settings import VectorsSettings
from events.knowledge.text import unit_rows

ID = "id"


def read_vectors(settings: VectorsSettings, items: IdIndex) -> F32:
    """float32[n_items, d] of length 1; 0 for items that the file lacks. Ids that no item has are passed over.

    Raises
    ------
    InputError
        If a file is missing or unreadable, ids and vectors do not fit, an id repeats, a number is not finite, or no id
        is an item's.
    """
    path = settings.path
    for one in (path, settings.ids):
        if one is not None and not one.exists():
            raise InputError(one, None, "no such file", f"correct the paths of the vectors {settings.name!r}")
    if settings.ids is not None:
        ids, vectors = _read_ids(settings.ids), _read_npy(path)
        if len(ids) != len(vectors):
            raise InputError(settings.ids, None, f"{len(ids):,} ids for {len(vectors):,} vectors", "give one id a row")
    else:
        ids, vectors = _read_parquet(path)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise InputError(path, None, f"the vector of row {row} has a number that is not finite", "leave the row out")
    if ids.null_count() or ids.n_unique() != len(ids):
        raise InputError(settings.ids or path, None, "an id is missing or repeats", "give each item one vector")
    rows = _rows(ids, items, settings.ids or path)
    found = rows >= 0
    if not found.any():
        example = f"such as {ids[0]!r}, where the shop has ids such as {items.ids[0]!r}" if len(ids) else "it is empty"
        raise InputError(
            settings.ids or path, None, f"no id is one of the shop's: {example}", "give the shop's own ids"
        )
    out = np.zeros((len(items), vectors.shape[1]), np.float32)
    out[rows[found]] = unit_rows(vectors[found])
    return out


def _rows(ids: pl.Series, items: IdIndex, path: Path) -> I64:
    try:
        return items.rows(ids if items.is_integer or ids.dtype == pl.String else ids.cast(pl.String))
    except pl.exceptions.PolarsError:
        raise InputError(
            path, None, "ids are text, where the shop's are whole numbers", "give the shop's ids"
        ) from None


def _read_ids(path: Path) -> pl.Series:
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
            return table[ID] if ID in table.columns else table.to_series(0)
        return pl.Series(ID, path.read_text(encoding="utf-8").splitlines(), pl.String)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise InputError(path, None, f"cannot be read: {str(error).splitlines()[0]}", "give one id a row") from None


def _read_npy(path: Path) -> F64:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(path, None, f"not an array: {error}", "write it by numpy.save") from None
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        problem = f"an array {vectors.dtype} of {vectors.ndim} dimensions"
        raise InputError(path, None, problem, "give float[n, d], a row an item")
    wide: F64 = vectors.astype(np.float64)
    return wide


def _read_parquet(path: Path) -> tuple[pl.Series, F64]:
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InputError(path, None, f"cannot be read: {str(error).splitlines()[0]}", "give a Parquet file") from None
    if ID not in table.columns or table.width < 2:
        raise InputError(path, None, f"columns {', '.join(table.columns)}", "give id and the vector")
    rest = table.drop(ID)
    column = rest.to_series(0)
    if rest.width == 1 and isinstance(column.dtype, pl.List | pl.Array):
        widths = (column.list if isinstance(column.dtype, pl.List) else column.arr).len()
        if widths.n_unique() != 1 or widths.null_count():
            raise InputError(path, None, "vectors are of several lengths or missing", "give each item one of the same")
        flat = column.explode().cast(pl.Float64).fill_null(float("nan"))
        return table[ID], flat.to_numpy().reshape(len(column), -1)
    if not all(one.dtype.is_numeric() for one in rest):
        raise InputError(path, None, "columns beside id are not numbers", "give id and the vector")
    return table[ID], rest.select(pl.all().cast(pl.Float64).fill_null(float("nan"))).to_numpy()
