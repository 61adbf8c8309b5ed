"""A peer without a library: ``good`` answers with own and popular items, ``short`` leaves out a row, ``bad`` fails."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.exchange import I32, TOP, Rows, answer, own_items_first


def fit(rows: Rows, settings: dict[str, Any]) -> Callable[[], I32]:
    """Nothing to learn."""
    if settings["kind"] == "bad":
        raise SystemExit(3)
    n = rows.n_test - (settings["kind"] == "short")
    popular = np.bincount(rows.items, minlength=rows.n_items).argsort(kind="stable")[::-1][:TOP]
    return lambda: own_items_first(rows, np.tile(popular.astype(np.int32), (rows.n_test, 1)))[:n]


if __name__ == "__main__":
    answer(fit)
