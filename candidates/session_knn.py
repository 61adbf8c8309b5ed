"""Session kNN: items of recent sessions that have the session's items, too."""

from pathlib import Path
from typing import Self

import numpy as np

from candidates.accumulator import EMPTY, add, capacity, take_best, write_row
from candidates.profile import weigh_items
from candidates.session_index import SessionIndex
from candidates.settings import SessionKnnSettings
from events.arrays import F32, F64, I8, I32, I64
from events.columns import DAY
from events.compiled import inline, kernel
from events.files import need_array, save_arrays
from events.lists import Lists
from events.log import SessionLog


class SessionKnn:
    """Items y by Σ over the session's nearest neighbours n with y of similarity(n) * age(n) * nearness(n, y).

    similarity(n)  : Σ over the shared items x of weight(x) * idf(x), divided by √(items of n); weight(x) as in the
                     source ``neighbours``, idf(x) = ln(sessions / sessions with x)
    age(n)         : exp(-days between the last events of both sessions / ``decay_days``); 1 without time
    nearness(n, y) : exp(-|place of y - place of m| / ``decay_items``), places in n, m the shared item that the session
                     had last

    Of every item of the session the ``recent`` latest sessions that have it are looked at, and the ``neighbours`` most
    similar of all these count; ties go to the more recent one. A session never counts as its own neighbour, and no
    other one of its group does, though they take a place among the most similar. Needs nothing; without time the order
    of the session index stands for it. Sources: Kersbergen et al., Serenade: VMIS-kNN (SIGMOD 2022); Garg et al., STAN
    (SIGIR 2019). Differences: items of the session weigh by type of event, too; idf counts for the similarity, not
    again for the items; the latest sessions are chosen for each item, not for all of them together.
    """

    def __init__(self, name: str = "session_knn", settings: SessionKnnSettings | None = None) -> None:
        self.name = name
        self.settings = settings or SessionKnnSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._index: SessionIndex | None = None
        self._idf = np.empty(0)
        self._widest = 0

    def fit(self, log: SessionLog) -> Self:
        """Index the sessions."""
        self._index = SessionIndex.of(log, self.settings.session_items, self.settings.recent)
        self._idf = np.log(max(len(log), 1) / np.maximum(self._index.counts, 1))
        self._widest = int(self._index.widths.max(initial=0))
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:  # noqa: ARG002
        """The best ``k`` items of each session's neighbours."""
        settings, index = self.settings, self._index
        if index is None:
            raise ValueError(f"{self.name} is not fitted")
        offsets = np.zeros(len(log) + 1, np.int64)
        aids, scores = np.empty(len(log) * k, np.int32), np.empty(len(log) * k, np.float32)
        none = np.empty(0, np.int32)
        rank_by_neighbours(
            (log.offsets, log.aids, log.type_codes(), log.groups, none if log.ts is None else log.ts),
            (index.starts, index.postings, index.widths),
            (index.offsets, index.items, index.groups, none if index.ends is None else index.ends),
            self._idf, settings.tail, np.array(settings.type_weights.of(log.has_types)),
            settings.first_power, settings.last_power, settings.neighbours, self._widest,
            settings.decay_days * DAY, settings.decay_items, settings.exclude_seen, k, offsets, aids, scores,
        )  # fmt: skip
        return Lists(offsets, aids[: offsets[-1]].copy(), scores[: offsets[-1]].copy())

    def save(self, folder: Path) -> None:
        """Write the index."""
        if self._index is not None:
            self._index.save(folder)
            save_arrays(folder, idf=self._idf)

    def load(self, folder: Path) -> Self:
        """Open the index."""
        self._index = SessionIndex.load(folder)
        self._idf = need_array(folder, "idf")
        self._widest = int(self._index.widths.max(initial=0))
        return self


@inline
def worse(score: float, session: int, other: float, than: int) -> bool:
    """Whether a neighbour is less similar than another one, or as similar and older."""
    return score < other or (score == other and session > than)


@kernel
def sink(near: I32, similarity: F64, size: int, place: int) -> None:
    """Restore the heap, the worst at its root, in which only ``place`` may lie too high."""
    while True:
        worst = place
        for child in (2 * place + 1, 2 * place + 2):
            if child < size and worse(similarity[child], near[child], similarity[worst], near[worst]):
                worst = child
        if worst == place:
            return
        near[place], near[worst] = near[worst], near[place]
        similarity[place], similarity[worst] = similarity[worst], similarity[place]
        place = worst


@inline
def keep_nearest(near: I32, similarity: F64, size: int, session: int, score: float) -> int:
    """Put a session among the ``size`` nearest ones, in place of the worst where all are taken; the new number.

    Once ``near`` is full it is a heap, the worst at its root.
    """
    k = near.size
    if size < k:
        near[size], similarity[size] = session, score
        size += 1
        if size == k:
            for place in range(k // 2 - 1, -1, -1):
                sink(near, similarity, k, place)
    elif worse(similarity[0], near[0], score, session):
        near[0], similarity[0] = session, score
        sink(near, similarity, k, 0)
    return size


@kernel
def nearest_sessions(
    unique: I32, weights: F64, starts: I64, postings: I32, widths: I8, norms: F64,
    keys: I32, sums: F64, slots: int, near: I32, similarity: F64,
) -> int:  # fmt: skip
    """The sessions most similar to these weighted items, in no order, into ``near`` and ``similarity``; their number.

    ``keys`` is empty, and empty again at the end.
    """
    for u in range(unique.size):
        for p in range(starts[unique[u]], starts[unique[u] + 1]):
            add(keys, sums, slots, postings[p], weights[u] * norms[widths[p]])
    size = 0
    for slot in range(slots):
        session = keys[slot]
        if session == EMPTY:
            continue
        keys[slot] = EMPTY
        size = keep_nearest(near, similarity, size, session, sums[slot])
    return size


@inline
def shared_place(items: I32, begin: int, end: int, unique: I32) -> int:
    """The place of the first of ``unique`` that is among ``items[begin:end]``; there is one."""
    for u in range(unique.size):
        for i in range(begin, end):
            if items[i] == unique[u]:
                return i
    return begin


@kernel
def weigh_sessions(
    near: I32, similarity: F64, group: int, second: int, decay_seconds: float,
    offsets: I64, items: I32, groups: I64, ends: I32, begins: I64, weights: F64,
) -> tuple[np.int64, np.int64]:  # fmt: skip
    """Where the items of each neighbour begin, -1 for one of ``group``, and its similarity times its age.

    Returns the number of all their items, and a number without meaning, which keeps the early reads alive: as none of
    these reads waits for another one, they take a fraction of the time that they would take one after the other.
    """
    entries, warm = np.int64(0), np.int64(0)
    for t in range(near.size):
        begins[t] = offsets[near[t]]
        entries += offsets[near[t] + 1] - begins[t]
        weights[t] = similarity[t]
        if groups[near[t]] == group:
            begins[t] = -1
    if ends.size > 0:
        for t in range(near.size):
            weights[t] *= np.exp(-abs(np.float64(second) - np.float64(ends[near[t]])) / decay_seconds)
    for t in range(near.size):
        warm ^= items[max(begins[t], 0)]
    return entries, warm


@kernel
def rank_by_neighbours(
    log: tuple[I64, I32, I8, I64, I32],
    by_item: tuple[I64, I32, I8],
    by_session: tuple[I64, I32, I64, I32],
    idf: F64, tail: int, type_weights: F64, first_power: float, last_power: float, neighbours: int, widest: int,
    decay_seconds: float, decay_items: float, exclude_seen: bool, k: int,
    out_offsets: I64, out_aids: I32, out_scores: F32,
) -> np.int64:  # fmt: skip
    """Write each session's best items, best first; ``out_offsets`` int64[S+1] starts with 0.

    log        : offsets, items, types, groups and times of the sessions
    by_item    : starts, postings and widths; by_session : offsets, items, groups and ends; of the index
    widest     : items of a session of the index, at most; buffers go by it
    times and ends are of size 0 where the shop has none

    Returns a number without meaning, see :func:`weigh_sessions`.
    """
    offsets, aids, types, own_groups, ts = log
    starts, postings, widths = by_item
    near_offsets, near_items, groups, ends = by_session
    longest, most = 0, 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
        total = 0
        for i in range(max(offsets[s], offsets[s + 1] - tail), offsets[s + 1]):
            total += starts[aids[i] + 1] - starts[aids[i]]
        most = max(most, total)
    own, places = np.full(capacity(longest), EMPTY, np.int32), np.empty(capacity(longest), np.float64)
    unique, weights = np.empty(min(tail, longest), np.int32), np.empty(min(tail, longest), np.float64)
    session_keys, session_sums = np.full(capacity(most), EMPTY, np.int32), np.empty(capacity(most), np.float64)
    near, similarity = np.empty(neighbours, np.int32), np.empty(neighbours, np.float64)
    begins, ages = np.empty(neighbours, np.int64), np.empty(neighbours, np.float64)
    room = capacity(neighbours * widest)
    keys, sums = np.full(room, EMPTY, np.int32), np.empty(room, np.float64)
    norms, nearness = np.empty(widest + 1, np.float64), np.empty(widest + 1, np.float64)
    for n in range(widest + 1):
        norms[n] = 1.0 / np.sqrt(max(n, 1))
        nearness[n] = np.exp(-n / decay_items)
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    warm = np.int64(0)
    for s in range(offsets.size - 1):
        first, last = offsets[s], offsets[s + 1]
        own_slots = capacity(last - first)
        found = weigh_items(
            aids, types, first, last, tail, type_weights, first_power, last_power,
            own, places, own_slots, unique, weights,
        )  # fmt: skip
        entries = 0
        for u in range(found):
            entries += starts[unique[u] + 1] - starts[unique[u]]
            weights[u] *= idf[unique[u]]
        found_near = nearest_sessions(
            unique[:found], weights, starts, postings, widths, norms,
            session_keys, session_sums, capacity(entries), near, similarity,
        )  # fmt: skip
        second = int(ts[last - 1]) if ts.size > 0 and last > first else 0
        all_items, read = weigh_sessions(
            near[:found_near], similarity, own_groups[s], second, decay_seconds,
            near_offsets, near_items, groups, ends if ts.size > 0 else ts, begins, ages,
        )  # fmt: skip
        warm ^= read
        slots = capacity(int(all_items))
        for t in range(found_near):
            begin, end = begins[t], near_offsets[near[t] + 1]
            if begin < 0:
                continue
            match = shared_place(near_items, begin, end, unique[:found])
            for i in range(begin, end):
                add(keys, sums, slots, near_items[i], ages[t] * nearness[abs(i - match)])
        size = take_best(keys, sums, slots, own, own_slots if exclude_seen else 0, best_aids, best_scores)
        own[:own_slots] = EMPTY
        write_row(s, best_aids, best_scores, size, out_offsets, out_aids, out_scores)
    return warm
