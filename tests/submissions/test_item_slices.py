"""Slices by the true item: each label is in one of them, and lists are scored on its items alone."""

import numpy as np
import pytest

from events.columns import DAY
from events.labels import LabelSet
from events.lists import Lists
from events.log import SessionLog
from submissions.item_slices import (
    age_slices,
    counts_of,
    first_types,
    item_slice_scores,
    labels_of_slice,
    novelty_slices,
    popularity_slices,
)
from submissions.metrics import score_lists


def test_ages_are_counted_from_the_first_event_to_the_cut() -> None:
    log = SessionLog.of([[0, 1], [1, 2]], [[0, 3 * DAY], [5, 27 * DAY]], n_items=4)
    found = age_slices(log, 28 * DAY)
    names = [found.names[code] for code in found.codes]
    assert names[0] == "28 days and more"  # first seen at second 0
    assert names[1] == "14 to 27 days"  # first seen at second 5, a little less than 28 days before
    assert names[2:] == ["0 to 2 days", "new"]
    with pytest.raises(ValueError, match="no age"):
        age_slices(SessionLog.of([[0]]), 1)


def test_popularity_slices_hold_their_shares_of_the_fitted_items() -> None:
    counts = np.append(np.arange(200), 0)
    found = popularity_slices(counts)
    sizes = np.bincount(found.codes)
    assert sizes.tolist() == [2, 18, 80, 99, 2]  # of the 199 fitted items: 1 %, to 10 %, to 50 %, the others; and new
    assert found.codes[199] == 0
    assert found.names[found.codes[0]] == "new"
    assert found.names[found.codes[1]] == "the other 50 %"


def test_every_label_is_in_one_slice_and_an_unknown_item_is_new() -> None:
    rng = np.random.default_rng(1)
    label_set = LabelSet.of([sorted(set(rng.integers(-1, 8, rng.integers(0, 5)).tolist())) for _ in range(50)])
    slices = novelty_slices(np.array([1, 0, 1, 0, 1, 2, 3, 0]))
    parts = [labels_of_slice(label_set, slices, code) for code in range(2)]
    for s in range(50):
        whole = label_set.row(s).tolist()
        assert parts[0].row(s).tolist() == [aid for aid in whole if aid in (0, 2, 4, 5, 6)]
        assert parts[1].row(s).tolist() == [aid for aid in whole if aid in (-1, 1, 3, 7)]


def test_lists_are_scored_on_the_items_of_a_slice() -> None:
    lists = {"clicks": Lists.of([[(0, 2.0), (1, 1.0)], [(0, 1.0)]])}
    labels = {"clicks": LabelSet.of([[0, 1], [3]])}
    slices = novelty_slices(np.array([1, 0, 1, 1, 1]))
    found = item_slice_scores(lists, labels, slices, k=2)
    assert {name: (scores.total, n) for name, (scores, n) in found.items()} == {"known": (0.5, 2), "new": (1.0, 1)}
    whole = novelty_slices(np.ones(5, np.int64))
    assert item_slice_scores(lists, labels, whole, k=2)["known"][0] == score_lists(lists, labels, 2)
    assert "new" not in item_slice_scores(lists, labels, whole, k=2)


def test_first_types() -> None:
    codes, names = first_types(SessionLog.of([[0, 1], [], [1]], types=[[1, 0], [], [2]], n_items=2))
    assert [names[code] if code >= 0 else None for code in codes] == ["carts", None, "orders"]
    assert counts_of(codes, names) == {"clicks": 0, "carts": 1, "orders": 1}
    assert first_types(SessionLog.of([[0]]))[1] == ("clicks",)
