"""What the RecTools peers share: rows as its datasets, its recommendations as lists.

Users are train sequences or prefixes, items keep their numbers; an event's time is its place, one second apart.
"""

from typing import Any

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset, IdMap, Interactions

from benchmarks.peers.exchange import I32, I64, NOTHING, TOP, Rows


def dataset(offsets: I64, items: I32, n_items: int) -> Dataset:
    """A dataset of sequences; user s is sequence s."""
    lengths = np.diff(offsets)
    places = np.arange(items.size) - np.repeat(offsets[:-1], lengths)
    frame = pd.DataFrame(
        {
            Columns.User: np.repeat(np.arange(lengths.size), lengths),
            Columns.Item: items.astype(np.int64),
            Columns.Weight: np.ones(items.size),
            Columns.Datetime: places.astype("datetime64[s]"),
        }
    )
    users, known = IdMap.from_values(np.arange(lengths.size)), IdMap.from_values(np.arange(n_items))
    return Dataset(users, known, Interactions(frame))


def datasets(rows: Rows) -> tuple[Dataset, Dataset]:
    """The train sequences and the prefixes."""
    train = dataset(rows.offsets, rows.items, rows.n_items)
    return train, dataset(rows.test_offsets, rows.test_items, rows.n_items)


def lists_of(model: Any, asked: Dataset, n_test: int) -> I32:
    """int32[R, TOP] what a fitted model recommends, repeats allowed; whom it cannot serve gets an empty list."""
    users = np.arange(n_test)
    recommended = model.recommend(users, asked, k=TOP, filter_viewed=False, on_unsupported_targets="ignore")
    lists = np.full((n_test, TOP), NOTHING, np.int32)
    users, ranks = recommended[Columns.User].to_numpy(), recommended[Columns.Rank].to_numpy()
    lists[users, ranks - 1] = recommended[Columns.Item].to_numpy()
    return lists
