"""Categories of the items, where the shop has some: the column ``category`` of ``items.parquet``, a path an item."""

from pathlib import Path

import numpy as np
import polars as pl

from events.arrays import I32, I64
from events.errors import InputError

CATEGORY = "category"


def load_categories(path: Path) -> pl.Series | None:
    """series[n_items] of lists of names, from the broadest to the narrowest, null or empty where an item has none.

    ``None`` if the file has no column ``category``: the shop has no categories.

    Raises
    ------
    InputError
        If the file is missing, or the column holds something else than lists.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "run the stage prepare first")
    if CATEGORY not in pl.read_parquet_schema(path):
        return None
    found = pl.read_parquet(path, columns=[CATEGORY])[CATEGORY]
    if not isinstance(found.dtype, pl.List):
        raise InputError(path, None, f"the column {CATEGORY} holds {found.dtype}, not lists of names", "write lists")
    return found.cast(pl.List(pl.String))


def need_categories(path: Path) -> pl.Series:
    """As :func:`load_categories`, where they are asked for.

    Raises
    ------
    InputError
        Also if the shop has no categories.
    """
    found = load_categories(path)
    if found is None:
        problem = "this shop's items have no column category"
        raise InputError(path, None, problem, "give an item table with categories, or do without rerank.category_cap")
    return found


def level_codes(categories: pl.Series, level: int = -1) -> I32:
    """int32[n_items] code of each item's category at one level of its path; -1 where it has none.

    level : 0 is the broadest, -1 the narrowest; a path that is too short for it counts with its nearest end

    >>> level_codes(pl.Series([["a", "b"], ["a"], None, ["a", "b"]])).tolist()
    [1, 0, -1, 1]
    """
    sizes = categories.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    place = np.clip(level if level >= 0 else sizes + level, 0, np.maximum(sizes - 1, 0))
    # The whole path up to there names a category: shoes of women are not those of men.
    paths = pl.DataFrame({"path": categories, "length": np.minimum(place + 1, sizes)})
    names = pl.col("path").list.head(pl.col("length")).list.join("\x1f")
    codes = pl.when(pl.col("length") > 0).then(names).rank("dense").cast(pl.Int32).fill_null(0) - 1
    return paths.select(codes).to_series().to_numpy()


def category_sets(categories: pl.Series) -> tuple[I64, I32]:
    """int64[n_items+1] and int32[M]: the different categories of each item as ascending codes.

    >>> [part.tolist() for part in category_sets(pl.Series([["b", "a"], None, ["a", "a"]]))]
    [[0, 2, 2, 3], [0, 1, 0]]
    """
    items = pl.DataFrame({"item": np.arange(len(categories)), "name": categories})
    pairs = items.filter(pl.col("name").list.len() > 0).explode("name").drop_nulls().unique()
    codes = pairs["name"].rank("dense").cast(pl.Int32) - 1
    pairs = pairs.with_columns(codes.alias("code")).sort("item", "code")
    offsets = np.searchsorted(pairs["item"].to_numpy(), np.arange(len(categories) + 1)).astype(np.int64)
    return offsets, pairs["code"].to_numpy()
