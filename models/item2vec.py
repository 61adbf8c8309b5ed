"""Item2vec: skip-gram with negative sampling on sessions, the retriever that needs no GPU.

Barkan and Koenigstein, Item2vec: neural item embedding for collaborative filtering (2016), after Mikolov et al.,
Distributed representations of words and phrases and their compositionality (2013). Negatives are shared by a block of
events, which makes small matrix products of the steps, as in Ji, Satish, Li and Dubey, Parallelizing word2vec in shared
and distributed memory (2016); threads train on copies whose changes are merged by the rule of Maleki et al., Scaling
distributed training with adaptive summation (2021).

Differences to the paper: sessions are ordered and the window is short, weighed by distance and mostly forward, where
item2vec pairs all items of a set; an item is predicted by its output vector, not by the input vectors' cosine; pairs of
an item with itself count; row-wise Adagrad instead of plain descent; no subsampling unless it is asked for.

A session, fitted or not, has the mean of the input vectors of its last known items, weighed by recency and type; an
item's vector is the output vector, so that the inner product is the skip-gram's own score of "these predict that".
"""

from pathlib import Path
from typing import Self

import numpy as np

from events.arrays import F32, Flags
from events.errors import InputError
from events.files import need_array, save_arrays
from events.lists import Lists
from events.log import SessionLog
from models.compact import KnownItems
from models.exact import best_items
from models.item2vec_kernels import embed_sessions
from models.item2vec_settings import Item2VecSettings
from models.item2vec_training import train

NEIGHBOUR_BLOCK = 512
"""Items that are asked about at a time."""


class Item2Vec:
    """Items predict the items after them; see the module's docstring.

    Needs nothing; types and times count where the settings give them weight. Time: about 1.2 µs an event and epoch on
    one core; memory: 8 (T + 1) d bytes an item for T > 1 threads, 8 d for one.
    """

    def __init__(
        self,
        name: str = "item2vec",
        settings: Item2VecSettings | None = None,
        seed: int = 0,
        threads: int = 1,
        checkpoint: Path | None = None,
        progress: bool = True,
    ) -> None:
        self.name = name
        self.settings = settings or Item2VecSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._seed, self._threads = seed, threads
        self._checkpoint, self._progress = checkpoint, progress
        self._inputs = self._outputs = np.zeros((0, self.settings.dim), np.float32)
        self._known = np.zeros(0, np.bool_)

    @property
    def known(self) -> Flags:
        """bool[n_items] items of the fitted log."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Train the vectors of the log's items."""
        items = KnownItems.of(log)
        log, self._known = items.renumber(log), items.known
        tables = train(log, self.settings, self._seed, self._threads, self._checkpoint, self._progress)
        self._inputs, self._outputs = (items.spread(table) for table in tables)
        return self

    def item_vectors(self, target: str | None = None) -> F32:  # noqa: ARG002
        """float32[n_items, d]: how items are predicted."""
        return self._outputs

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:  # noqa: ARG002
        """float32[S, d]: what the last items of each session predict."""
        return self._embed(log)[0]

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:  # noqa: ARG002
        """float32[N]: ``revisit`` times the share of the event in its session's vector."""
        if self.settings.revisit == 0:
            return None
        return self._embed(log)[1] * np.float32(self.settings.revisit)

    def neighbours(self, k: int) -> Lists:
        """The ``k`` nearest known items of each item by cosine of the input vectors, without itself.

        Time grows with n_items² d: for many items search ``similar_vectors`` in an index instead.
        """
        vectors = self.similar_vectors()
        parts = [Lists.empty(0)]
        for start in range(0, vectors.shape[0], NEIGHBOUR_BLOCK):
            asked = vectors[start : start + NEIGHBOUR_BLOCK]
            nobody = SessionLog.of([[]] * asked.shape[0], n_items=vectors.shape[0])
            parts.append(best_items(nobody, asked, vectors, self._known, k + 1))
        found = Lists.concat(parts)
        owner = np.repeat(np.arange(len(found)), found.lengths)
        other = found.aids != owner
        offsets = np.zeros(len(found) + 1, np.int64)
        np.cumsum(np.bincount(owner[other], minlength=len(found)), out=offsets[1:])
        return Lists(offsets, found.aids[other], found.scores[other]).top(k)

    def similar_vectors(self) -> F32:
        """float32[n_items, d]: input vectors of length 1 (0 for unknown items), whose inner product is the cosine."""
        lengths = np.linalg.norm(self._inputs, axis=1, keepdims=True)
        unit: F32 = self._inputs / np.maximum(lengths, np.float32(1e-12))
        return unit

    def _embed(self, log: SessionLog) -> tuple[F32, F32]:
        out = np.zeros((len(log), self.settings.dim), np.float32)
        shares = np.zeros(log.n_events, np.float32)
        weights = np.array(self.settings.type_weights if log.has_types else (1.0, 1.0, 1.0), np.float32)
        embed_sessions(
            log.offsets, log.aids, log.type_codes(), self._known, self._inputs, weights,
            self.settings.tail, self.settings.recency, out, shares,
        )  # fmt: skip
        return out, shares

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        save_arrays(folder, inputs=self._inputs, outputs=self._outputs, known=self._known)

    def load(self, folder: Path) -> Self:
        """Open the vectors, memory-mapped.

        Raises
        ------
        InputError
            If a file is missing, or the vectors have another size than the settings say.
        """
        inputs, outputs, known = (need_array(folder, name) for name in ("inputs", "outputs", "known"))
        shape = (known.size, self.settings.dim)
        if inputs.shape != shape or outputs.shape != shape:
            raise InputError(
                folder, None, f"vectors {inputs.shape}, {outputs.shape}, not {shape}", "train this model again"
            )
        self._inputs, self._outputs, self._known = inputs, outputs, known
        return self
