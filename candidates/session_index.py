"""Which items a session has, and which sessions an item has: the index that both kinds of nearest neighbours walk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from candidates.accumulator import EMPTY, add, capacity
from events.arrays import I8, I32, I64
from events.compiled import kernel
from events.files import load_array, need_array, save_arrays
from events.log import SessionLog

MAX_ITEMS = 127
"""Items of a session that the index can keep: their number is stored in a byte beside every posting."""


@dataclass(frozen=True, slots=True)
class SessionIndex:
    """The R sessions with two or more different items, numbered from the most recent one (0) to the oldest.

    groups   : int64[R]    their group in the log
    ends     : int32[R]    second of the last event; ``None`` where the shop has no time
    offsets  : int64[R+1]  items of session r are ``items[offsets[r]:offsets[r+1]]``
    items    : int32[M]    the last different items of each session, in the order of their last events
    starts   : int64[n_items+1] sessions of item x are ``postings[starts[x]:starts[x+1]]``
    postings : int32[P]    the most recent sessions with the item, ascending
    widths   : int8[P]     number of items of these sessions: a look-up there would be a cache miss
    counts   : int64[n_items] all sessions of the log whose last items hold the item, with one item, too
    """

    groups: I64
    ends: I32 | None
    offsets: I64
    items: I32
    starts: I64
    postings: I32
    widths: I8
    counts: I64

    def __len__(self) -> int:
        """Number of sessions R."""
        return self.groups.size

    @classmethod
    def of(cls, log: SessionLog, items: int, recent: int | None = None) -> "SessionIndex":
        """Index the last ``items`` different items of each session.

        recent : postings that an item keeps, those of its most recent sessions; ``None`` for all

        Without time a session is the more recent the higher its row in the session index. The order of the sessions
        in the log does not matter. Takes 16 bytes a session and up to 9 for each of its items.
        """
        if not 2 <= items <= MAX_ITEMS:
            raise ValueError(f"the index keeps 2 to {MAX_ITEMS} items of a session, not {items}")
        counts, lengths = np.zeros(log.n_items, np.int64), np.zeros(len(log), np.int64)
        count_items(log.offsets, log.aids, items, lengths, counts)
        order = _recent_first(log, np.flatnonzero(lengths >= 2))
        offsets = np.zeros(order.size + 1, np.int64)
        np.cumsum(lengths[order], out=offsets[1:])
        flat = np.empty(offsets[-1], np.int32)
        list_items(log.offsets, log.aids, order, offsets, flat)
        starts = np.zeros(log.n_items + 1, np.int64)
        kept = np.bincount(flat, minlength=log.n_items)
        np.cumsum(kept if recent is None else np.minimum(kept, recent), out=starts[1:])
        postings, widths = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int8)
        list_sessions(offsets, flat, starts, postings, widths)
        ends = None if log.ts is None else log.ts[log.offsets[order + 1] - 1]
        return cls(log.groups[order], ends, offsets, flat, starts, postings, widths, counts)

    def save(self, folder: Path) -> None:
        """Write one ``.npy`` file an array into an existing folder."""
        save_arrays(folder, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, folder: Path) -> "SessionIndex":
        """Open what :meth:`save` wrote, memory-mapped and read-only.

        Raises
        ------
        InputError
            If an array is missing.
        """
        names = [name for name in cls.__slots__ if name != "ends"]
        return cls(ends=load_array(folder, "ends"), **{name: need_array(folder, name) for name in names})


def _recent_first(log: SessionLog, rows: I64) -> I64:
    """These sessions by descending time of their last event, then by descending row in the session index."""
    if log.ts is None:
        return rows[np.argsort(-log.sessions[rows])]
    ends = log.ts[log.offsets[rows + 1] - 1].astype(np.int64)
    keys = (ends << 32) + log.sessions[rows]  # no two are equal, so that any sort will do
    return rows[np.argsort(-keys)]


@kernel
def count_items(offsets: I64, aids: I32, most: int, lengths: I64, counts: I64) -> None:
    """lengths[s] = different items of session s, at most ``most``; counts[x] = sessions that have x among them."""
    slots = capacity(most)
    keys, unused = np.full(slots, EMPTY, np.int32), np.empty(slots, np.float64)
    for s in range(offsets.size - 1):
        i = offsets[s + 1]
        while i > offsets[s] and lengths[s] < most:
            i -= 1
            if add(keys, unused, slots, aids[i], 0.0):
                lengths[s] += 1
                counts[aids[i]] += 1
        keys[:] = EMPTY


@kernel
def list_items(offsets: I64, aids: I32, order: I64, out_offsets: I64, out: I32) -> None:
    """Write the last different items of session ``order[r]`` to ``out[out_offsets[r]:out_offsets[r+1]]``."""
    widest = 0
    for r in range(order.size):
        widest = max(widest, out_offsets[r + 1] - out_offsets[r])
    slots = capacity(widest)
    keys, unused = np.full(slots, EMPTY, np.int32), np.empty(slots, np.float64)
    for r in range(order.size):
        i, place = offsets[order[r] + 1], out_offsets[r + 1]
        while place > out_offsets[r]:
            i -= 1
            if add(keys, unused, slots, aids[i], 0.0):
                place -= 1
                out[place] = aids[i]
        keys[:] = EMPTY


@kernel
def list_sessions(offsets: I64, items: I32, starts: I64, postings: I32, widths: I8) -> None:
    """Write the first sessions of each item, as many as fit between its ``starts``."""
    cursor = starts[:-1].copy()
    for r in range(offsets.size - 1):
        for i in range(offsets[r], offsets[r + 1]):
            place = cursor[items[i]]
            if place < starts[items[i] + 1]:
                postings[place] = r
                widths[place] = offsets[r + 1] - offsets[r]
                cursor[items[i]] = place + 1
