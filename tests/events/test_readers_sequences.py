import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from events.errors import InputError
from events.readers import ReadReport, read
from events.settings import DataSettings, EventsSettings
from tests.events.logs import load_log, shared


def read_text(
    folder: Path, text: str, part: Any = "train", kind: Any = "sequences", skip: bool = False, **options: Any
) -> tuple[ReadReport, pl.DataFrame]:
    (folder / "log.txt").write_text(text)
    data = DataSettings(kind=kind, root=folder, train="log.txt", test="log.txt", **options)
    events = EventsSettings(on_bad_rows="skip" if skip else "error")
    report = read(data, events, part, folder / "out" / "log.parquet")
    return report, pl.read_parquet(folder / "out" / "log.parquet")


@pytest.mark.parametrize("text", ["5 2 5\n\n7 7", "5 2 5\r\n\r\n7 7\r\n", " 5  2 5 \n \n7 7\n"])
def test_sequences(tmp_path: Path, text: str) -> None:
    report, frame = read_text(tmp_path, text)
    assert report == ReadReport(2, 5)
    assert frame.select("session", "aid", "event").rows() == [(0, 5, 0), (0, 2, 1), (0, 5, 2), (2, 7, 0), (2, 7, 1)]
    assert frame.schema == {"session": pl.Int64, "aid": pl.Int64, "event": pl.Int32}


def test_text_items(tmp_path: Path) -> None:
    _, frame = read_text(tmp_path, "05 b\n5\n", text_ids=["aid"])
    assert frame["aid"].to_list() == ["05", "b", "5"]


@pytest.mark.parametrize("bad", ["1 x 2", "1 -2", "1.5", "9223372036854775808 1", "1\t2"])
def test_bad_lines(tmp_path: Path, bad: str) -> None:
    text = f"1 2\n\n{bad}\n3 4\n{bad}\n"
    with pytest.raises(InputError, match="is no item") as caught:
        read_text(tmp_path, text)
    assert caught.value.line == 3
    assert not (tmp_path / "out").exists()
    report, frame = read_text(tmp_path, text, skip=True)
    assert (report.sessions, report.skipped, len(report.reasons)) == (2, 2, 1)
    assert frame["session"].unique().to_list() == [0, 3]


PAIRS = "1 2 3\t4\n1 2\t3\n1\t2\n9 2\t3\n9\t2\n9\t2\n"


def test_siblings_share_a_group(tmp_path: Path) -> None:
    report, frame = read_text(tmp_path, PAIRS, "test", "prefix_labels")
    assert report == ReadReport(6, 16)
    rows = frame.group_by("session", maintain_order=True).agg("aid", pl.col("group").first())
    assert rows["aid"].to_list() == [[1, 2, 3, 4], [1, 2, 3], [1, 2], [9, 2, 3], [9, 2], [9, 2]]
    assert rows["group"].to_list() == [0, 0, 0, 3, 3, 5]
    log = load_log(tmp_path / "out" / "log.parquet")
    assert log.group_ids is not None
    assert log.group_ids.to_list() == [0, 0, 0, 3, 3, 5]


@pytest.mark.parametrize("bad", ["1 2 3", "1\t2\t3", "1\t", "\t2", "1\t2 3"])
def test_lines_that_are_no_pairs(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InputError, match=r":2: not a pair"):
        read_text(tmp_path, f"1\t2\n{bad}\n", "test", "prefix_labels")
    report, _ = read_text(tmp_path, f"1\t2\n{bad}\n5\t6\n", "test", "prefix_labels", skip=True)
    assert (report.sessions, report.skipped) == (2, 1)


def test_unusable_files(tmp_path: Path) -> None:
    for text in ("", "\n\n"):
        with pytest.raises(InputError, match="the file is empty"):
            read_text(tmp_path, text)
    (tmp_path / "log.txt").write_bytes(b"1 2\n\xff 3\n")
    data = DataSettings(kind="sequences", root=tmp_path, train="log.txt", test="log.txt.gz")
    with pytest.raises(InputError, match=r":2: not UTF-8"):
        read(data, EventsSettings(), "train", tmp_path / "log.parquet")
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(b"1 2 3\n" * 100)[:-9])
    with pytest.raises(InputError, match="damaged or cut off"):
        read(data, EventsSettings(), "test", tmp_path / "log.parquet")
    assert not (tmp_path / "log.parquet").exists()


def test_retailrocket(tmp_path: Path) -> None:
    data = DataSettings(
        kind="prefix_labels",
        root=shared("retailrocket_sequences"),
        train="train_sequences.txt.gz",
        test="test_prefix_label.txt.gz",
    )
    report = read(data, EventsSettings(), "train", tmp_path / "train.parquet")
    assert report == ReadReport(126_168, 685_984)
    report = read(data, EventsSettings(), "test", tmp_path / "test.parquet")
    assert report.sessions == 15_132
    assert pl.read_parquet(tmp_path / "test.parquet")["group"].n_unique() == 4_735
