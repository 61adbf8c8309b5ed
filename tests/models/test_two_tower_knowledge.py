"""The two towers with knowledge: cold items, attributes of sessions, and nothing where there is nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from events.arrays import F32, I32
from events.knowledge.fitted import Knowledge, Users
from events.labels import LabelSet
from events.log import SessionLog
from models.batches import PositiveRule
from models.building import Conditions, build_retriever
from models.exact import next_item_rows, rank_hits, recommend_exactly
from models.two_tower import TwoTower
from models.two_tower_items import ItemFeatures, ItemTower, renumber_codes
from models.two_tower_users import UserBatch, UserBatches, UserFeatures
from tests.models.contract import RetrieverContract
from tests.models.test_two_tower import small
from tests.models.worlds import N_ITEMS, chain_log

N_SORTS, PER_SORT, COLD = 6, 30, 5


def planted(n: int, seed: int, cold_share: float = 0.0) -> SessionLog:
    """Sessions of four items that stay within a category; the last ``COLD`` items of each occur by ``cold_share``."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        sort = int(rng.integers(N_SORTS))
        places = rng.integers(0, PER_SORT - COLD, 4)
        places = np.where(rng.random(4) < cold_share, PER_SORT - COLD + rng.integers(0, COLD, 4), places)
        rows.append((sort * PER_SORT + places).tolist())
    return SessionLog.of(rows, n_items=N_SORTS * PER_SORT)


def knowledge_of(leaf: I32, users: Users | None = None) -> Knowledge:
    cold = np.arange(leaf.size) % PER_SORT >= PER_SORT - COLD
    return Knowledge(fitted=~cold, cold=cold, leaf=leaf, users=users)


def test_a_cold_item_is_found_by_its_category() -> None:
    """The next item is one that no fitted session holds: which, only the category can tell."""
    leaf = (np.arange(N_SORTS * PER_SORT) // PER_SORT).astype(np.int32)
    shuffled = np.random.default_rng(0).permutation(leaf).astype(np.int32)
    train, asked = planted(400, 1), planted(200, 2, 0.5)
    rows, labels = next_item_rows(asked, np.arange(len(asked)))
    warm = asked.aids % PER_SORT < PER_SORT - COLD
    cold_next = ~warm[np.delete(np.arange(asked.n_events), asked.offsets[:-1])]
    rows, labels = rows.take(np.flatnonzero(cold_next)), _take(labels, cold_next)
    recalls = []
    for codes in (leaf, shuffled):
        built = build_retriever("two_tower", small(3, length=4), Conditions(threads=1, knowledge=knowledge_of(codes)))
        found = rank_hits(built.fit(train), rows, labels, 30)
        assert built.known.all()
        assert found.recall is not None
        recalls.append(found.recall)
    assert recalls[0] > 2.5 * 30 / 180  # a guess has 30 of 180
    assert recalls[1] < recalls[0] - 0.2
    plain = TwoTower("two_tower", small(3, length=4)).fit(train)
    assert rank_hits(plain, rows, labels, 30).recall == 0


def _take(labels: LabelSet, chosen: np.ndarray) -> LabelSet:
    aids = labels.aids[chosen]
    return LabelSet(np.arange(aids.size + 1, dtype=np.int64), aids)


def test_other_cold_items_change_nothing_of_what_is_learned() -> None:
    leaf = (np.arange(N_SORTS * PER_SORT) // PER_SORT).astype(np.int32)
    train = planted(60, 1)
    knowledge = knowledge_of(leaf)
    first = TwoTower("two_tower", small(3, length=4), features=ItemFeatures.of(knowledge)).fit(train)
    other = np.where(knowledge.cold, 0, leaf + 3).astype(np.int32)  # new names, and cold items elsewhere
    second = TwoTower("two_tower", small(3, length=4), features=ItemFeatures.of(knowledge_of(other))).fit(train)
    warm = ~knowledge.cold
    np.testing.assert_array_equal(first.item_vectors()[warm], second.item_vectors()[warm])
    assert not np.array_equal(first.item_vectors()[~warm], second.item_vectors()[~warm])


def test_without_knowledge_nothing_is_dropped() -> None:
    log = chain_log(40, seed=1)
    vectors = [
        build_retriever("two_tower", small(1, id_dropout=share), Conditions(threads=1)).fit(log).item_vectors()
        for share in (0.0, 0.5)
    ]
    np.testing.assert_array_equal(*vectors)


def test_vectors_and_numbers_reach_the_item() -> None:
    """Rows that are alike but for one kind of knowledge have different vectors; a bare item has no embedding."""
    counts = np.array([4, 4])
    torch.manual_seed(0)
    for features in (
        ItemFeatures(vectors=np.eye(2, 3, dtype=np.float32)),
        ItemFeatures(numeric=np.array([[0.0], [1.0]], np.float32)),
    ):
        tower = ItemTower(small(1), counts, features)
        torch.nn.init.normal_(tower.narrow.weight)
        made = tower(torch.ones(2, 32), torch.arange(2))
        assert not torch.allclose(made[0], made[1])
        bare = torch.tensor([True, True])
        one, two = (tower(rows, torch.arange(2), bare) for rows in (torch.ones(2, 32), torch.zeros(2, 32)))
        torch.testing.assert_close(one, two)
        cold = ItemTower(small(1), counts[:1], features)  # the second row follows the fitted one
        cold.load_state_dict(tower.state_dict())
        assert cold.numbers.shape[0] == 2


def test_codes_are_numbered_by_fitted_items() -> None:
    codes = np.array([[7, -1], [3, 2], [7, 2], [5, 9], [3, -1]], np.int32)
    assert renumber_codes(codes, 3).tolist() == [[1, -1], [0, 0], [1, 0], [-1, -1], [0, -1]]


def users_of(kind: np.ndarray, numbers: F32) -> Users:
    return Users(numbers, kind[:, None].astype(np.int32), ("number",), ("kind",))


def by_users(n: int, seed: int) -> tuple[SessionLog, np.ndarray, F32]:
    """Sessions whose second item goes by their kind (four) and the sign of their number, whatever the first."""
    rng = np.random.default_rng(seed)
    kind, number = rng.integers(0, 4, n), rng.normal(40, 10, n)
    target = 8 + 2 * kind + (number > 40)
    rows = [[int(rng.integers(8)), int(one)] for one in target]
    return SessionLog.of(rows, n_items=16), kind, number[:, None].astype(np.float32)


def test_attributes_of_sessions_say_what_events_do_not(tmp_path: Path) -> None:
    log, kind, numbers = by_users(900, 1)
    train = log.slice(0, 600)
    asked, labels = next_item_rows(log, np.arange(600, 900))
    rows = SessionLog(log.sessions[600:].copy(), asked.groups, asked.offsets, asked.aids, None, None, asked.n_items)
    rng = np.random.default_rng(7)
    noise = users_of(rng.integers(0, 4, 900), rng.normal(0, 1, (900, 1)).astype(np.float32))
    recalls = {}
    chosen = small(3, length=4)
    chosen = chosen.model_copy(update={"training": chosen.training.model_copy(update={"epochs": 12})})
    for name, users in (("none", None), ("planted", users_of(kind, numbers)), ("noise", noise)):
        model = TwoTower(
            "two_tower", chosen, users=None if users is None else UserFeatures(users.numeric, users.categorical)
        )
        recalls[name] = rank_hits(model.fit(train), rows, labels, 1).recall or 0.0
        if name == "planted":
            model.save(tmp_path)
            again = TwoTower("two_tower", chosen, users=UserFeatures(users.numeric, users.categorical)).load(tmp_path)
            np.testing.assert_array_equal(again.session_vectors(rows), model.session_vectors(rows))
            batch, single = recommend_exactly(model, rows, 3), recommend_exactly(model, rows.slice(9, 10), 3)
            np.testing.assert_array_equal(batch.slice(9, 10).aids, single.aids)
            stranger = SessionLog.of([[1]], n_items=16)
            unknown = SessionLog(np.array([10**6]), stranger.groups, stranger.offsets, stranger.aids, None, None, 16)
            assert np.isfinite(model.session_vectors(unknown)).all()
    assert recalls["planted"] > 0.6  # a guess has .125
    assert max(recalls["none"], recalls["noise"]) < 0.3


class TestTwoTowerWithKnowledge(RetrieverContract):
    @staticmethod
    def make(seed: int) -> TwoTower:
        rng = np.random.default_rng(5)
        knowledge = Knowledge(
            fitted=np.ones(N_ITEMS, np.bool_),
            cold=np.zeros(N_ITEMS, np.bool_),
            brand=rng.integers(-1, 3, N_ITEMS).astype(np.int32),
            spaces={"text": rng.normal(0, 0.4, (N_ITEMS, 4)).astype(np.float32)},
            users=users_of(rng.integers(-1, 3, 2_000), rng.normal(0, 1, (2_000, 1)).astype(np.float32)),
        )
        users = UserFeatures.of(knowledge)
        return TwoTower("two_tower", small(seed), features=ItemFeatures.of(knowledge), users=users)


def test_batches_know_whose_they_are() -> None:
    log = SessionLog.of([[], [0, 1, 2, 3, 4], [], [7], [5, 6, 7]], n_items=9)
    log = SessionLog(log.sessions * 10, log.groups, log.offsets, log.aids, None, None, 9)
    seen: dict[int, set[int]] = {}
    for batch, _ in UserBatches(log, 2, 4, PositiveRule(), 1).epoch(0):
        assert isinstance(batch, UserBatch)
        for items, length, session in zip(batch.items, batch.lengths, batch.sessions, strict=True):
            seen.setdefault(int(session), set()).update(items[:length].tolist())
    assert seen == {10: {0, 1, 2, 3}, 40: {5, 6}}


@pytest.mark.parametrize("sessions", [[0, 1], [5, -1]])
def test_unknown_sessions_have_unknown_attributes(sessions: list[int]) -> None:
    users = UserFeatures(np.ones((2, 1), np.float32), np.zeros((2, 1), np.int32))
    numeric, codes = users.rows(np.array(sessions))
    known = sessions == [0, 1]
    assert torch.isfinite(numeric).all() == known
    assert (codes == int(known)).all()
