"""Why an item is in a list: the sources that proposed it, and the session's items that it was seen together with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from candidates.item_knn import ItemKnn
from candidates.neighbours import Neighbours
from candidates.source_set import SourceSet
from events.arrays import I16, I32
from events.index import IdIndex
from events.lists import Lists

MOST_ITEMS: Final = 3
"""Items of the session that a reason names."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One source that proposed an item.

    source : column of the pool: ``<source>`` or ``<source>_<target>``
    place  : in that source's list, 0 is best
    items  : items of the session, by the source's ids and the latest first, that have it among their neighbours in the
             table that the source looks up; empty for a source that looks up none
    """

    source: str
    place: int
    items: tuple[Any, ...] = ()


def words(reasons: Sequence[Reason], most: int = 3) -> str:
    """The first reasons in words, places counted from 1.

    >>> words([Reason("history", 0), Reason("near_clicks", 4, (12, 55)), Reason("walks", 9)], 2)
    'history 1, near_clicks 5 (with 12, 55), 1 more'
    """
    said = [
        f"{one.source} {one.place + 1}" + (f" (with {', '.join(map(str, one.items))})" if one.items else "")
        for one in reasons[:most]
    ]
    return ", ".join([*said, f"{len(reasons) - most} more"] if len(reasons) > most else said)


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a run as reasons name them.

    names    : of the C columns of the pool
    matrices : column to the neighbours of all items that it looks up
    items    : the item index
    """

    names: tuple[str, ...]
    matrices: Mapping[str, Lists]
    items: IdIndex

    def ids_of(self, aids: I32) -> list[Any]:
        """The source's ids of these dense rows."""
        if not self.items.is_integer:
            return self.items.take(aids).to_list()
        ids: list[Any] = self.items.ids.to_numpy()[aids].tolist()  # a Polars query takes half a millisecond
        return ids

    @classmethod
    def of(cls, sources: SourceSet, items: IdIndex) -> "Sources":
        """Those of a fitted set."""
        looked_up = {
            column: source.matrix
            for column, (name, _) in sources.columns.items()
            if isinstance(source := sources.sources[name], Neighbours | ItemKnn)
        }
        return cls(tuple(sources.columns), looked_up, items)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The n items of one list, with what the pool said of them; the reasons are made when they are asked for.

    aids    : int32[n] dense rows, best first
    ranks   : int16[C, n] place in each source's list, -1 where it did not propose the item
    session : int32[m] items of the session's events, in time order
    """

    sources: Sources = field(repr=False)
    aids: I32
    ranks: I16
    session: I32

    def reasons(self) -> list[tuple[Reason, ...]]:
        """Of each item its reasons, those of the sources that placed it best first."""
        own = np.array(list(dict.fromkeys(self.session[::-1].tolist())), np.int32)
        ids = self.sources.ids_of(own)
        near = {name: seen_with(matrix, own, self.aids) for name, matrix in self.sources.matrices.items()}
        found = []
        for i in range(self.aids.size):
            ranks = self.ranks[:, i]
            columns = [int(c) for c in np.argsort(ranks, kind="stable") if ranks[c] >= 0]
            found.append(tuple(self._reason(c, int(ranks[c]), i, near, ids) for c in columns))
        return found

    def _reason(
        self, column: int, place: int, i: int, near: Mapping[str, npt.NDArray[np.bool_]], ids: list[Any]
    ) -> Reason:
        name = self.sources.names[column]
        if name not in near:
            return Reason(name, place)
        return Reason(name, place, tuple(ids[x] for x in np.flatnonzero(near[name][:, i])[:MOST_ITEMS]))


def seen_with(matrix: Lists, own: I32, aids: I32) -> npt.NDArray[np.bool_]:
    """bool[m, n] whether the j-th of n items is in the list of the i-th of m items.

    >>> seen_with(Lists.of([[(2, 1.0)], [], [(0, 2.0), (1, 1.0)]]), np.array([2, 0]), np.array([1, 2])).tolist()
    [[True, False], [False, True]]
    """
    near = np.zeros((own.size, aids.size), np.bool_)
    if own.size == 0 or aids.size == 0:
        return near
    starts, lengths = matrix.offsets[own], matrix.offsets[own + 1] - matrix.offsets[own]
    owner = np.repeat(np.arange(own.size), lengths)
    places = np.arange(owner.size) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    neighbours = matrix.aids[places]
    order = np.argsort(aids)
    at = np.minimum(np.searchsorted(aids, neighbours, sorter=order), aids.size - 1)
    same = aids[order[at]] == neighbours
    near[owner[same], order[at[same]]] = True
    return near
