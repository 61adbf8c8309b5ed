"""Ids as bytes: written into a CSV, and looked up again in the bytes of one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from events.compiled import inline, kernel
from events.index import IdIndex

UNKNOWN = -1
NOT_INTEGER = -2
"""What :meth:`Known.rows` says of a token besides a dense row."""

LARGEST, SMALLEST = 2**63 - 1, -(2**63)
TABLE_SLACK = 8
"""A direct table is used if it has at most this many places an id (and 2^20); else a binary search."""


@dataclass(frozen=True, slots=True)
class IdBytes:
    """The text of each id: id i is ``text[offsets[i]:offsets[i+1]]`` (uint8, int64[n+1])."""

    text: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, ids: pl.Series) -> "IdBytes":
        """Of integers (in decimals) or strings (UTF-8)."""
        array = ids.cast(pl.String).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, text = array.buffers()
        places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        return cls(np.frombuffer(text, np.uint8) if text is not None else np.zeros(0, np.uint8), places)

    @property
    def longest(self) -> int:
        """Bytes of the longest id."""
        return int(np.diff(self.offsets).max(initial=0))


@inline
def _parse_integer(data: npt.NDArray[np.uint8], start: int, stop: int) -> tuple[bool, np.int64]:
    """Whether the bytes are a decimal integer, and which; one beyond 64 bits is read as the last."""
    negative = start < stop and data[start] == ord("-")
    first = start + 1 if negative else start
    if first >= stop:
        return False, np.int64(0)
    size = np.uint64(0)
    huge = False
    for place in range(first, stop):
        digit = np.uint64(data[place]) - np.uint64(48)  # wraps around below "0"
        if digit > np.uint64(9):
            return False, np.int64(0)
        huge = huge or bool(size > (np.uint64(LARGEST) - digit) // np.uint64(10))
        if not huge:
            size = size * np.uint64(10) + digit
    if huge:
        return True, np.int64(SMALLEST) if negative else np.int64(LARGEST)
    return True, -np.int64(size) if negative else np.int64(size)


@inline
def _slot(data: npt.NDArray[np.uint8], start: int, stop: int, n_slots: int) -> np.int64:
    """Where to begin looking for these bytes in a table of 2^m slots (FNV-1a, its high half folded in)."""
    mixed = np.uint64(0xCBF29CE484222325)
    for place in range(start, stop):
        mixed = (mixed ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(n_slots - 1))


@kernel
def _fill_slots(text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], slots: npt.NDArray[np.int32]) -> None:
    """Put each id into the first free slot from its own on; slots hold -1 at first and stay half empty."""
    for row in range(offsets.size - 1):
        slot = _slot(text, offsets[row], offsets[row + 1], slots.size)
        while slots[slot] >= 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = row


@kernel
def _rows_of_integers(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
    table: npt.NDArray[np.int32],
    values: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int32],
) -> None:
    for i in range(starts.size):
        whole, value = _parse_integer(data, starts[i], stops[i])
        values[i] = value
        rows[i] = NOT_INTEGER if not whole else UNKNOWN
        if not whole or ids.size == 0 or value < ids[0] or value > ids[ids.size - 1]:
            continue
        if table.size:
            rows[i] = table[value - ids[0]]
            continue
        place = np.searchsorted(ids, value)
        if ids[place] == value:
            rows[i] = place


@kernel
def _rows_of_strings(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    text: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    values: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int32],
) -> None:
    for i in range(starts.size):
        start, size = starts[i], stops[i] - starts[i]
        rows[i] = UNKNOWN
        slot = _slot(data, start, start + size, slots.size)
        while slots[slot] >= 0 and rows[i] == UNKNOWN:
            row = slots[slot]
            first = offsets[row]
            same = offsets[row + 1] - first == size
            step = 0
            while same and step < size:
                same = data[start + step] == text[first + step]
                step += 1
            if same:
                rows[i] = row
            slot = (slot + 1) & (slots.size - 1)
        values[i] = rows[i]


@dataclass(frozen=True, slots=True)
class Known:
    """The ids of an index, made ready to be looked up in bytes; without an index any integer will do.

    integer : whether the ids are integers
    ids     : int64[n] the integers, ascending
    table   : int32[...] integers: row by ``id - ids[0]``, empty if the ids are too far apart (then a binary search);
              strings: a hash table of rows
    names   : the strings
    """

    integer: bool
    ids: npt.NDArray[np.int64]
    table: npt.NDArray[np.int32]
    names: IdBytes

    @classmethod
    def of(cls, index: IdIndex | None) -> "Known":
        """Of an index of integers or strings; ``None``: integers, all of them unknown."""
        nothing = IdBytes(np.zeros(0, np.uint8), np.zeros(1, np.int64))
        ids, table = np.zeros(0, np.int64), np.zeros(0, np.int32)
        if index is not None and not index.is_integer:
            names = IdBytes.of(index.ids)
            slots = np.full(1 << (2 * len(index)).bit_length(), UNKNOWN, np.int32)
            _fill_slots(names.text, names.offsets, slots)
            return cls(False, ids, slots, names)
        if index is not None and len(index):
            ids = index.ids.to_numpy()
            span = int(ids[-1]) - int(ids[0]) + 1
            if span <= TABLE_SLACK * ids.size + (1 << 20):
                table = np.full(span, UNKNOWN, np.int32)
                table[ids - ids[0]] = np.arange(ids.size)
        return cls(True, ids, table, nothing)

    def rows(
        self, data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Look up the tokens ``data[starts[i]:stops[i]]``.

        Returns int32[n] dense rows, ``UNKNOWN`` or ``NOT_INTEGER`` (never for string ids), and int64[n] the integers
        read (for string ids the rows again).
        """
        rows, values = np.empty(starts.size, np.int32), np.empty(starts.size, np.int64)
        if self.integer:
            _rows_of_integers(data, starts, stops, self.ids, self.table, values, rows)
        else:
            _rows_of_strings(data, starts, stops, self.names.text, self.names.offsets, self.table, values, rows)
        return rows, values
