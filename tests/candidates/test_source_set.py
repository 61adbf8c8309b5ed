"""The sources of a run together: columns, what a shop must do without, the pool, saving, sources of the user's own."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from pydantic import ValidationError

from candidates.covisitation import fit_covisitation
from candidates.pool import Arena
from candidates.recipes import Recipe
from candidates.settings import (
    CandidatesSettings,
    CustomSettings,
    ExternalSettings,
    HistorySettings,
    NeighboursSettings,
)
from candidates.source import Source
from candidates.source_set import SourceSet
from events.errors import InputError
from events.lists import Lists
from events.log import SessionLog
from tests.candidates.contract import assert_equal

DEFAULT = CandidatesSettings()
COLUMNS = ["history", "popularity_clicks", "popularity_carts", "popularity_orders"]
NEAR = ["near_clicks", "near_carts_orders", "near_buy2buy", "near_next", "item_knn", "walk_next"]


class Last:
    """The last item of each session: the smallest source one can write."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.targets: tuple[str, ...] = ()
        self.needs = frozenset({"time"})
        self.score = options["score"]

    def fit(self, log: SessionLog) -> Self:
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        return Lists.of([[(aid, self.score) for aid in log.slice(s, s + 1).aids[-1:][:k]] for s in range(len(log))])

    def save(self, folder: Path) -> None:
        pass

    def load(self, folder: Path) -> Self:
        return self


class NoSource:
    """Can do nothing."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        pass


def fitted(log: SessionLog, matrices: dict[str, Lists], threads: int = 1) -> SourceSet:
    return SourceSet.of(DEFAULT, log.has, threads).fit(log, matrices)


def test_columns_are_in_the_order_of_the_settings(big_log: SessionLog, matrices: dict[str, Lists]) -> None:
    sources = fitted(big_log, matrices)
    assert sources.left_out == {}
    assert list(sources.lists(big_log.slice(0, 2))) == COLUMNS + NEAR
    pool = sources.pool(big_log.slice(0, 40), Arena())
    assert pool.names == tuple(COLUMNS + NEAR)
    assert pool.n_sessions == 40
    assert (np.max(pool.ranks, axis=0) >= 0).all()


def test_chunks_and_threads_change_nothing(big_log: SessionLog, matrices: dict[str, Lists]) -> None:
    whole = fitted(big_log, matrices).pool(big_log, Arena())
    threaded, arena, row = fitted(big_log, matrices, threads=2), Arena(), 0
    for start in range(0, len(big_log), 2_100):
        part = threaded.pool(big_log.slice(start, min(start + 2_100, len(big_log))), arena)
        np.testing.assert_array_equal(part.aids, whole.aids[row : row + len(part)])
        np.testing.assert_array_equal(part.ranks, whole.ranks[:, row : row + len(part)])
        np.testing.assert_array_equal(part.scores, whole.scores[:, row : row + len(part)])
        row += len(part)
    assert row == len(whole)


def test_without_the_defaults_what_a_config_changes_of_one_goes_with_it() -> None:
    sources = {"near_next": {"k": 40}, "mine": {"kind": "history"}, "history": {"kind": "history", "k": 3}}
    left = CandidatesSettings.model_validate({"defaults": False, "sources": sources})
    assert left.sources == {"mine": HistorySettings(), "history": HistorySettings(k=3)}
    with pytest.raises(ValueError, match="kind"):
        CandidatesSettings.model_validate({"defaults": False, "sources": {"near_nxt": {"k": 40}}})


def test_save_and_load_change_nothing(big_log: SessionLog, matrices: dict[str, Lists], tmp_path: Path) -> None:
    sources = fitted(big_log, matrices)
    sources.save(tmp_path)
    loaded = SourceSet.of(DEFAULT, big_log.has).load(tmp_path, matrices)
    for name, lists in sources.lists(big_log).items():
        assert_equal(loaded.lists(big_log)[name], lists)
    fewer = CandidatesSettings(defaults=False, sources={"history": DEFAULT.sources["history"]})
    with pytest.raises(InputError, match="other sources"):
        SourceSet.of(fewer, big_log.has).load(tmp_path, matrices)


def test_a_shop_without_types_or_time_does_without_and_says_so() -> None:
    log = SessionLog.of([[0, 1, 2], [1, 2]], n_items=3)
    sources = SourceSet.of(DEFAULT, log.has).fit(log, fit_covisitation(log, DEFAULT.recipes))
    assert sources.left_out == {
        "near_clicks": "there is no matrix clicks, because the shop has no time",
        "near_carts_orders": "there is no matrix carts_orders, because the shop has no time",
        "near_buy2buy": "there is no matrix buy2buy, because the shop has no time and no types",
        "near_next": "there is no matrix next, because the shop has no time",
        "walk_next": "there is no matrix next, because the shop has no time",
    }
    assert list(sources.lists(log)) == ["history", "popularity_clicks", "item_knn"]

    by_place = CandidatesSettings(
        defaults=False, recipes={"any": Recipe(window_seconds=None)}, sources={"near": NeighboursSettings(matrix="any")}
    )
    sources = SourceSet.of(by_place, log.has).fit(log, fit_covisitation(log, by_place.recipes))
    assert sources.left_out == {}
    assert sources.lists(log)["near"].row(1)[0].tolist() == [1, 0, 2]


def test_a_source_of_the_users_own_is_one_class_and_one_line(big_log: SessionLog) -> None:
    mine = CustomSettings(source="tests.candidates.test_source_set:Last", k=1, options={"score": 4.0})
    settings = CandidatesSettings(defaults=False, sources={"last": mine})
    pool = SourceSet.of(settings, big_log.has).fit(big_log, {}).pool(big_log, Arena())
    np.testing.assert_array_equal(pool.aids, big_log.aids[big_log.offsets[1:] - 1])
    assert set(pool.scores[0].tolist()) == {4.0}
    assert isinstance(Last("last", {"score": 1}), Source)
    assert SourceSet.of(settings, frozenset()).left_out == {"last": "the shop has no time"}


def test_a_class_that_is_no_source_is_named() -> None:
    settings = CandidatesSettings(
        defaults=False, sources={"mine": CustomSettings(source="tests.candidates.test_source_set:NoSource")}
    )
    with pytest.raises(InputError, match="not a candidate source"):
        SourceSet.of(settings, frozenset())
    settings = CandidatesSettings(defaults=False, sources={"mine": CustomSettings(source="tests.candidates:absent")})
    with pytest.raises(InputError, match="cannot be found"):
        SourceSet.of(settings, frozenset())


def test_candidates_from_a_file_need_the_indices() -> None:
    settings = CandidatesSettings(defaults=False, sources={"file": ExternalSettings(path=Path("x.parquet"))})
    with pytest.raises(ValueError, match="indices"):
        SourceSet.of(settings, frozenset()).fit(SessionLog.of([[0]]), {})


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"sources": {"x": {"kind": "neighbours", "matrix": "absent"}}}, "no recipe makes"),
        ({"sources": {"x": {"kind": "magic"}}}, "magic"),
        ({"sources": {"x": {"kind": "history", "kk": 3}}}, "kk"),
        ({"sources": {"popularity_carts": {"kind": "history"}}}, "a column of source 'popularity'"),
        ({"sources": {"../x": {"kind": "history"}}}, "pattern"),
        ({"recipes": {"a/b": {}}}, "pattern"),
        ({"recipes": {"x": {"tail": 1}}}, "tail"),
        ({"recipes": {"x": {"types_x": []}}}, "types_x"),
        ({"rules": {"function": "no_colon"}}, "function"),
    ],
)
def test_settings_refuse_what_they_do_not_know(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        CandidatesSettings.model_validate(config)


def test_settings_as_a_config_file_writes_them() -> None:
    given = CandidatesSettings.model_validate(
        {
            "recipes": {"next": {"window_seconds": "none", "direction": "forward", "type_weights": {"carts": 6}}},
            "sources": {"near": {"kind": "neighbours", "matrix": "next", "k": 7}},
        }
    )
    assert given.recipes["next"].window_seconds is None
    assert given.recipes["next"].type_weights.carts == 6
    assert list(given.sources) == [*DEFAULT.sources, "near"]
    assert given.sources["near"].k == 7
    assert CandidatesSettings.model_validate(given.model_dump(mode="json")) == given


def test_a_config_changes_single_keys_of_the_defaults() -> None:
    given = CandidatesSettings.model_validate(
        {
            "recipes": {"clicks": {"top_k": 40}},
            "sources": {"history": {"k": 3}, "popularity": {"kind": "history", "first_power": 0.9}},
        }
    )
    assert given.recipes["clicks"] == DEFAULT.recipes["clicks"].model_copy(update={"top_k": 40})
    assert given.sources["history"] == HistorySettings(k=3)
    assert given.sources["popularity"] == HistorySettings(first_power=0.9)
    assert given.recipes["buy2buy"] == DEFAULT.recipes["buy2buy"]
    assert list(given.sources) == list(DEFAULT.sources)
