"""The index over a retriever's items: the best items of each session by inner product and revisits.

Few items are scanned exactly. Many are found by FAISS (inverted file with product quantisation: Jégou et al., Product
quantization for nearest neighbor search, 2011; 4-bit codes as in André et al., Quicker ADC, 2019): it fetches more than
is wanted, and what it fetches is scored exactly. Each session is searched alone, because FAISS rounds differently in
batches: a session's list depends on that session alone, bit for bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from events.arrays import F32, F64, I32, I64, Flags
from events.errors import InputError
from events.files import read_json, write_json
from events.lists import Lists
from events.log import SessionLog
from models.index_kernels import add_kinds, insert_fetched, insert_owns, scan, score_four
from models.index_settings import IndexSettings

BLOCK_SESSIONS, BLOCK_ITEMS = 256, 2_048
"""Rounded scores are made by blocks of 2 MiB, which stay in the cache until they are read."""
EFFORTS = ((16, 2), (16, 3), (32, 3), (32, 4), (64, 4), (128, 4), (128, 8), (256, 8), (512, 16))
"""Lists of the inverted file that are looked into, and items fetched for each one wanted: cheap to dear."""
LEAST_FETCHED = 64
POINTS_PER_LIST = 64
"""Vectors that a list's centre is trained on."""
CODES = 128
"""Four-bit codes of a vector, at most: one a dimension, or one for several; FAISS adds them up in 16 bits."""
ADDED = 100_000
"""Items that are quantised at a time."""
GPU_FETCHED = 1.5
FILE = "index.faiss"


@dataclass(frozen=True, slots=True)
class Kinds:
    """Items of a kind have the same first ``columns`` of their vectors: their part of a score is made once a kind.

    of      : int32[n_items] kind of each item, from 0, without gaps
    """

    of: I32
    columns: int


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard FAISS searches.

    lists  : of the inverted file that are looked into
    factor : items fetched for each one wanted
    k      : items wanted when it was built; for fewer it fetches as many, so that a short list begins the long one
    recall : share of the exact lists of ``k`` that was found on the sample of sessions
    """

    lists: int
    factor: int
    k: int
    recall: float = 0.0


class ItemIndex:
    """Searches the known items of a retriever; read-only once made, so that threads may share it.

    ``recall`` is what was measured when it was built: 1 where the search is exact.
    """

    def __init__(
        self,
        vectors: F32,
        known: Flags,
        searcher: Any = None,
        effort: Effort | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        """Use :meth:`build` or :meth:`load`.

        vectors  : float32[n_items, d];  known : bool[n_items] the items to find
        searcher : a FAISS index over these; ``None`` for an exact scan
        kinds    : what an exact scan is spared
        """
        self._vectors, self._known = vectors, known
        self._searcher, self._effort = searcher, effort
        self._n_known = int(known.sum())
        if searcher is None:
            self._ids = np.flatnonzero(known).astype(np.int32)
            self._kinds, self._of_kinds, common = np.zeros(0, np.int32), vectors[:0], 0
            if kinds is not None and kinds.columns > 0:
                common = kinds.columns
                firsts = np.unique(kinds.of, return_index=True)[1]
                self._kinds, self._of_kinds = kinds.of[self._ids], np.ascontiguousarray(vectors[firsts, :common])
            self._scanned = vectors if self._n_known == known.size else vectors[self._ids]
            self._scanned = np.ascontiguousarray(self._scanned[:, common:])
            self._longest = float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64).max(initial=0)))

    @property
    def recall(self) -> float:
        """Share of the exact lists that it found when it was built."""
        return 1.0 if self._effort is None else self._effort.recall

    @property
    def is_exact(self) -> bool:
        """Whether all items are scanned."""
        return self._searcher is None

    @classmethod
    def build(
        cls,
        vectors: F32,
        known: Flags,
        queries: F32,
        k: int,
        settings: IndexSettings | None = None,
        seed: int = 0,
        threads: int = 1,
        kinds: Kinds | None = None,
    ) -> "ItemIndex":
        """An index over the known items that finds the asked share of the ``k`` best, at the least cost.

        vectors : float32[n_items, d], C-contiguous;  known : bool[n_items]
        queries : float32[S, d] session vectors; recall is measured on ``settings.sample`` of them (on items, if none)
        """
        settings = settings or IndexSettings()
        exact = cls(vectors, known, kinds=kinds)
        if (
            exact._n_known <= settings.exact_up_to
            or settings.recall == 1
            or (settings.gpu and faiss.get_num_gpus() > 0)
        ):
            return exact._on_gpus(settings)
        rng = np.random.default_rng(seed)
        asked = queries[queries.any(axis=1)]
        pool = asked if asked.size else vectors[known]
        sample = np.ascontiguousarray(pool[rng.permutation(len(pool))[: settings.sample]])
        log = SessionLog.of([[]] * len(sample), n_items=known.size)
        wanted = exact.search(log, sample, k)
        with _threads(threads):
            searcher = _inverted_file(vectors, np.flatnonzero(known), rng)
        for lists, factor in EFFORTS:
            effort = Effort(min(lists, searcher.nlist), factor, k)
            found = share_found(wanted, cls(vectors, known, searcher, effort).search(log, sample, k))
            if found >= settings.recall:
                break
        return cls(vectors, known, searcher, replace(effort, recall=found))

    def search(self, log: SessionLog, queries: F32, k: int, revisits: F32 | None = None) -> Lists:
        """The best ``k`` known items of each session, ties by ascending item.

        queries  : float32[S, d] of the sessions of ``log``; a session whose vector is 0 gets an empty list
        revisits : float32[N]: added to the score of each event's item in its session
        """
        n_sessions = len(log)
        asked: Flags = np.any(queries, axis=1)
        queries = np.ascontiguousarray(queries, np.float32)
        added = np.zeros(0, np.float32) if revisits is None else revisits
        sizes = np.zeros(n_sessions, np.int64)
        aids, scores = np.empty((n_sessions, k), np.int32), np.empty((n_sessions, k), np.float64)
        insert_owns(
            log.offsets, log.aids, added, queries, self._vectors, self._known, sizes, aids, scores
        )  # fmt: skip
        if self._searcher is None:
            self._scan(log, queries, asked, sizes, aids, scores)
        else:
            self._fetch(log, queries, sizes, aids, scores)
        sizes[~asked] = 0
        offsets = np.zeros(n_sessions + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        filled = np.arange(k) < sizes[:, None]
        return Lists(offsets, aids[filled], scores[filled].astype(np.float32))

    def _scan(self, log: SessionLog, queries: F32, asked: Flags, sizes: I64, aids: I32, scores: F64) -> None:
        n_items, d, common = len(self._scanned), queries.shape[1], self._of_kinds.shape[1] if self._kinds.size else 0
        rest = np.ascontiguousarray(queries[:, common:])
        # The rounding error of a float32 inner product in any order of additions, twice over (Higham, section 3.1).
        margins = 2.0**-22 * (d + 2) * self._longest * np.sqrt(np.square(queries, dtype=np.float64).sum(axis=1))
        for start in range(0, len(log), BLOCK_SESSIONS):
            part = rest[start : start + BLOCK_SESSIONS]
            of_kinds = queries[start : start + BLOCK_SESSIONS, :common] @ self._of_kinds[:, :common].T
            for begin in range(0, n_items, BLOCK_ITEMS):
                end = begin + BLOCK_ITEMS
                block = _scores(part, self._scanned[begin:end])
                if self._kinds.size:
                    add_kinds(block, of_kinds, self._kinds[begin:end])
                scan(
                    block, self._ids[begin:end], asked, margins, start, log.offsets, log.aids, queries, self._vectors,
                    sizes, aids, scores,
                )  # fmt: skip

    def _fetch(self, log: SessionLog, queries: F32, sizes: I64, aids: I32, scores: F64) -> None:
        wanted = min(self._n_known, self._fetched(aids.shape[1]))
        for start in range(0, len(log), BLOCK_SESSIONS):
            part = _padded(queries[start : start + BLOCK_SESSIONS])
            if self._effort is None:
                fetched = self._searcher.search(part, wanted)[1]
            else:
                fetched = _one_by_one(self._searcher, part, wanted, self._effort.lists)
            insert_fetched(
                fetched, start, log.offsets, log.aids, queries, self._vectors, sizes, aids, scores
            )  # fmt: skip

    def _fetched(self, k: int) -> int:
        fetched = int(GPU_FETCHED * k) if self._effort is None else self._effort.factor * max(k, self._effort.k)
        return max(fetched, LEAST_FETCHED)

    def save(self, folder: Path) -> None:
        """Write the index into an existing folder; the vectors are the retriever's to save."""
        effort = None if self._effort is None else asdict(self._effort)
        if effort is not None:
            faiss.write_index(self._searcher, str(folder / FILE))
        write_json(folder / "index.json", {"items": list(self._vectors.shape), "effort": effort})

    @classmethod
    def load(
        cls,
        folder: Path,
        vectors: F32,
        known: Flags,
        settings: IndexSettings | None = None,
        kinds: Kinds | None = None,
    ) -> "ItemIndex":
        """Open what :meth:`save` wrote, memory-mapped, for the vectors that it was built over.

        Raises
        ------
        InputError
            If a file is missing or was built over other items.
        """
        meta = read_json(folder / "index.json")
        remedy = "remove the folder and run the stage retrievers again"
        if meta["items"] != list(vectors.shape):
            raise InputError(folder, None, f"built over vectors of shape {meta['items']}, not {vectors.shape}", remedy)
        if meta["effort"] is None:
            return cls(vectors, known, kinds=kinds)._on_gpus(settings or IndexSettings())
        try:
            searcher = faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise InputError(folder / FILE, None, f"cannot be read: {str(error).splitlines()[0]}", remedy) from None
        if searcher.ntotal != known.sum():
            raise InputError(folder / FILE, None, f"holds {searcher.ntotal} items, not {known.sum()}", remedy)
        return cls(vectors, known, searcher, Effort(**meta["effort"]))

    def _on_gpus(self, settings: IndexSettings) -> "ItemIndex":
        """The same items, searched by brute force on GPUs if they are many and there are any."""
        ids = np.flatnonzero(self._known)
        if not settings.gpu or faiss.get_num_gpus() == 0 or ids.size <= settings.exact_up_to:
            return self
        flat = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(_padded(self._vectors[:1]).shape[1]))
        searcher = faiss.IndexIDMap2(flat)
        searcher.add_with_ids(_padded(self._vectors[ids]), ids)
        return ItemIndex(self._vectors, self._known, searcher)


def _scores(queries: F32, vectors: F32) -> F32:
    """float32[b, m] rounded scores. For a few sessions at a time NumPy takes longer."""
    few = len(queries)
    if few > 4:
        return np.ascontiguousarray(queries @ vectors.T)
    block = np.empty((4, len(vectors)), np.float32)
    score_four(np.concatenate([queries, np.zeros((4 - few, queries.shape[1]), np.float32)]), vectors, block)
    return block[:few]


def share_found(wanted: Lists, found: Lists) -> float:
    """Share of the wanted items that were found, over all lists.

    >>> share_found(Lists.of([[(1, 2.0), (3, 1.0)], [(2, 1.0)]]), Lists.of([[(1, 2.0), (4, 0.5)], [(2, 1.0)]]))
    0.6666666666666666
    """
    span = int(max(wanted.aids.max(initial=0), found.aids.max(initial=0))) + 1
    keys = [np.repeat(np.arange(len(lists)), lists.lengths) * span + lists.aids for lists in (wanted, found)]
    return float(np.isin(keys[0], keys[1]).mean()) if keys[0].size else 1.0


def _inverted_file(vectors: F32, ids: I64, rng: np.random.Generator) -> Any:
    """FAISS's IVF with product quantisation: a dimension in four bits; lists grow with the root of the items."""
    lists = 2 ** max(round(np.log2(1.5 * np.sqrt(ids.size))), 4)
    together = -(-vectors.shape[1] // CODES)
    width = _padded(vectors[:1]).shape[1]
    searcher: Any = faiss.index_factory(width, f"IVF{lists},PQ{width // together}x4fs", faiss.METRIC_INNER_PRODUCT)
    searcher.cp.max_points_per_centroid = POINTS_PER_LIST
    searcher.cp.min_points_per_centroid = searcher.pq.cp.min_points_per_centroid = 1  # it would only warn
    trained_on = np.sort(rng.permutation(ids)[: lists * POINTS_PER_LIST])
    searcher.train(_padded(vectors[trained_on]))
    for start in range(0, ids.size, ADDED):
        some = ids[start : start + ADDED]
        searcher.add_with_ids(_padded(vectors[some]), some)
    return searcher


def _padded(rows: F32) -> F32:
    """The rows, with columns of zeros added until as many dimensions as share a code divide their number."""
    missing = -rows.shape[1] % -(-rows.shape[1] // CODES)
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, missing))) if missing else rows)


def _one_by_one(searcher: Any, queries: F32, wanted: int, lists: int) -> I64:
    """int64[S, wanted] items, -1 where fewer were found; each query in a call of its own, on this thread alone.

    Nothing is found for a query that is 0.
    """
    how: Any = faiss.SearchParametersIVF()
    how.nprobe = lists
    found = np.full((len(queries), wanted), -1, np.int64)
    scores = np.empty((1, wanted), np.float32)
    with _threads(1):
        for s in np.flatnonzero(queries.any(axis=1)):
            searcher.search(queries[s : s + 1], wanted, params=how, D=scores, I=found[s : s + 1])
    return found


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """FAISS calls from this thread (and no other) run on so many threads."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
