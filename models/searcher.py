"""A fitted retriever with the indices over its items, and what it says of a chunk of sessions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from events.arrays import F32
from events.files import read_json, write_json
from events.lists import Lists
from events.log import SessionLog
from models.index import ItemIndex
from models.index_settings import IndexSettings
from models.retriever import Retriever

Target = str | None
"""A target, or ``None`` for all of them together."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a retriever says of S sessions with N events, made once for all who ask.

    vectors  : target to float32[S, d]
    revisits : target to float32[N], or ``None``
    """

    vectors: Mapping[Target, F32]
    revisits: Mapping[Target, F32 | None]

    def slice(self, log: SessionLog, start: int, stop: int) -> "Encoded":
        """Of the sessions ``start:stop`` of the log that was encoded (views)."""
        events = slice(int(log.offsets[start]), int(log.offsets[stop]))
        revisits = {target: None if one is None else one[events] for target, one in self.revisits.items()}
        return Encoded({target: one[start:stop] for target, one in self.vectors.items()}, revisits)


@runtime_checkable
class ReadsOnce(Protocol):
    """A retriever that makes the vectors and revisits of all its targets in one reading of the sessions."""

    def encode(self, log: SessionLog) -> dict[Target, tuple[F32, F32 | None]]:
        """Target to float32[S, d] and float32[N], or ``None`` for the latter."""
        ...


@dataclass(frozen=True, slots=True)
class Searcher:
    """A fitted retriever, and an index for each of its targets (or for ``None``); targets may share one."""

    retriever: Retriever
    indices: Mapping[Target, ItemIndex]

    @classmethod
    def build(
        cls,
        retriever: Retriever,
        log: SessionLog,
        k: int,
        settings: IndexSettings | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> "Searcher":
        """Index the items of a fitted retriever.

        log : sessions that the recall is measured on, of which a sample is drawn;  k : items wanted of each
        """
        settings = settings or IndexSettings()
        rows = np.random.default_rng(seed).permutation(len(log))[: settings.sample]
        sample = log.take(np.sort(rows))
        indices: dict[Target, ItemIndex] = {}
        for targets in sharing(retriever):
            queries = np.concatenate([retriever.session_vectors(sample, target) for target in targets])
            vectors = retriever.item_vectors(targets[0])
            index = ItemIndex.build(vectors, retriever.known, queries, max(k, 1), settings, seed, threads)
            indices |= dict.fromkeys(targets, index)
        return cls(retriever, indices)

    @property
    def recall(self) -> float:
        """The least recall of the indices, as measured when they were built."""
        return min(index.recall for index in self.indices.values())

    @property
    def is_exact(self) -> bool:
        """Whether every index scans all items."""
        return all(index.is_exact for index in self.indices.values())

    def encode(self, log: SessionLog) -> Encoded:
        """Vectors and revisits of the sessions, for every target."""
        if isinstance(self.retriever, ReadsOnce):
            read = self.retriever.encode(log)
            return Encoded({t: read[t][0] for t in self.indices}, {t: read[t][1] for t in self.indices})
        vectors = {target: self.retriever.session_vectors(log, target) for target in self.indices}
        return Encoded(vectors, {target: self.retriever.revisits(log, target) for target in self.indices})

    def search(self, log: SessionLog, encoded: Encoded, k: int, target: Target = None) -> Lists:
        """The best ``k`` items of each of the sessions that were encoded."""
        return self.indices[target].search(log, encoded.vectors[target], k, encoded.revisits[target])

    def stacked(self, log: SessionLog, encoded: Encoded) -> Iterator[tuple[Sequence[Target], SessionLog, Encoded]]:
        """Targets whose items are the same, and the sessions once for each of them, one target after the other.

        All are encoded as of the first target: what is searched is read once for all.
        """
        for targets in sharing(self.retriever):
            n, first = len(targets), targets[0]
            shifts = log.n_events * np.arange(n, dtype=np.int64)[:, None]
            asked = SessionLog(
                sessions=np.tile(log.sessions, n),
                groups=np.tile(log.groups, n),
                offsets=np.append((log.offsets[:-1] + shifts).ravel(), n * log.n_events),
                aids=np.tile(log.aids, n),
                ts=None,
                types=None,
                n_items=log.n_items,
            )
            added = [one for target in targets if (one := encoded.revisits[target]) is not None]
            vectors = np.concatenate([encoded.vectors[target] for target in targets])
            yield targets, asked, Encoded({first: vectors}, {first: np.concatenate(added) if added else None})

    def save(self, folder: Path) -> None:
        """Write the retriever and its indices into an existing folder."""
        (folder / "retriever").mkdir()
        self.retriever.save(folder / "retriever")
        groups = sharing(self.retriever)
        for i, targets in enumerate(groups):
            (folder / f"index_{i}").mkdir()
            self.indices[targets[0]].save(folder / f"index_{i}")
        write_json(folder / "indices.json", groups)

    @classmethod
    def load(cls, folder: Path, retriever: Retriever, settings: IndexSettings | None = None) -> "Searcher":
        """Open what :meth:`save` wrote, memory-mapped, into a retriever that is not fitted.

        Raises
        ------
        InputError
            If a file is missing or does not fit the settings.
        """
        retriever.load(folder / "retriever")
        indices: dict[Target, ItemIndex] = {}
        for i, targets in enumerate(read_json(folder / "indices.json")):
            vectors = retriever.item_vectors(targets[0])
            index = ItemIndex.load(folder / f"index_{i}", vectors, retriever.known, settings)
            indices |= dict.fromkeys(targets, index)
        return cls(retriever, indices)


def sharing(retriever: Retriever) -> list[tuple[Target, ...]]:
    """The retriever's targets (``None`` if it has none), those with the very same item vectors together."""
    groups: dict[tuple[int, tuple[int, ...]], tuple[Target, ...]] = {}
    kept = []
    for target in retriever.targets or (None,):
        vectors = retriever.item_vectors(target)
        kept.append(vectors)  # or its address could be given to the next one
        key = vectors.ctypes.data, vectors.shape
        groups[key] = (*groups.get(key, ()), target)
    return list(groups.values())
