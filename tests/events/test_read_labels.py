import gzip
from pathlib import Path

import polars as pl
import pytest

from events.errors import InputError
from events.index import IdIndex
from events.readers import align_labels, read_labels

TEXT = (
    '{"session": 9, "labels": {"clicks": 4, "carts": [7, 4, 7], "orders": [4]}}\n\n'
    '{"session": 2, "labels": {}}\n{"labels": {"orders": [5, 99, 88]}, "session": 3}\n'
)
ROWS = [(3, 2, 5), (3, 2, 88), (3, 2, 99), (9, 0, 4), (9, 1, 4), (9, 1, 7), (9, 2, 4)]


def test_jsonl_gz_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(TEXT)
    (tmp_path / "labels.jsonl.gz").write_bytes(gzip.compress(TEXT.encode()))
    frame = read_labels(tmp_path / "labels.jsonl")
    assert frame.rows() == ROWS
    assert frame.schema == {"session": pl.Int64, "type": pl.Int8, "aid": pl.Int64}
    assert read_labels(tmp_path / "labels.jsonl.gz").equals(frame)
    frame.sample(fraction=1, shuffle=True, seed=1).select("aid", "session", "type").write_parquet(
        tmp_path / "labels.parquet"
    )
    assert read_labels(tmp_path / "labels.parquet").equals(frame)


def test_alignment_with_sessions(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(TEXT)
    frame = read_labels(tmp_path / "labels.jsonl")
    items = IdIndex.of(pl.Series([4, 5, 7]))
    targets = ("clicks", "carts", "orders")
    labels = align_labels(frame, pl.Series([9, 1, 3]), items, targets, tmp_path)
    rows = {target: [label_set.row(s).tolist() for s in range(3)] for target, label_set in labels.items()}
    # Items 88 and 99 are unknown: they stay in the denominator as -1.
    assert rows == {"clicks": [[0], [], []], "carts": [[0, 2], [], []], "orders": [[0], [], [-1, -1, 1]]}
    assert set(align_labels(frame, pl.Series([9]), items, ("clicks",), tmp_path)) == {"clicks"}
    with pytest.raises(InputError, match="text on one side"):
        align_labels(frame, pl.Series(["9"]), items, targets, tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        '{"session": 9}',
        '{"session": 9, "labels": {"likes": 4}}',
        '{"session": -9, "labels": {"clicks": 4}}',
        '{"session": 9, "labels": {"clicks": true}}',
        '{"session": 9, "labels": [4]}',
        '{"labels": {"clicks": 4}}',
        "[]",
        "{",
    ],
)
def test_bad_lines(tmp_path: Path, bad: str) -> None:
    (tmp_path / "labels.jsonl").write_text(TEXT + bad + "\n")
    with pytest.raises(InputError, match=r"labels.jsonl:5: not a line of labels"):
        read_labels(tmp_path / "labels.jsonl")


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "labels.jsonl")
    (tmp_path / "labels.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a Parquet file"):
        read_labels(tmp_path / "labels.parquet")
    pl.DataFrame({"session": [1], "aid": [2]}).write_parquet(tmp_path / "labels.parquet")
    with pytest.raises(InputError, match="columns session, type and aid"):
        read_labels(tmp_path / "labels.parquet")
    (tmp_path / "labels.jsonl.gz").write_bytes(gzip.compress(TEXT.encode())[:-9])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_labels(tmp_path / "labels.jsonl.gz")
