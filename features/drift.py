"""How far features drift between two passes: a sample of rows of each, and the distance of their distributions.

The sample is the rows with the smallest hashes, so it depends neither on chunks nor on their order, and the samples of
two parts merge into the sample of the whole (bottom-k sampling; Cohen & Kaplan, PODC 2007).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import I32, I64
from events.compiled import kernel
from events.errors import InputError
from events.files import need_array, read_json, save_arrays, write_json
from events.log import SessionLog
from events.randomness import mix

SIZE = 20_000
"""Rows of a sample: two such samples of one distribution are about .014 apart at most (95 %)."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample of rows.

    names : F names
    keys  : uint64[k] hashes of the rows, ascending
    rows  : float32[k, F]
    size  : most rows that are kept
    """

    names: tuple[str, ...]
    keys: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.float32]
    size: int

    def merge(self, other: "Summary") -> "Summary":
        """The sample of the rows of both."""
        if self.names != other.names or self.size != other.size:
            raise ValueError("the summaries differ in their names or sizes")
        keys = np.concatenate([self.keys, other.keys])
        return _smallest(self.names, keys, np.concatenate([self.rows, other.rows]), self.size)

    def save(self, folder: Path) -> None:
        """Write ``keys.npy``, ``rows.npy`` and ``names.json`` into an existing folder."""
        save_arrays(folder, keys=self.keys, rows=self.rows, size=np.array(self.size))
        write_json(folder / "names.json", list(self.names))

    @classmethod
    def load(cls, folder: Path) -> "Summary":
        """Open what :meth:`save` wrote.

        Raises
        ------
        InputError
            If a file is missing, or they disagree.
        """
        names = tuple(read_json(folder / "names.json"))
        keys, rows = need_array(folder, "keys"), need_array(folder, "rows")
        if rows.shape != (keys.size, len(names)):
            raise InputError(folder, None, "names and rows disagree", "remove the folder and run its stage again")
        return cls(names, keys, rows, int(need_array(folder, "size")))


def _smallest(
    names: tuple[str, ...], keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.float32], size: int
) -> Summary:
    few = np.argpartition(keys, size - 1)[:size] if keys.size > size else np.arange(keys.size)
    few = few[np.argsort(keys[few], kind="stable")]
    return Summary(names, keys[few], rows[few], size)


@kernel
def hash_rows(sessions: I64, offsets: I64, aids: I32, seed: int, keys: npt.NDArray[np.uint64]) -> None:
    """A hash of seed, session and item for each row."""
    for s in range(sessions.size):
        salt = mix(seed, int(sessions[s]))
        for row in range(offsets[s], offsets[s + 1]):
            keys[row] = mix(int(salt), aids[row])


def summary(
    matrix: npt.NDArray[np.float32],
    names: tuple[str, ...],
    log: SessionLog,
    candidates: Candidates,
    *,
    size: int = SIZE,
    seed: int = 0,
) -> Summary:
    """Sample the rows of a chunk's matrix; a row is told by its session and its item.

    matrix : float32[R, F], what :class:`features.assemble.FeatureBuilder` built for this log and these candidates
    """
    keys = np.empty(len(candidates), np.uint64)
    hash_rows(log.sessions, candidates.offsets, candidates.aids, seed, keys)
    return _smallest(names, keys, matrix, size)


def _distance(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Kolmogorov-Smirnov distance of two samples, NaN counted as a value below all others."""
    if a.size == 0 or b.size == 0:
        return 0.0
    left, right = (np.sort(np.where(np.isnan(x), np.float32(-np.inf), x)) for x in (a, b))
    places = np.concatenate([left, right])
    above = np.searchsorted(left, places, side="right") / left.size
    below = np.searchsorted(right, places, side="right") / right.size
    return float(np.abs(above - below).max())


def drift(a: Summary, b: Summary) -> list[tuple[str, float]]:
    """Every feature and the Kolmogorov-Smirnov distance (0 to 1) of its two distributions, farthest first."""
    if a.names != b.names:
        raise ValueError("the summaries differ in their names")
    distances = [(name, _distance(a.rows[:, f], b.rows[:, f])) for f, name in enumerate(a.names)]
    return sorted(distances, key=lambda pair: (-pair[1], pair[0]))
