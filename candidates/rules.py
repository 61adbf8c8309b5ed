"""Rules: a Python function on one session, spread over processes by pandarallel; the place for a rule of your own."""

import multiprocessing
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
import pandarallel.core
import pandas as pd

from candidates.popularity import popular_items
from candidates.rule_worker import LOG, TABLES, apply_rule, open_rule, work
from candidates.settings import RulesSettings
from events.columns import TARGETS
from events.lists import Lists
from events.log import SessionLog

POPULAR_DEPTH = 100
"""Items in each table ``popular_<target>``."""

_one_at_a_time = Lock()  # pandarallel keeps its settings in pandas itself


class Rules:
    """Items of each session by ``rule(session, tables, target)``, ``settings.function``; score 1 / (1 + place).

    session : ``candidates.rule_worker.Session``, arrays ``aids``, ``ts``, ``types``
    tables  : the matrices handed in, and ``popular_<target>``, one list of the most frequent items of the last days

    A rule must depend on its arguments alone, and return items best first; repeats are dropped. From
    ``parallel_from`` sessions on it runs in worker processes, which are spawned, not forked (a forked worker hangs
    when the parent has used Polars or numba's threads): the rule must then be importable, and a script that asks
    must guard its main part by ``if __name__ == "__main__"``. Both ways give the same lists.
    """

    own_workers = True

    def __init__(self, name: str, settings: RulesSettings, matrices: Mapping[str, Lists], threads: int = 1) -> None:
        self.name = name
        self.settings = settings
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self.workers = settings.workers or threads
        self._matrices = dict(matrices)
        self._popular = Lists.empty(0)
        self._rule = open_rule(settings.function)
        self._tables_folder: tempfile.TemporaryDirectory[str] | None = None

    def fit(self, log: SessionLog) -> Self:
        """Count the popular items."""
        self.targets = TARGETS if log.has_types else TARGETS[:1]
        self._popular = popular_items(log, self.settings.days, POPULAR_DEPTH)
        return self

    @property
    def tables(self) -> dict[str, Lists]:
        """What the rule is given."""
        popular = {f"popular_{target}": self._popular.slice(t, t + 1) for t, target in enumerate(self.targets)}
        return {**self._matrices, **popular}

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        """At most ``k`` of the rule's items for each session; without a target, those for clicks."""
        target = TARGETS[0] if target is None else target
        if self.workers <= 1 or len(log) < self.settings.parallel_from:
            tables, path = self.tables, self.settings.function
            found = [apply_rule(self._rule, path, log, tables, target, s) for s in range(len(log))]
        else:
            found = self._in_workers(log, target)
        return _lists(found, k)

    def _in_workers(self, log: SessionLog, target: str) -> list[list[int]]:
        with tempfile.TemporaryDirectory(prefix="cartograph-rules-") as folder, _one_at_a_time:
            (Path(folder) / LOG).mkdir()
            log.save(Path(folder) / LOG)
            (Path(folder) / TABLES).symlink_to(self._saved_tables(), target_is_directory=True)
            task = partial(work, path=self.settings.function, folder=folder, target=target)
            bar = self.settings.progress and sys.stdout.isatty()
            pandarallel.core.CONTEXT = multiprocessing.get_context("spawn")
            pandarallel.core.pandarallel.initialize(
                nb_workers=self.workers, progress_bar=bar, verbose=0, use_memory_fs=False
            )
            found: list[list[int]] = pd.Series(np.arange(len(log))).parallel_apply(task).tolist()
            return found

    def _saved_tables(self) -> Path:
        """The tables as files, written once; removed with this object."""
        if self._tables_folder is None:
            self._tables_folder = tempfile.TemporaryDirectory(prefix="cartograph-tables-", ignore_cleanup_errors=True)
            for name, lists in self.tables.items():
                path = Path(self._tables_folder.name) / name
                path.mkdir()
                lists.save(path)
        return Path(self._tables_folder.name)

    def save(self, folder: Path) -> None:
        """Write the popular items, one list a target."""
        self._popular.save(folder)

    def load(self, folder: Path) -> Self:
        """Open the popular items."""
        self._popular = Lists.load(folder)
        self.targets = TARGETS[: len(self._popular)]
        return self


def _lists(found: list[list[int]], k: int) -> Lists:
    """Lists from items in order; score 1 / (1 + place)."""
    offsets = np.zeros(len(found) + 1, np.int64)
    np.cumsum([min(len(items), k) for items in found], out=offsets[1:])
    aids = np.fromiter((aid for items in found for aid in items[:k]), np.int32, int(offsets[-1]))
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    return Lists(offsets, aids, (1.0 / (1.0 + places)).astype(np.float32))
