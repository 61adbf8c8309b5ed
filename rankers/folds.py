"""Who is trained on and who is reported: pure functions of a seed and the session's group."""

from typing import Final

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.randomness import mix, uniform

FOLD: Final = 1
INNER: Final = 2
SAMPLE: Final = 3
NEGATIVE: Final = 4
REPORTED: Final = 5
HALF: Final = 6
BINS: Final = 7
PROPOSED: Final = 8
"""Streams of random numbers: draws for one purpose say nothing about those for another."""

TRAINED_ON: Final = -1
"""Fold of a session that no fold reports: of another week, or where there is a single split."""


@kernel
def stream_uniforms(seed: int, stream: int, counters: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64[n] in [0, 1), a pure function of seed, stream and counter."""
    out = np.empty(counters.size, np.float64)
    key = int(mix(seed, stream))
    for i in range(counters.size):
        out[i] = uniform(key, counters[i])
    return out


def fold_of(groups: npt.NDArray[np.int64], folds: int, seed: int, holdout_share: float = 0.2) -> npt.NDArray[np.int64]:
    """int64[S] the fold that reports each session: all sessions of a group share it.

    With one fold, ``holdout_share`` of the groups are in fold 0 and the rest is ``TRAINED_ON``.

    >>> groups = np.array([7, 7, 8, 9])
    >>> fold = fold_of(groups, 5, seed=0)
    >>> bool(fold[0] == fold[1]), bool((fold_of(groups[2:], 5, seed=0) == fold[2:]).all())
    (True, True)
    """
    draw = stream_uniforms(seed, FOLD, groups)
    if folds == 1:
        return np.where(draw < holdout_share, 0, TRAINED_ON).astype(np.int64)
    return (draw * folds).astype(np.int64)


def inner_groups(groups: npt.NDArray[np.int64], share: float, max_sessions: int, seed: int) -> npt.NDArray[np.bool_]:
    """bool[S] sessions set aside for early stopping: about ``share`` of the groups, about ``max_sessions`` at most."""
    capped = min(share, max_sessions / max(groups.size, 1))
    return np.asarray(stream_uniforms(seed, INNER, groups) < capped)


def half_of(groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int8]:
    """int8[S] 0 or 1: the half of the groups that a session belongs to, whatever its fold.

    >>> set(half_of(np.arange(100), seed=0).tolist())
    {0, 1}
    """
    return (stream_uniforms(seed, HALF, groups) < 0.5).astype(np.int8)


def sample_sessions(
    groups: npt.NDArray[np.int64], max_sessions: int, seed: int, stream: int = SAMPLE
) -> npt.NDArray[np.int64]:
    """int64[n] rows of at most ``max_sessions`` sessions, ascending: whole groups, those with the smallest draws.

    >>> sample_sessions(np.array([5, 5, 6]), 3, seed=0).tolist()
    [0, 1, 2]
    """
    if groups.size <= max_sessions:
        return np.arange(groups.size)
    draw = stream_uniforms(seed, stream, groups)
    first_left_out = np.partition(draw, max_sessions)[max_sessions]
    return np.flatnonzero(draw < first_left_out)


@kernel
def keep_rows(
    offsets: npt.NDArray[np.int64],
    sessions: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    labels: npt.NDArray[np.int8],
    share: float,
    seed: int,
) -> npt.NDArray[np.bool_]:
    """bool[R] rows to train on: every positive, and each negative with probability ``share``.

    The draw is a pure function of (seed, session, item): neither the label nor the place of a row has a say in it.
    """
    keep = np.empty(aids.size, np.bool_)
    key = int(mix(seed, NEGATIVE))
    for s in range(sessions.size):
        session_key = int(mix(key, sessions[s]))
        for row in range(offsets[s], offsets[s + 1]):
            keep[row] = labels[row] > 0 or uniform(session_key, aids[row]) < share
    return keep
