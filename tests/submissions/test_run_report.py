"""The report of a run: its numbers are those of the artifacts, and what is not there is said."""

import copy
from typing import Any

import pytest

from submissions.report_page import render
from tests.submissions.pages import Page, check
from tests.submissions.test_page import EVIL

TARGETS = ("clicks", "carts", "orders")


def rung(total: float) -> dict[str, Any]:
    values = {target: total + i / 100 for i, target in enumerate(TARGETS)}
    return {**values, "total": total, "targets": list(TARGETS), "mrr": {**values, "total": total / 2},
            "interval": [total - 0.01, total + 0.02]}  # fmt: skip


def depths(value: float) -> dict[str, Any]:
    at = {"20": value, "50": value + 0.1, "at_pool": value + 0.2}
    return {**at, "targets": {"clicks": at, "carts": dict.fromkeys(at), "orders": at}}


def example(hit: bool) -> dict[str, Any]:
    return {
        "session": EVIL,
        "events": 3,
        "history": [{"item": EVIL, "type": "carts", "ago": 0}, {"item": "b", "type": "clicks", "ago": 7200}],
        "truth": {"clicks": ["c"], "carts": [], "orders": ["d", "e"]},
        "lists": {"clicks": [{"item": "c", "hit": hit, "seen": False}, {"item": "b", "hit": False, "seen": True}]},
    }


def gathered() -> dict[str, Any]:
    recall = {source: depths(value) for source, value in (("history", 0.31), ("near", 0.25), ("pool", 0.5))}
    scores = {
        "ladder": {"popularity": rung(0.1), "rules": rung(0.5), "ranker": rung(0.6123)},
        "candidate_recall": recall,
        "ranker_minus_rules": [0.1, 0.12],
        "sliced": "ranker",
        "slices": {"session length": {"1": rung(0.7), "2-9": rung(0.4), "10+": rung(0.55)}},
        "sessions": 1234,
        "drift": {"item_age": 0.25, "pool_size": 0.125},
    }
    overlap = {"sources": ["history", "near"], "proposed": [[10, 5], [5, 20]], "found": [[0.3, 0.1], [0.1, 0.2]],
               "alone": [0.2, 0.0312]}  # fmt: skip
    fits = [
        {"target": target, "fold": fold, "trees": 2, "inner_score": 0.5, "sessions": 10, "rows": 99, "seed": 0,
         "half": None, "curve": [0.4, 0.5 + fold / 100, 0.45]}
        for target in TARGETS for fold in range(2)
    ]  # fmt: skip
    epochs = [{"number": i, "loss": 5.0 - i, "recall": 0.1 * i, "tokens": 9, "seconds": 1.5} for i in range(3)]
    made = {"items": 7, "fit_wall_s": 2.0, "fit_cpu_s": 3.0, "index_s": 0.1, "exact": True, "recall": 1.0}
    return {
        "name": EVIL,
        "k": 20,
        "scores": scores,
        "test": {"ladder": {"rules": rung(0.49), "ranker": rung(0.5931)}},
        "proposals": {"depths": [20, 50], "recall": recall, "overlap": overlap},
        "groups": {"item_age": "item", "pair_ago": "pair"},
        "gains": {target: {"pair_ago": 0.75, "item_age": 0.25} for target in TARGETS},
        "fits": fits,
        "watched": "ndcg",
        "reasons": {"carts fold 1": "too few"},
        "retrievers": {"gru4rec": made | {"epochs": epochs}, "item2vec": made},
        "left_out": {"near_orders": "the log has no types"},
        "costs": [
            {"stage": "prepare", "pass": "both", "wall_s": 61.25, "cpu_s": 70.0, "peak_gib": 0.5},
            {"stage": "rank", "pass": "validation", "wall_s": 180.5, "cpu_s": 300.0, "peak_gib": 7.25},
        ],
        "settings": {"seed": 42, "rankers.folds": 5, "data.root": EVIL},
        "inputs": [{"file": EVIL, "bytes": 12345, "digest": "abcdef"}],
        "code": {"prepare": "0123", "rank": None},
        "examples": [example(True), example(False)],
    }  # fmt: skip


def one(page: Page, *header: str) -> list[list[str]]:
    (found,) = page.table(*header)
    return found


def test_numbers_are_those_of_the_artifacts() -> None:
    found = gathered()
    text = render(found)
    page = check(text)
    assert "<script" not in text
    ladders = list(page.table("", "clicks"))
    assert [row[0] for row in ladders[0]] == ["popularity", "rules", "ranker"]
    for rows, ladder in zip(ladders[:2], (found["scores"]["ladder"], found["test"]["ladder"]), strict=True):
        for name, *cells in rows:
            scores = ladder[name]
            low, high = scores["interval"]
            assert cells == [f"{scores[c]:.4f}" for c in (*TARGETS, "total")] + [
                f"{low:.4f} to {high:.4f}",
                f"{scores['mrr']['total']:.4f}",
            ]
    slices = one(page, "events", "clicks")
    assert [(row[0], row[4]) for row in slices] == [("1", "0.7000"), ("2-9", "0.4000"), ("10+", "0.5500")]
    curves = {(row[0], row[1]): row[2:] for row in one(page, "source", "target")}
    assert curves["pool", "total"] == ["0.5000", "0.6000", "0.7000"]
    assert ("near", "carts") not in curves
    assert one(page, "source", "found alone") == [["history", "0.2000"], ["near", "0.0312"]]
    assert one(page, "of the candidates of …")[1] == ["history", "near", "5", "50", "10.0"]
    assert one(page, "group, % of gain") == [["pair", "75.0", "75.0", "75.0"], ["item", "25.0", "25.0", "25.0"]]
    assert one(page, "target", "feature")[0] == ["clicks", "pair_ago", "75.00"]
    assert one(page, "target", "fold")[1] == ["clicks", "1", "0", "2", "0.5000", "0.4000", "0.4500", "10", "99"]
    assert one(page, "feature", "distance") == [["item_age", "0.250"], ["pool_size", "0.125"]]
    assert one(page, "retriever", "items")[0][5:] == ["3", "3.0000", "0.2000"]
    assert one(page, "retriever", "epoch")[2] == ["gru4rec", "2", "3.0000", "0.2000", "1.5"]
    assert one(page, "stage", "pass")[1] == ["rank", "validation", "180.5", "300.0", "7.25"]
    assert one(page, "file") == [[EVIL, "12,345", "abcdef"]]
    assert ["root", EVIL] in [row for table in page.table("setting") for row in table]
    for said in ("0.6123", "0.6023 to 0.6323", "1,234 held-out sessions", "+0.1000 to +0.1200", "0.5931", "too few"):
        assert said in page.text
    for title in (
        "The ranker is 0.1123 above the rules",
        "Best on sessions of 1 events (0.7000)",
        "4.0 minutes in all",
    ):
        assert title in page.text


def test_hits_are_marked_and_counted() -> None:
    page = check(render(gathered()))
    assert "four in ten from sessions with an order" in page.text
    assert "how long before the last" in page.text
    lone = copy.deepcopy(gathered()["examples"])
    for one in lone:
        one["truth"] = {"clicks": ["c"]}
        for event in one["history"]:
            event |= {"type": None, "ago": None}
    simple = check(render(gathered() | {"examples": lone})).text
    assert "Drawn at random, not picked. ✓ marks" in simple
    assert sum(attributes.get("class") == "hit" for _, attributes, _ in page.tags) == 2  # in the list and in the truth
    assert "3 events seen, 1 hit in the lists" in page.text
    assert "3 events seen, 0 hits in the lists" in page.text
    assert "clicks · 2 h" in page.text


@pytest.mark.parametrize(
    ("key", "said"),
    [("proposals", "run the stage evaluate again"), ("groups", "run the stage features again")],
)
def test_what_an_older_run_did_not_keep_is_said(key: str, said: str) -> None:
    found = gathered() | {key: None}
    assert said in check(render(found)).text
    assert said not in check(render(gathered())).text


def test_a_gain_that_may_be_chance_is_called_so() -> None:
    found = gathered()
    found["scores"]["ranker_minus_rules"] = [-0.01, 0.12]
    assert "above the rules, which may be chance" in check(render(found)).text


def test_a_shop_of_clicks_alone_and_a_run_with_little() -> None:
    found = copy.deepcopy(gathered())
    for scores in (*found["scores"]["ladder"].values(), *found["scores"]["slices"]["session length"].values()):
        scores |= {"carts": None, "orders": None, "targets": ["clicks"]}
        del scores["interval"]
    found["scores"] |= {"ranker_minus_rules": None, "drift": {}}
    found |= {"test": None, "retrievers": {}, "left_out": {}, "examples": [], "costs": [], "fits": [], "reasons": {}}
    found["gains"] = {"clicks": {"pair_ago": 1.0}}
    page = check(render(found))
    assert len(one(page, "", "clicks")[0]) == 5
    assert "The test sessions have not been scored" in page.text
    assert "learning curves: run the stage rank again" in page.text


def test_rankers_that_do_not_stop_early_have_no_curves() -> None:
    found = gathered()
    found["fits"] = [fit | {"inner_score": None, "curve": []} for fit in found["fits"]]
    assert "No ranker stops early" in check(render(found)).text


def test_a_ladder_without_the_ranker() -> None:
    found = gathered()
    for scores in (found["scores"], found["test"]):
        del scores["ladder"]["ranker"]
    found["scores"] |= {"sliced": "rules", "ranker_minus_rules": None}
    page = check(render(found))
    assert "ranked by rules" in page.text
    assert "On the test sessions the rules scores 0.4900" in page.text


def test_without_any_label_there_is_still_a_page() -> None:
    found = gathered()
    nothing = {**dict.fromkeys((*TARGETS, "total")), "targets": [], "mrr": dict.fromkeys((*TARGETS, "total"))}
    found["scores"]["ladder"] = {"rules": nothing, "ranker": nothing}
    found["scores"]["slices"] = {"session length": {"1": nothing}}
    found["scores"]["ranker_minus_rules"] = None
    assert "No rung could be scored" in check(render(found)).text
