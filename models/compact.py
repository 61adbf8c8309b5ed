"""Items numbered by a fitted log alone: what is fitted does not depend on items that no fitted session holds."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from events.arrays import F32, I32, I64, Flags
from events.log import SessionLog


@dataclass(frozen=True, slots=True)
class KnownItems:
    """The items of a log, renumbered from 0 in their order.

    The item index of a run also holds items of hidden events. Random numbers that go by rows of the index would let
    them change what is learned; and rows that are never learned would cost memory.

    known : bool[n_items]
    """

    known: Flags

    @classmethod
    def of(cls, log: SessionLog) -> Self:
        """The items that occur in a log."""
        known = np.zeros(log.n_items, np.bool_)
        known[log.aids] = True
        return cls(known)

    @property
    def count(self) -> int:
        """Number of known items."""
        return int(np.count_nonzero(self.known))

    def numbers(self) -> I32:
        """int32[n_items]: the number of each known item, -1 of the others."""
        numbers = np.cumsum(self.known, dtype=np.int32) - 1
        numbers[~self.known] = -1
        return numbers

    def renumber(self, log: SessionLog) -> SessionLog:
        """The log, of known items only, with their numbers."""
        return replace(log, aids=self.numbers()[log.aids], n_items=self.count)

    def spread(self, vectors: F32) -> F32:
        """float32[n_items, d] of vectors float32[count, d]; 0 for unknown items."""
        if vectors.shape[0] == self.known.size:
            return vectors
        spread = np.zeros((self.known.size, vectors.shape[1]), np.float32)
        spread[self.known] = vectors
        return spread


def keep_known(log: SessionLog, known: Flags) -> tuple[SessionLog, I64 | None]:
    """The log without events on unknown items, and int64 places of those kept; ``None`` if all are."""
    kept = known[log.aids]
    if kept.all():
        return log, None
    before = np.zeros(log.n_events + 1, np.int64)
    np.cumsum(kept, out=before[1:])
    places = np.flatnonzero(kept)
    less = SessionLog(
        sessions=log.sessions,
        groups=log.groups,
        offsets=before[log.offsets],
        aids=log.aids[places],
        ts=None if log.ts is None else log.ts[places],
        types=None if log.types is None else log.types[places],
        n_items=log.n_items,
    )
    return less, places


def spread_events(added: F32, places: I64 | None, log: SessionLog) -> F32:
    """float32[N] of all events, from float32[n] of those at ``places`` (``None``: all of them); 0 elsewhere."""
    if places is None:
        return added
    spread = np.zeros(log.n_events, np.float32)
    spread[places] = added
    return spread
