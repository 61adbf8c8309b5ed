"""Tables for the console, and the artifact they are made of."""

import json
from pathlib import Path

from events.files import write_json
from events.labels import LabelSet
from events.lists import Lists
from submissions.bootstrap import Interval
from submissions.candidate_recall import CandidateRecall
from submissions.metrics import score_lists
from submissions.report import candidate_table, evaluation, ladder_table, read_report, report


def artifact() -> dict[str, object]:
    labels = {"clicks": LabelSet.of([[1], [2], [3]])}
    lists = Lists.of([[(1, 0.0)], [(5, 1.0), (2, 0.0)], []])
    recall = CandidateRecall()
    recall.add("history", lists, labels)
    recall.add_pool("pool", lists.offsets, lists.aids, labels)
    scores = {"popularity": score_lists({}, labels), "rules": score_lists({"clicks": lists}, labels)}
    return evaluation(scores, recall.result(), {"rules": Interval(0.5, 0.75, 0.1), "popularity": None})


def test_the_artifact_has_the_stated_shape_and_survives_json() -> None:
    scores = json.loads(json.dumps(artifact(), allow_nan=False))
    assert scores["ladder"]["rules"]["clicks"] == 2 / 3
    assert scores["ladder"]["rules"]["carts"] is None
    assert scores["ladder"]["rules"]["total"] == 2 / 3
    assert scores["ladder"]["rules"]["targets"] == ["clicks"]
    assert scores["ladder"]["rules"]["mrr"]["clicks"] == 0.5
    assert scores["ladder"]["rules"]["interval"] == [0.5, 0.75]
    assert "interval" not in scores["ladder"]["popularity"]
    assert list(scores["candidate_recall"]["history"]) == ["20", "50", "100", "200", "at_pool", "targets"]


def test_tables_are_aligned_and_pass_over_absent_targets(tmp_path: Path) -> None:
    write_json(tmp_path / "scores.json", artifact())
    text = read_report(tmp_path / "scores.json")
    ladder, recall = text.split("\n\n")
    assert ladder.splitlines() == [
        "recall@20   clicks   total     95 % interval  MRR@20",
        "popularity  0.0000  0.0000                    0.0000",
        "rules       0.6667  0.6667  0.5000 to 0.7500  0.5000",
    ]
    assert recall.splitlines() == [
        "total, recall at      20      50     100     200  whole pool",
        "history           0.6667  0.6667  0.6667  0.6667      0.6667",
        "pool              absent  absent  absent  absent      0.6667",
    ]
    scores = artifact()
    recall = scores["candidate_recall"]
    assert isinstance(recall, dict)
    for at in recall.values():
        at["targets"]["orders"] = at["targets"]["clicks"]
    assert [block.split(",")[0] for block in report(scores).split("\n\n")[1:]] == ["total", "clicks", "orders"]


def test_tables_of_bare_scores() -> None:
    rungs = {"rules": {"clicks": 0.5, "orders": None, "total": 0.5}, "ranker": {"clicks": None, "total": None}}
    assert ladder_table(rungs).splitlines() == [
        "recall@20  clicks   total",
        "rules      0.5000  0.5000",
        "ranker     absent  absent",
    ]
    assert candidate_table({}) == "total, recall at"
