"""Logs and matrices that the tests of this floor share."""

import numpy as np
import pytest

from candidates.covisitation import fit_covisitation
from candidates.settings import DEFAULT_RECIPES
from events.lists import Lists
from events.log import SessionLog


def random_log(n_sessions: int, n_items: int, seed: int) -> SessionLog:
    """Sessions of mean length about 8 whose items lie near each other; the last five items occur in none."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(2 + rng.geometric(0.15, n_sessions), 60)
    offsets = np.zeros(n_sessions + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    centre = np.repeat(rng.integers(0, n_items, n_sessions), lengths)
    aids = ((centre + rng.integers(-6, 7, offsets[-1])) % (n_items - 5)).astype(np.int32)
    gaps = np.cumsum(rng.exponential(2_000, offsets[-1])).astype(np.int64)
    ts = np.repeat(rng.integers(0, 2_000_000, n_sessions), lengths) + gaps - np.repeat(gaps[offsets[:-1]], lengths)
    types = rng.choice(3, offsets[-1], p=[0.7, 0.2, 0.1]).astype(np.int8)
    rows = np.arange(n_sessions, dtype=np.int64)
    return SessionLog(rows, rows, offsets, aids, ts.astype(np.int32), types, n_items)


@pytest.fixture(scope="session")
def big_log() -> SessionLog:
    """3,000 sessions on 200 items."""
    return random_log(3_000, 200, seed=1)


@pytest.fixture(scope="session")
def matrices(big_log: SessionLog) -> dict[str, Lists]:
    """The three default matrices of ``big_log``."""
    return fit_covisitation(big_log, DEFAULT_RECIPES)
