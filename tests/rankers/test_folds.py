import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankers.folds import TRAINED_ON, fold_of, inner_groups, keep_rows, sample_sessions

GROUPS = np.repeat(np.arange(4_000, dtype=np.int64) * 977 + 5, 3)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 2**62), min_size=1, max_size=30),
    st.integers(1, 8),
    st.integers(0, 2**31 - 1),
)
def test_a_group_has_one_fold_wherever_it_stands(groups: list[int], folds: int, seed: int) -> None:
    once = np.array(groups, np.int64)
    many = np.concatenate([once, once[::-1], once[:1]])
    fold = fold_of(many, folds, seed)
    by_group = {}
    for group, value in zip(many.tolist(), fold.tolist(), strict=True):
        assert by_group.setdefault(group, value) == value
        assert value == fold_of(np.array([group]), folds, seed)[0]
        assert (TRAINED_ON if folds == 1 else 0) <= value < folds


def test_folds_are_balanced_and_change_with_the_seed() -> None:
    fold = fold_of(GROUPS, 5, seed=0)
    share = np.bincount(fold, minlength=5) / GROUPS.size
    assert np.abs(share - 0.2).max() < 0.03
    assert 0.6 < (fold != fold_of(GROUPS, 5, seed=1)).mean() < 0.95


def test_one_fold_holds_out_a_share() -> None:
    fold = fold_of(GROUPS, 1, seed=3, holdout_share=0.3)
    assert abs((fold == 0).mean() - 0.3) < 0.03
    assert set(fold.tolist()) == {0, TRAINED_ON}


def test_inner_groups_are_whole_capped_and_independent_of_the_fold() -> None:
    inner = inner_groups(GROUPS, 0.2, 10**9, seed=0)
    assert (inner.reshape(-1, 3).all(axis=1) == inner.reshape(-1, 3).any(axis=1)).all()
    assert abs(inner.mean() - 0.2) < 0.03
    fold = fold_of(GROUPS, 5, seed=0)
    assert all(abs(inner[fold == f].mean() - 0.2) < 0.06 for f in range(5))
    assert 400 < inner_groups(GROUPS, 0.2, 600, seed=0).sum() < 800


@pytest.mark.parametrize("limit", [1, 2, 3, 100, 3_001, GROUPS.size, GROUPS.size + 1])
def test_samples_hold_whole_groups_and_grow_into_each_other(limit: int) -> None:
    rows = sample_sessions(GROUPS, limit, seed=0)
    assert rows.size <= limit
    assert rows.size > limit - 3 or rows.size == GROUPS.size
    assert (np.diff(rows) > 0).all()
    assert (np.unique(GROUPS[rows], return_counts=True)[1] == 3).all()
    assert np.isin(rows, sample_sessions(GROUPS, limit + 500, seed=0)).all()


def test_negative_sampling_keeps_positives_and_the_right_share() -> None:
    rng = np.random.default_rng(0)
    n, pool = 400, 50
    offsets = np.arange(n + 1, dtype=np.int64) * pool
    sessions = np.arange(n, dtype=np.int64) * 3
    aids = np.tile(np.arange(pool, dtype=np.int32) * 2, n)
    labels = (rng.random(aids.size) < 0.05).astype(np.int8)
    kept = keep_rows(offsets, sessions, aids, labels, 0.25, 7)
    assert kept[labels > 0].all()
    assert abs(kept[labels == 0].mean() - 0.25) < 0.015
    # Pure in (seed, session, item): a part of the sessions gives the same rows, and labels change no other row.
    part = keep_rows(offsets[:11], sessions[50:60], aids[: 10 * pool], labels[50 * pool : 60 * pool], 0.25, 7)
    assert (part == kept[50 * pool : 60 * pool]).all()
    without = keep_rows(offsets, sessions, aids, np.zeros_like(labels), 0.25, 7)
    assert (without[labels == 0] == kept[labels == 0]).all()
    assert (without != keep_rows(offsets, sessions, aids, np.zeros_like(labels), 0.25, 8)).any()
    assert keep_rows(offsets, sessions, aids, labels, 1.0, 7).all()
