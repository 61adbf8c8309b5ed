"""Logs that retrievers are tried on: a planted Markov chain, and noise of the same size."""

import numpy as np

from events.log import SessionLog

N_ITEMS = 60
"""Items of both worlds; the last five occur in no session."""

CHANCE = 10 / (N_ITEMS - 5)
"""Recall@10 of a guess."""


def chain_log(n_sessions: int, seed: int, noise: float = 0.2) -> SessionLog:
    """Each event's item is the successor of the one before in a hidden permutation, or with ``noise`` any item."""
    rng = np.random.default_rng(seed)
    usable = N_ITEMS - 5
    successor = np.random.default_rng(99).permutation(usable)
    lengths = rng.integers(3, 12, n_sessions)
    rows = []
    for length in lengths:
        row = [int(rng.integers(usable))]
        while len(row) < length:
            row.append(int(rng.integers(usable) if rng.random() < noise else successor[row[-1]]))
        rows.append(row)
    return _with_columns(rows, rng)


def noise_log(n_sessions: int, seed: int) -> SessionLog:
    """Items at random: nothing to learn."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, N_ITEMS - 5, rng.integers(3, 12)).tolist() for _ in range(n_sessions)]
    return _with_columns(rows, rng)


def _with_columns(rows: list[list[int]], rng: np.random.Generator) -> SessionLog:
    ts = [
        (1_000_000 + rng.integers(0, 100_000) + np.cumsum(rng.exponential(300, len(row)))).astype(int) for row in rows
    ]
    types = [rng.choice(3, len(row), p=[0.8, 0.13, 0.07]).tolist() for row in rows]
    return SessionLog.of(rows, [row.tolist() for row in ts], types, N_ITEMS)
