"""Samples of rows, and the distance of their distributions."""

from pathlib import Path

import numpy as np
import pytest

from candidates.pool import Candidates
from events.errors import InputError
from events.log import SessionLog
from features.drift import Summary, drift, summary
from tests.features.chunks import offsets_of, random_log, random_pool, take_sessions

NAMES = ("steady", "moved", "vanished")


def chunk_of(n_sessions: int, seed: int) -> tuple[SessionLog, Candidates]:
    """A log and its pool."""
    rng = np.random.default_rng(seed)
    log = random_log(rng, n_sessions, 50, frozenset())
    return log, random_pool(rng, log)


def whole_summary(n_rows: int, shift: float, absent: float, seed: int) -> Summary:
    """Sample of a matrix of normal columns; the second is moved, the third NaN in a share of the rows."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n_rows, 3)).astype(np.float32)
    matrix[:, 1] += shift
    matrix[rng.random(n_rows) < absent, 2] = np.nan
    log = SessionLog.of([[0]] * (n_rows // 10), n_items=10)
    aids = np.tile(np.arange(10, dtype=np.int32), n_rows // 10)
    pool = Candidates(
        offsets_of(np.full(n_rows // 10, 10)),
        aids,
        (),
        np.zeros((0, n_rows), np.int16),
        np.zeros((0, n_rows), np.float32),
    )
    return summary(matrix, NAMES, log, pool)


def test_what_drifts_stands_first() -> None:
    a, b = whole_summary(40_000, 0.0, 0.0, 1), whole_summary(40_000, 0.5, 0.4, 2)
    distances = drift(a, b)
    assert [name for name, _ in distances] == ["vanished", "moved", "steady"]
    assert distances[0][1] == pytest.approx(0.4, abs=0.02)
    assert distances[1][1] == pytest.approx(0.197, abs=0.02)  # 2 Phi(.25) - 1
    assert distances[2][1] < 0.02
    assert drift(a, a) == sorted((name, 0.0) for name in NAMES)


def test_the_sample_of_the_parts_is_the_sample_of_the_whole() -> None:
    log, pool = chunk_of(60, 3)
    matrix = np.random.default_rng(0).normal(size=(len(pool), 3)).astype(np.float32)
    whole = summary(matrix, NAMES, log, pool, size=50)
    assert whole.keys.size == 50 < len(pool)
    parts = []
    for a, b in ((40, 60), (0, 17), (17, 40)):
        rows = slice(pool.offsets[a], pool.offsets[b])
        parts.append(summary(matrix[rows], NAMES, log.slice(a, b), take_sessions(pool, log, a, b), size=50))
    merged = parts[0].merge(parts[1]).merge(parts[2])
    np.testing.assert_array_equal(merged.keys, whole.keys)
    np.testing.assert_array_equal(merged.rows, whole.rows)


def test_the_seed_draws_other_rows() -> None:
    log, pool = chunk_of(60, 3)
    matrix = np.zeros((len(pool), 3), np.float32)
    one, two = (summary(matrix, NAMES, log, pool, size=50, seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.keys, two.keys)


def test_a_summary_survives_the_disk(tmp_path: Path) -> None:
    log, pool = chunk_of(20, 4)
    matrix = np.random.default_rng(0).normal(size=(len(pool), 3)).astype(np.float32)
    before = summary(matrix, NAMES, log, pool, size=30)
    before.save(tmp_path)
    again = Summary.load(tmp_path)
    assert (again.names, again.size) == (before.names, before.size)
    np.testing.assert_array_equal(again.rows, before.rows)
    (tmp_path / "rows.npy").unlink()
    with pytest.raises(InputError, match="no such file"):
        Summary.load(tmp_path)


def test_different_summaries_are_not_compared() -> None:
    log, pool = chunk_of(5, 4)
    matrix = np.zeros((len(pool), 3), np.float32)
    a, b = summary(matrix, NAMES, log, pool), summary(matrix, ("a", "b", "c"), log, pool)
    with pytest.raises(ValueError, match="names"):
        drift(a, b)
    with pytest.raises(ValueError, match="names"):
        a.merge(b)


def test_nothing_against_nothing() -> None:
    log, pool = chunk_of(5, 4)
    empty = summary(np.zeros((0, 3), np.float32), NAMES, log.slice(0, 0), take_sessions(pool, log, 0, 0))
    assert {distance for _, distance in drift(empty, empty)} == {0.0}
