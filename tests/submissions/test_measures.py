"""All metrics by name: the numbers of the functions below, for every target and in total, with intervals."""

from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from events.labels import LabelSet
from events.lists import Lists
from events.log import SessionLog
from submissions.bootstrap import bootstrap_total
from submissions.catalogue_metrics import Catalogue
from submissions.measures import TITLES, measure, measures_tables
from submissions.metric_settings import Metric, MetricSettings
from submissions.metrics import score_lists
from submissions.ranking_metrics import ranking_values
from submissions.session_values import SessionValues


@pytest.fixture
def world() -> tuple[dict[str, Lists], dict[str, LabelSet], Catalogue, np.ndarray]:
    rng = np.random.default_rng(2)
    lists = Lists.of([[(int(aid), 0.0) for aid in rng.permutation(30)[: rng.integers(0, 9)]] for _ in range(300)])
    labels = {
        target: LabelSet.of([sorted(set(rng.integers(0, 30, size).tolist())) for size in rng.integers(0, 4, 300)])
        for target in ("clicks", "orders")
    }
    vectors = rng.normal(size=(30, 4)).astype(np.float32)
    log = SessionLog.of([rng.integers(0, 30, 5).tolist() for _ in range(50)], n_items=30)
    return {"clicks": lists, "orders": lists}, labels, Catalogue.of(log, vectors), np.arange(300) // 2


def test_every_metric_has_a_value_a_total_and_an_interval_around_it(world) -> None:
    lists, labels, catalogue, groups = world
    found = measure(lists, labels, catalogue, groups, get_args(Metric), (3, 8))
    assert set(found) == {f"{name}@{k}" for name in get_args(Metric) for k in (3, 8)}
    assert set(TITLES) == set(get_args(Metric))
    for name, one in found.items():
        assert one["carts"] is None
        assert one["clicks"] is not None
        if not name.startswith("coverage"):
            low, high = one["interval"]
            assert low < one["total"] < high
    scores = score_lists(lists, labels, 8)
    assert (found["recall@8"]["clicks"], found["recall@8"]["total"]) == (scores.recall["clicks"], scores.total)
    assert found["mrr@8"]["total"] == pytest.approx(scores.total_mrr)
    assert found["ndcg@3"]["orders"] == ranking_values(lists["orders"], labels["orders"], 3)["ndcg"].mean
    assert found["coverage@8"]["total"] == found["coverage@8"]["clicks"]  # the same lists for both targets


def test_the_interval_has_the_width_of_a_mean() -> None:
    values = np.random.default_rng(0).random(4_000)
    found = bootstrap_total({"clicks": SessionValues.of(values, np.ones(4_000, np.bool_))}, np.arange(4_000))
    assert found is not None
    assert found.standard_error == pytest.approx(values.std() / np.sqrt(4_000), rel=0.1)
    assert found.low < values.mean() < found.high


def test_a_target_without_lists_has_zeros(world) -> None:
    lists, labels, catalogue, groups = world
    found = measure({"clicks": lists["clicks"]}, labels, catalogue, groups, ("recall", "novelty"), (8,))
    assert found["recall@8"]["orders"] == 0.0
    assert found["novelty@8"]["orders"] is None


def test_a_table_a_depth_shows_total_and_interval() -> None:
    found = {"ndcg@5": {"total": 0.25, "interval": [0.2, 0.3]}, "coverage@5": {"total": 0.5}, "mrr@9": {"total": None}}
    assert [table.splitlines() for table in measures_tables({"rules": found})] == [
        ["total                   NDCG@5  coverage@5", "rules  0.2500 [0.2000, 0.3000]      0.5000"],
        ["total   MRR@9", "rules  absent"],
    ]


def test_settings_take_one_depth_or_several() -> None:
    assert MetricSettings().k == ()
    assert MetricSettings(k=12).k == (12,)
    assert MetricSettings(k=[5, 10]).k == (5, 10)
    with pytest.raises(ValidationError):
        MetricSettings(metrics=("beauty",))
