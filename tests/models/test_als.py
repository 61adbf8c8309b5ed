"""ALS: each solve against numpy's, the objective against its formula, thread counts, planted low rank."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.log import SessionLog
from models.als import Als, Side
from models.factor_settings import AlsSettings, EventWeights
from models.linear_systems import invert_symmetric, solve_symmetric
from models.session_items import SessionItems, weigh_events
from tests.candidates.random_logs import logs
from tests.models.contract import RetrieverContract
from tests.models.worlds import chain_log


class TestContract(RetrieverContract):
    learns: ClassVar[float] = 0.6

    @staticmethod
    def make(seed: int) -> Als:
        return Als(settings=AlsSettings(dim=24, seed=seed, half_life=0.5))


@settings(max_examples=50)
@given(seed=st.integers(0, 999), n=st.integers(1, 12), unused=st.integers(0, 3))
def test_systems_are_solved_as_numpy_solves_them(seed: int, n: int, unused: int):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    matrix = root @ root.T + np.eye(n)
    rhs = rng.standard_normal(n + unused)
    padded, found = np.full((n + unused, n + unused), np.nan), rhs.copy()
    padded[:n, :n] = np.triu(matrix)
    solve_symmetric(padded, found, n)
    np.testing.assert_allclose(found[:n], np.linalg.solve(matrix, rhs[:n]), rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(found[n:], rhs[n:])
    np.testing.assert_allclose(invert_symmetric(np.triu(matrix)), np.linalg.inv(matrix), rtol=1e-6, atol=1e-8)


@settings(max_examples=50)
@given(log=logs(n_items=9), half_life=st.sampled_from([None, 1.0, 3.0]), known=st.integers(0, 511))
def test_bags_are_the_obvious_sums(log: SessionLog, half_life: float | None, known: int):
    flags = (known >> np.arange(9)) % 2 == 1
    weights = EventWeights(clicks=1, carts=0, orders=2.5)
    bags = SessionItems.of(log, weigh_events(log, weights, half_life), flags)
    by_item: dict[int, list[tuple[int, float]]] = {}
    for s in range(len(log)):
        expected: dict[int, float] = {}
        first, last = log.offsets[s], log.offsets[s + 1]
        for event in range(first, last):
            weight = weights.by_code[log.type_codes()[event]]
            weight *= 1 if half_life is None else 0.5 ** ((last - 1 - event) / half_life)
            if weight > 0 and flags[log.aids[event]]:
                expected[log.aids[event]] = expected.get(log.aids[event], 0) + weight
        mine = slice(bags.offsets[s], bags.offsets[s + 1])
        assert bags.items[mine].tolist() == list(expected)
        np.testing.assert_allclose(bags.weights[mine], list(expected.values()), rtol=1e-5)
        for aid, weight in expected.items():
            by_item.setdefault(aid, []).append((s, weight))
    turned = bags.by_item(9)
    for aid in range(9):
        mine = slice(turned.offsets[aid], turned.offsets[aid + 1])
        assert turned.items[mine].tolist() == [s for s, _ in by_item.get(aid, [])]
        np.testing.assert_allclose(turned.weights[mine], [w for _, w in by_item.get(aid, [])], rtol=1e-5)


@settings(max_examples=50)
@given(log=logs(n_items=9), seed=st.integers(0, 99), d=st.integers(1, 8), alpha=st.sampled_from([0.5, 1.0, 40.0]))
def test_rows_are_the_closed_form(log: SessionLog, seed: int, d: int, alpha: float):
    """Short rows in the space of their items, long ones in that of the factors: both are numpy's solution."""
    vectors = np.random.default_rng(seed).standard_normal((9, d)).astype(np.float32)
    bags = SessionItems.of(log, weigh_events(log, EventWeights()))
    weights = np.zeros((len(log), 9))
    weights[np.repeat(np.arange(len(log)), np.diff(bags.offsets)), bags.items] = bags.weights
    y = vectors.astype(np.float64)
    for short_rows in (False, True):
        out = np.empty((len(log), d), np.float32)
        Side.of(vectors, 0.7, short_rows).solve_others(bags, alpha, out)
        for s in range(len(log)):
            confidence = np.diag(1 + alpha * weights[s])
            expected = np.linalg.solve(y.T @ confidence @ y + 0.7 * np.eye(d), y.T @ confidence @ (weights[s] > 0))
            np.testing.assert_allclose(out[s], expected, rtol=1e-4, atol=1e-5)


def objective(sessions: np.ndarray, items: np.ndarray, weights: np.ndarray, alpha: float, regularization: float):
    errors = (weights > 0) - sessions @ items.T
    return ((1 + alpha * weights) * errors**2).sum() + regularization * ((sessions**2).sum() + (items**2).sum())


def test_every_sweep_lowers_the_objective():
    log = chain_log(200, seed=5)
    bags = SessionItems.of(log, weigh_events(log, EventWeights()))
    weights = np.zeros((len(log), log.n_items))
    weights[np.repeat(np.arange(len(log)), np.diff(bags.offsets)), bags.items] = bags.weights
    found = []
    for sweeps in (1, 2, 4, 8):
        model = Als(settings=AlsSettings(dim=6, sweeps=sweeps, alpha=2, regularization=0.5, half_life=None))
        model.fit(log)
        found.append(objective(model.session_vectors(log), model.item_vectors(), weights, 2, 0.5))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.95 * found[0]


def test_planted_low_rank_is_found():
    """Sessions of three disjoint groups of items: three factors tell the groups apart."""
    rng = np.random.default_rng(1)
    log = SessionLog.of([(rng.choice(20, 8, replace=False) + 20 * (s % 3)).tolist() for s in range(300)], n_items=60)
    model = Als(settings=AlsSettings(dim=3, sweeps=20)).fit(log)
    scores = model.session_vectors(log) @ model.item_vectors().T
    assert (scores.argmax(axis=1) // 20 == np.arange(300) % 3).all()


def test_the_number_of_threads_changes_nothing():
    log = chain_log(400, seed=6)
    one, three = (Als(settings=AlsSettings(dim=8, sweeps=3), threads=n).fit(log) for n in (1, 3))
    np.testing.assert_array_equal(one.item_vectors(), three.item_vectors())
    np.testing.assert_array_equal(one.session_vectors(log), three.session_vectors(log))


def test_old_events_fade_and_orders_weigh_more():
    log = SessionLog.of([[3, 1, 2], [3, 1, 2]], None, [[0, 0, 0], [2, 0, 0]])
    assert weigh_events(log, EventWeights(), 1.0).tolist() == [0.25, 0.5, 1, 0.75, 0.5, 1]
    model = Als(settings=AlsSettings(revisit=8, half_life=1.0))
    assert model.revisits(log) is not None
    assert model.revisits(log).tolist() == [2, 4, 8, 2, 4, 8]
    assert Als(settings=AlsSettings(revisit=8, half_life=None)).revisits(log).tolist() == [8] * 6
    assert Als().revisits(log) is None


def test_vectors_of_another_width_are_refused(tmp_path):
    Als(settings=AlsSettings(dim=4, sweeps=1)).fit(chain_log(20, seed=1)).save(tmp_path)
    with pytest.raises(InputError, match="fit the model again"):
        Als(settings=AlsSettings(dim=5)).load(tmp_path)
