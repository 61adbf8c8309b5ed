"""Pairs of a user and an item with a target: what rating and click files hold."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from events.arrays import F32, I32, I64
from events.columns import AID, SESSION
from events.index import IdIndex
from events.readers import read
from events.readers.table import VALUE
from events.settings import DataSettings, EventsSettings


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs; those of a user need not stand together.

    users, items : int32[P] dense rows, below ``n_users`` and ``n_items``;  targets : float32[P]

    >>> pairs = Pairs.of([0, 0, 1], [2, 1, 2], [5, 3, 4])
    >>> pairs.n_users, pairs.n_items, pairs.last_of_users().tolist()
    (2, 3, [1, 2])
    """

    users: I32
    items: I32
    targets: F32
    n_users: int
    n_items: int

    @classmethod
    def of(cls, users: list[int], items: list[int], targets: list[float]) -> "Pairs":
        """Pairs from lists: for examples and tests."""
        arrays = np.array(users, np.int32), np.array(items, np.int32), np.array(targets, np.float32)
        return cls(*arrays, max(users, default=-1) + 1, max(items, default=-1) + 1)

    def __len__(self) -> int:
        return self.users.size

    def take(self, rows: I64) -> "Pairs":
        """These pairs, of as many users and items as before."""
        return Pairs(self.users[rows], self.items[rows], self.targets[rows], self.n_users, self.n_items)

    def split(self, share: float, seed: int) -> tuple["Pairs", "Pairs"]:
        """A random ``share`` of the pairs held out: the others, and these."""
        order = np.random.default_rng(seed).permutation(len(self))
        held_out = round(share * len(self))
        return self.take(np.sort(order[held_out:])), self.take(np.sort(order[:held_out]))

    def last_of_users(self) -> I64:
        """Row of the last pair of each user that has any, by ascending user."""
        last = np.full(self.n_users, -1, np.int64)
        last[self.users] = np.arange(len(self))  # of several the last is kept
        return last[last >= 0]


@dataclass(frozen=True, slots=True)
class NamedPairs:
    """Pairs, and the source ids of their users and items."""

    pairs: Pairs
    users: IdIndex
    items: IdIndex


def read_pairs(data: DataSettings, events: EventsSettings | None = None) -> NamedPairs:
    """Read a train file of the kind ``ratings`` or ``targets``.

    Pairs are ordered by user, then by time where the file has it, then by their place in the file.

    Raises
    ------
    InputError
        If the file is missing or malformed.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        read(data, events or EventsSettings(), "train", path)
        frame = pl.read_parquet(path)
    users, items = IdIndex.of(frame[SESSION]), IdIndex.of(frame[AID])
    rows = users.rows(frame[SESSION]).astype(np.int32), items.rows(frame[AID]).astype(np.int32)
    return NamedPairs(Pairs(*rows, frame[VALUE].to_numpy().astype(np.float32), len(users), len(items)), users, items)
