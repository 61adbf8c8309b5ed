"""The pool: the union of what the sources propose, one row per (session, item), in plain arrays of one reused arena."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from events.lists import Lists

ABSENT = -1
"""Rank of an item that a source did not propose."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of S sessions, R rows in all, sorted by session and item: an order that knows no label.

    offsets : int64[S+1]  rows of session s are ``offsets[s]:offsets[s+1]``
    aids    : int32[R]    ascending in a session
    names   : C column names, ``<source>`` or ``<source>_<target>``
    ranks   : int16[C, R] place in that source's list, 0 is best; ``ABSENT`` (-1) if it did not propose the item
    scores  : float32[C, R] score there; NaN if it did not propose the item

    The arrays are views into an :class:`Arena` and are overwritten by its next pool.
    """

    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    names: tuple[str, ...]
    ranks: npt.NDArray[np.int16]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Number of rows R."""
        return self.aids.size

    @property
    def n_sessions(self) -> int:
        """Number of sessions S."""
        return self.offsets.size - 1

    def owner(self) -> npt.NDArray[np.int64]:
        """int64[R] the session (0 to S-1) of each row."""
        return np.repeat(np.arange(self.n_sessions), np.diff(self.offsets))

    def frame(self) -> pl.DataFrame:
        """The rows as a Polars frame: ``session`` (row in the chunk), ``aid``, ``rank_…`` and ``score_…``."""
        columns: dict[str, Any] = {"session": self.owner(), "aid": self.aids}
        for c, name in enumerate(self.names):
            columns[f"rank_{name}"] = self.ranks[c]
            columns[f"score_{name}"] = self.scores[c]
        return pl.DataFrame(columns)


@dataclass(slots=True)
class Arena:
    """Named buffers that are reused from chunk to chunk: fresh memory costs page faults (about 2 s a GB)."""

    buffers: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """An uninitialised array of this shape: a view into the buffer of this name, which grows where it must."""
        size = int(np.prod(shape))
        held = self.buffers.get(name)
        if held is None or held.size < size or held.dtype != np.dtype(dtype):
            held = np.empty(size + size // 4, dtype)
            self.buffers[name] = held
        return held[:size].reshape(shape)


def build_pool(lists: Mapping[str, Lists], arena: Arena) -> Candidates:
    """The union of every source's lists for the same S sessions.

    lists : column name to the lists of that source, all of S sessions; the order of the names is the order of the columns

    Returns candidates in the arena's buffers. Results do not depend on how sessions are cut into chunks.
    """
    raise ValueError("to be built")
