import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankers.objective import NEAR, TAIL, recall_objective

GAINS = np.array([0.0, 1.0, 3.0, 6.0])
ROW = st.tuples(st.integers(0, 3), st.integers(-3, 3))


def inside_of(rows: list[tuple[int, float]], stands_for: float, k: int, softness: float) -> list[float]:
    """How far each row is inside, by the rows of the pool that are expected before it."""
    before, inside = 0.0, [0.0] * len(rows)
    for place, i in enumerate(sorted(range(len(rows)), key=lambda i: (-rows[i][1], i))):
        if softness > 0 and place < k + math.ceil(TAIL * softness):
            inside[i] = 1 / (1 + math.exp((before + 0.5 - k) / softness))
        elif softness == 0 and before < k:
            inside[i] = 1.0
        before += 1.0 if rows[i][0] else stands_for
    return inside


def measure(rows: list[tuple[int, float]], inside: list[float], k: int) -> float:
    ideal = sum(sorted((GAINS[label] for label, _ in rows), reverse=True)[:k])
    return float(sum(GAINS[label] * share for (label, _), share in zip(rows, inside, strict=True)) / ideal)


def slow(rows: list[tuple[int, float]], stands_for: float, k: int, softness: float, norm: bool) -> np.ndarray:
    """float64[2, n] by every pair: what does a swap of the two change of the measure?"""
    out, total = np.zeros((2, len(rows))), 0.0
    inside = inside_of(rows, stands_for, k, softness)
    scores = [score for _, score in rows]
    for high, (label, score) in enumerate(rows):
        for low, (other, lower) in enumerate(rows):
            if label <= other:
                continue
            swapped = inside.copy()
            swapped[high], swapped[low] = inside[low], inside[high]
            weight = abs(measure(rows, swapped, k) - measure(rows, inside, k))
            if norm and max(scores) != min(scores):
                weight /= NEAR + abs(score - lower)
            wrong = 1 / (1 + math.exp(score - lower))
            out[0, high] -= weight * wrong
            out[0, low] += weight * wrong
            out[1, [high, low]] += weight * wrong * (1 - wrong)
            total += 2 * weight * wrong
    return out * (math.log2(1 + total) / total if norm and total > 0 else 1)


def fast(
    sessions: list[list[tuple[int, float]]], share: float, k: int, softness: float, norm: bool, threads: int = 1
) -> np.ndarray:
    offsets = np.cumsum([0, *map(len, sessions)]).astype(np.int64)
    labels = np.array([label for rows in sessions for label, _ in rows], np.int8)
    scores = np.array([score for rows in sessions for _, score in rows], np.float64)
    return np.stack(recall_objective(offsets, labels, GAINS, share, k, softness, norm, threads)(scores, None))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(ROW, max_size=9), max_size=5), st.sampled_from([1.0, 0.5, 0.3]), st.integers(1, 6),
    st.sampled_from([0.0, 0.4, 2.0]), st.booleans(),
)  # fmt: skip
def test_gradients_equal_those_of_every_pair(
    sessions: list[list[tuple[int, float]]], share: float, k: int, softness: float, norm: bool
) -> None:
    found = fast(sessions, share, k, softness, norm)
    wanted = [slow(rows, 1 / share, k, softness, norm) for rows in sessions]
    assert np.allclose(found, np.concatenate([np.zeros((2, 0)), *wanted], axis=1), rtol=1e-5, atol=1e-6)


def test_only_a_pair_that_crosses_the_place_has_a_gradient() -> None:
    rows = [(1, 5.0), (0, 4.0), (1, 3.0), (0, 2.0)]
    grad, hess = fast([rows], 1.0, 2, 0.0, norm=False)
    wrong = 1 / (1 + math.exp(-1))  # the row at place 2 keeps the one at place 3 out
    expected = 0.5 * np.array([-1 / (1 + math.exp(3)), wrong, -wrong, 1 / (1 + math.exp(3))])
    assert grad == pytest.approx(expected, rel=1e-5)
    assert (hess > 0).all()
    assert (fast([rows], 1.0, 4, 0.0, norm=False) == 0).all()


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(0)
    sessions = [
        [(int(rng.random() < 0.1), float(rng.normal())) for _ in range(rng.integers(0, 60))] for _ in range(500)
    ]
    for softness in (0.0, 3.0):
        one = fast(sessions, 0.4, 20, softness, True)
        assert (one[1] > 0).any()
        for threads in (0, 2, 3):
            assert (fast(sessions, 0.4, 20, softness, True, threads) == one).all()
