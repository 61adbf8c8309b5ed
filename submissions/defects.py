"""What can be wrong with a row of a submission, found for many rows at once and put into words for a few."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from submissions.identifiers import NOT_INTEGER, UNKNOWN, Known
from submissions.rows import Rows

BLANK: Final = 1
COLUMNS: Final = 2
ROW_ID: Final = 4
TYPE: Final = 8
SESSION: Final = 16
DUPLICATE: Final = 32
TOO_LONG: Final = 64
NOT_AN_INTEGER: Final = 128
UNKNOWN_ITEM: Final = 256
REPEATED: Final = 512
EMPTY: Final = 1024

UNREADABLE: Final = BLANK | COLUMNS | ROW_ID | TYPE | NOT_AN_INTEGER
"""Defects that leave a row without a meaning; the others only waste it."""

SHOWN = 60
"""Characters of a line that a message quotes."""


@dataclass(frozen=True, slots=True)
class Checked:
    """L rows with their meaning.

    flags    : int32[L] the defects above, added up
    sessions : int32[L] dense session row, negative if it is not known
    items    : int32[T] dense item rows, negative if not known
    culprits : int32[L, 3] which of the row's items is the first not an integer, unknown, repeated; -1 for none
    earlier  : int64[L] for a repeated row id, the line that had it first
    """

    flags: npt.NDArray[np.int32]
    sessions: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    culprits: npt.NDArray[np.int32]
    earlier: npt.NDArray[np.int64]


@kernel
def _flag_items(
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int32],
    values: npt.NDArray[np.int64],
    line: int,
    k: int,
    any_integer: bool,
    culprits: npt.NDArray[np.int32],
) -> int:
    first, last = offsets[line], offsets[line + 1]
    flags = EMPTY if first == last else 0
    if last - first > k:
        flags |= TOO_LONG
    for i in range(first, last):
        if rows[i] == NOT_INTEGER and culprits[line, 0] < 0:
            flags |= NOT_AN_INTEGER
            culprits[line, 0] = i - first
        if rows[i] == UNKNOWN and not any_integer and culprits[line, 1] < 0:
            flags |= UNKNOWN_ITEM
            culprits[line, 1] = i - first
        if i - first >= k or culprits[line, 2] >= 0 or rows[i] == NOT_INTEGER:
            continue
        if rows[i] == UNKNOWN and not any_integer:
            continue  # said already, and unknown strings have no value to compare
        for j in range(first, i):
            if values[j] == values[i] and rows[j] != NOT_INTEGER:
                flags |= REPEATED
                culprits[line, 2] = i - first
                break
    return flags


@kernel
def _flag_rows(
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    n_commas: npt.NDArray[np.int32],
    underscores: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int8],
    offsets: npt.NDArray[np.int64],
    sessions: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    values: npt.NDArray[np.int64],
    any_integer: bool,
    k: int,
    n_targets: int,
    first_line: int,
    seen: npt.NDArray[np.int64],
    flags: npt.NDArray[np.int32],
    culprits: npt.NDArray[np.int32],
    earlier: npt.NDArray[np.int64],
) -> None:
    for line in range(starts.size):
        if starts[line] == stops[line]:
            flags[line] = BLANK
        elif n_commas[line] != 1:
            flags[line] = COLUMNS
        elif underscores[line] == starts[line] or sessions[line] == NOT_INTEGER:
            flags[line] = ROW_ID
        elif targets[line] < 0:
            flags[line] = TYPE
        else:
            if sessions[line] < 0:
                flags[line] = SESSION
            else:
                place = np.int64(sessions[line]) * n_targets + targets[line]
                if seen[place]:
                    flags[line] = DUPLICATE
                    earlier[line] = seen[place]
                else:
                    seen[place] = first_line + line
            flags[line] |= _flag_items(offsets, items, values, line, k, any_integer, culprits)


def check_rows(
    data: npt.NDArray[np.uint8],
    rows: Rows,
    sessions: Known,
    items: Known,
    *,
    any_integer: bool,
    k: int,
    n_targets: int,
    first_line: int,
    seen: npt.NDArray[np.int64],
) -> Checked:
    """Find the defects of rows.

    any_integer : whether items need not be known
    first_line  : number of the first of these lines in the file, from 1
    seen        : int64[S * n_targets] line that holds a row id, 0 for none; filled in here
    """
    session_rows, _ = sessions.rows(data, rows.starts, rows.underscores)
    item_rows, values = items.rows(data, rows.item_starts, rows.item_stops)
    flags, earlier = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.int64)
    culprits = np.full((len(rows), 3), -1, np.int32)
    _flag_rows(
        rows.starts, rows.stops, rows.n_commas, rows.underscores, rows.targets, rows.offsets,
        session_rows, item_rows, values, any_integer, k, n_targets, first_line, seen, flags, culprits, earlier,
    )  # fmt: skip
    return Checked(flags, session_rows, item_rows, culprits, earlier)


def _text(data: npt.NDArray[np.uint8], start: int, stop: int) -> str:
    text = data[start : min(stop, start + 4 * SHOWN)].tobytes().decode("utf-8", "replace")
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def describe(data: npt.NDArray[np.uint8], rows: Rows, checked: Checked, line: int, defect: int, k: int) -> str:
    """Say what this defect of line ``line`` (counted in ``rows``) is."""
    start, underscore, comma = int(rows.starts[line]), int(rows.underscores[line]), int(rows.commas[line])

    def item(which: int) -> str:
        token = int(rows.offsets[line]) + int(checked.culprits[line, which])
        return _text(data, int(rows.item_starts[token]), int(rows.item_stops[token]))

    size = int(rows.offsets[line + 1] - rows.offsets[line])
    if defect == BLANK:
        return "blank line"
    if defect == COLUMNS:
        return f"{int(rows.n_commas[line]) + 1} columns instead of 2: {_text(data, start, int(rows.stops[line]))}"
    if defect == ROW_ID:
        expected = "<session>" if underscore == comma else "<session>_<type>"
        return f"malformed row id {_text(data, start, comma)}, expected {expected}"
    if defect == TYPE:
        return f"unknown type {_text(data, underscore + 1, comma)}"
    if defect == SESSION:
        return f"unknown session {_text(data, start, underscore)}"
    if defect == DUPLICATE:
        return f"row {_text(data, start, comma)} stands already in line {int(checked.earlier[line])}"
    if defect == TOO_LONG:
        return f"{size} items, at most {k} count"
    if defect == NOT_AN_INTEGER:
        return f"item {item(0)} is not an integer"
    if defect == UNKNOWN_ITEM:
        return f"unknown item {item(1)}"
    if defect == REPEATED:
        return f"item {item(2)} is repeated"
    return "no items"
