from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from events import passes
from events.errors import InputError
from events.index import IdIndex
from events.passes import PassData, build_passes
from events.readers import read
from events.readers.otto import read_otto
from events.settings import ColumnSettings, DataSettings, EventsSettings, SampleSettings, SplitSettings
from tests.events.logs import Session, session, shared, write_jsonl

DAY = 86_400_000


def written(folder: Path, name: str, sessions: list[Session]) -> Path:
    write_jsonl(folder / f"{name}.jsonl", sessions)
    read_otto(folder / f"{name}.jsonl", folder / f"{name}.parquet", skip=False)
    return folder / f"{name}.parquet"


def long_log(first: int, n: int, days: range) -> list[Session]:
    """Sessions of four events over items 1 to 9, spread over these days."""
    return [
        session(i, *[(1 + (i + j) % 9, days[i % len(days)] * DAY + j * 1500, "clicks") for j in range(4)])
        for i in range(first, first + n)
    ]


def build(folder: Path, train: Path, test_log: Path | None = None, **options: Any) -> dict[str, PassData]:
    labels = options.pop("labels", None)
    sample = SampleSettings(sessions=options.pop("sample", 1.0))
    seed = options.pop("seed", 7)
    names = build_passes(train, test_log, labels, SplitSettings(**options), sample, seed, folder / "prepared")
    return {name: PassData.load(folder / "prepared" / name) for name in names}


def same(a: PassData, b: PassData) -> bool:
    arrays = all(
        np.array_equal(getattr(a.log, name), getattr(b.log, name))
        for name in ("sessions", "groups", "offsets", "aids", "ts", "types")
    )
    meta = [(p.name, p.n_train, p.fit_until_ms, p.transductive, p.several_rows, p.targets) for p in (a, b)]
    labels = [{t: (s.offsets.tolist(), s.aids.tolist()) for t, s in (p.labels or {}).items()} for p in (a, b)]
    return arrays and meta[0] == meta[1] and labels[0] == labels[1] and a.target_ids.equals(b.target_ids)


def test_official_passes(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    test = written(tmp_path, "test", [session(1000 + i, (1, 21 * DAY + 999, "clicks")) for i in range(5)])
    (tmp_path / "labels.jsonl").write_text('{"session": 1001, "labels": {"clicks": 3, "orders": [77]}}\n')
    passes = build(tmp_path, train, test, labels=tmp_path / "labels.jsonl", transductive=True)
    validation, submission = passes["validation"], passes["submission"]
    assert IdIndex.load(tmp_path / "prepared" / "items.parquet").ids.to_list() == list(range(1, 10))

    assert (validation.n_train, validation.n_targets) == (39, 21)
    assert validation.fit_until_ms == 12 * DAY + 4500
    assert validation.log.ts is not None
    assert int(validation.log.slice(0, 39).ts.max()) < 12 * 86_400 + 4  # type: ignore[union-attr]
    assert int(validation.target_log.ts.min()) >= 13 * 86_400  # type: ignore[union-attr]
    assert validation.target_ids.to_list() == [i for i in range(60) if i % 20 >= 13]
    assert validation.labels is not None
    assert len(validation.labels["clicks"]) == 21
    assert np.diff(validation.labels["clicks"].offsets).tolist() == [1] * 21
    assert validation.log.sessions.tolist() == list(range(60))
    assert validation.targets == ("clicks", "carts", "orders")
    assert validation.fit.n_events == validation.log.n_events
    assert np.shares_memory(validation.fit.aids, validation.log.aids)

    assert (submission.n_train, submission.n_targets) == (60, 5)
    assert submission.fit_until_ms == 19 * DAY + 4501
    assert submission.log.ts is not None
    assert submission.log.ts[-1] == 21 * 86_400
    assert submission.labels is not None
    assert submission.labels["clicks"].row(1).tolist() == [2]
    assert submission.labels["orders"].row(1).tolist() == [-1]
    assert [int(labels.offsets[-1]) for labels in submission.labels.values()] == [1, 0, 1]


def test_earlier_weeks_end_where_the_next_begins_and_change_nothing_else(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 120, range(40)))
    alone = build(tmp_path, train, days=5)["validation"]
    passes = build(tmp_path, train, days=5, earlier_weeks=2)
    assert list(passes) == ["validation", "earlier_1", "earlier_2"]
    assert same(passes["validation"], alone)
    for later, one in zip(passes.values(), list(passes.values())[1:], strict=False):
        assert later.fit_until_ms is not None
        assert one.fit_until_ms == later.fit_until_ms - 5 * DAY
        # Its sessions are those that the later one trains on, and nothing of them is of the later one's period.
        assert one.n_train + one.n_targets == later.n_train
        assert one.log.ts is not None
        assert int(one.target_log.ts.min()) * 1000 >= one.fit_until_ms - 999  # type: ignore[union-attr]
        assert int(one.log.ts.max()) * 1000 < later.fit_until_ms
        assert one.labels is not None
        assert one.labels["clicks"].aids.size == one.n_targets


@pytest.mark.parametrize("transductive", [True, False])
def test_other_cuts_are_beside_the_scored_ones_and_change_nothing_else(tmp_path: Path, transductive: bool) -> None:
    train = written(tmp_path, "train", long_log(0, 120, range(20)))
    alone = build(tmp_path / "alone", train, transductive=transductive)["validation"]
    passes = build(tmp_path, train, transductive=transductive, more_cuts=2, earlier_weeks=1)
    assert same(passes["validation"], alone)
    assert alone.more_cuts is None
    assert passes["earlier_1"].more_cuts is not None
    more = passes["validation"].more_cuts
    assert more is not None
    rows = more.log.sessions - alone.n_train
    assert np.array_equal(more.log.groups, alone.target_log.groups[rows])
    assert more.log.n_items == alone.log.n_items
    scored, cuts = alone.target_log.lengths[rows], more.log.lengths
    assert (cuts > scored).all() if transductive else (cuts != scored).all()
    assert {*cuts.tolist()} == ({2, 3} if transductive else {1, 2, 3})
    source = long_log(0, 120, range(20))
    ids = IdIndex.load(tmp_path / "prepared" / "items.parquet")
    assert list(more.labels) == list(alone.targets)
    for row, (s, cut) in enumerate(zip(alone.target_ids.gather(rows).to_list(), cuts.tolist(), strict=True)):
        items = [event["aid"] for event in source[s]["events"]]
        part = more.log.slice(row, row + 1)
        assert ids.take(part.aids).to_list() == items[:cut]
        assert ids.take(more.labels["clicks"].row(row)).to_list() == [items[cut]]


def test_without_sessions_long_enough_there_are_no_other_cuts(tmp_path: Path) -> None:
    pairs = [session(i, *[(1 + j, (i % 20) * DAY + j, "clicks") for j in range(2)]) for i in range(60)]
    passes = build(tmp_path, written(tmp_path, "train", pairs), transductive=True, more_cuts=1)
    assert passes["validation"].more_cuts is None


def test_seven_days_of_daily_stamps_are_held_out_of_users_who_go_on(tmp_path: Path) -> None:
    users = [session(i, *[(1 + (i + day) % 5, day * DAY, "orders") for day in range(i % 3, 21)]) for i in range(30)]
    users.append(session(99, (1, 20 * DAY, "orders")))  # without a past: trained on by nobody, and not scored
    train = written(tmp_path, "train", users)
    passes = build(tmp_path, train, validation="last_days", test="everyone", earlier_weeks=1)
    validation, earlier = passes["validation"], passes["earlier_1"]
    for one, ends in ((validation, 13), (earlier, 6)):
        assert one.log.ts is not None
        assert int(one.log.ts.max()) == ends * 86_400
        assert one.target_ids.to_list() == list(range(30))
        assert one.labels is not None
        assert np.diff(one.labels["orders"].offsets).tolist() == [5] * 30
    assert validation.fit_until_ms == 13 * DAY + 1
    assert passes["submission"].n_targets == 31


def test_the_fit_excludes_targets_unless_transductive(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    validation = build(tmp_path, train)["validation"]
    assert len(validation.fit) == validation.n_train == 39
    assert validation.fit.n_events == validation.log.offsets[39]
    assert len(validation.target_log) == 21
    assert not validation.transductive


def test_same_seed_same_passes_and_another_seed_other_cuts(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    first = build(tmp_path, train)["validation"]
    again = build(tmp_path / "again", train)["validation"]
    other = build(tmp_path / "other", train, seed=8)["validation"]
    assert same(first, again)
    assert not np.array_equal(first.log.offsets, other.log.offsets)


def test_the_moment_and_the_cuts_can_be_given(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    pl.DataFrame({"session": list(range(60)), "cut": [3] * 60}).write_parquet(tmp_path / "cuts.parquet")
    validation = build(tmp_path, train, cut_ms=17 * DAY + 5000, cuts=tmp_path / "cuts.parquet")["validation"]
    assert validation.n_targets == 6
    assert validation.target_log.lengths.tolist() == [3] * 6
    assert validation.fit_until_ms == 17 * DAY + 5000


@pytest.mark.parametrize(("test", "rows"), [("official", 4), ("leave_one_out", 4), ("every_position", 12)])
def test_whole_test_sessions_are_cut(tmp_path: Path, test: str, rows: int) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    whole = written(tmp_path, "test", [*long_log(100, 4, range(21, 25)), session(200, (77, 22 * DAY, "clicks"))])
    submission = build(tmp_path, train, whole, test=test)["submission"]
    assert submission.n_targets == rows
    assert submission.labels is not None
    assert np.diff(submission.labels["clicks"].offsets).tolist() == [1] * rows
    assert submission.several_rows == (test == "every_position")
    groups = submission.log.groups[submission.n_train :]
    assert np.unique(groups).tolist() == [60, 61, 62, 63]


def test_leave_one_out_without_a_test_file(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    passes = build(tmp_path, train, validation="leave_one_out", test="leave_one_out")
    for name, visible in (("validation", 2), ("submission", 3)):
        data = passes[name]
        assert (data.n_train, data.n_targets) == (60, 60)
        assert data.target_log.lengths.tolist() == [visible] * 60
        assert data.fit.lengths.tolist() == [visible] * 60
        assert data.labels is not None
        assert data.labels["clicks"].aids.tolist() == [(i + visible) % 9 for i in range(60)]


def test_a_tenth_of_the_sessions_with_all_items(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 400, range(20)))
    test = written(tmp_path, "test", [session(1000 + i, (99, 21 * DAY, "clicks")) for i in range(400)])
    whole = build(tmp_path / "whole", train, test)
    tenth = build(tmp_path / "tenth", train, test, sample=0.1)
    for name in ("validation", "submission"):
        assert 0.05 < tenth[name].n_targets / whole[name].n_targets < 0.17
        assert 0.05 < tenth[name].n_train / whole[name].n_train < 0.17
        assert tenth[name].log.n_items == whole[name].log.n_items == 10
        assert set(tenth[name].target_ids) <= set(whole[name].target_ids)
    other_seed = build(tmp_path / "seed", train, test, sample=0.1, seed=9)
    assert other_seed["submission"].target_ids.equals(tenth["submission"].target_ids)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"validation": "every_position", "transductive": True}, "several rows", "split.transductive=false"),
    ({"validation": "leave_one_out", "transductive": True}, "trains on its target", "split.transductive=false"),
    ({"days": 1e-6}, "validation has no target sessions", "split.days"),
    ({"cut_ms": 1}, "validation has no train sessions", "split.cut_ms"),
    ({"sample": 1e-9}, "the sample holds no session", "sample.sessions"),
    ({"days": 10, "earlier_weeks": 3}, "earlier_1 has no train sessions", "split.days"),
    ({"days": 100}, "validation has no train sessions", "split.days"),
]


@pytest.mark.parametrize(("options", "problem", "remedy"), REFUSED)
def test_refused(tmp_path: Path, options: dict[str, Any], problem: str, remedy: str) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    with pytest.raises(InputError) as caught:
        build(tmp_path, train, **options)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert options.get("earlier_weeks") or not (tmp_path / "prepared" / "validation").exists()


def test_weeks_before_validation_need_the_official_split(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    with pytest.raises(InputError, match="earlier_weeks=0"):
        build(tmp_path, train, validation="last_share", earlier_weeks=1)


def test_logs_that_do_not_fit_the_settings(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1 2 3\n" * 20)
    (tmp_path / "test.txt").write_text("1 2\t3\n1\t2\n")
    data = DataSettings(kind="prefix_labels", root=tmp_path, train="train.txt", test="test.txt")
    train, test = tmp_path / "train.parquet", tmp_path / "test.parquet"
    read(data, EventsSettings(), "train", train)
    read(data, EventsSettings(), "test", test)
    with pytest.raises(InputError, match="no time to split by"):
        build(tmp_path, train, test)
    with pytest.raises(InputError, match="hold their labels"):
        build(tmp_path, train, test, validation="last_share")
    with pytest.raises(InputError, match="the pass submission has several rows"):
        build(tmp_path, train, test, validation="last_share", test="leave_one_out", transductive=True)
    passes = build(tmp_path, train, test, validation="last_share", test="leave_one_out")
    assert passes["validation"].log.ts is None
    assert passes["validation"].targets == ("clicks",)
    otto = written(tmp_path, "otto", long_log(0, 6, range(3)))
    with pytest.raises(InputError, match="differ in having time or types"):
        build(tmp_path, otto, test, days=1, test="leave_one_out")
    (tmp_path / "text.txt").write_text("a b c\n")
    text = DataSettings(kind="sequences", root=tmp_path, train="text.txt", text_ids=("aid",))
    read(text, EventsSettings(), "train", tmp_path / "text.parquet")
    with pytest.raises(InputError, match="integers in one file and text in the other"):
        build(tmp_path, train, tmp_path / "text.parquet", validation="last_share")


def test_yoochoose_every_position(tmp_path: Path) -> None:
    data = DataSettings(
        kind="table",
        root=shared("yoochoose_sample"),
        train="clicks_train.txt.gz",
        test="clicks_test.txt.gz",
        columns=ColumnSettings(session="SessionId", aid="ItemId", ts="Time"),
        separator="\t",
        time_unit="s",
    )
    paths = [tmp_path / "train.parquet", tmp_path / "test.parquet"]
    reports = [read(data, EventsSettings(), part, path) for part, path in zip(("train", "test"), paths, strict=True)]
    assert [(report.sessions, report.events) for report in reports] == [(17_794, 70_278), (3_416, 13_568)]
    submission = build(tmp_path, *paths, days=1, test="every_position")["submission"]
    assert submission.n_targets == 10_152
    assert np.unique(submission.log.groups).size == 17_794 + 3_416
    assert submission.labels is not None
    assert list(submission.labels) == ["clicks"]
    assert np.diff(submission.labels["clicks"].offsets).min() == 1


def test_retailrocket_rows_and_groups(tmp_path: Path) -> None:
    data = DataSettings(
        kind="prefix_labels",
        root=shared("retailrocket_sequences"),
        train="train_sequences.txt.gz",
        test="test_prefix_label.txt.gz",
    )
    paths = [tmp_path / "train.parquet", tmp_path / "test.parquet"]
    for part, path in zip(("train", "test"), paths, strict=True):
        read(data, EventsSettings(), part, path)
    passes = build(tmp_path, *paths, validation="last_share", test="leave_one_out")
    submission = passes["submission"]
    assert submission.n_targets == 15_132
    assert np.unique(submission.log.groups[submission.n_train :]).size == 4_735
    assert submission.several_rows
    validation = passes["validation"]
    assert validation.n_train == 126_168 - int(126_168 * 0.12)
    assert validation.target_ids[0] >= validation.n_train


def test_movielens_leave_one_out(tmp_path: Path) -> None:
    data = DataSettings(
        kind="ratings",
        root=shared("movielens_100k"),
        train="u.data.gz",
        header=False,
        separator="\t",
        time_unit="s",
    )
    read(data, EventsSettings(), "train", tmp_path / "train.parquet")
    passes = build(tmp_path, tmp_path / "train.parquet", validation="leave_one_out", test="leave_one_out")
    assert passes["submission"].fit.n_events == 100_000 - 943
    assert passes["validation"].fit.n_events == 100_000 - 2 * 943


def test_a_damaged_pass_is_named(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    build(tmp_path, train)
    (tmp_path / "prepared" / "validation" / "aids.npy").unlink()
    with pytest.raises(InputError, match=r"aids.npy"):
        PassData.load(tmp_path / "prepared" / "validation")


def test_fixed_dates_and_the_end_of_what_is_known(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    last = build(tmp_path, train, validation="official", cut_ms=12 * DAY + 4500)["validation"]
    dated = build(tmp_path, train, validation="dates", start="1970-01-10", until="1970-01-13")["validation"]
    assert (dated.fit_until_ms, dated.n_train) == (9 * DAY, 27)
    assert dated.n_targets == 6  # of the days 10 and 11: those that start at the cut are neither, as officially
    assert int(dated.log.ts.max()) < 12 * DAY // 1000 <= int(last.log.ts.max())
    weekly = build(tmp_path, train, days=3, until="1970-01-13")["validation"]
    assert weekly.fit_until_ms == 9 * DAY
    with pytest.raises(InputError, match=r"before split\.until"):
        build(tmp_path, train, until=0, start=None)


def test_a_share_of_the_users_is_held_out(tmp_path: Path) -> None:
    train = written(tmp_path, "train", long_log(0, 200, range(20)))
    passed = build(tmp_path, train, validation="users", share=0.25)["validation"]
    assert passed.n_train + passed.n_targets == 200
    assert 30 < passed.n_targets < 70


def test_a_split_that_leaks_is_refused_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = written(tmp_path, "train", long_log(0, 60, range(20)))
    honest = passes.official
    monkeypatch.setattr(passes, "official", lambda log, *rest: replace(honest(log, *rest), train=log))
    with pytest.raises(InputError, match="the pass validation sees the future"):
        build(tmp_path, train)
    assert not (tmp_path / "prepared" / "validation").exists()
