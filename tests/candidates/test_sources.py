"""Every source obeys the contract; history, popularity and neighbours equal the obvious slow version."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candidates.external import External
from candidates.history import History
from candidates.neighbours import Neighbours
from candidates.popularity import Popularity, popular_items
from candidates.recipes import TypeWeights
from candidates.rules import Rules
from candidates.settings import (
    ExternalSettings,
    HistorySettings,
    NeighboursSettings,
    PopularitySettings,
    RulesSettings,
)
from candidates.source import Source
from events.columns import DAY
from events.index import IdIndex
from events.lists import Lists
from events.log import SessionLog
from tests.candidates.contract import SourceContract
from tests.candidates.random_logs import logs

Ranked = list[list[tuple[int, float]]]


class TestHistory(SourceContract):
    @pytest.fixture
    def make(self) -> Callable[[], Source]:
        return History


class TestPopularity(SourceContract):
    @pytest.fixture
    def make(self) -> Callable[[], Source]:
        return Popularity


class TestNeighbours(SourceContract):
    @pytest.fixture(params=["share", "rank"])
    def make(self, request: pytest.FixtureRequest, matrices: dict[str, Lists]) -> Callable[[], Source]:
        settings = NeighboursSettings(matrix="clicks", neighbour_weight=request.param, exclude_seen=True)
        return lambda: Neighbours("near", settings, matrices["clicks"])


class TestRules(SourceContract):
    @pytest.fixture
    def make(self, matrices: dict[str, Lists]) -> Callable[[], Source]:
        return lambda: Rules("rules", RulesSettings(), matrices, threads=2)


class TestExternal(SourceContract):
    @pytest.fixture(params=[False, True], ids=["one list", "a list a target"])
    def make(
        self, request: pytest.FixtureRequest, big_log: SessionLog, tmp_path_factory: pytest.TempPathFactory
    ) -> Callable[[], Source]:
        rng = np.random.default_rng(0)
        n = 20_000
        table = pl.DataFrame(
            {
                "session": rng.integers(0, len(big_log), n) * 10,
                "aid": rng.integers(0, big_log.n_items, n) + 1_000,
                "score": rng.integers(0, 5, n) / 2,
            }
        )
        if request.param:
            table = table.with_columns(pl.Series("target", rng.choice(["clicks", "orders"], n)))
        path = tmp_path_factory.mktemp("external") / "candidates.parquet"
        table.write_parquet(path)
        items = IdIndex.of(pl.Series(np.arange(big_log.n_items) + 1_000))
        sessions = IdIndex.of(pl.Series(np.arange(len(big_log)) * 10))
        return lambda: External("external", ExternalSettings(path=path), items, sessions)


def ranked(sums: dict[int, float], k: int) -> list[tuple[int, float]]:
    """Best first, ties of the float32 scores by item."""
    scored = [(aid, float(np.float32(score))) for aid, score in sums.items()]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]


def assert_close(lists: Lists, expected: Ranked) -> None:
    assert len(lists) == len(expected)
    for s, row in enumerate(expected):
        aids, scores = lists.row(s)
        np.testing.assert_allclose(scores, [score for _, score in row], rtol=1e-6)
        if len({round(score, 5) for _, score in row}) == len(row):  # sums of floats may differ in the last bit
            assert aids.tolist() == [aid for aid, _ in row]


def slow_history(log: SessionLog, k: int, first_power: float = 0.1) -> Ranked:
    rows = []
    for s in range(len(log)):
        part = log.slice(s, s + 1)
        sums: dict[int, float] = {}
        powers = np.linspace(first_power, 1, part.n_events)
        for aid, code, power in zip(part.aids.tolist(), part.type_codes().tolist(), powers, strict=True):
            sums[aid] = sums.get(aid, 0.0) + (2**power - 1) * (1, 6, 3)[code]
        rows.append(ranked(sums, k))
    return rows


@given(logs(has_time=None, has_types=None), st.integers(1, 6))
def test_history_equals_the_slow_version(log: SessionLog, k: int) -> None:
    assert_close(History().recommend(log, k), slow_history(log, k))


def test_history_settings_change_the_lists() -> None:
    log = SessionLog.of([[0, 1, 2]], types=[[0, 2, 1]], n_items=3)
    settings = HistorySettings(type_weights=TypeWeights(clicks=9), first_power=0.5, last_power=0.6)
    assert History().recommend(log, 3).aids.tolist() == [2, 1, 0]
    lists = History("h", settings).recommend(log, 3)
    assert lists.aids.tolist() == [0, 2, 1]
    np.testing.assert_allclose(lists.scores, [9 * (2**0.5 - 1), 2**0.6 - 1, 2**0.55 - 1], rtol=1e-6)


def slow_neighbours(log: SessionLog, matrix: Lists, settings: NeighboursSettings, k: int) -> Ranked:
    rows = []
    for s in range(len(log)):
        part = log.slice(s, s + 1)
        aids, codes = part.aids[-settings.tail :].tolist(), part.type_codes()[-settings.tail :].tolist()
        sums: dict[int, float] = {}
        for aid, code, power in zip(aids, codes, np.linspace(0.1, 1, len(aids)), strict=True):
            near, scores = matrix.row(aid)
            for place, (y, score) in enumerate(zip(near.tolist(), scores.tolist(), strict=True)):
                close = 1 / (1 + place) if settings.neighbour_weight == "rank" else score / float(scores[0])
                sums[y] = sums.get(y, 0.0) + (2**power - 1) * (1, 6, 3)[code] * close
        if settings.exclude_seen:
            sums = {y: score for y, score in sums.items() if y not in part.aids}
        rows.append(ranked(sums, k))
    return rows


@st.composite
def small_matrices(draw: st.DrawFn, n_items: int = 8) -> Lists:
    rows = []
    for _ in range(n_items):
        aids = draw(st.lists(st.integers(0, n_items - 1), unique=True, max_size=5))
        scores = draw(st.lists(st.integers(1, 9), min_size=len(aids), max_size=len(aids)))
        rows.append(list(zip(aids, map(float, sorted(scores, reverse=True)), strict=True)))
    return Lists.of(rows)


@given(
    logs(has_types=None),
    small_matrices(),
    st.builds(
        NeighboursSettings,
        matrix=st.just("m"),
        tail=st.integers(1, 13),
        neighbour_weight=st.sampled_from(["share", "rank"]),
        exclude_seen=st.booleans(),
    ),
    st.integers(1, 8),
)
def test_neighbours_equal_the_slow_version(
    log: SessionLog, matrix: Lists, settings: NeighboursSettings, k: int
) -> None:
    source = Neighbours("near", settings, matrix).fit(log)
    assert_close(source.recommend(log, k), slow_neighbours(log, matrix, settings, k))


def test_neighbours_refuse_a_matrix_of_other_items() -> None:
    source = Neighbours("near", NeighboursSettings(matrix="m"), Lists.empty(3))
    with pytest.raises(ValueError, match="3 items"):
        source.fit(SessionLog.of([[0]], n_items=4))


@given(logs(has_time=None, has_types=None), st.integers(1, 60), st.integers(1, 9))
def test_popularity_equals_the_slow_version(log: SessionLog, seconds: int, depth: int) -> None:
    lists = popular_items(log, seconds / DAY, depth)
    assert len(lists) == (3 if log.has_types else 1)
    for code in range(len(lists)):
        counts: dict[int, float] = {}
        for i in range(log.n_events):
            recent = log.ts is None or log.ts[i] > int(log.ts.max()) - seconds
            if recent and (log.types is None or log.types[i] == code):
                counts[int(log.aids[i])] = counts.get(int(log.aids[i]), 0) + 1
        aids, scores = lists.row(code)
        assert list(zip(aids.tolist(), scores.tolist(), strict=True)) == ranked(counts, depth)


def test_popularity_has_a_list_for_each_target_the_shop_has() -> None:
    typed = SessionLog.of([[0, 0, 1]], [[1, 2, 3]], [[0, 0, 2]], n_items=3)
    source = Popularity("popularity", PopularitySettings()).fit(typed)
    assert source.targets == ("clicks", "carts", "orders")
    assert [source.recommend(typed, 5, target).aids.tolist() for target in source.targets] == [[0], [], [1]]
    untyped = SessionLog.of([[0, 2, 2]], n_items=3)
    assert Popularity().fit(untyped).targets == ("clicks",)
    assert Popularity().fit(untyped).recommend(untyped, 5).aids.tolist() == [2, 0]
