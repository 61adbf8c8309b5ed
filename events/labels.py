"""What happened after a session's cut: one set of items a target, and the official rules that make it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from events.columns import CARTS, CLICKS, ORDERS, TARGETS
from events.compiled import kernel
from events.files import load_array, save_arrays

UNKNOWN = -1
"""An item that the item index does not hold: it cannot be hit, and still counts in the denominator."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """One target's labels of S sessions: a set of items each, often empty.

    offsets : int64[S+1]
    aids    : int32[M] dense item rows, ascending in a session, no repeats; ``UNKNOWN`` (-1) first and as often as
              there are different unknown items
    """

    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]

    @classmethod
    def of(cls, rows: list[list[int]]) -> "LabelSet":
        """Labels from nested lists: for examples and tests."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        offsets[1:] = np.cumsum([len(row) for row in rows])
        return cls(offsets, np.array([aid for row in rows for aid in sorted(row)], np.int32))

    def __len__(self) -> int:
        return self.offsets.size - 1

    def row(self, s: int) -> npt.NDArray[np.int32]:
        """Items of session ``s`` (a view)."""
        return self.aids[self.offsets[s] : self.offsets[s + 1]]

    def take(self, rows: npt.NDArray[np.int64]) -> "LabelSet":
        """The labels of these sessions, in this order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.zeros(rows.size + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return LabelSet(offsets, self.aids[places])

    def slice(self, start: int, stop: int) -> "LabelSet":
        """The labels of sessions ``start:stop``."""
        first, last = self.offsets[start], self.offsets[stop]
        return LabelSet(self.offsets[start : stop + 1] - first, self.aids[first:last])


Labels = dict[str, LabelSet]
"""Target name to its labels; a target that the shop lacks is absent. All have the same number of sessions."""


def take_labels(labels: Labels, rows: npt.NDArray[np.int64]) -> Labels:
    """The labels of these sessions for every target."""
    return {target: label_set.take(rows) for target, label_set in labels.items()}


def save_labels(folder: Path, labels: Labels) -> None:
    """Write two ``.npy`` files a target into an existing folder."""
    for target, label_set in labels.items():
        save_arrays(folder, **{f"{target}_offsets": label_set.offsets})
        save_arrays(folder, **{f"{target}_aids": label_set.aids})


def load_labels(folder: Path) -> Labels:
    """Open what :func:`save_labels` wrote, memory-mapped and read-only."""
    labels: Labels = {}
    for target in TARGETS:
        offsets, aids = load_array(folder, f"{target}_offsets"), load_array(folder, f"{target}_aids")
        if offsets is not None and aids is not None:
            labels[target] = LabelSet(offsets, aids)
    return labels


def labels_after(
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    types: npt.NDArray[np.int8] | None,
    falsy: int = UNKNOWN,
) -> Labels:
    """What happens in the hidden events ``starts[r]:stops[r]`` of each row r, by the official rule.

    The next click only, the set of all carts and the set of all orders; without types every event is a click and
    there is no other target. The official script tests the *truth* of the next clicked id: where that is the item
    ``falsy`` (the row of id 0, see ``IdIndex.falsy_row``), there is no click label.

    starts, stops : int64[n] places in ``aids``; a row may be empty, rows may overlap
    aids, types   : int32[N], int8[N] of the log

    >>> labels = labels_after(np.array([1]), np.array([4]), np.array([9, 7, 5, 7], np.int32),
    ...                       np.array([0, 1, 0, 1], np.int8))
    >>> {target: label_set.row(0).tolist() for target, label_set in labels.items()}
    {'clicks': [5], 'carts': [7], 'orders': []}
    """
    codes = np.zeros(1, np.int8) if types is None else types
    clicks = LabelSet(*_next_click(starts, stops, aids, codes, types is not None, falsy))
    if types is None:
        return {TARGETS[CLICKS]: clicks}
    return {
        TARGETS[CLICKS]: clicks,
        TARGETS[CARTS]: LabelSet(*_later_items(starts, stops, aids, codes, CARTS)),
        TARGETS[ORDERS]: LabelSet(*_later_items(starts, stops, aids, codes, ORDERS)),
    }


@kernel
def _next_click(
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    types: npt.NDArray[np.int8],
    typed: bool,
    falsy: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    offsets = np.zeros(starts.size + 1, np.int64)
    out = np.empty(starts.size, np.int32)
    size = 0
    for row in range(starts.size):
        for place in range(starts[row], stops[row]):
            if not typed or types[place] == CLICKS:
                if aids[place] != falsy:
                    out[size] = aids[place]
                    size += 1
                break
        offsets[row + 1] = size
    return offsets, out[:size].copy()


@kernel
def _later_items(
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    types: npt.NDArray[np.int8],
    wanted: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    bound = 0
    for row in range(starts.size):
        for place in range(starts[row], stops[row]):
            bound += types[place] == wanted
    offsets = np.zeros(starts.size + 1, np.int64)
    out = np.empty(bound, np.int32)
    size = 0
    for row in range(starts.size):
        first = size
        for place in range(starts[row], stops[row]):
            if types[place] == wanted:
                out[size] = aids[place]
                size += 1
        out[first:size].sort()
        unique = first
        for place in range(first, size):
            if unique == first or out[place] != out[unique - 1]:
                out[unique] = out[place]
                unique += 1
        size = unique
        offsets[row + 1] = size
    return offsets, out[:size].copy()
