"""The shop's files: form, labels, thread counts, OTTO's JSONL."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import events.shop.generate as module
from events.shop.generate import generate
from events.shop.jsonl import write_jsonl
from events.shop.settings import ShopSettings

SMALL = ShopSettings(train_sessions=3_000, test_sessions=1_200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop")
    generate(SMALL, path, threads=2, progress=False)
    return path


def test_form(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["test.parquet", "test_labels.parquet", "train.parquet"]
    types = {"session": pl.Int64, "aid": pl.Int64, "ts": pl.Int64, "type": pl.Int8, "event": pl.Int32}
    train, test = pl.read_parquet(folder / "train.parquet"), pl.read_parquet(folder / "test.parquet")
    for log, ids in ((train, range(3_000)), (test, range(3_000, 4_200))):
        assert dict(log.schema) == types
        assert log["session"].unique().sort().to_list() == list(ids)
        assert log.equals(log.sort("session", "event"))
        assert (log["event"] == log.select(pl.int_range(pl.len()).over("session")).to_series()).all()
        assert (log.group_by("session").agg(pl.col("ts").diff().min())["ts"].drop_nulls() >= 0).all()
    assert train.group_by("session").len()["len"].min() == 2


def test_same_for_any_number_of_threads_and_chunk_size(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_SESSIONS", 700)
    for threads in (1, 3):
        generate(SMALL, tmp_path, threads=threads, progress=False)
        for name in ("train", "test", "test_labels"):
            one, other = (pl.read_parquet(path / f"{name}.parquet") for path in (folder, tmp_path))
            assert one.equals(other)


def test_labels_are_what_was_cut_away(folder: Path) -> None:
    """The cut sessions and their labels against the uncut sessions, by the obvious way."""
    full = module.log_table(module.Shop.of(SMALL).walk(3_000, 4_200))
    events = pl.from_arrow(full)
    assert isinstance(events, pl.DataFrame)
    visible = pl.read_parquet(folder / "test.parquet")
    labels = pl.read_parquet(folder / "test_labels.parquet")
    assert labels.equals(labels.sort("session", "type", "aid"))
    cuts = dict(visible.group_by("session").len().iter_rows())
    expected = []
    for (session,), rows in events.group_by("session", maintain_order=True):
        cut = cuts[session]
        assert 1 <= cut <= rows.height - 1
        assert rows.head(cut).equals(visible.filter(pl.col("session") == session))
        hidden = rows.slice(cut)
        clicks = hidden.filter(pl.col("type") == 0)["aid"].to_list()
        if clicks and clicks[0]:
            expected.append((session, 0, clicks[0]))
        for kind in (1, 2):
            bought = set(hidden.filter(pl.col("type") == kind)["aid"].to_list())
            expected.extend((session, kind, aid) for aid in sorted(bought))
    assert labels.rows() == expected


def test_next_click_on_item_0_is_no_label() -> None:
    chunk = module.Chunk(
        first=7,
        offsets=np.array([0, 5]),
        aids=np.array([3, 0, 4, 0, 0], np.int32),
        ts=np.arange(5),
        types=np.array([0, 0, 0, 1, 1], np.int8),
    )
    assert module.label_table(chunk, np.array([1])).to_pylist() == [{"session": 7, "type": 1, "aid": 0}]
    assert module.label_table(chunk, np.array([2])).to_pylist() == [
        {"session": 7, "type": 0, "aid": 4},
        {"session": 7, "type": 1, "aid": 0},
    ]


def test_no_test_sessions(tmp_path: Path) -> None:
    generate(ShopSettings(train_sessions=10, test_sessions=0), tmp_path, progress=False)
    assert pl.read_parquet(tmp_path / "test.parquet").height == 0
    assert pl.read_parquet(tmp_path / "test_labels.parquet").columns == ["session", "type", "aid"]


def test_jsonl_has_ottos_form(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.shop.jsonl.ROWS", 777)  # sessions cross the batches
    path = tmp_path / "train.jsonl"
    write_jsonl(folder / "train.parquet", path)
    names = ("clicks", "carts", "orders")
    lines = [
        json.dumps(
            {
                "session": session,
                "events": [
                    {"aid": a, "ts": t, "type": names[k]} for a, t, k in rows[["aid", "ts", "type"]].iter_rows()
                ],
            },
            separators=(",", ":"),
        )
        for (session,), rows in pl.read_parquet(folder / "train.parquet").group_by("session", maintain_order=True)
    ]
    assert path.read_text() == "\n".join(lines) + "\n"
    assert list(tmp_path.iterdir()) == [path]


def test_jsonl_of_large_numbers_and_of_nothing(tmp_path: Path) -> None:
    schema = {"session": pl.Int64, "aid": pl.Int64, "ts": pl.Int64, "type": pl.Int8}
    big = 2**63 - 1
    for rows, text in (
        ([], ""),
        ([(big, big, big, 2)], f'{{"session":{big},"events":[{{"aid":{big},"ts":{big},"type":"orders"}}]}}\n'),
    ):
        pl.DataFrame(rows, schema, orient="row").write_parquet(tmp_path / "log.parquet")
        write_jsonl(tmp_path / "log.parquet", tmp_path / "log.jsonl")
        assert (tmp_path / "log.jsonl").read_text() == text
