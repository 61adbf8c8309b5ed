"""The bootstrap against drawing the groups one by one, and its promises."""

import numpy as np
import pytest

from submissions import bootstrap
from submissions.bootstrap import bootstrap_total
from submissions.metrics import Hits, Scores


def sample(n: int, seed: int = 0) -> dict[str, Hits]:
    rng = np.random.default_rng(seed)
    made = {}
    for target, share in (("clicks", 1.0), ("carts", 0.4), ("orders", 0.2)):
        denominators = np.where(rng.random(n) < share, rng.integers(1, 4, n), 0).astype(np.int32)
        hits = rng.binomial(denominators, 0.5).astype(np.int32)
        made[target] = Hits(hits, denominators, (hits > 0).astype(np.int32))
    return made


def test_agrees_with_drawing_groups_one_by_one() -> None:
    hits = sample(300)
    groups = np.arange(300) // 2
    interval = bootstrap_total(hits, groups, repeats=4_000)
    assert interval is not None
    rng = np.random.default_rng(1)
    totals = []
    for _ in range(1_000):
        drawn = rng.integers(0, 150, 150)
        rows = np.concatenate([2 * drawn, 2 * drawn + 1])
        totals.append(Scores.of({target: found.take(rows) for target, found in hits.items()}).total)
    assert interval.standard_error == pytest.approx(np.std(np.array(totals, np.float64)), rel=0.1)
    total = Scores.of(hits).total
    assert total is not None
    assert interval.low < total < interval.high


def test_same_seed_same_interval_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    hits, groups = sample(200), np.arange(200)
    first = bootstrap_total(hits, groups, repeats=50, seed=4)
    monkeypatch.setattr(bootstrap, "BATCH", 1)
    assert bootstrap_total(hits, groups, repeats=50, seed=4) == first
    assert bootstrap_total(hits, groups, repeats=50, seed=5) != first


def test_groups_that_repeat_widen_the_interval() -> None:
    hits = {target: found.take(np.repeat(np.arange(100), 10)) for target, found in sample(100).items()}
    alone = bootstrap_total(hits, np.arange(1_000))
    grouped = bootstrap_total(hits, np.repeat(np.arange(100), 10))
    assert alone is not None
    assert grouped is not None
    assert grouped.standard_error > 2 * alone.standard_error


def test_a_difference_is_sharper_than_its_two_sides() -> None:
    hits = sample(1_000)
    worse = {
        target: Hits(
            np.where(np.arange(1_000) % 20 == 0, 0, found.hits).astype(np.int32), found.denominators, found.ranks
        )
        for target, found in hits.items()
    }
    alone = bootstrap_total(hits, np.arange(1_000))
    difference = bootstrap_total(hits, np.arange(1_000), minus=worse)
    assert alone is not None
    assert difference is not None
    assert 0 < difference.low < difference.high
    assert difference.standard_error < alone.standard_error
    assert bootstrap_total(hits, np.arange(1_000), minus=hits) == bootstrap.Interval(0.0, 0.0, 0.0)


def test_no_label_no_interval() -> None:
    nothing = Hits(np.zeros(3, np.int32), np.zeros(3, np.int32), np.zeros(3, np.int32))
    assert bootstrap_total({"clicks": nothing}, np.arange(3)) is None
    assert bootstrap_total({}, np.arange(3)) is None
    some = sample(30)
    assert bootstrap_total({"clicks": some["clicks"], "orders": nothing.take(np.zeros(30, np.int64))}, np.arange(30))
