"""What is known of items and users stands in the order of the indices, for each pass."""

from pathlib import Path

import polars as pl
import pytest

from events.attributes import user_index, write_absent, write_items, write_users
from events.errors import InputError
from events.index import IdIndex
from events.passes import PassData, build_passes
from events.readers import read, read_items, read_users
from events.settings import DataSettings, EventsSettings, SampleSettings, SplitSettings

MINUTE = 60_000
USERS = pl.DataFrame({"session": ["u1", "u3", "u9"], "age": [30.0, None, 9.0], "club": ["a", "b", "c"]})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Users u1 to u3, each with three visits of two or three events."""
    lines = ["user,item,when"]
    for number, user in enumerate(("u3", "u1", "u2")):
        for visit in range(3):
            start = (number + visit * 100) * 60 * MINUTE + 1_600_000_000_000
            lines += [f"{user},i{(number + visit + i) % 4},{start + i * MINUTE}" for i in range(2 + visit % 2)]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "log.csv"


def prepared(log: Path, by: str, more: pl.Series | None = None, **split: object) -> Path:
    columns = {"session": "user", "aid": "item", "ts": "when"}
    data = DataSettings.model_validate(
        {"kind": "table", "root": log.parent, "train": log.name, "columns": columns}
        | {"text_ids": ["session", "aid"], "sessions": {"by": by}}
    )
    folder = log.parent / "prepared"
    read(data, EventsSettings(), "train", folder / "train.parquet")
    settings = SplitSettings.model_validate(split)
    build_passes(folder / "train.parquet", None, None, settings, SampleSettings(), 1, folder, USERS, more)
    return folder


def test_each_pass_has_its_users_and_the_folder_has_all(log: Path) -> None:
    folder = prepared(log, "user", validation="leave_one_out", test="everyone")
    ids = user_index([folder / "train.parquet"]).ids
    assert ids.to_list() == ["u1", "u2", "u3"]
    assert write_users(folder, USERS, ids) == {"age": pytest.approx(1 / 3), "club": pytest.approx(2 / 3)}
    assert pl.read_parquet(folder / "users.parquet").rows() == [(30.0, "a"), (None, None), (None, "b")]
    for name in ("validation", "submission"):
        data = PassData.load(folder / name)
        assert pl.read_parquet(folder / name / "users.parquet")["club"].to_list() == ["a", None, "b"] * 2
        assert len(data.log) == 6
    assert write_absent(folder, USERS, ids) == 1
    assert IdIndex.load(folder / "absent_users.parquet").ids.to_list() == ["u9"]


def test_everyone_is_asked_for_as_the_log_leaves_them(log: Path) -> None:
    data = PassData.load(prepared(log, "user", validation="leave_one_out", test="everyone") / "submission")
    assert data.target_ids.to_list() == ["u1", "u2", "u3"]
    assert data.labels is None
    assert data.target_log.aids.tolist() == data.log.slice(0, 3).aids.tolist()
    assert data.target_log.lengths.tolist() == [7, 7, 7]
    with pytest.raises(InputError, match="trains on its target sessions already"):
        prepared(log, "user", validation="last_share", share=0.4, test="everyone", transductive=True)


def test_parts_of_a_users_events_have_the_user(log: Path) -> None:
    folder = prepared(log, "gap", validation="official", days=3)
    data = PassData.load(folder / "validation")
    clubs = pl.read_parquet(folder / "validation" / "users.parquet")["club"].to_list()
    assert len(clubs) == len(data.log) == 9
    assert data.n_train == 6
    assert clubs == ["a", "a", None, None, "b", "b", "a", None, "b"]
    # Folds go by user: another visit of the same user would be another group otherwise.
    assert data.target_log.groups.tolist() == [6, 7, 8]
    assert user_index([folder / "train.parquet"]).ids.to_list() == ["u1", "u2", "u3"]


def test_items_stand_by_row_and_cold_ones_join_if_asked_to(log: Path) -> None:
    known = pl.DataFrame(
        {"aid": ["i2", "zz", "i0"], "category": [["a", "b"], ["c"], None], "price": [1.5, 2.5, None]},
        schema_overrides={"price": pl.Float32},
    )
    folder = prepared(log, "user", validation="leave_one_out")
    assert write_items(folder, known) == {"category": 0.25, "price": 0.25}
    table = pl.read_parquet(folder / "items.parquet")
    assert table.rows() == [("i0", None, None), ("i1", None, None), ("i2", ["a", "b"], 1.5), ("i3", None, None)]
    assert table.schema["category"] == pl.List(pl.String)
    assert IdIndex.load(folder / "items.parquet").ids.to_list() == ["i0", "i1", "i2", "i3"]

    folder = prepared(log, "user", known["aid"], validation="leave_one_out")
    assert PassData.load(folder / "validation").log.n_items == 5
    write_items(folder, known)
    assert pl.read_parquet(folder / "items.parquet").row(4) == ("zz", ["c"], 2.5)
    with pytest.raises(InputError, match="item ids are integers in the log and text in the files about items"):
        prepared(log, "user", pl.Series([1, 2]), validation="leave_one_out")


def settings_of(folder: Path, **more: object) -> DataSettings:
    return DataSettings.model_validate({"kind": "table", "root": folder, "train": "x", "text_ids": ["aid"]} | more)


def test_the_first_known_value_counts_over_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,price,maker\n01,,X\n01,"1,5",\n01,9,Y\n2,-3,nan\n')
    (tmp_path / "b.csv").write_text('id,cost,when\n01,7,2001\n2,"$1,299.00 or so",\n3,n552.000,2003-05-01\n')
    files = [
        {"name": "a.csv", "columns": {"aid": "id", "price": "price", "brand": "maker"}},
        {"name": "b.csv", "columns": {"aid": "id", "price": "cost", "published": "when"}},
    ]
    frame = read_items(settings_of(tmp_path, items={"files": files}), skip=False)
    assert frame is not None
    assert frame.columns == ["aid", "brand", "price", "published"]
    assert frame.sort("aid").rows() == [
        ("01", "X", 1.5, 978307200000),
        ("2", None, 1299.0, None),
        ("3", None, 552.0, 1051747200000),
    ]


def test_mistakes_in_the_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,price\n,3\n")
    items = {"files": [{"name": "a.csv", "columns": {"aid": "id", "price": "Price"}}]}
    with pytest.raises(
        InputError, match=r"a.csv:1: no column 'Price'; did you mean 'price'\?.*data.items.files.columns"
    ):
        read_items(settings_of(tmp_path, items=items), skip=False)
    items["files"][0]["columns"]["price"] = "price"  # type: ignore[index]
    with pytest.raises(InputError, match=r"a.csv:2: the item's id is missing"):
        read_items(settings_of(tmp_path, items=items), skip=False)
    items["files"][0]["name"] = "b.csv"
    with pytest.raises(InputError, match=r"b.csv: no such file"):
        read_items(settings_of(tmp_path, items=items), skip=False)
    (tmp_path / "u.csv").write_text("id,age\n1,30\n2,old\n")
    users = {"name": "u.csv", "id": "id", "numbers": ["age"]}
    with pytest.raises(InputError, match=r"u.csv:3: 'old' is no number.*data.users.labels"):
        read_users(settings_of(tmp_path, users=users), skip=False)
    frame = read_users(settings_of(tmp_path, users=users), skip=True)
    assert frame is not None
    assert frame.rows() == [(1, 30.0)]
