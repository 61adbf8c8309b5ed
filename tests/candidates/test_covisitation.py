"""The co-visitation kernel against the public recipe in pandas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates import covisitation
from candidates.bits import lowest_bit
from candidates.covisitation import fit_covisitation, usable_recipes
from candidates.covisitation_emit import BLOCK, MOST_FILTERS
from candidates.recipe_sets import TWENTY
from candidates.recipes import Recipe, TypeWeights
from candidates.settings import DEFAULT_RECIPES
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog
from tests.candidates.random_logs import logs
from tests.candidates.slow_covisitation import Neighbours, slow_matrix

type_sets = st.sampled_from([("clicks", "carts", "orders"), ("carts", "orders"), ("clicks",), ("orders",)])
recipes = st.builds(
    Recipe,
    tail=st.integers(2, 13),
    window_seconds=st.sampled_from([1, 4, 8, 1_000, None]),
    types_x=type_sets,
    types_y=type_sets,
    type_weights=st.builds(
        TypeWeights, clicks=st.sampled_from([0, 1, 0.3]), carts=st.sampled_from([6, 1.7]), orders=st.just(3)
    ),
    time_base=st.sampled_from([1, 0.1]),
    time_slope=st.sampled_from([0, 3, 0.7]),
    step_decay=st.sampled_from([0, 0, 1.0, 0.5]),
    gap_seconds=st.sampled_from([None, None, 3.0, 50.0]),
    kept=st.sampled_from(["wanted", "all"]),
    direction=st.sampled_from(["both", "forward"]),
    dedup=st.sampled_from(["pair", "none"]),
    top_k=st.integers(1, 6),
)


def rows(matrix: Lists) -> Neighbours:
    return [list(zip(*(part.tolist() for part in matrix.row(x)), strict=True)) for x in range(len(matrix))]


@settings(max_examples=120)
@given(logs(has_time=None, has_types=None), recipes)
def test_equals_the_public_recipe(log: SessionLog, recipe: Recipe) -> None:
    if not recipe.needs <= log.has:
        assert fit_covisitation(log, {"any": recipe}) == {}
    else:
        assert rows(fit_covisitation(log, {"any": recipe})["any"]) == slow_matrix(log, recipe)


@given(logs(max_sessions=12), st.lists(recipes, min_size=2, max_size=4))
@settings(max_examples=30)
def test_recipes_fitted_together_equal_those_fitted_alone(log: SessionLog, several: list[Recipe]) -> None:
    # The first two count the same pairs with other weights, so they share a pass.
    several.append(several[0].model_copy(update={"time_base": 2.0, "top_k": 3}))
    together = fit_covisitation(log, {str(i): recipe for i, recipe in enumerate(several)}, threads=2)
    for i, recipe in enumerate(several):
        assert rows(together[str(i)]) == slow_matrix(log, recipe)


def test_twenty_recipes_on_a_larger_log(big_log: SessionLog) -> None:
    log = big_log.slice(0, 400)
    assert TWENTY.keys() > DEFAULT_RECIPES.keys()
    assert len(TWENTY) >= 20
    for name, matrix in fit_covisitation(log, TWENTY, threads=2).items():
        assert rows(matrix) == slow_matrix(log, TWENTY[name]), name
        if name in DEFAULT_RECIPES:
            assert matrix.lengths.max() == TWENTY[name].top_k  # so that the selection is at work


def test_threads_and_order_of_sessions_change_nothing(big_log: SessionLog) -> None:
    one = fit_covisitation(big_log, DEFAULT_RECIPES, threads=1)
    shuffled = big_log.take(np.random.default_rng(0).permutation(len(big_log)))
    for other in (fit_covisitation(big_log, DEFAULT_RECIPES, threads=3), fit_covisitation(shuffled, DEFAULT_RECIPES)):
        for name, matrix in one.items():
            assert matrix.aids.size > 1_000
            np.testing.assert_array_equal(matrix.offsets, other[name].offsets)
            np.testing.assert_array_equal(matrix.aids, other[name].aids)
            np.testing.assert_array_equal(matrix.scores, other[name].scores)


def test_a_worked_example() -> None:
    # The pair 80 s apart, (0 at 80, 1 at 160), is out: the window is open. So the latest x with a pair is for item 0
    # that at 80, half-way through the log, with the cart at 30; for item 1 that at 30.
    log = SessionLog.of([[0, 1, 0, 1]], [[0, 30, 80, 160]], [[0, 1, 0, 0]], n_items=2)
    recipe = Recipe(window_seconds=80, type_weights=TypeWeights(carts=6), time_slope=3)
    matrix = fit_covisitation(log, {"m": recipe})["m"]
    assert rows(matrix) == [[(1, 6 * (1 + 3 * 80 / 160))], [(0, 1 + 3 * 30 / 160)]]


def test_what_a_shop_lacks_is_left_out_and_said() -> None:
    kept, left_out = usable_recipes(DEFAULT_RECIPES, frozenset({"time"}))
    assert list(kept) == ["clicks", "carts_orders", "next"]
    assert left_out == {"buy2buy": "the shop has no types"}


@given(st.integers(0, 2**32), recipes)
@settings(max_examples=25)
def test_sessions_of_several_words_of_places(seed: int, recipe: Recipe) -> None:
    rng = np.random.default_rng(seed)
    lengths = [int(n) for n in rng.choice([2, 63, 64, 65, 150], 4)]
    aids = [rng.integers(0, 9, n).tolist() for n in lengths]
    ts = [np.cumsum(rng.choice([0, 0, 1, 3], n)).tolist() for n in lengths]
    types = [rng.integers(0, 3, n).tolist() for n in lengths]
    log = SessionLog.of(aids, ts, types, n_items=9)
    long = recipe.model_copy(update={"tail": 140})
    assert rows(fit_covisitation(log, {"long": long})["long"]) == slow_matrix(log, long)


@pytest.mark.parametrize("words", [1, 40 * BLOCK])
def test_neither_ranges_nor_memory_change_anything(
    words: int, big_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = DEFAULT_RECIPES | {"near": Recipe(step_decay=1, gap_seconds=60)}
    usual = fit_covisitation(big_log, chosen)
    monkeypatch.setattr(covisitation, "RANGE_ITEMS", 20)
    monkeypatch.setattr(covisitation, "ARENA_WORDS", words)  # too little for any range, and for some of them
    for name, matrix in fit_covisitation(big_log, chosen, threads=2).items():
        for part in ("offsets", "aids", "scores"):
            np.testing.assert_array_equal(getattr(matrix, part), getattr(usual[name], part))


def test_more_filters_than_a_pass_takes(big_log: SessionLog) -> None:
    log = big_log.slice(0, 100)
    several = {str(n): Recipe(window_seconds=600 * n, gap_seconds=None if n % 2 else 600) for n in range(1, 20)}
    assert len(several) > MOST_FILTERS
    for name, matrix in fit_covisitation(log, several).items():
        assert rows(matrix) == slow_matrix(log, several[name])


def test_sums_that_would_leave_64_bits_are_counted_in_coarser_quanta() -> None:
    heavy = Recipe(tail=2_000, dedup="none", type_weights=TypeWeights(clicks=1000), time_base=1000)
    sessions, n = 10, 1_000
    log = SessionLog.of([[0, 1] * n] * sessions, [[0] * 2 * n] * sessions, [[0] * 2 * n] * sessions, n_items=2)
    total = 1e6 * sessions * n * n
    assert total * 2**20 > 2**63
    for recipe in (heavy, heavy.model_copy(update={"step_decay": 1e-12})):
        assert fit_covisitation(log, {"m": recipe})["m"].scores.tolist() == [np.float32(total)] * 2


def test_times_too_far_apart_are_refused() -> None:
    log = SessionLog.of([[0, 1]], [[-(2**30), 2**30]], n_items=2)
    with pytest.raises(ValueError, match="spans"):
        fit_covisitation(log, {"m": Recipe()})


def test_sessions_too_long_are_refused() -> None:
    long = SessionLog.of([[0, 1] * 40_000], [[0] * 80_000], n_items=2)
    with pytest.raises(ValueError, match="events of a session"):
        fit_covisitation(long, {"m": Recipe(tail=70_000)})


def test_lowest_bit() -> None:
    assert [lowest_bit_of(word) for word in (1, 6, -8, 1 << 62, -(1 << 63))] == [0, 1, 3, 62, 63]


@kernel
def lowest_bit_of(word: int) -> int:
    return lowest_bit(word)
