"""Some sessions as they are: what was seen, what came next, and what was recommended."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS
from events.files import need_array
from events.index import IdIndex
from events.labels import Labels
from events.lists import Lists
from events.log import SessionLog
from events.passes import VALIDATION, PassData

COUNT = 10
SEED = 0
SHOWN = 14
"""Events of the history and items of the truth that are shown."""

UNKNOWN_ITEM = "not in the log"

Rows = npt.NDArray[np.int64]


def examples(run: Path, k: int, count: int = COUNT, seed: int = SEED) -> list[dict[str, Any]]:
    """Sessions of the validation week with their out-of-fold lists; drawn, not picked.

    Some with orders to come, some with carts but no orders, the others with a click, as far as there are such.

    Each is ``{"session", "events", "history": [{"item", "type", "ago"}, …], "truth": {target: [item, …]},
    "lists": {target: [{"item", "hit", "seen"}, …]}}``: the history newest first, ``type`` and ``ago`` (seconds
    before the last event) ``None`` where the shop lacks them.

    Raises
    ------
    InputError
        If a stage has not run.
    """
    data, items = PassData.load(run / "prepared" / VALIDATION), IdIndex.load(run / "prepared" / "items.parquet")
    folder = run / VALIDATION / "rank"
    reported = np.asarray(need_array(folder, "reported"))
    lists = {
        target: Lists.load(folder / "lists" / target) for target in TARGETS if (folder / "lists" / target).is_dir()
    }
    if data.labels is None:
        return []
    names = _Names(items)
    places = draw(data.labels, reported, count, seed)
    return [_example(data, data.labels, lists, names, int(reported[place]), int(place), k) for place in places]


def draw(labels: Labels, reported: Rows, count: int, seed: int) -> Rows:
    """int64[≤ count] places in ``reported``, ascending: four in ten with orders, three with carts, the rest others."""
    rng = np.random.default_rng(seed)
    left = rng.permutation(reported.size)
    chosen: list[int] = []
    quota = {"orders": round(0.4 * count), "carts": round(0.3 * count), "clicks": count}
    for target, most in quota.items():
        if target in labels:
            sizes = np.diff(labels[target].offsets)[reported[left]]
            found = left[sizes > 0][: min(most, count - len(chosen))]
            chosen += found.tolist()
            left = left[~np.isin(left, found)]
    return np.sort(np.array(chosen, np.int64))


class _Names:
    """Source ids of dense rows, as text."""

    def __init__(self, items: IdIndex) -> None:
        self._items = items

    def __call__(self, aids: npt.NDArray[np.int32]) -> list[str]:
        known = self._items.take(np.maximum(aids, 0)).cast(str).to_list() if aids.size else []
        return [UNKNOWN_ITEM if aid < 0 else name for aid, name in zip(aids.tolist(), known, strict=True)]


def _example(
    data: PassData, labels: Labels, lists: Mapping[str, Lists], names: _Names, row: int, place: int, k: int
) -> dict[str, Any]:
    log = data.log.slice(data.n_train + row, data.n_train + row + 1)
    truth = {target: one.row(row) for target, one in labels.items()}
    return {
        "session": str(data.target_ids[row]),
        "events": log.n_events,
        "history": _history(log, names),
        "truth": {target: names(aids) for target, aids in truth.items()},
        "lists": {target: _list(one.row(place)[0][:k], truth.get(target), log, names) for target, one in lists.items()},
    }


def _history(log: SessionLog, names: _Names) -> list[dict[str, Any]]:
    shown = slice(None, -SHOWN - 1, -1)
    ts = None if log.ts is None else (log.ts[-1] - log.ts[shown]).tolist()
    types = None if log.types is None else [TARGETS[code] for code in log.types[shown].tolist()]
    return [
        {"item": name, "type": None if types is None else types[i], "ago": None if ts is None else ts[i]}
        for i, name in enumerate(names(log.aids[shown]))
    ]


def _list(
    aids: npt.NDArray[np.int32], truth: npt.NDArray[np.int32] | None, log: SessionLog, names: _Names
) -> list[dict[str, Any]]:
    hits = np.zeros(aids.size, np.bool_) if truth is None else np.isin(aids, truth)
    seen = np.isin(aids, log.aids)
    return [
        {"item": name, "hit": bool(hit), "seen": bool(old)}
        for name, hit, old in zip(names(aids), hits, seen, strict=True)
    ]
