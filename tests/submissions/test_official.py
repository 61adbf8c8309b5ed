"""Scoring of the competition's files: the official script's own results, and its rules written out in Python."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.errors import InputError
from submissions.official import read_labels, score_files

ITEMS = st.lists(st.integers(0, 5), max_size=7)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "clicks": st.none() | st.integers(0, 5),
        "carts": st.none() | ITEMS,
        "orders": st.none() | ITEMS,
    },
)
TARGETS = ("clicks", "carts", "orders")


def write_labels(path: Path, records: list[tuple[int, dict[str, Any]]]) -> Path:
    path.write_text("".join(json.dumps({"session": session, "labels": labels}) + "\n" for session, labels in records))
    return path


def write_rows(path: Path, rows: list[tuple[str, list[int]]]) -> Path:
    lines = [f"{name},{' '.join(map(str, items))}\n" for name, items in rows]
    path.write_text("session_type,labels\n" + "".join(lines))
    return path


def slow_scores(
    labels: dict[int, dict[str, Any]], predictions: dict[str, list[int]], k: int
) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    for target in TARGETS:
        hits, below = 0, 0
        for session, by_target in labels.items():
            label = by_target.get(target)
            if not label:  # the truth of the label is tested: no click on item 0
                continue
            truth = {label} if target == "clicks" else set(label)
            hits += len(set(predictions.get(f"{session}_{target}", [])[:k]) & truth)
            below += min(len(truth), k)
        scores[target] = hits / below if below else None
    return scores


@pytest.mark.parametrize("k", [1, 5, 10, 20, 50])
def test_equals_the_official_scores_in_every_digit(shared_data: Path, k: int) -> None:
    folder = shared_data / "official_golden"
    expected = json.loads((folder / "scores.json").read_text())[str(k)]
    scores = score_files(folder / "labels.jsonl", folder / "predictions.csv", k)
    assert {**scores.recall, "total": scores.total} == expected


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 9), LABELS), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from(TARGETS), ITEMS), max_size=20),
    st.integers(1, 6),
)
def test_equals_the_rules_written_out(
    tmp_path: Path,
    records: list[tuple[int, dict[str, Any]]],
    rows: list[tuple[int, str, list[int]]],
    k: int,
) -> None:
    named = [(f"{session}_{target}", items) for session, target, items in rows]
    labels = write_labels(tmp_path / "labels.jsonl", records)
    scores = score_files(labels, write_rows(tmp_path / "predictions.csv", named), k)
    assert scores.recall == slow_scores(dict(records), dict(named), k)  # a dict: the last of equal keys holds


def test_labels_keep_item_0_in_sets_and_drop_it_as_a_click(tmp_path: Path) -> None:
    records = [(9, {"clicks": 0, "carts": [0, 3, 3]}), (4, {"clicks": 3, "orders": []})]
    truth = read_labels(write_labels(tmp_path / "labels.jsonl", records))
    assert truth.sessions.ids.to_list() == [4, 9]
    assert truth.items.ids.to_list() == [0, 3]
    assert [truth.labels["clicks"].row(s).tolist() for s in range(2)] == [[1], []]
    assert [truth.labels["carts"].row(s).tolist() for s in range(2)] == [[], [0, 1]]
    assert truth.labels["orders"].aids.size == 0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hello", "not JSON"),
        ('{"session": 2, "labels": {"cli', "not JSON"),
        ("[1, 2]", '"session"'),
        ('{"labels": {}}', '"session"'),
        ('{"session": "7", "labels": {}}', '"session"'),
        ('{"session": 2}', '"labels"'),
        ('{"session": 2, "labels": null}', '"labels"'),
        ('{"session": 2, "labels": {"clicks": "4"}}', "label clicks"),
        ('{"session": 2, "labels": {"clicks": 4.5}}', "label clicks"),
        ('{"session": 2, "labels": {"carts": 4}}', "label carts"),
        ('{"session": 2, "labels": {"orders": [4, null]}}', "label orders"),
        ('{"session": 99999999999999999999, "labels": {}}', '"session"'),
    ],
)
def test_a_bad_label_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "labels.jsonl"
    good = '{"session": 1, "labels": {"clicks": 4}}\n'
    path.write_text(good + good + line + "\n" + good)
    with pytest.raises(InputError) as caught:
        read_labels(path)
    assert caught.value.line == 3
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "blank line"),
        ("1_clicks", "1 columns"),
        ("1_clicks,3,4", "3 columns"),
        ("1,3", "malformed row id '1'"),
        ("x_clicks,3", "malformed row id 'x_clicks'"),
        ("1_views,3", "unknown type 'views'"),
        ("1_clicks,3 x 4", "item 'x' is not an integer"),
        ("77_clicks,3  4", "item '' is not an integer"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, problem: str) -> None:
    labels = write_labels(tmp_path / "labels.jsonl", [(1, {"clicks": 4})])
    path = tmp_path / "predictions.csv"
    path.write_text(f"session_type,labels\n1_clicks,4\n{line}\n1_carts,\n")
    with pytest.raises(InputError) as caught:
        score_files(labels, path)
    assert caught.value.line == 3
    assert problem in caught.value.problem


def test_missing_empty_and_headless_files(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels.jsonl", [(1, {"clicks": 4})])
    empty, headless = tmp_path / "empty", tmp_path / "headless.csv"
    empty.write_text("")
    headless.write_text("1_clicks,4\n")
    for pair, problem in (
        ((tmp_path / "none", headless), "no such file"),
        ((labels, tmp_path / "none"), "no such file"),
        ((empty, headless), "empty"),
        ((labels, empty), "empty"),
        ((labels, tmp_path), "cannot be read"),
        ((labels, headless), "header"),
    ):
        with pytest.raises(InputError, match=problem):
            score_files(*pair)


def test_long_rows_windows_breaks_and_huge_items_are_read(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels.jsonl", [(1, {"clicks": 4, "carts": [5]})])
    path = tmp_path / "predictions.csv"
    path.write_bytes(b"session_type,labels\r\n1_clicks,7 4 \r\n1_carts,99999999999999999999999 -3 5")
    assert score_files(labels, path).recall == {"clicks": 1.0, "carts": 1.0, "orders": None}
    assert score_files(labels, path, k=1).recall == {"clicks": 0.0, "carts": 0.0, "orders": None}
