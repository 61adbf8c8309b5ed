"""Counter-based draws: repeatable, uniform, and different seeds do not share a stream."""

import numpy as np

from events.randomness import below, mix, uniform, uniforms


def test_a_draw_is_a_pure_function_of_seed_and_counter():
    assert mix(1, 2) == mix(1, 2)
    assert uniforms(7, np.arange(5)).tolist() == [uniform(7, i) for i in range(5)]


def test_draws_are_uniform_and_uncorrelated():
    draws = uniforms(3, np.arange(100_000))
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert ((counts - 5_000) ** 2 / 5_000).sum() < 60  # chi-square with 19 degrees of freedom, far in the tail
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(draws, uniforms(4, np.arange(100_000)))[0, 1]) < 0.02


def test_seeds_that_differ_by_the_increment_do_not_share_a_stream():
    golden = 0x9E3779B97F4A7C15
    shifted = [int(mix(5 - golden % 2**63, i + 1)) for i in range(20)]
    assert not set(shifted) & {int(mix(5, i)) for i in range(20)}


def test_below_stays_in_range_and_reaches_every_value():
    draws = [int(below(9, i, 7)) for i in range(500)]
    assert set(draws) == set(range(7))
