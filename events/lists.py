"""Ranked lists of items: the one type for neighbours of items, recommendations for sessions and top-20 lists."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.errors import InputError
from events.files import need_array, save_arrays


@dataclass(frozen=True, slots=True)
class Lists:
    """S lists of items, best first, no repeats, ties by ascending item.

    offsets : int64[S+1]; list s is ``offsets[s]:offsets[s+1]``
    aids    : int32[M] dense rows in the item index
    scores  : float32[M] descending in a list

    >>> lists = Lists.of([[(7, 2.0), (3, 1.0)], []])
    >>> lists.row(0)[0].tolist(), len(lists)
    ([7, 3], 2)
    """

    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rows: list[list[tuple[int, float]]]) -> "Lists":
        """Lists from nested (item, score) pairs, already in order: for examples and tests."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        offsets[1:] = np.cumsum([len(row) for row in rows])
        return cls(
            offsets=offsets,
            aids=np.array([aid for row in rows for aid, _ in row], np.int32),
            scores=np.array([score for row in rows for _, score in row], np.float32),
        )

    @classmethod
    def empty(cls, n: int) -> "Lists":
        """``n`` empty lists."""
        return cls(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        """Number of lists S."""
        return self.offsets.size - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64[S] items of each list."""
        return np.diff(self.offsets)

    def row(self, s: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Items and scores of list ``s`` (views)."""
        first, last = self.offsets[s], self.offsets[s + 1]
        return self.aids[first:last], self.scores[first:last]

    def slice(self, start: int, stop: int) -> "Lists":
        """Lists ``start:stop``; items and scores are views."""
        first, last = self.offsets[start], self.offsets[stop]
        return Lists(self.offsets[start : stop + 1] - first, self.aids[first:last], self.scores[first:last])

    def take(self, rows: npt.NDArray[np.int64]) -> "Lists":
        """These lists, in this order (copies)."""
        lengths = self.lengths[rows]
        offsets = np.zeros(rows.size + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Lists(offsets, self.aids[places], self.scores[places])

    def top(self, k: int) -> "Lists":
        """The first ``k`` of each list (copies)."""
        lengths = np.minimum(self.lengths, k)
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.repeat(self.offsets[:-1] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Lists(offsets, self.aids[places], self.scores[places])

    @classmethod
    def concat(cls, parts: list["Lists"]) -> "Lists":
        """All lists of all parts, part after part."""
        if not parts:
            return cls.empty(0)
        starts = np.cumsum([0] + [part.aids.size for part in parts[:-1]])
        offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=True)]
        last = np.array([starts[-1] + parts[-1].aids.size], np.int64)
        return cls(
            np.concatenate([*offsets, last]).astype(np.int64),
            np.concatenate([part.aids for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    @classmethod
    def from_dense(cls, scores: npt.NDArray[np.float32], k: int) -> "Lists":
        """Top ``k`` of each row of float32[S, n]; NaN and -inf never enter; ties by ascending item."""
        usable = np.where(np.isnan(scores), -np.inf, scores)
        order = np.argsort(-usable, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(usable, order, axis=1)
        keep = np.isfinite(best)
        offsets = np.zeros(scores.shape[0] + 1, np.int64)
        np.cumsum(keep.sum(axis=1), out=offsets[1:])
        return cls(offsets, order[keep].astype(np.int32), best[keep].astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write one ``.npy`` file an array into an existing folder."""
        save_arrays(folder, offsets=self.offsets, aids=self.aids, scores=self.scores)

    @classmethod
    def load(cls, folder: Path) -> "Lists":
        """Open what :meth:`save` wrote, memory-mapped and read-only.

        Raises
        ------
        InputError
            If an array is missing or the sizes disagree.
        """
        lists = cls(need_array(folder, "offsets"), need_array(folder, "aids"), need_array(folder, "scores"))
        if lists.offsets[-1] != lists.aids.size or lists.aids.size != lists.scores.size:
            raise InputError(folder, None, "arrays of different sizes", "remove the folder and run its stage again")
        return lists


@kernel
def insert_best(
    aids: npt.NDArray[np.int32], scores: npt.NDArray[np.float64], size: int, k: int, aid: int, score: float
) -> int:
    """Insert (aid, score) into the first ``size`` places, best first with ties by ascending item; return the new size.

    ``aids`` and ``scores`` have room for ``k``; an entry worse than all ``k`` present is dropped.
    """
    if size == k:
        if k == 0 or score < scores[size - 1] or (score == scores[size - 1] and aid > aids[size - 1]):
            return size
        place = size - 1
    else:
        place = size
        size += 1
    while place > 0 and (scores[place - 1] < score or (scores[place - 1] == score and aids[place - 1] > aid)):
        aids[place] = aids[place - 1]
        scores[place] = scores[place - 1]
        place -= 1
    aids[place] = aid
    scores[place] = score
    return size
