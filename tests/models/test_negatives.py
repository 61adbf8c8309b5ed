"""Sampled negatives: their distribution, their expected numbers, and that a draw is a function of seed and step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.alias import alias_table
from models.losses import correct_logq, mask_collisions, sampled_softmax
from models.negatives import NegativeSampler

COUNTS = np.array([5, 0, 1, 100, 30, 0, 7], np.int64)


@given(weights=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_the_alias_table_holds_the_shares(weights: list[float]) -> None:
    shares = np.array(weights) / np.sum(weights)
    keep, other = alias_table(shares)
    kept = keep / 2.0**32
    held = kept.copy()
    np.add.at(held, other, 1 - kept)
    np.testing.assert_allclose(held / shares.size, shares, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_items_are_drawn_by_their_shares(power: float) -> None:
    sampler = NegativeSampler(COUNTS, 1000, power, seed=3)
    found = np.zeros(COUNTS.size)
    for step in range(100):
        found += np.bincount(sampler.draw(step)[0].numpy(), minlength=COUNTS.size)
    shares = np.where(COUNTS > 0, COUNTS.astype(float) ** power, 0)
    expected = 100_000 * shares / shares.sum()
    assert (np.abs(found - expected) <= 4.5 * np.sqrt(expected)).all()
    ids, log_q = sampler.draw(0)
    np.testing.assert_allclose(log_q.numpy(), np.log(expected[ids.numpy()] / 100), rtol=1e-5)
    assert ids.dtype == torch.int64
    assert log_q.dtype == torch.float32


def test_a_draw_is_a_function_of_seed_and_step() -> None:
    one, other = NegativeSampler(COUNTS, 20, 0.5, seed=3), NegativeSampler(COUNTS, 20, 0.5, seed=3)
    later = [one.draw(step)[0].tolist() for step in (5, 6, 7)]
    assert other.draw(7)[0].tolist() == later[2]
    assert len({tuple(ids) for ids in later}) == 3
    assert NegativeSampler(COUNTS, 20, 0.5, seed=4).draw(5)[0].tolist() != later[0]


def test_batch_and_draw_stand_for_all_items() -> None:
    """Sums over the draw and the positives of the batch, each item weighed by its expected number, are unbiased."""
    rng = np.random.default_rng(2)
    n, size, rounds = 50, 12, 3000
    counts = rng.integers(1, 200, n).astype(np.int64)
    sampler = NegativeSampler(counts, 10, 0.0, seed=1)
    logits = torch.from_numpy(rng.normal(size=n))
    sums = np.empty(rounds)
    for step in range(rounds):
        batch = torch.from_numpy(rng.choice(n, size, p=counts / counts.sum()))
        ids, log_q = sampler.draw_with_batch(step, batch)
        own = batch[:1]
        scores = mask_collisions(correct_logq(logits[ids], log_q)[None], own, ids)
        sums[step] = (sampled_softmax(logits[own], scores) + logits[own]).exp()[0]
    assert abs(sums.mean() - float(logits.exp().sum())) < 4 * sums.std() / np.sqrt(rounds)


def test_the_batch_may_be_the_only_source() -> None:
    sampler = NegativeSampler(COUNTS, 0)
    ids, log_q = sampler.draw_with_batch(0, torch.tensor([3, 4, 1]))
    assert ids.tolist() == [3, 4, 1]
    np.testing.assert_allclose(log_q[:2].numpy(), np.log(2 * COUNTS[[3, 4]] / COUNTS.sum()), rtol=1e-5)
    assert torch.isfinite(log_q).all()


def test_rate_and_errors() -> None:
    assert NegativeSampler(COUNTS, 2).sampling_rate == 0.5
    assert NegativeSampler(COUNTS, 100).sampling_rate == 1
    with pytest.raises(ValueError, match="at least one item"):
        NegativeSampler(np.zeros(3, np.int64), 2)
