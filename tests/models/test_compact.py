"""Known items: renumbered in order, spread back; what is fitted does not depend on the others."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from events.log import SessionLog
from models.compact import KnownItems
from models.retriever import Retriever
from tests.models.test_als import TestContract as TestAls
from tests.models.test_bert4rec import TestBERT4Rec
from tests.models.test_bpr import TestContract as TestBpr
from tests.models.test_item2vec import TestItem2Vec
from tests.models.test_sequence import TestGRU4Rec
from tests.models.test_svd import TestSvd
from tests.models.test_two_tower import TestTwoTower


def test_numbers_go_up_and_come_back():
    log = SessionLog.of([[5, 2], [2, 7, 5]], n_items=9)
    items = KnownItems.of(log)
    assert items.numbers().tolist() == [-1, -1, 0, -1, -1, 1, -1, 2, -1]
    small = items.renumber(log)
    assert small.aids.tolist() == [1, 0, 0, 2, 1]
    assert small.n_items == items.count == 3
    spread = items.spread(np.arange(6, dtype=np.float32).reshape(3, 2))
    assert spread[[2, 5, 7]].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert not spread[[0, 1, 3, 4, 6, 8]].any()


@pytest.mark.parametrize(
    "make", [one.make for one in (TestAls, TestBpr, TestSvd, TestItem2Vec, TestGRU4Rec, TestTwoTower, TestBERT4Rec)]
)
def test_items_of_no_session_change_nothing(make: Callable[[int], Retriever], train: SessionLog) -> None:
    log = train.slice(0, 150)
    rows = 2 * np.arange(log.n_items, dtype=np.int32) + 1
    sparse = replace(log, aids=rows[log.aids], n_items=2 * log.n_items + 5)
    one, other = make(3).fit(log), make(3).fit(sparse)
    target = one.targets[-1] if one.targets else None
    np.testing.assert_array_equal(other.item_vectors(target)[rows], one.item_vectors(target))
    np.testing.assert_array_equal(other.session_vectors(sparse, target), one.session_vectors(log, target))
