"""BPR: one batch against a slow twin, thread counts, what is drawn, the shared contract."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.log import SessionLog
from models.bpr import Bpr, draw_samples, step_rows
from models.factor_settings import BprSettings
from tests.models.contract import RetrieverContract
from tests.models.worlds import chain_log


class TestContract(RetrieverContract):
    learns: ClassVar[float] = 0.6

    @staticmethod
    def make(seed: int) -> Bpr:
        return Bpr(settings=BprSettings(dim=32, seed=seed, half_life=0.5, epochs=20, batch=256))


FADE = np.array([1, 0.5, 0.25], np.float32)


def drawn(log: SessionLog, n: int, k: int, d: int, seed: int, weights: np.ndarray) -> dict[str, np.ndarray]:
    """A batch of samples on random factors."""
    rng = np.random.default_rng(seed)
    inputs, items = (rng.standard_normal((log.n_items, d)).astype(np.float32) for _ in range(2))
    inputs[:, -1] = 1
    made = {
        "positives": np.empty(n, np.int32), "negatives": np.empty((n, k), np.int32),
        "contexts": np.empty((n, d), np.float32), "differences": np.empty((n, d), np.float32),
        "pulls": np.empty((n, k), np.float32), "totals": np.empty(n, np.float32),
    }  # fmt: skip
    popularity = np.cumsum(np.ones(log.n_items))
    owner = log.owner().astype(np.int32)
    draw_samples(0, 0, n, seed, log.offsets, log.aids, owner, weights, FADE, popularity, inputs, items, *made.values())
    return made | {"inputs": inputs, "items": items}


@settings(max_examples=25)
@given(seed=st.integers(0, 999), k=st.integers(1, 3), d=st.integers(2, 5), pieces=st.integers(1, 3))
def test_a_batch_is_a_step_along_the_gradient(seed: int, k: int, d: int, pieces: int):
    """The gradient of Σ ln sigmoid(x·(v_i - v_j)) / K - λ/2 |rows|², by differences, and Adagrad's first step."""
    rng, regularization = np.random.default_rng(seed), 0.1
    log = SessionLog.of([rng.integers(0, 6, rng.integers(0, 7)).tolist() for _ in range(5)] + [[0, 1]], n_items=7)
    weights = rng.uniform(0.5, 2, log.n_events).astype(np.float32)
    made = drawn(log, 9, k, d, seed, weights)
    inputs, items = made.pop("inputs"), made.pop("items")
    owner = log.owner().astype(np.int32)

    def gain(inputs: np.ndarray, items: np.ndarray) -> float:
        """In float64; a row is pulled to 0 as often as it is used (inputs: by their share)."""
        total = 0.0
        for event, negatives in zip(made["positives"], made["negatives"], strict=True):
            if event < 0:
                continue
            before = np.arange(max(log.offsets[owner[event]], event - 3), event)
            share = weights[before] * FADE[event - 1 - before]
            share = share / share.sum()
            rows = inputs[log.aids[before], :-1]
            x = np.append(share @ rows, 1)
            total -= regularization / 2 * (share[:, None] * rows**2).sum()
            total -= regularization / 2 * (items[log.aids[event]] ** 2).sum()
            for item in negatives[negatives >= 0]:
                total -= np.log1p(np.exp(-x @ (items[log.aids[event]] - items[item]))) / k
                total -= regularization / 2 * (items[item] ** 2).sum()
        return total

    expected = []
    for which in (0, 1):
        tables = [inputs.astype(np.float64), items.astype(np.float64)]
        gradient = np.zeros_like(tables[which])
        for place in np.ndindex(gradient.shape):
            for sign in (1, -1):
                tables[which][place] += sign * 1e-5
                gradient[place] += sign * gain(*tables) / 2e-5
                tables[which][place] -= sign * 1e-5
        squares = (gradient**2).mean(axis=1, keepdims=True)
        expected.append(tables[which] + 0.05 * gradient / np.sqrt(np.where(squares > 1e-12, squares, 1)))

    state = [(table, np.zeros_like(table), np.zeros(log.n_items)) for table in (items, inputs)]
    for piece in range(pieces):
        step_rows(
            piece, pieces, 9, log.offsets, log.aids, owner, weights, FADE, *made.values(), *state[0], *state[1],
            0.05, regularization,
        )  # fmt: skip
    np.testing.assert_allclose(inputs, expected[0], atol=2e-3)
    np.testing.assert_allclose(items, expected[1], atol=2e-3)
    assert not any(table_gradient.any() for _, table_gradient, _ in state)


def test_positives_are_drawn_by_weight_and_negatives_by_popularity():
    log = SessionLog.of([[0, 1, 2, 3]] * 50, n_items=10)
    weights = np.tile(np.array([5, 1, 2, 3], np.float32), 50)
    made = drawn(log, 30_000, 1, 2, 3, weights)
    taken = made["positives"] >= 0
    assert taken.mean() > 0.99
    shares = np.bincount(made["positives"][taken] % 4, minlength=4) / taken.sum()
    np.testing.assert_allclose(shares, [0, 1 / 6, 2 / 6, 3 / 6], atol=0.012)
    # A negative is neither the positive nor before it.
    negatives, places = made["negatives"][taken, 0], made["positives"][taken] % 4
    assert not (negatives <= places).any()
    np.testing.assert_allclose(
        np.bincount(negatives[places == 3], minlength=10)[4:] / (places == 3).sum(), 1 / 6, atol=0.02
    )


def test_the_number_of_threads_changes_nothing():
    log = chain_log(200, seed=6)
    one, three = (Bpr(settings=BprSettings(dim=8, epochs=3, batch=100), threads=n).fit(log) for n in (1, 3))
    np.testing.assert_array_equal(one.item_vectors(), three.item_vectors())
    np.testing.assert_array_equal(one.session_vectors(log), three.session_vectors(log))


def test_a_session_is_the_faded_mean_of_its_inputs():
    log = SessionLog.of([[1, 2, 1, 0]], None, [[0, 2, 1, 0]], 3)
    model = Bpr(settings=BprSettings(dim=4, half_life=1, context=3)).fit(log)
    inputs = model._inputs
    expected = (3 / 4 * inputs[2] + 2 / 2 * inputs[1] + inputs[0]) / (3 / 4 + 1 + 1)
    np.testing.assert_allclose(model.session_vectors(log)[0], np.append(expected[:-1], 1), rtol=1e-5)


def test_logs_without_pairs_are_no_error():
    for log in (SessionLog.of([[1], [2]], n_items=4), SessionLog.of([[], []], n_items=4), SessionLog.of([[1, 1]])):
        assert np.isfinite(Bpr(settings=BprSettings(epochs=1)).fit(log).session_vectors(log)).all()


def test_factors_of_another_width_are_refused(tmp_path):
    Bpr(settings=BprSettings(dim=4, epochs=1)).fit(chain_log(20, seed=1)).save(tmp_path)
    with pytest.raises(InputError, match="fit the model again"):
        Bpr(settings=BprSettings(dim=5)).load(tmp_path)
