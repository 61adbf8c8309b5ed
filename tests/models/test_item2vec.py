"""Item2vec: the shared contract, and its kernels against slow twins."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.arrays import F32
from events.errors import InputError
from events.lists import Lists
from events.log import SessionLog
from models import item2vec_training
from models.alias import fill_draws
from models.exact import next_item_rows, rank_hits
from models.item2vec import Item2Vec
from models.item2vec_kernels import (
    Block,
    Events,
    Weights,
    merge_rows,
    merge_sums,
    sigmoid,
    train_sessions,
)
from models.item2vec_settings import Item2VecSettings
from models.item2vec_training import first_weights, pairing_of, sampling_of, train
from models.tiles import product, turned_product
from tests.candidates.random_logs import logs
from tests.models.contract import RetrieverContract
from tests.models.worlds import chain_log

SMALL = Item2VecSettings(dim=16, epochs=12)
D, RATE = 8, 0.1


class TestItem2Vec(RetrieverContract):
    learns = 0.75

    @staticmethod
    def make(seed: int) -> Item2Vec:
        return Item2Vec(settings=SMALL, seed=seed, progress=False)


class TestItem2VecOnTwoThreads(TestItem2Vec):
    @staticmethod
    def make(seed: int) -> Item2Vec:
        return Item2Vec(settings=SMALL, seed=seed, threads=2, progress=False)


def events_of(log: SessionLog) -> Events:
    ts = np.zeros(0, np.int32) if log.ts is None else log.ts
    return Events(log.offsets, log.aids, ts, np.zeros(0, np.int8) if log.types is None else log.types)


def some_weights(n_items: int, seed: int, squares: float) -> Weights:
    rng = np.random.default_rng(seed)
    vectors = [rng.normal(0, 1, (n_items, D)).astype(np.float32) for _ in range(2)]
    return Weights(*vectors, *(np.full(n_items, squares, np.float32) for _ in range(2)))


def logistic(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def gradients(log: SessionLog, rule: Item2VecSettings, weights: Weights, negatives: list[int], share: float):
    """Of every pair of every session, one after the other, in float64; summed by event, and by negative."""
    inputs, outputs = weights.inputs.astype(float), weights.outputs.astype(float)
    left, right, drawn = np.zeros((log.n_events, D)), np.zeros((log.n_events, D)), np.zeros((len(negatives), D))
    types = log.type_codes()
    for s in range(len(log)):
        places = range(log.offsets[s], log.offsets[s + 1])
        for a in places:
            for b in places:
                distance = abs(b - a)
                x, y = log.aids[a], log.aids[b]
                gap = 0 if log.ts is None else abs(int(log.ts[b]) - int(log.ts[a]))
                if a == b or distance > rule.window or (rule.skip_self and x == y):
                    continue
                if rule.max_gap_seconds is not None and gap > rule.max_gap_seconds:
                    continue
                weight = distance**-rule.distance_power * (1 if a < b else rule.backward)
                weight *= rule.pair_type_weights[types[b]] if log.has_types else 1
                g = weight * logistic(-inputs[x] @ outputs[y])
                left[a] += g * outputs[y]
                right[b] += g * inputs[x]
                for m, negative in enumerate(negatives):
                    g = -weight * share * logistic(inputs[x] @ outputs[negative])
                    left[a] += g * outputs[negative]
                    drawn[m] += g * inputs[x]
    return left, right, drawn


def ascend(vectors: F32, squares: F32, rows: list[int], steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vectors, squares = vectors.astype(float), squares.astype(float)
    for row, step in zip(rows, steps, strict=True):
        squares[row] += (step**2).mean()
        vectors[row] += RATE * step / np.sqrt(squares[row])
    return vectors, squares


rules = st.builds(
    Item2VecSettings,
    dim=st.just(D),
    window=st.sampled_from([1, 2, 5]),
    distance_power=st.sampled_from([0.0, 1.0]),
    backward=st.sampled_from([0.0, 0.5]),
    skip_self=st.booleans(),
    max_gap_seconds=st.sampled_from([None, 0, 5]),
    pair_type_weights=st.sampled_from([(1.0, 1.0, 1.0), (0.5, 2.0, 0.0)]),
    block=st.sampled_from([8, 16, 128]),
    shared_negatives=st.just(8),
)


@settings(max_examples=50, deadline=None)
@given(log=logs(has_time=None, has_types=None), rule=rules, seed=st.integers(0, 99))
def test_every_pair_is_trained_once_whatever_the_blocks(log: SessionLog, rule: Item2VecSettings, seed: int):
    """Sums of squares so large that the steps are tiny: then all pairs add up, as if at once. No negatives here."""
    weights, huge = some_weights(8, seed, 1e8), 1e4
    before = Weights(*(table.copy() for table in weights))
    pairing = pairing_of(rule)._replace(share=0.0)
    sampling = sampling_of(SessionLog.of([list(range(8))]), rule)
    kept = train_sessions(
        0, len(log), seed, 1.0, events_of(log), sampling, pairing, weights, Block.of(rule.block, 8, D)
    )
    assert kept == log.n_events
    for new, old, steps in zip(weights[:2], before[:2], gradients(log, rule, before, [], 0.0)[:2], strict=True):
        expected = np.zeros((8, D))
        np.add.at(expected, log.aids, steps)
        np.testing.assert_allclose((new - old) * huge, expected, atol=0.02)


@settings(max_examples=50, deadline=None)
@given(log=logs(has_time=None, has_types=None), rule=rules, seed=st.integers(0, 99))
def test_a_block_is_one_step_of_row_wise_adagrad(log: SessionLog, rule: Item2VecSettings, seed: int):
    weights = some_weights(8, seed, 0.5)
    before = Weights(*(table.copy() for table in weights))
    sampling = sampling_of(SessionLog.of([[0, 1, 1, 2, 3, 3, 3, 5]], n_items=8), rule)
    train_sessions(0, len(log), seed, RATE, events_of(log), sampling, pairing_of(rule), weights, Block.of(128, 8, D))
    negatives = np.zeros(8, np.int32)
    fill_draws(sampling.keep, sampling.other, seed, int(log.offsets[-1]), negatives)
    left, right, drawn = gradients(log, rule, before, negatives.tolist(), rule.negatives / 8)
    inputs, input_squares = ascend(before.inputs, before.input_squares, log.aids.tolist(), left)
    rows = [*log.aids.tolist(), *negatives.tolist()]
    outputs, output_squares = ascend(before.outputs, before.output_squares, rows, np.concatenate([right, drawn]))
    for found, expected in zip(weights, (inputs, outputs, input_squares, output_squares), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_sigmoid_is_close():
    x = np.linspace(-20, 20, 4001).astype(np.float32)
    np.testing.assert_allclose([sigmoid(v) for v in x], logistic(x.astype(float)), atol=6e-5)


def test_products():
    rng = np.random.default_rng(1)
    left, right, out = (rng.normal(size=shape).astype(np.float32) for shape in ((12, 8), (8, 16), (12, 16)))
    expected = out + np.r_[left[:8] @ right, np.zeros((4, 16))]
    product(8, left, right, out)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    expected = right + left[:8].T @ out[:8]
    turned_product(8, left, out, right)
    np.testing.assert_allclose(right, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_negatives_are_drawn_by_the_power_of_an_items_events(power: float):
    counts = np.array([5, 0, 1, 40, 3, 11, 0])
    log = SessionLog.of([np.repeat(np.arange(7), counts).tolist()], n_items=7)
    sampling = sampling_of(log, Item2VecSettings(negative_power=power))
    negatives, n = np.zeros(64, np.int32), 2_000
    found = np.zeros(7)
    for place in range(n):
        fill_draws(sampling.keep, sampling.other, 3, place, negatives)
        found += np.bincount(negatives, minlength=7)
    expected = np.where(counts > 0, counts.astype(float) ** power, 0)
    assert not found[counts == 0].any()
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=0.006)  # five standard errors


def test_frequent_items_are_subsampled():
    rng = np.random.default_rng(4)
    aids = np.where(rng.random(20_000) < 0.5, 0, rng.integers(1, 50, 20_000))
    log = SessionLog.of(aids.reshape(-1, 10).tolist(), n_items=50)
    rule = Item2VecSettings(dim=D, subsample=0.01)
    sampling = sampling_of(log, rule)
    shares = np.bincount(aids, minlength=50) / aids.size
    expected = np.minimum(1, np.sqrt(0.01 / shares) + 0.01 / shares)
    np.testing.assert_allclose(sampling.keep_share, expected)
    weights = first_weights(50, D, 0)
    kept = train_sessions(0, len(log), 1, 0.1, events_of(log), sampling, pairing_of(rule), weights, Block.of(32, 64, D))
    assert kept == pytest.approx((expected * shares).sum() * aids.size, rel=0.03)


def adasum(a: F32, b: F32) -> F32:
    both, mine, theirs = a @ b, a @ a, b @ b
    return (a * (1 - both / (2 * mine)) if mine else a) + (b * (1 - both / (2 * theirs)) if theirs else b)


@pytest.mark.parametrize("threads", [2, 3])
def test_changes_of_the_threads_are_merged(threads: int):
    rng = np.random.default_rng(threads)
    base = rng.normal(size=(20, D)).astype(np.float32)
    changes = rng.normal(size=(threads, 20, D)).astype(np.float32)
    changes[0, :5] = 0
    changes[:, 3] = 0
    changes[1, 6] = changes[0, 6]
    expected = base.copy()
    for row in range(2, 20):
        change = changes[0, row]
        for t in range(1, threads):
            change = adasum(change, changes[t, row])
        expected[row] += change
    copies = base + changes
    untouched = copies[:, :2].copy()
    merge_rows(base, copies, 2, 20)
    np.testing.assert_allclose(base, expected, atol=1e-5)
    np.testing.assert_array_equal(copies[:, 2:], np.broadcast_to(base[2:], (threads, 18, D)))
    np.testing.assert_array_equal(copies[:, :2], untouched)

    sums, added = np.arange(20, dtype=np.float32), rng.integers(0, 5, (threads, 20)).astype(np.float32)
    copies, expected = sums + added, sums + added.sum(0)
    merge_sums(sums, copies, 0, 20)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(copies, np.broadcast_to(expected, (threads, 20)))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_killed_training_goes_on_to_the_same_vectors(threads: int, tmp_path: Path, monkeypatch):
    log = chain_log(200, seed=5)
    whole = train(log, SMALL, 3, threads, progress=False)
    with monkeypatch.context() as patched:
        calls = []

        def failing(folder: Path, **arrays: F32) -> None:
            calls.append(folder)
            if len(calls) == 3:
                raise KeyboardInterrupt
            save_arrays(folder, **arrays)

        save_arrays = item2vec_training.save_arrays
        patched.setattr(item2vec_training, "save_arrays", failing)
        with pytest.raises(KeyboardInterrupt):
            train(log, SMALL, 3, threads, tmp_path / "kept", progress=False)
    steps = []
    monkeypatch.setattr(item2vec_training, "train_sessions", lambda *args: steps.append(train_sessions(*args)))
    resumed = train(log, SMALL, 3, threads, tmp_path / "kept", progress=False)
    assert sum(steps) == 10 * log.n_events
    for mine, theirs in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    other = train(log, SMALL, 4, threads, tmp_path / "kept", progress=False)
    assert sum(steps) == 22 * log.n_events  # another seed does not go on from it
    assert (other[0] != whole[0]).any()


@settings(max_examples=50, deadline=None)
@given(log=logs(has_types=None), tail=st.integers(1, 5))
def test_sessions_are_weighted_means(log: SessionLog, tail: int):
    model = Item2Vec(
        settings=SMALL.model_copy(update={"tail": tail, "recency": 0.5, "type_weights": (1.0, 4.0, 0.0)}),
        progress=False,
    ).fit(SessionLog.of([[0, 1, 2, 3, 2, 1]] * 3, n_items=8))
    inputs = model._inputs
    expected, shares = np.zeros((len(log), 16)), np.zeros(log.n_events)
    for s in range(len(log)):
        places = [e for e in range(log.offsets[s], log.offsets[s + 1]) if log.aids[e] <= 3][::-1][:tail]
        weights = np.array([0.5**i * ((1, 4, 0)[log.types[e]] if log.has_types else 1) for i, e in enumerate(places)])
        if weights.sum() > 0:
            shares[places] = weights / weights.sum()
            expected[s] = shares[places] @ inputs[log.aids[places]]
    np.testing.assert_allclose(model.session_vectors(log), expected, atol=1e-5)
    np.testing.assert_allclose(model.revisits(log), SMALL.revisit * shares, rtol=1e-5)


def test_neighbours_are_the_nearest_by_cosine(monkeypatch):
    log = chain_log(300, seed=6)
    model = Item2Vec(settings=SMALL, progress=False).fit(log)
    vectors = model._inputs / np.maximum(np.linalg.norm(model._inputs, axis=1, keepdims=True), 1e-12)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, np.nan)
    cosines[~model.known] = np.nan
    cosines[:, ~model.known] = np.nan
    expected = Lists.from_dense(cosines, 5)
    monkeypatch.setattr("models.item2vec.NEIGHBOUR_BLOCK", 7)
    found = model.neighbours(5)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert (found.aids == expected.aids).mean() > 0.99


def test_pairs_of_weighty_types_count_more():
    """Item 0 is followed by 1 (click) as often as by 2 (cart)."""
    log = SessionLog.of([[0, 1], [0, 2]] * 200, types=[[0, 0], [0, 1]] * 200)

    def score(weights: tuple[float, float, float]) -> F32:
        model = Item2Vec(settings=SMALL.model_copy(update={"pair_type_weights": weights}), progress=False).fit(log)
        return model.session_vectors(SessionLog.of([[0]], n_items=3))[0] @ model.item_vectors().T

    even, carts = score((1, 1, 1)), score((1, 6, 3))
    assert carts[2] - carts[1] > even[2] - even[1] + 0.3


def test_many_threads_learn_as_much_as_one():
    log, asked = chain_log(3_000, seed=7), chain_log(300, seed=8)
    rows, labels = next_item_rows(asked, np.arange(len(asked)))
    recalls = []
    for threads in (1, 2, 3, 32):
        model = Item2Vec(settings=SMALL.model_copy(update={"epochs": 4}), threads=threads, progress=False).fit(log)
        recalls.append(rank_hits(model, rows, labels, 10).recall)
    assert min(recalls[1:]) > recalls[0] - 0.03


def test_an_empty_log_has_no_vectors():
    model = Item2Vec(settings=SMALL, progress=False).fit(SessionLog.of([[], []], n_items=4))
    assert not model.item_vectors().any()
    assert not model.known.any()


def test_vectors_of_another_size_are_refused(tmp_path: Path):
    Item2Vec(settings=SMALL, progress=False).fit(chain_log(20, seed=1)).save(tmp_path)
    with pytest.raises(InputError, match="train this model again"):
        Item2Vec(settings=SMALL.model_copy(update={"dim": 8})).load(tmp_path)


def test_a_window_must_fit_its_block():
    with pytest.raises(ValueError, match="smaller than block"):
        Item2VecSettings(window=8, block=8)
