"""The two towers keep the contract; what they read, and what stands against a positive."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from events.arrays import I32
from events.log import SessionLog
from models.batches import GAP_BUCKETS
from models.compact import KnownItems
from models.exact import next_item_rows, rank_hits
from models.two_tower import Pooling, TowerItems, TwoTower, ages
from models.two_tower_items import ItemFeatures, ItemTower, standardise
from models.two_tower_settings import TwoTowerSettings
from tests.models.contract import RetrieverContract
from tests.models.test_sequence import quick
from tests.models.worlds import chain_log


def small(seed: int, **changes: Any) -> TwoTowerSettings:
    settings = TwoTowerSettings(**quick(seed, hidden=64, **changes))
    return settings.model_copy(update={"training": settings.training.model_copy(update={"epochs": 4})})


class TestTwoTower(RetrieverContract):
    @staticmethod
    def make(seed: int) -> TwoTower:
        return TwoTower("two_tower", small(seed))


@given(gaps=st.lists(st.integers(0, GAP_BUCKETS - 1), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_ages_are_sums_of_gaps(gaps: list[int]) -> None:
    found = ages(torch.tensor([gaps]))[0]
    for t in range(len(gaps)):
        for s in range(len(gaps)):
            apart = sum(2 ** gaps[u] for u in range(s + 1, t + 1))
            assert found[t, s] == min(max(apart, 1).bit_length() - 1, GAP_BUCKETS - 1)


def test_an_event_is_read_from_those_before_it() -> None:
    pooling = Pooling(small(1)).eval()
    embedded = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(1))
    types, gaps = torch.tensor([[0, 1, 0, 2, 0, 1]] * 2), torch.tensor([[0, 3, 9, 1, 0, 20]] * 2)
    states = pooling(embedded, types, gaps)
    embedded[:, 4:], types[:, 4:], gaps[:, 4:] = 7.0, 2, 5
    again = pooling(embedded, types, gaps)
    torch.testing.assert_close(again[:, :4], states[:, :4])
    assert not torch.allclose(again[:, 4], states[:, 4])
    with torch.no_grad():
        pooling.recency.weight[5] = 3.0
    assert not torch.allclose(pooling(embedded, types, gaps)[:, 5], again[:, 5])


def test_numbers_are_standardised() -> None:
    numbers = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 5.0, np.nan]], np.float32)
    np.testing.assert_allclose(standardise(numbers), [[-1, 0, 0], [1, 0, 0], [0, 0, 0]])


def test_unknown_codes_are_a_code_of_their_own() -> None:
    codes = np.array([[0, 2], [-1, -1], [1, 0]], np.int32)
    tower = ItemTower(small(1), np.array([3, 1, 2]), ItemFeatures(codes, np.ones((3, 1), np.float32)))
    rows = torch.zeros(3, 32)
    vectors = tower(rows, torch.arange(3))
    assert vectors.shape == (3, 32)
    assert torch.unique(vectors, dim=0).shape[0] == 3
    torch.testing.assert_close(tower(rows[:1], torch.tensor([2]))[0], vectors[2])


def _task(hard: I32 | None, log: SessionLog) -> TowerItems:
    retriever = TwoTower("two_tower", small(1, dropout=0.0, embedding_dropout=0.0), hard=hard)
    torch.manual_seed(1)
    network, weight = retriever._new_network(log.has), torch.randn(log.n_items, 32)
    task = retriever._new_task(network, weight, log, None, KnownItems(np.ones(log.n_items, np.bool_)))
    assert isinstance(task, TowerItems)
    return task


def test_hard_negatives_stand_against_their_positive() -> None:
    log = chain_log(50, seed=1)

    def loss(hard: I32 | None) -> float:
        task = _task(hard, log)
        batch, _ = next(task.batches(0, 0))
        return float(task.loss(batch, 0)[0].detach())

    plain = loss(None)
    items = np.arange(log.n_items, dtype=np.int32)
    assert loss(np.full((log.n_items, 2), -1, np.int32)) == pytest.approx(plain)
    assert loss(np.stack([items, items], 1)) == pytest.approx(plain)  # none stands against itself
    assert loss(np.stack([(items + 1) % log.n_items, items], 1).astype(np.int32)) > plain + 1e-3
    with pytest.raises(ValueError, match="hard negatives"):
        loss(np.zeros((3, 1), np.int32))


def test_features_help_with_rare_items() -> None:
    """Sessions stay within a category, and items are too rare to learn that from them."""
    n_items, n_sorts = 400, 8
    codes = np.random.default_rng(0).integers(0, n_sorts, n_items)
    members = [np.flatnonzero(codes == sort) for sort in range(n_sorts)]

    def sessions(n: int, seed: int) -> SessionLog:
        rng = np.random.default_rng(seed)
        return SessionLog.of(
            [rng.choice(members[rng.integers(n_sorts)], 4).tolist() for _ in range(n)], None, None, n_items
        )

    train, asked = sessions(400, 1), sessions(300, 2)
    rows, labels = next_item_rows(asked, np.arange(len(asked)))
    chosen = small(3, length=4)
    recalls = []
    for features in (None, ItemFeatures(codes[:, None].astype(np.int32))):
        recall = rank_hits(TwoTower("two_tower", chosen, features=features).fit(train), rows, labels, 20).recall
        assert recall is not None
        recalls.append(recall)
    assert recalls[1] > recalls[0] + 0.05  # about .10 and .19


def test_features_must_fit() -> None:
    with pytest.raises(ValueError, match="row for each"):
        TwoTower("two_tower", small(1), features=ItemFeatures(np.zeros((3, 1), np.int32))).fit(chain_log(20, seed=1))
    with pytest.raises(ValueError, match="pools"):
        TwoTowerSettings(dim=30)
    with pytest.raises(ValueError, match="copying"):
        TwoTowerSettings(copying=True)
