"""Hits of an evaluation kept session by session, so that two runs can be compared on the sessions they share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS
from events.files import load_array, need_array, save_arrays
from submissions.metrics import Hits


@dataclass(frozen=True, slots=True)
class KeptHits:
    """Hits of several rungs on the same n sessions.

    rows  : int64[n] rows among the target sessions of the pass, ascending
    rungs : rung to target to hits
    """

    rows: npt.NDArray[np.int64]
    rungs: dict[str, dict[str, Hits]]

    def take(self, rows: npt.NDArray[np.int64]) -> "KeptHits":
        """Of these target sessions (ascending), all of which are held."""
        places = np.searchsorted(self.rows, rows)
        taken = {
            rung: {target: hits.take(places) for target, hits in found.items()} for rung, found in self.rungs.items()
        }
        return KeptHits(rows, taken)

    def save(self, folder: Path) -> None:
        """Write ``rows.npy`` and three int16 arrays a rung and target into a new folder."""
        folder.mkdir()
        save_arrays(folder, rows=self.rows)
        for rung, found in self.rungs.items():
            (folder / rung).mkdir()
            for target, hits in found.items():
                arrays = {"hits": hits.hits, "denominators": hits.denominators, "ranks": hits.ranks}
                small = {f"{target}_{name}": array.astype(np.int16) for name, array in arrays.items()}
                save_arrays(folder / rung, **small)

    @classmethod
    def load(cls, folder: Path, rungs: tuple[str, ...]) -> "KeptHits":
        """Read what :meth:`save` wrote of these rungs.

        Raises
        ------
        InputError
            If the folder or a rung is missing.
        """
        rows = np.array(need_array(folder, "rows"))
        found: dict[str, dict[str, Hits]] = {}
        for rung in rungs:
            present = [name for name in TARGETS if load_array(folder / rung, f"{name}_hits") is not None]
            found[rung] = {target: _load(folder / rung, target) for target in present or TARGETS[:1]}
        return cls(rows, found)


def _load(folder: Path, target: str) -> Hits:
    names = (f"{target}_{name}" for name in ("hits", "denominators", "ranks"))
    hits, denominators, ranks = (need_array(folder, name).astype(np.int32) for name in names)
    return Hits(hits, denominators, ranks)
