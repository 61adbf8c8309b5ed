"""Items numbered by a fitted log alone: what is fitted does not depend on items that no fitted session holds."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from events.arrays import F32, I32, Flags
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
