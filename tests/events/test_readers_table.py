import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from events.errors import InputError
from events.readers import ReadReport, read
from events.settings import DataSettings, EventsSettings
from tests.events.logs import load_log, sessions_of, shared

COLUMNS = {"session": "visitor", "aid": "item", "ts": "when", "type": "what"}
TYPES = {"view": "clicks", "addtocart": "carts", "transaction": "orders"}
GOOD = "when,visitor,note,item,what\n5000,2,a,9,view\n3000,1,b,7,addtocart\n4000,2,c,8,transaction\n5000,2,d,7,view\n"
SAID = ("times before 1995 are taken as they are",)
READ = [(1, 7, 3000, 1, 0), (2, 8, 4000, 2, 0), (2, 9, 5000, 0, 1), (2, 7, 5000, 0, 2)]


def settings_of(root: Path, name: str = "log.csv", **options: Any) -> DataSettings:
    base: dict[str, Any] = {"kind": "table", "root": root, "train": name, "columns": COLUMNS, "types": TYPES}
    return DataSettings(**{**base, **options})


def read_text(folder: Path, text: str, skip: bool = False, **options: Any) -> tuple[ReadReport, pl.DataFrame]:
    (folder / "log.csv").write_text(text)
    events = EventsSettings(on_bad_rows="skip" if skip else "error")
    report = read(settings_of(folder, **options), events, "train", folder / "out" / "log.parquet")
    return report, pl.read_parquet(folder / "out" / "log.parquet")


def test_rows_are_sorted_by_session_time_and_place(tmp_path: Path) -> None:
    report, frame = read_text(tmp_path, GOOD)
    assert report == ReadReport(2, 4, notes=SAID)
    assert frame.select("session", "aid", "ts", "type", "event").rows() == READ
    assert frame.schema == {"session": pl.Int64, "aid": pl.Int64, "ts": pl.Int64, "type": pl.Int8, "event": pl.Int32}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log.parquet"]


def test_gz_parquet_no_header_and_separator_read_the_same(tmp_path: Path) -> None:
    expected = read_text(tmp_path, GOOD)[1]
    out = tmp_path / "log.parquet"
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    read(settings_of(tmp_path, "log.csv.gz"), EventsSettings(), "train", out)
    assert pl.read_parquet(out).equals(expected)
    pl.read_csv(GOOD.encode()).write_parquet(tmp_path / "source.parquet")
    read(settings_of(tmp_path, "source.parquet"), EventsSettings(), "train", out)
    assert pl.read_parquet(out).equals(expected)
    places = {"session": "column_2", "aid": "column_4", "ts": "column_1", "type": "column_5"}
    body = GOOD.split("\n", 1)[1].replace(",", "\t")
    assert read_text(tmp_path, body, header=False, separator="\t", columns=places)[1].equals(expected)


def test_columns_that_the_shop_lacks_are_absent(tmp_path: Path) -> None:
    _, frame = read_text(tmp_path, GOOD, columns={"session": "visitor", "aid": "item"})
    assert frame.columns == ["session", "aid", "event"]
    assert frame.filter(pl.col("session") == 2)["aid"].to_list() == [9, 8, 7]


def test_text_ids_keep_leading_zeros(tmp_path: Path) -> None:
    text = GOOD.replace(",7,", ",007,").replace(",2,", ",é2,")
    _, frame = read_text(tmp_path, text, text_ids=["session", "aid"])
    assert frame["session"].to_list() == ["1", "é2", "é2", "é2"]
    assert frame["aid"].to_list() == ["007", "8", "9", "007"]
    assert load_log(tmp_path / "out" / "log.parquet").items.ids.to_list() == ["007", "8", "9"]


@pytest.mark.parametrize(
    ("unit", "text", "ms"),
    [
        ("s", "1396437466.94", 1396437466940),
        ("s", "1396437466", 1396437466000),
        ("s", "0.0006", 1),
        ("ms", "1396437466941", 1396437466941),
        ("iso", "2014-04-07T10:51:09.277Z", 1396867869277),
        ("iso", "2014-04-07 10:51:09", 1396867869000),
        ("iso", "2014-04-07T12:51:09+02:00", 1396867869000),
        ("iso", "2014-04-07", 1396828800000),
    ],
)
def test_time_units(tmp_path: Path, unit: str, text: str, ms: int) -> None:
    _, frame = read_text(tmp_path, f"when,visitor,note,item,what\n{text},1,a,2,view\n", time_unit=unit)
    assert frame["ts"][0] == ms


def test_dates_of_parquet_need_no_unit(tmp_path: Path) -> None:
    frame = pl.read_csv(GOOD.encode()).with_columns(pl.col("when").cast(pl.Datetime("ms", "Europe/Berlin")))
    frame.write_parquet(tmp_path / "source.parquet")
    read(settings_of(tmp_path, "source.parquet"), EventsSettings(), "train", tmp_path / "log.parquet")
    assert pl.read_parquet(tmp_path / "log.parquet")["ts"].to_list() == [3000, 4000, 5000, 5000]


BAD_ROWS = {
    "6000,3,x,5,like": "'like' is no type",
    "6000,3,x,5,": "type is missing",
    "6000,,x,5,view": "session is missing",
    "6000,3,x,,view": "aid is missing",
    "6000,3,x,-5,view": "'-5' is no aid",
    "6000,3,x,9223372036854775808,view": "'9223372036854775808' is no aid",
    "6000,3,x,5.0,view": "'5.0' is no aid",
    "6000,abc,x,5,view": "'abc' is no session",
    "soon,3,x,5,view": "'soon' is no ts",
    "-1,3,x,5,view": "'-1' is no ts",
    "2147483648000,3,x,5,view": "'2147483648000' is no ts",
    "6000": "session is missing",
    "6000,3,x,5,view,": "6 fields, 5 expected",
}


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_rows_are_named(tmp_path: Path, bad: str, packed: bool) -> None:
    # A blank line and a quoted line break come before: the line is the file's, not the row's.
    text = GOOD.replace("3000,1,b", '\n3000,1,"b\nb"') + bad + "\n7000,4,x,5,view\n"
    name = "log.csv.gz" if packed else "log.csv"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    out = tmp_path / "out" / "log.parquet"
    with pytest.raises(InputError) as caught:
        read(settings_of(tmp_path, name), EventsSettings(), "train", out)
    assert caught.value.line == 8
    assert caught.value.problem == BAD_ROWS[bad]
    assert "\n" not in str(caught.value)
    assert not out.parent.exists() or list(out.parent.iterdir()) == []
    report = read(settings_of(tmp_path, name), EventsSettings(on_bad_rows="skip"), "train", out)
    assert report == ReadReport(3, 5, 1, (f"line 8: {BAD_ROWS[bad]}",), SAID)


def test_a_row_that_is_bad_twice_counts_once(tmp_path: Path) -> None:
    report, _ = read_text(tmp_path, GOOD + "x,y,z,-1,like\n1,2,3,-4,view\n", skip=True)
    assert (report.skipped, report.events) == (2, 4)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("when,visitor,note,item,what\n", "the file is empty"),
        ("when;visitor\n1;2\n", "no column 'visitor'"),
        ('when,visitor,note,item,what\n1,2,"x,3,view\n', "not a CSV file"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        read_text(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_missing_and_broken_files(tmp_path: Path) -> None:
    out = tmp_path / "log.parquet"
    with pytest.raises(InputError, match="no such file"):
        read(settings_of(tmp_path), EventsSettings(), "train", out)
    with pytest.raises(InputError, match=r"no test file .*set data.test"):
        read(settings_of(tmp_path), EventsSettings(), "test", out)
    (tmp_path / "source.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="not a Parquet file"):
        read(settings_of(tmp_path, "source.parquet"), EventsSettings(), "train", out)
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(GOOD.encode() * 50)[:-12])
    with pytest.raises(InputError, match="damaged or cut off"):
        read(settings_of(tmp_path, "log.csv.gz"), EventsSettings(), "train", out)
    assert not out.exists()


def test_ratings_and_targets_go_by_position(tmp_path: Path) -> None:
    text = "196\t242\t3\t881250949\n22\t377\t1\t878887116\n"
    _, frame = read_text(tmp_path, text, kind="ratings", header=False, separator="\t", time_unit="s")
    assert frame.select("session", "aid", "value", "ts", "event").rows() == [
        (22, 377, 1.0, 878887116000, 0),
        (196, 242, 3.0, 881250949000, 0),
    ]
    _, frame = read_text(tmp_path, "userId,itemId,target\n5,6,1\n4,7,0.5\n", kind="targets")
    assert frame.select("session", "aid", "value", "event").rows() == [(4, 7, 0.5, 0), (5, 6, 1.0, 0)]
    with pytest.raises(InputError, match=r":2: 'much' is no value"):
        read_text(tmp_path, "userId,itemId,target\n5,6,much\n", kind="targets")
    with pytest.raises(InputError, match="only 2 columns"):
        read_text(tmp_path, "userId,itemId\n5,6\n", kind="targets")
    with pytest.raises(InputError, match=r":1: the header holds nothing but numbers.*data.header=false"):
        read_text(tmp_path, "5,6,1\n4,7,0.5\n", kind="targets")


def test_whole_floats_are_ids(tmp_path: Path) -> None:
    data = settings_of(tmp_path, "source.parquet", columns={"session": "visitor", "aid": "item"})
    table = pl.DataFrame({"visitor": [1.0, 2.0, 2.0, 3.0, 2.0**60], "item": [7.0, 8.0, None, 0.5, 1.0]})
    table.write_parquet(tmp_path / "source.parquet")
    report = read(data, EventsSettings(on_bad_rows="skip"), "train", tmp_path / "log.parquet")
    assert pl.read_parquet(tmp_path / "log.parquet").select("session", "aid").rows() == [(1, 7), (2, 8)]
    assert report.skipped == 3


def test_without_a_usable_row_the_commonest_reason_is_said(tmp_path: Path) -> None:
    rows = "when,visitor,note,item,what\n1,-1,a,5,view\n" + "1,2,a,5,like\n" * 3
    with pytest.raises(InputError, match=r"no usable session \(3 lines as line 3: 'like' is no type\)"):
        read_text(tmp_path, rows, skip=True)


def test_movielens(tmp_path: Path) -> None:
    root = shared("movielens_100k")
    data = DataSettings(kind="ratings", root=root, train="u.data.gz", header=False, separator="\t", time_unit="s")
    report = read(data, EventsSettings(), "train", tmp_path / "log.parquet")
    assert report == ReadReport(943, 100_000)
    log = load_log(tmp_path / "log.parquet")
    assert (len(log), len(log.items), log.types) == (943, 1682, None)


def test_otto_through_the_same_door(tmp_path: Path) -> None:
    data = DataSettings(kind="otto", root=shared("otto_fixture"), train="train.jsonl")
    report = read(data, EventsSettings(), "train", tmp_path / "log.parquet", threads=1)
    assert report == ReadReport(20, 862)
    assert len(sessions_of(load_log(tmp_path / "log.parquet"))) == 20
