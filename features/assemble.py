"""The matrix that a ranker sees: every block's columns for every candidate of a chunk of sessions."""

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from candidates.pool import Arena, Candidates
from events.columns import HOUR
from events.knowledge.fitted import Knowledge
from events.lists import Lists
from events.log import SessionLog
from features.affinity import AffinityBlock, affinity_features
from features.items import ItemBlock, ItemTable, item_features
from features.knowledge import KnowledgeTable, knowledge_blocks
from features.match import MatchBlock, match_features
from features.pairs import PAIR_FEATURES, PairBlock
from features.registry import Block, Feature, LeftOut, check_unique, choose, pick
from features.sessions import SESSION_FEATURES, SessionBlock
from features.settings import FeaturesSettings
from features.similarity import lengths_name, similarity_blocks
from features.sources import POOL_FEATURES, PoolBlock, SourceBlock, source_features
from models.searcher import Searcher

RANGE_ROWS = 2_048
"""Rows that a thread fills at a time: all blocks write them while they are in the second-level cache."""


class FeatureBuilder:
    """Builds the features of chunks of sessions from fitted tables; read-only, so that threads may share it.

    features : what is built, in the order of the columns
    left_out : what is not, and why
    tables   : float32[n_items] each, what the blocks know of all items besides the item table; to open a pass quickly
    """

    def __init__(
        self,
        settings: FeaturesSettings,
        has: frozenset[str],
        columns: tuple[str, ...],
        items: ItemTable,
        matrices: Mapping[str, Lists],
        threads: int = 1,
        searchers: Mapping[str, Searcher] | None = None,
        tables: Mapping[str, npt.NDArray[np.float32]] | None = None,
        knowledge: tuple[Knowledge, KnowledgeTable] | None = None,
    ) -> None:
        """Choose the blocks.

        has       : what of ``events.log.NEEDS`` the logs have, the fitted one and those to come
        columns   : column names of the pool
        items     : the pass's item table, fitted with the same settings
        matrices  : name to the neighbour lists of all items (a co-visitation matrix)
        searchers : name to the pass's fitted retriever; the pools come with their sessions encoded by each
        tables    : those of another builder of the same pass and settings; those that are missing are made
        knowledge : what is known of the pass's items and sessions, if anything, and the table fitted on it
        """
        self._has, self._columns, self._threads = has, columns, threads
        self.left_out: tuple[LeftOut, ...] = ()
        self.tables: dict[str, npt.NDArray[np.float32]] = dict(tables or {})
        self._blocks: list[Block] = []
        self._add_sources(settings, columns, items)
        self._add_items(settings, items)
        self._add_history(settings, items)
        for name, lists in matrices.items():
            self._add_affinity(settings, name, lists)
        self._encoders = tuple(searchers or {})
        for name, searcher in (searchers or {}).items():
            self._add_similarity(settings, name, searcher)
        if knowledge is not None:
            self._add_knowledge(settings, *knowledge)
        self.features: tuple[Feature, ...] = tuple(f for block in self._blocks for f in block.features)
        check_unique(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(feature.name for feature in self.features)

    def _choose(
        self, features: tuple[Feature, ...], settings: FeaturesSettings
    ) -> tuple[tuple[Feature, ...], npt.NDArray[np.int64]]:
        which, left_out = choose(features, self._has, settings.groups)
        self.left_out += left_out
        return pick(features, which), which

    def _add_sources(self, settings: FeaturesSettings, columns: tuple[str, ...], items: ItemTable) -> None:
        chosen, _ = self._choose(source_features(columns, settings), settings)
        if chosen:
            scores = settings.source_scores
            self._blocks.append(SourceBlock(chosen, "zscore" in scores, "share" in scores))
        chosen, _ = self._choose(POOL_FEATURES, settings)
        if chosen:
            self._blocks.append(PoolBlock(chosen, items.popularity, settings.fusion))

    def _add_items(self, settings: FeaturesSettings, items: ItemTable) -> None:
        chosen, _ = self._choose(item_features(settings), settings)
        if tuple(f.name for f in chosen) != items.names:
            raise ValueError("the item table was fitted with other settings or on a log with other columns")
        if chosen:
            self._blocks.append(ItemBlock(chosen, items.values))

    def _add_history(self, settings: FeaturesSettings, items: ItemTable) -> None:
        visit_gap, utc_offset = int(settings.visit_gap_minutes * 60), int(settings.utc_offset_hours * HOUR)
        chosen, which = self._choose(SESSION_FEATURES, settings)
        if chosen:
            self._blocks.append(SessionBlock(chosen, which, visit_gap, utc_offset))
        if items.names:
            chosen, _ = self._choose(match_features(settings), settings)
            if chosen:
                self._blocks.append(MatchBlock.of(chosen, items, settings, utc_offset))
        chosen, which = self._choose(PAIR_FEATURES, settings)
        if chosen:
            weights = np.array(settings.type_weights)
            self._blocks.append(PairBlock(chosen, which, visit_gap, settings.oldest_exponent, weights))

    def _add_affinity(self, settings: FeaturesSettings, name: str, lists: Lists) -> None:
        chosen, which = self._choose(affinity_features(name), settings)
        if chosen:
            names = f"affinity_{name}_units", f"affinity_{name}_listed"
            held = tuple(self.tables[one] for one in names if one in self.tables)
            block = AffinityBlock.of(chosen, which, lists, settings, (held[0], held[1]) if len(held) == 2 else None)
            self.tables |= dict(zip(names, (block.units, block.listed), strict=True))
            self._blocks.append(block)

    def _add_similarity(self, settings: FeaturesSettings, name: str, searcher: Searcher) -> None:
        for i, block in enumerate(similarity_blocks(name, searcher, self.tables)):
            self.tables[lengths_name(name, i)] = block.lengths
            chosen, _ = self._choose(block.features, settings)
            if chosen:  # all of them: they need the same
                self._blocks.append(block)

    def _add_knowledge(self, settings: FeaturesSettings, knowledge: Knowledge, table: KnowledgeTable) -> None:
        for block in knowledge_blocks(knowledge, table, settings):
            chosen, _ = self._choose(block.features, settings)
            if chosen:  # all of them, likewise
                self._blocks.append(block)

    def build(self, log: SessionLog, candidates: Candidates, arena: Arena) -> npt.NDArray[np.float32]:
        """The features of every candidate of a chunk.

        log        : the S visible sessions of the chunk
        candidates : their pool, R rows, with the columns that the builder was made for

        Returns float32[R, F], C-contiguous: a view into the arena's buffer ``features``, overwritten by the next call.
        A row depends only on its session, its candidates and the tables: neither chunks nor threads change it.
        """
        fits = log.has == self._has and candidates.names == self._columns and candidates.n_sessions == len(log)
        if not fits or not set(self._encoders) <= set(candidates.encoded):
            raise ValueError("the chunk's log or pool is not what the builder was made for")
        out: npt.NDArray[np.float32] = arena.take("features", (len(candidates), len(self.features)), np.float32)
        bounds = _ranges(candidates.offsets)

        def fill(start: int, stop: int) -> None:
            at = 0
            for block in self._blocks:
                block.fill(log, candidates, start, stop, out, at)
                at += len(block.features)

        if self._threads == 1 or len(bounds) <= 2:
            for start, stop in itertools.pairwise(bounds):
                fill(start, stop)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(fill, bounds[:-1], bounds[1:]))
        return out


def _ranges(offsets: npt.NDArray[np.int64]) -> list[int]:
    """Bounds of ranges of sessions of about ``RANGE_ROWS`` rows, first 0, last S."""
    n_sessions, rows = offsets.size - 1, int(offsets[-1])
    bounds = np.searchsorted(offsets, np.arange(0, rows, RANGE_ROWS), side="left")
    return sorted({0, *bounds.tolist(), n_sessions})
