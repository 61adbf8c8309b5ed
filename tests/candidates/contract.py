"""What every candidate source must do: a test class to inherit from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from candidates.source import Source
from candidates.source_set import recommend
from events.lists import Lists
from events.log import SessionLog


def assert_equal(a: Lists, b: Lists) -> None:
    """The same lists, bit for bit."""
    np.testing.assert_array_equal(a.offsets, b.offsets)
    np.testing.assert_array_equal(a.aids, b.aids)
    np.testing.assert_array_equal(a.scores, b.scores)


class SourceContract:
    """Inherit, and give the fixture ``make``: a function that builds the source, not yet fitted.

    ``big_log`` and ``matrices`` (``conftest.py``) have a few items that occur in no session.
    """

    @pytest.fixture
    def make(self, request: pytest.FixtureRequest) -> Callable[[], Source]:
        raise NotImplementedError

    @pytest.fixture
    def source(self, make: Callable[[], Source], big_log: SessionLog) -> Source:
        return make().fit(big_log)

    def asked(self, source: Source) -> list[str | None]:
        return list(source.targets) or [None]

    def test_obeys_the_protocol(self, source: Source, big_log: SessionLog) -> None:
        assert isinstance(source, Source)
        assert source.needs <= {"time", "types"}
        assert set(source.targets) <= {"clicks", "carts", "orders"}
        for target in self.asked(source):
            assert source.recommend(big_log.slice(0, 50), 20, target).aids.size > 0

    def test_lists_are_in_order_without_repeats(self, source: Source, big_log: SessionLog) -> None:
        for target in self.asked(source):
            lists = source.recommend(big_log, 20, target)
            assert lists.aids.dtype == np.int32
            assert lists.scores.dtype == np.float32
            assert len(lists) == len(big_log)
            assert lists.aids.min() >= 0
            assert lists.aids.max() < big_log.n_items
            assert np.isfinite(lists.scores).all()
            for s in range(0, len(lists), 7):
                aids, scores = lists.row(s)
                assert len(set(aids.tolist())) == aids.size
                keys = list(zip((-scores).tolist(), aids.tolist(), strict=True))
                assert keys == sorted(keys)

    def test_k_is_respected_and_short_lists_begin_long_ones(self, source: Source, big_log: SessionLog) -> None:
        log = big_log.slice(0, 200)
        for target in self.asked(source):
            long = source.recommend(log, 20, target)
            assert long.lengths.max() <= 20
            assert_equal(source.recommend(log, 3, target), long.top(3))

    def test_batch_equals_single(self, source: Source, big_log: SessionLog) -> None:
        for target in self.asked(source):
            batch = source.recommend(big_log, 20, target)
            for s in range(0, len(big_log), 301):
                assert_equal(source.recommend(big_log.slice(s, s + 1), 20, target), batch.slice(s, s + 1))

    def test_sessions_are_independent(self, source: Source, big_log: SessionLog) -> None:
        order = np.random.default_rng(3).permutation(len(big_log))[:500]
        for target in self.asked(source):
            shuffled = source.recommend(big_log.take(order), 20, target)
            assert_equal(shuffled, source.recommend(big_log, 20, target).take(order))

    def test_threads_change_nothing(self, source: Source, big_log: SessionLog) -> None:
        for target in self.asked(source):
            one = recommend(source, big_log, 20, target, threads=1)
            assert_equal(recommend(source, big_log, 20, target, threads=3), one)

    def test_several_callers_at_once(self, source: Source, big_log: SessionLog) -> None:
        target = self.asked(source)[-1]
        log = big_log.slice(0, 400)
        alone = source.recommend(log, 20, target)
        with ThreadPoolExecutor(4) as pool:
            for lists in pool.map(lambda _: source.recommend(log, 20, target), range(8)):
                assert_equal(lists, alone)

    def test_fit_does_not_depend_on_the_order_of_sessions(
        self, make: Callable[[], Source], source: Source, big_log: SessionLog
    ) -> None:
        shuffled = make().fit(big_log.take(np.random.default_rng(4).permutation(len(big_log))))
        log = big_log.slice(0, 300)
        for target in self.asked(source):
            assert_equal(shuffled.recommend(log, 20, target), source.recommend(log, 20, target))

    def test_fit_and_recommend_leave_the_log_alone(self, make: Callable[[], Source], big_log: SessionLog) -> None:
        log = big_log.take(np.arange(100))
        for array in (log.sessions, log.offsets, log.aids, log.ts, log.types):
            assert array is not None
            array.setflags(write=False)
        source = make().fit(log)
        for target in self.asked(source):
            source.recommend(log, 20, target)

    def test_save_and_load_change_nothing(
        self, make: Callable[[], Source], source: Source, big_log: SessionLog, tmp_path: Path
    ) -> None:
        source.save(tmp_path)
        loaded = make().load(tmp_path)
        assert loaded.targets == source.targets
        for target in self.asked(source):
            assert_equal(loaded.recommend(big_log, 20, target), source.recommend(big_log, 20, target))

    def test_empty_sessions_and_unseen_items_are_no_error(self, source: Source, big_log: SessionLog) -> None:
        n = big_log.n_items
        log = SessionLog.of([[], [n - 1], [0, n - 1], []], [[], [5], [6, 7], []], [[], [0], [1, 2], []], n)
        none = log.slice(0, 0)
        for target in self.asked(source):
            lists = source.recommend(log, 20, target)
            assert len(lists) == 4
            assert_equal(source.recommend(log.slice(3, 4), 20, target), lists.slice(3, 4))
            assert len(source.recommend(none, 20, target)) == 0
