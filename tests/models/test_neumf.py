"""NeuMF: the network against its formula, negatives, planted chains, what an unseen session gets, files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.log import SessionLog
from models.exact import next_item_rows
from models.factor_settings import HybridSettings, NeuMFSettings
from models.neumf import NeuMF
from models.pair_network import ROWS, PairNetwork, score_pairs
from models.pair_task import NextItemAmongOthers
from models.retriever import PairScorer
from models.session_items import fading
from models.table import ItemTable
from models.training_settings import TrainingSettings
from tests.models.worlds import CHANCE, N_ITEMS, noise_log

TRAINING = TrainingSettings(threads=1, epochs=5, batch_tokens=1024, learning_rate=0.005, item_learning_rate=0.03)


def small(**changes: object) -> NeuMF:
    settings = {
        "product": 16,
        "mlp": 8,
        "layers": (16,),
        "half_life": 0.5,
        "history": 4,
        "initial": 0.1,
        "training": TRAINING,
    }
    return NeuMF(settings=NeuMFSettings(**(settings | changes)))


@pytest.fixture(scope="module")
def fitted(train: SessionLog) -> NeuMF:
    return small().fit(train)


def all_items(log: SessionLog) -> tuple[np.ndarray, np.ndarray]:
    """Every item that occurs as a candidate of every session."""
    n = N_ITEMS - 5
    return np.arange(len(log) + 1, dtype=np.int64) * n, np.tile(np.arange(n, dtype=np.int32), len(log))


def recall_at_10(model: NeuMF, log: SessionLog) -> float:
    rows, labels = next_item_rows(log, np.arange(len(log)))
    scores = model.score(rows, *all_items(rows)).reshape(len(rows), -1)
    return float(((scores >= scores[np.arange(len(rows)), labels.aids][:, None]).sum(1) <= 10).mean())


@settings(max_examples=30)
@given(
    product=st.integers(0, 4),
    mlp=st.integers(0, 3),
    layers=st.sampled_from([(), (3,), (4, 2)]),
    weighed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_logits_are_the_formula(product: int, mlp: int, layers: tuple[int, ...], weighed: bool, seed: int):
    if product + mlp == 0:
        product = 1
    torch.manual_seed(seed)
    chosen = NeuMFSettings(product=product, mlp=mlp, layers=layers, dropout=0.5)
    network = PairNetwork(chosen, weighed).eval()
    state = {name: torch.randn_like(value) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    users, items = torch.randn(2, 6, product + mlp)
    expected = state["bias"].double() + (
        (users[:, :product] * items[:, :product]).double() * state.get("weights", torch.ones(product))
    ).sum(1)
    if mlp:
        hidden = torch.cat([users[:, product:], items[:, product:]], 1).double()
        matrices = [value.double() for name, value in state.items() if name.startswith("mlp.")]
        for weight, bias in zip(matrices[::2], matrices[1::2], strict=True):
            last = weight is matrices[-2]
            hidden = hidden @ weight.T + bias
            hidden = hidden if last else hidden.clamp_min(0)
        expected = expected + hidden[:, 0]
    with torch.no_grad():
        np.testing.assert_allclose(network(users, items).numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("parts", [{}, {"mlp": 0}, {"product": 0, "mlp": 24}])
def test_learns_a_planted_chain(train: SessionLog, asked: SessionLog, parts: dict[str, int]):
    """Fused, GMF, MLP: all find what comes after the last item."""
    assert recall_at_10(small(**parts).fit(train), asked) > 0.6


def test_stays_at_chance_on_noise():
    assert abs(recall_at_10(small().fit(noise_log(1_500, seed=3)), noise_log(500, seed=4)) - CHANCE) < 0.04


def test_obeys_the_protocol(fitted: NeuMF, train: SessionLog, asked: SessionLog):
    assert isinstance(fitted, PairScorer)
    np.testing.assert_array_equal(fitted.known, np.isin(np.arange(train.n_items), train.aids))
    scores = fitted.score(asked, *all_items(asked))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert fitted.score(asked.slice(0, 0), np.zeros(1, np.int64), np.zeros(0, np.int32)).size == 0


def test_batch_equals_single(fitted: NeuMF, asked: SessionLog):
    scores = fitted.score(asked, *all_items(asked)).reshape(len(asked), -1)
    for s in range(0, len(asked), 41):
        one = asked.slice(s, s + 1)
        np.testing.assert_array_equal(fitted.score(one, *all_items(one)), scores[s])


def test_the_same_seed_gives_the_same_scores(fitted: NeuMF, train: SessionLog, asked: SessionLog):
    np.testing.assert_array_equal(
        small().fit(train).score(asked, *all_items(asked)), fitted.score(asked, *all_items(asked))
    )


def test_save_and_load_change_nothing(fitted: NeuMF, asked: SessionLog, tmp_path: Path):
    fitted.save(tmp_path)
    loaded = small().load(tmp_path)
    np.testing.assert_array_equal(loaded.score(asked, *all_items(asked)), fitted.score(asked, *all_items(asked)))
    np.testing.assert_array_equal(loaded.known, fitted.known)
    with pytest.raises(InputError, match="train the model again"):
        small(product=17).load(tmp_path)


def test_only_the_last_sessions_are_trained_on(train: SessionLog):
    model = small(training=TRAINING.model_copy(update={"sessions": 3, "epochs": 1})).fit(train)
    assert set(np.flatnonzero(model.known)) == set(train.slice(len(train) - 3, len(train)).aids.tolist())


def test_sessions_without_a_known_item_rank_alike(fitted: NeuMF, train: SessionLog):
    log = SessionLog.of([[], [train.n_items - 1], [0]], n_items=train.n_items)
    scores = fitted.score(log, *all_items(log)).reshape(3, -1)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_users_of_their_own_are_told_apart_and_strangers_are_their_mean():
    """Two kinds of users with items of their own: embeddings learn which is which."""
    rng = np.random.default_rng(1)
    log = SessionLog.of([(rng.choice(20, 8, replace=False) + 20 * (s % 2)).tolist() for s in range(200)], n_items=40)
    model = small(users="embedding", training=TRAINING.model_copy(update={"epochs": 20})).fit(log)
    every = np.arange(201, dtype=np.int64) * 40, np.tile(np.arange(40, dtype=np.int32), 200)
    scores = model.score(log, *every).reshape(200, 2, 20).mean(axis=2)
    assert (scores.argmax(axis=1) == np.arange(200) % 2).mean() > 0.95
    strangers = SessionLog(log.sessions + 500, log.groups, log.offsets, log.aids, None, None, 40).slice(0, 1)
    users = model._users.mean(axis=0, keepdims=True)
    expected = score_pairs(model._network, users, np.zeros(40, np.int64), model._items, np.arange(40))
    np.testing.assert_array_equal(model.score(strangers, every[0][:2], every[1][:40]), expected)


@settings(max_examples=30)
@given(seed=st.integers(0, 99), users=st.sampled_from(["history", "embedding"]), holdout=st.sampled_from([0.0, 0.5]))
def test_batches_hold_each_event_once_with_items_that_the_session_lacks(seed: int, users: str, holdout: float):
    rng = np.random.default_rng(seed)
    log = SessionLog.of([rng.integers(0, 9, rng.integers(0, 6)).tolist() for _ in range(6)] + [[1, 2]], n_items=12)
    chosen = NeuMFSettings(
        users=users, history=3, half_life=1, negatives=2,
        training=TrainingSettings(batch_tokens=12, holdout=holdout, seed=seed),
    )  # fmt: skip
    known = np.unique(log.aids)
    n_users = len(log) if users == "embedding" else 12
    table = ItemTable(torch.zeros(n_users + 12, 64))
    fade = fading(3, 1)
    task = NextItemAmongOthers("x", chosen, PairNetwork(chosen, True), table, log, known, fade, torch.device("cpu"))
    made = list(task.batches(0, 0))
    skipped = list(task.batches(0, 1))
    assert len(skipped) == max(len(made) - 1, 0)
    for (one, _), (two, _) in zip(made[1:], skipped, strict=True):
        np.testing.assert_array_equal(one.items, two.items)
    held_out = set(task._held_out.tolist())
    assert len(held_out) == round(holdout * (log.lengths > 1).sum())
    expected = []
    for s in range(len(log)):
        row = log.aids[log.offsets[s] : log.offsets[s + 1]].tolist()
        for place, aid in enumerate(row):
            if log.offsets[s] + place in held_out or (users == "history" and place == 0):
                continue
            before = tuple(row[:place][::-1][:3]) if users == "history" else (s,)
            expected.append((before, aid))
    found = []
    for batch, _ in made:
        for history, weights, items in zip(batch.histories, batch.weights, batch.items, strict=True):
            there = weights > 0
            found.append((tuple(history[there].tolist()), int(items[0])))
            np.testing.assert_array_equal(weights[there], fade[: there.sum()])
    assert sorted(found) == sorted(expected)
    for batch, _ in made:
        assert np.isin(batch.items, known).all()


def test_rows_beyond_one_block_are_scored_alike():
    torch.manual_seed(1)
    network = PairNetwork(HybridSettings(product=3, mlp=5), weighed=False)
    rng = np.random.default_rng(2)
    users, items = (rng.standard_normal((50, 8)).astype(np.float32) for _ in range(2))
    rows = rng.integers(0, 50, (2, ROWS + 77))
    whole = score_pairs(network, users, rows[0], items, rows[1])
    np.testing.assert_array_equal(score_pairs(network, users, rows[0, -90:], items, rows[1, -90:]), whole[-90:])


def test_one_part_at_least():
    with pytest.raises(ValueError, match="product or mlp"):
        NeuMFSettings(product=0, mlp=0)
