"""Hits kept on disk."""

from pathlib import Path

import numpy as np
import pytest

from events.errors import InputError
from submissions.kept_hits import KeptHits
from submissions.metrics import Hits


def hits(n: int, seed: int) -> Hits:
    rng = np.random.default_rng(seed)
    denominators = rng.integers(0, 1_000, n).astype(np.int32)
    found = rng.integers(0, denominators + 1).astype(np.int32)
    return Hits(found, denominators, rng.integers(0, 1_000, n).astype(np.int32))


def equal(one: Hits, other: Hits) -> bool:
    pairs = ((one.hits, other.hits), (one.denominators, other.denominators), (one.ranks, other.ranks))
    return all(a.dtype == b.dtype == np.int32 and (a == b).all() for a, b in pairs)


def test_saved_taken_and_loaded(tmp_path: Path) -> None:
    rows = np.array([2, 3, 5, 8, 13])
    kept = KeptHits(rows, {"rules": {"clicks": hits(5, 1), "orders": hits(5, 2)}, "ranker": {"clicks": hits(5, 3)}})
    kept.save(tmp_path / "hits")
    back = KeptHits.load(tmp_path / "hits", ("rules", "ranker"))
    assert back.rows.tolist() == rows.tolist()
    assert {rung: list(found) for rung, found in back.rungs.items()} == {
        "rules": ["clicks", "orders"],
        "ranker": ["clicks"],
    }
    assert equal(back.rungs["rules"]["orders"], hits(5, 2))
    some = back.take(np.array([3, 13]))
    assert equal(some.rungs["ranker"]["clicks"], hits(5, 3).take(np.array([1, 4])))
    with pytest.raises(InputError, match="no such file"):
        KeptHits.load(tmp_path / "hits", ("popularity",))
    with pytest.raises(InputError, match="no such file"):
        KeptHits.load(tmp_path / "nothing", ("rules",))
