"""The leave-one-out protocol of the MovieLens benchmark."""

import numpy as np
import pytest

from benchmarks.movielens import SAMPLED, LeaveOneOut, movielens_pairs, run
from models.pairs import Pairs


def world() -> Pairs:
    """Three users of 200 items; user u rates u, u + 10, ..., in this order."""
    return Pairs(
        np.repeat(np.arange(3), 4).astype(np.int32),
        np.concatenate([np.arange(4) * 10 + u for u in range(3)]).astype(np.int32),
        np.ones(12, np.float32), 3, 200,
    )  # fmt: skip


@pytest.mark.parametrize("validation", [False, True])
def test_the_last_item_is_held_out_and_none_of_the_users_own_is_an_other(validation: bool):
    asked = LeaveOneOut.of(world(), validation)
    left = 2 if validation else 3
    assert asked.held_out.tolist() == [10 * left, 10 * left + 1, 10 * left + 2]
    assert asked.visible.lengths.tolist() == [left] * 3
    assert asked.visible.aids[:left].tolist() == [0, 10, 20][:left]
    for user in range(3):
        # Not even an item that is rated later.
        assert np.flatnonzero(~asked.unrated[user]).tolist() == [user, user + 10, user + 20, user + 30]


def test_rates_are_shares_of_users_whose_item_is_among_the_best_ten():
    asked, known = LeaveOneOut.of(world(), False), np.ones(200, np.bool_)
    scores = np.zeros((3, 200), np.float32)
    assert asked.hit_rates(scores, known, 0) == (0, 0)  # ties count against it
    scores[np.arange(3), asked.held_out] = 1
    assert asked.hit_rates(scores, known, 0) == (1, 1)
    scores[0, 100:109] = 2
    assert asked.hit_rates(scores, known, 0) == (1, 1)
    scores[0, 109] = 1
    assert asked.hit_rates(scores, known, 0)[1] == pytest.approx(2 / 3)
    scores[1, asked.visible.aids[3:6]] = 9
    assert asked.hit_rates(scores, known, 0)[1] == pytest.approx(2 / 3)  # what was rated is left out
    known[asked.held_out[2]] = False
    sampled, full = asked.hit_rates(scores, known, 0)
    assert (sampled, full) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    # An order at random: 10 of 100.
    rng = np.random.default_rng(1)
    rates = [asked.hit_rates(rng.random((3, 200)), np.ones(200, np.bool_), seed)[0] for seed in range(600)]
    assert np.mean(rates) == pytest.approx(10 / (SAMPLED + 1), abs=0.03)


def test_popularity_on_movielens(shared_data):
    """Where others find it: about .44 among 99."""
    found = run(["popularity"])["popularity"]
    assert 0.38 < found["hr@10"] < 0.48
    assert len(movielens_pairs()) == 100_000
