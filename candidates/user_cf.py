"""User-user collaborative filtering: the plain baseline beside the tuned ``session_knn``."""

from pathlib import Path
from typing import Self

import numpy as np

from candidates.accumulator import EMPTY, add, capacity, latest_items, take_best, write_row
from candidates.session_index import SessionIndex
from candidates.session_knn import keep_nearest
from candidates.settings import UserCfSettings
from candidates.similarity import likeness
from events.arrays import F32, F64, I32, I64
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog


class UserCf:
    """Items y by Σ over the session's nearest neighbours with y of their similarity.

    A session (or user) is the vector of its last different items. Of each of its items the ``recent`` latest sessions
    are looked at; ties among neighbours go to the more recent one; only positive similarities count. A session never
    counts as its own neighbour, and no other one of its group does. Neither order nor types nor times matter
    otherwise. Needs nothing. Source: Herlocker et al., An algorithmic framework for performing collaborative filtering
    (SIGIR 1999). Difference: events are 0 and 1, not ratings.
    """

    def __init__(self, name: str = "user_cf", settings: UserCfSettings | None = None) -> None:
        self.name = name
        self.settings = settings or UserCfSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._index: SessionIndex | None = None

    def fit(self, log: SessionLog) -> Self:
        """Index the sessions."""
        self._index = SessionIndex.of(log, self.settings.session_items, self.settings.recent)
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:  # noqa: ARG002
        """The best ``k`` items of each session's neighbours."""
        settings, index = self.settings, self._index
        if index is None:
            raise ValueError(f"{self.name} is not fitted")
        offsets = np.zeros(len(log) + 1, np.int64)
        aids, scores = np.empty(len(log) * k, np.int32), np.empty(len(log) * k, np.float32)
        rank_by_users(
            log.offsets, log.aids, log.groups, index.starts, index.postings, index.offsets, index.items, index.groups,
            settings.session_items, settings.neighbours, settings.similarity == "pearson", settings.exclude_seen, k,
            offsets, aids, scores,
        )  # fmt: skip
        return Lists(offsets, aids[: offsets[-1]].copy(), scores[: offsets[-1]].copy())

    def save(self, folder: Path) -> None:
        """Write the index."""
        if self._index is not None:
            self._index.save(folder)

    def load(self, folder: Path) -> Self:
        """Open the index."""
        self._index = SessionIndex.load(folder)
        return self


@kernel
def most_similar_users(
    unique: I32, starts: I64, postings: I32, offsets: I64, n_items: float, pearson: bool,
    keys: I32, shared: F64, slots: int, near: I32, similarity: F64,
) -> int:  # fmt: skip
    """The sessions most similar to these items, in no order, into ``near`` and ``similarity``; their number.

    ``keys`` is empty, and empty again at the end.
    """
    for u in range(unique.size):
        for p in range(starts[unique[u]], starts[unique[u] + 1]):
            add(keys, shared, slots, postings[p], 1.0)
    size = 0
    for slot in range(slots):
        session = keys[slot]
        if session == EMPTY:
            continue
        keys[slot] = EMPTY
        width = offsets[session + 1] - offsets[session]
        score = likeness(shared[slot], float(unique.size), float(width), n_items, pearson)
        if score > 0.0:
            size = keep_nearest(near, similarity, size, session, score)
    return size


@kernel
def rank_by_users(
    offsets: I64, aids: I32, own_groups: I64, starts: I64, postings: I32, near_offsets: I64, near_items: I32,
    groups: I64, most: int, neighbours: int, pearson: bool, exclude_seen: bool, k: int,
    out_offsets: I64, out_aids: I32, out_scores: F32,
) -> None:  # fmt: skip
    """Write each session's best items, best first; ``out_offsets`` int64[S+1] starts with 0.

    most : different items of a session that are its vector, the latest ones
    """
    longest, largest, widest = 0, 0, 0
    for s in range(offsets.size - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
        total = 0
        for event in range(offsets[s], offsets[s + 1]):
            total += starts[aids[event] + 1] - starts[aids[event]]
        largest = max(largest, total)
    for r in range(near_offsets.size - 1):
        widest = max(widest, near_offsets[r + 1] - near_offsets[r])
    own, unused = np.full(capacity(longest), EMPTY, np.int32), np.empty(capacity(longest), np.float64)
    session_keys, shared = np.full(capacity(largest), EMPTY, np.int32), np.empty(capacity(largest), np.float64)
    room = capacity(neighbours * widest)
    keys, sums = np.full(room, EMPTY, np.int32), np.empty(room, np.float64)
    near, similarity = np.empty(neighbours, np.int32), np.empty(neighbours, np.float64)
    unique = np.empty(longest, np.int32)
    best_aids, best_scores = np.empty(k, np.int32), np.empty(k, np.float64)
    for s in range(offsets.size - 1):
        own_slots = capacity(offsets[s + 1] - offsets[s])
        entries = 0
        found = min(latest_items(aids, offsets[s], offsets[s + 1], own, unused, own_slots, unique), most)
        for u in range(found):
            entries += starts[unique[u] + 1] - starts[unique[u]]
        found_near = most_similar_users(
            unique[:found], starts, postings, near_offsets, float(starts.size - 1), pearson,
            session_keys, shared, capacity(entries), near, similarity,
        )  # fmt: skip
        entries = 0
        for t in range(found_near):
            entries += near_offsets[near[t] + 1] - near_offsets[near[t]]
        slots = capacity(entries)
        for t in range(found_near):
            if groups[near[t]] != own_groups[s]:
                for i in range(near_offsets[near[t]], near_offsets[near[t] + 1]):
                    add(keys, sums, slots, near_items[i], similarity[t])
        size = take_best(keys, sums, slots, own, own_slots if exclude_seen else 0, best_aids, best_scores)
        own[:own_slots] = EMPTY
        write_row(s, best_aids, best_scores, size, out_offsets, out_aids, out_scores)
