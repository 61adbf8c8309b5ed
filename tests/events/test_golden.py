"""Equality with the official scripts' own output."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from events.labels import Labels, labels_after
from events.raw import RawLog
from events.readers.otto import read_otto
from events.split import cut_as_given, drop_unseen, hold_out_by_time, official, split_moment
from tests.events.logs import load_log, read_jsonl, sessions_of, shared


@pytest.fixture
def full(tmp_path: Path) -> RawLog:
    read_otto(shared("official_golden") / "sessions_full.jsonl", tmp_path / "log.parquet", skip=False)
    return load_log(tmp_path / "log.parquet")


def as_official(labels: Labels, row: int, log: RawLog) -> dict[str, object]:
    """A row's labels as the official files write them (sets as sorted lists)."""
    out: dict[str, object] = {}
    for target, label_set in labels.items():
        ids = log.items.take(label_set.row(row)).to_list()
        if ids:
            out[target] = ids[0] if target == "clicks" else sorted(ids)
    return out


def normal(labels: dict[str, object]) -> dict[str, object]:
    return {target: sorted(value) if isinstance(value, list) else value for target, value in labels.items()}


def test_ground_truth_of_every_event(full: RawLog) -> None:
    golden = read_jsonl(shared("official_golden") / "ground_truth_per_event.jsonl")
    assert len(golden) == 200
    compared = 0
    for s, expected in enumerate(golden):
        assert full.session_ids[s] == expected["session"]
        first, last = full.offsets[s], full.offsets[s + 1]
        starts = np.arange(first + 1, last)
        labels = labels_after(starts, np.full(starts.size, last), full.aids, full.types, full.items.falsy_row)
        assert len(expected["events"]) == starts.size
        for row, event in enumerate(expected["events"]):
            assert as_official(labels, row, full) == normal(event["labels"])
            compared += 1
    assert compared == 725
    assert full.items.falsy_row == 0


def test_labels_and_truncation_at_given_cuts(full: RawLog, tmp_path: Path) -> None:
    folder = shared("official_golden")
    truncated = read_jsonl(folder / "sessions_truncated.jsonl")
    cuts = {"session": [one["session"] for one in truncated], "cut": [len(one["events"]) for one in truncated]}
    pl.DataFrame(cuts).sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "cuts.parquet")
    targets = cut_as_given(full, tmp_path / "cuts.parquet", falsy=full.items.falsy_row)
    assert sessions_of(targets.visible) == truncated
    assert targets.labels is not None
    golden = read_jsonl(folder / "labels.jsonl")
    assert len(golden) == len(targets.visible) == 1500
    for row, expected in enumerate(golden):
        assert as_official(targets.labels, row, full) == normal(expected["labels"])


@pytest.mark.parametrize(
    ("folder", "source", "train", "validation", "days", "sizes"),
    [
        ("official_golden", "split_input", "split_train_2d", "split_validation_full_2d", 2, (906, 236)),
        ("otto_fixture", "train", "split7_train_sessions", "split7_test_sessions_full", 7, (10, 8)),
    ],
)
def test_time_split(
    tmp_path: Path, folder: str, source: str, train: str, validation: str, days: int, sizes: tuple[int, int]
) -> None:
    data = shared(folder)
    read_otto(data / f"{source}.jsonl", tmp_path / "log.parquet", skip=False)
    log = load_log(tmp_path / "log.parquet")
    kept, whole = hold_out_by_time(log, split_moment(log, days))
    whole = drop_unseen(whole, kept)
    assert (len(kept), len(whole)) == sizes
    assert sessions_of(kept) == read_jsonl(data / f"{train}.jsonl")
    assert sessions_of(whole) == read_jsonl(data / f"{validation}.jsonl")
    split = official(log, split_moment(log, days), seed=3)
    assert sessions_of(split.train) == sessions_of(kept)
    for visible, one in zip(sessions_of(split.targets.visible), sessions_of(whole), strict=True):
        n = len(visible["events"])
        assert 1 <= n < len(one["events"])
        assert visible["events"] == one["events"][:n]
