"""What every retriever must do: a test class to inherit from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from events.log import SessionLog
from models.exact import next_item_rows, rank_hits, recommend_exactly
from models.retriever import Retriever
from models.searcher import Searcher
from tests.models.worlds import CHANCE, noise_log


class RetrieverContract:
    """Inherit, and give the class a staticmethod ``make(seed) -> Retriever``: a small one, not yet fitted, that
    trains in about a second.

    ``learns`` is the recall@10 of the next item on the planted chain that it must pass (chance is .18).
    """

    learns = 0.6
    make: Callable[[int], Retriever]

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, train: SessionLog) -> Retriever:
        return cls.make(7).fit(train)

    def targets(self, retriever: Retriever) -> list[str | None]:
        return list(retriever.targets) or [None]

    def test_obeys_the_protocol(self, fitted: Retriever, train: SessionLog, asked: SessionLog) -> None:
        assert isinstance(fitted, Retriever)
        assert fitted.needs <= {"time", "types"}
        assert set(fitted.targets) <= {"clicks", "carts", "orders"}
        assert fitted.known.dtype == np.bool_
        np.testing.assert_array_equal(fitted.known, np.isin(np.arange(train.n_items), train.aids))
        for target in self.targets(fitted):
            items, sessions = fitted.item_vectors(target), fitted.session_vectors(asked, target)
            for vectors, size in ((items, train.n_items), (sessions, len(asked))):
                assert vectors.dtype == np.float32
                assert vectors.flags.c_contiguous
                assert vectors.shape == (size, items.shape[1])
                assert np.isfinite(vectors).all()
            assert not items[~fitted.known].any()
            added = fitted.revisits(asked, target)
            assert added is None or (added.shape == (asked.n_events,) and added.dtype == np.float32)

    def test_learns_a_planted_chain(self, fitted: Retriever, asked: SessionLog) -> None:
        rows, labels = next_item_rows(asked, np.arange(len(asked)))
        hits = rank_hits(fitted, rows, labels, 10, self.targets(fitted)[0])
        assert hits.recall is not None
        assert hits.recall > self.learns

    def test_stays_at_chance_on_noise(self) -> None:
        retriever = type(self).make(7).fit(noise_log(1_500, seed=3))
        asked = noise_log(500, seed=4)
        rows, labels = next_item_rows(asked, np.arange(len(asked)))
        hits = rank_hits(retriever, rows, labels, 10, self.targets(retriever)[0])
        assert hits.recall is not None
        assert abs(hits.recall - CHANCE) < 0.04  # about 3,000 rows: four standard errors are .028

    def test_batch_equals_single(self, fitted: Retriever, asked: SessionLog) -> None:
        for target in self.targets(fitted):
            batch, added = fitted.session_vectors(asked, target), fitted.revisits(asked, target)
            for s in range(0, len(asked), 37):
                one = asked.slice(s, s + 1)
                np.testing.assert_array_equal(fitted.session_vectors(one, target)[0], batch[s])
                alone = fitted.revisits(one, target)
                if added is None:
                    assert alone is None
                else:
                    np.testing.assert_array_equal(alone, added[asked.offsets[s] : asked.offsets[s + 1]])

    def test_reading_once_gives_the_same(self, fitted: Retriever, asked: SessionLog) -> None:
        encoded = Searcher.build(fitted, asked, 5).encode(asked)
        for target in self.targets(fitted):
            np.testing.assert_array_equal(encoded.vectors[target], fitted.session_vectors(asked, target))
            alone = fitted.revisits(asked, target)
            assert (alone is None) == (encoded.revisits[target] is None)
            if alone is not None:
                np.testing.assert_array_equal(encoded.revisits[target], alone)

    def test_sessions_are_independent(self, fitted: Retriever, asked: SessionLog) -> None:
        order = np.random.default_rng(3).permutation(len(asked))[:200]
        for target in self.targets(fitted):
            shuffled = fitted.session_vectors(asked.take(order), target)
            np.testing.assert_array_equal(shuffled, fitted.session_vectors(asked, target)[order])

    def test_the_same_seed_gives_the_same_vectors(self, fitted: Retriever, train: SessionLog) -> None:
        again = type(self).make(7).fit(train)
        for target in self.targets(fitted):
            np.testing.assert_array_equal(again.item_vectors(target), fitted.item_vectors(target))

    def test_several_callers_at_once(self, fitted: Retriever, asked: SessionLog) -> None:
        target = self.targets(fitted)[-1]
        alone = fitted.session_vectors(asked, target)
        with ThreadPoolExecutor(3) as pool:
            for vectors in pool.map(lambda _: fitted.session_vectors(asked, target), range(6)):
                np.testing.assert_array_equal(vectors, alone)

    def test_save_and_load_change_nothing(self, fitted: Retriever, asked: SessionLog, tmp_path: Path) -> None:
        fitted.save(tmp_path)
        assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle")]
        loaded = type(self).make(7).load(tmp_path)
        np.testing.assert_array_equal(loaded.known, fitted.known)
        for target in self.targets(fitted):
            np.testing.assert_array_equal(loaded.item_vectors(target), fitted.item_vectors(target))
            mine, theirs = fitted.session_vectors(asked, target), loaded.session_vectors(asked, target)
            np.testing.assert_array_equal(mine, theirs)

    def test_empty_sessions_and_unknown_items_are_no_error(self, fitted: Retriever, train: SessionLog) -> None:
        n = train.n_items
        log = SessionLog.of([[], [n - 1], [0, n - 1], [0]], [[], [5], [6, 7], [6]], [[], [0], [1, 2], [1]], n)
        for target in self.targets(fitted):
            vectors = fitted.session_vectors(log, target)
            assert not vectors[:2].any()
            assert vectors[3].any()
            lists = recommend_exactly(fitted, log, 5, target)
            assert lists.lengths.tolist() == [0, 0, 5, 5]
            assert fitted.session_vectors(log.slice(0, 0), target).shape[0] == 0

    def test_a_log_without_time_and_types_will_do(self, train: SessionLog, asked: SessionLog) -> None:
        retriever = type(self).make(7)
        if retriever.needs:
            pytest.skip(f"needs {', '.join(sorted(retriever.needs))}")

        def bare(log: SessionLog) -> SessionLog:
            return SessionLog(log.sessions, log.groups, log.offsets, log.aids, None, None, log.n_items)

        retriever.fit(bare(train.slice(0, 200)))
        assert retriever.session_vectors(bare(asked)).any()
