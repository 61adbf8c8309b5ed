"""Small files in exactly the formats of the shops, read by the configs that the project ships."""

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from events.errors import InputError
from events.readers import ReadReport, read, read_items, read_users
from events.settings import DataSettings, EventsSettings
from tests.events.logs import shared

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
DAY = 86_400_000
UTC = "times without a zone are taken as UTC"


def settings_of(shop: str, root: Path, **changes: Any) -> tuple[DataSettings, EventsSettings]:
    tree = tomllib.loads((CONFIGS / f"{shop}.toml").read_text())
    data = tree["data"] | {"root": root} | changes
    return DataSettings.model_validate(data), EventsSettings.model_validate(tree.get("events", {}))


def written(folder: Path, **files: str) -> None:
    """Files by name; two underscores stand for a dot, one for itself."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def events_of(shop: str, folder: Path, **changes: Any) -> tuple[ReadReport, list[tuple[Any, ...]]]:
    """The report, and the events in order: session, group, aid, ts, type, of these what the shop has."""
    data, events = settings_of(shop, folder, **changes)
    report = read(data, events, "train", folder / "out" / "log.parquet")
    frame = pl.read_parquet(folder / "out" / "log.parquet")
    return report, frame.select(pl.col("^(session|aid|ts|type|group)$")).rows()


def items_of(shop: str, folder: Path) -> dict[Any, dict[str, Any]]:
    frame = read_items(settings_of(shop, folder)[0], skip=False)
    assert frame is not None
    return {row.pop("aid"): row for row in frame.to_dicts()}


def test_retailrocket(tmp_path: Path) -> None:
    events = (
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433224214164,257597,addtocart,248676,\n"
        "1433223132117,257597,transaction,355908,4000\n"
        "1433221999827,111016,view,318965,\n"
    )
    part = "timestamp,itemid,property,value\n"
    written(
        tmp_path,
        events__csv=events,
        item_properties_part1__csv=part
        + "1435460400000,355908,categoryid,1338\n1433041200000,355908,categoryid,1016\n1433041200000,355908,888,n1.0\n",
        item_properties_part2__csv=part + "1433646000000,355908,790,n552.000\n1433646000000,248676,790,n1.5 n2.000\n",
        category_tree__csv="categoryid,parentid\n1016,213\n213,169\n169,\n1338,1278\n",
    )
    report, rows = events_of("retailrocket", tmp_path)
    # Half an hour is no gap, a millisecond more would be; the last event comes 18 minutes later.
    assert rows == [
        ("111016:1433221999827", 318965, 1433221999827, 0, 111016),
        ("257597:1433221332117", 355908, 1433221332117, 0, 257597),
        ("257597:1433221332117", 355908, 1433223132117, 2, 257597),
        ("257597:1433221332117", 248676, 1433224214164, 1, 257597),
    ]
    assert report == ReadReport(2, 4)
    assert events_of("retailrocket", tmp_path, sessions={"by": "gap", "minutes": 29.99})[0].sessions == 3
    assert items_of("retailrocket", tmp_path) == {
        355908: {"category": ["169", "213", "1016"], "price": 552.0},
        248676: {"category": None, "price": 1.5},
    }
    written(tmp_path, category_tree__csv="categoryid,parentid\n1016,213\n213,1016\n")
    with pytest.raises(InputError, match=r"category_tree.csv: category 1016 lies under itself"):
        items_of("retailrocket", tmp_path)


def test_hm(tmp_path: Path) -> None:
    customer = "000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318"
    written(
        tmp_path,
        transactions_train__csv="t_dat,customer_id,article_id,price,sales_channel_id\n"
        f"2018-09-20,{customer},0663713001,0.050830508474576264,2\n"
        f"2018-09-20,{customer},0541518023,0.030491525423728812,2\n"
        f"2018-09-21,{customer},0541518023,0.020491525423728812,2\n",
        customers__csv="customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code\n"
        f"{customer},,1.0,ACTIVE,NONE,49.0,52043ee2\n0000aaaa,1.0,,,Regularly,,e9734a7f\n",
        articles__csv="article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,"
        "colour_group_name,department_name,index_group_name,detail_desc\n"
        "0663713001,0663713,Atlanta Push Body Harlow,283,"
        'Underwear body,Underwear,Black,Lingerie,Ladieswear,"Lace, ""soft""."\n',
    )
    report, rows = events_of("hm", tmp_path)
    assert report == ReadReport(1, 3, notes=(UTC,))
    assert rows == [
        (customer, "0663713001", 1537401600000, 2),
        (customer, "0541518023", 1537401600000, 2),
        (customer, "0541518023", 1537401600000 + DAY, 2),
    ]
    items = items_of("hm", tmp_path)
    assert items["0663713001"]["category"] == ["Ladieswear", "Underwear", "Underwear body"]
    assert items["0663713001"]["brand"] == "Lingerie"
    assert items["0663713001"]["text"] == 'Atlanta Push Body Harlow Black Lace, "soft".'
    assert items["0541518023"]["price"] == pytest.approx(0.0304915)  # the first, not the last
    users = read_users(settings_of("hm", tmp_path)[0], skip=False)
    assert users is not None
    assert users.rows() == [
        (customer, 49.0, None, 1.0, "ACTIVE", "NONE"),
        ("0000aaaa", None, 1.0, None, None, "Regularly"),
    ]
    assert users.schema["age"] == pl.Float32


def test_amazon(tmp_path: Path) -> None:
    review = {
        "rating": 5.0, "title": 'such a "lovely" scent', "text": "fine\nindeed", "images": [], "asin": "B00YQ6X8EO",
        "parent_asin": "B00YQ6X8EP", "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ", "timestamp": 1588687728923,
        "helpful_vote": 0, "verified_purchase": True,
    }  # fmt: skip
    meta = {
        "main_category": "All Beauty", "title": 'Howard "LC0008" Leather', "average_rating": 4.8, "rating_number": 10,
        "features": ["one", "two"], "description": [], "price": 1234.5, "images": [{"hi_res": None}], "videos": [],
        "store": "Howard Products", "categories": ["Beauty", "Hair, Nails"],
        "details": {"Date First Available": "September 17, 2019", "UPC": "617390882781"}, "parent_asin": "B00YQ6X8EP",
        "bought_together": None,
    }  # fmt: skip
    other = meta | {"price": "from 1,299.90", "store": None, "categories": [], "details": {}, "parent_asin": "B01"}
    lines = [json.dumps(review), json.dumps(review | {"timestamp": 1588687728000, "parent_asin": "B01"})]
    (tmp_path / "Video_Games.jsonl.gz").write_bytes(gzip.compress("\n\n".join(lines).encode()))
    meta_text = "".join(json.dumps(one) + "\n" for one in (meta, other))
    (tmp_path / "meta_Video_Games.jsonl.gz").write_bytes(gzip.compress(meta_text.encode()))
    assert events_of("amazon", tmp_path) == (
        ReadReport(1, 2),
        [
            ("AGKHLEW2SOWHNMFQIJGBECAF7INQ", "B01", 1588687728000),
            ("AGKHLEW2SOWHNMFQIJGBECAF7INQ", "B00YQ6X8EP", 1588687728923),
        ],
    )
    items = items_of("amazon", tmp_path)
    text = 'Howard "LC0008" Leather one two'
    assert items == {
        "B00YQ6X8EP": {
            "category": ["Beauty", "Hair, Nails"], "brand": "Howard Products", "price": 1234.5, "text": text,
            "published": 1568678400000,
        },
        "B01": {"category": None, "brand": None, "price": pytest.approx(1299.9), "text": text, "published": None},
    }  # fmt: skip

    (tmp_path / "Video_Games.jsonl.gz").write_bytes(gzip.compress(f"{lines[0]}\n\n{lines[1][:-2]}\n".encode()))
    with pytest.raises(InputError, match=r"Video_Games.jsonl.gz:3: not JSON"):
        events_of("amazon", tmp_path)
    (tmp_path / "Video_Games.jsonl.gz").write_bytes(
        gzip.compress(lines[0].replace("parent_asin", "parent_Asin").encode())
    )
    with pytest.raises(InputError, match="no column 'parent_asin'; did you mean 'parent_Asin'"):
        events_of("amazon", tmp_path)


def test_movielens_of_100k(tmp_path: Path) -> None:
    root = shared("movielens_100k")
    items = items_of("movielens", root)
    assert len(items) == 1682
    assert items[1] == {
        "category": ["Animation", "Children's", "Comedy"],
        "text": "Toy Story",
        "published": 788918400000,
    }
    users = read_users(settings_of("movielens", root)[0], skip=False)
    assert users is not None
    assert users.row(0) == (1, 24.0, "M", "technician")


def test_movielens_with_double_colons_in_latin_1(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n1::661::3::978302109\n")
    movies = '661::Star Wars: "Épisode" IV (1977)::Action|Sci-Fi\n1193::One Flew Over (1975)::Drama\n'
    (tmp_path / "movies.dat").write_bytes(movies.encode("latin-1"))
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n")
    assert events_of("movielens_1m", tmp_path)[1] == [(1, 1193, 978300760000), (1, 661, 978302109000)]
    items = items_of("movielens_1m", tmp_path)
    assert items[661] == {
        "category": ["Action", "Sci-Fi"],
        "text": 'Star Wars: "Épisode" IV (1977)',
        "published": 220924800000,
    }
    users = read_users(settings_of("movielens_1m", tmp_path)[0], skip=False)
    assert users is not None
    assert users.rows() == [(1, 1.0, "F", "10")]
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n1::661::good::978302109\n")
    with pytest.raises(InputError, match=r"ratings.dat:2: 'good' is no value"):
        events_of("movielens_1m", tmp_path)


def test_movielens_as_csv(tmp_path: Path) -> None:
    written(
        tmp_path,
        ratings__csv="userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n",
        movies__csv='movieId,title,genres\n31,"Dangerous Minds, The (1995)",Drama|Crime\n',
    )
    assert events_of("movielens_csv", tmp_path)[1] == [(1, 31, 1260759144000)]
    assert items_of("movielens_csv", tmp_path)[31]["published"] == 788918400000


def test_yoochoose(tmp_path: Path) -> None:
    clicks = "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n"
    (tmp_path / "yoochoose-clicks.dat").write_text(clicks)
    (tmp_path / "yoochoose-buys.dat").write_text("1,2014-04-07T10:52:09.868Z,214536502,12462,1\n")
    assert events_of("yoochoose_full", tmp_path)[1] == [
        (1, 214536502, 1396867869277, 0),
        (1, 214536502, 1396867929868, 2),
        (1, 214536500, 1396868049868, 0),
    ]
    assert items_of("yoochoose_full", tmp_path)[214536502] == {"category": ["0"], "price": 12462.0}
    (tmp_path / "yoochoose-buys.dat").write_text("1,2014-04-07T10:52:09.868Z,x,12462,1\n")
    with pytest.raises(InputError, match=r"yoochoose-buys.dat:1: 'x' is no aid"):
        events_of("yoochoose_full", tmp_path)
    (tmp_path / "yoochoose-buys.dat").unlink()
    with pytest.raises(InputError, match=r"yoochoose-buys.dat: no such file"):
        events_of("yoochoose_full", tmp_path)


def test_diginetica(tmp_path: Path) -> None:
    (tmp_path / "train-item-views.csv").write_text(
        "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n"
    )
    (tmp_path / "train-purchases.csv").write_text(
        "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n1;NA;600000;2016-05-09;16421;81766\n"
    )
    (tmp_path / "product-categories.csv").write_text("itemId;categoryId\n81766;1096\n")
    (tmp_path / "products.csv").write_text("itemId;pricelog2;product.name.tokens\n81766;10;4875,776\n2;3;\n")
    start = 1462752000000
    assert events_of("diginetica", tmp_path)[1] == [
        (1, 81766, start + 526309, 0),
        (1, 81766, start + 600000, 2),
        (1, 31331, start + 1031018, 0),
    ]
    assert items_of("diginetica", tmp_path) == {
        81766: {"category": ["1096"], "price": 1024.0, "text": "4875,776"},
        2: {"category": None, "price": 8.0, "text": None},
    }
    (tmp_path / "train-item-views.csv").write_text("sessionId;userId;itemId;timeframe;eventdate\n1;NA;2;5;9 May\n")
    with pytest.raises(InputError, match=r"train-item-views.csv:2: '5' .*the day is bad.*a day such as 2016-05-09"):
        events_of("diginetica", tmp_path)
    seconds = "sessionId;userId;itemId;timeframe;eventdate\n1;NA;2;5;2016-05-09\n1;NA;2;700000000;2016-05-09\n"
    (tmp_path / "train-item-views.csv").write_text(seconds)
    with pytest.raises(InputError, match=r"train-item-views.csv:3: '700000000' .*the time of day is bad"):
        events_of("diginetica", tmp_path)


def test_rees46(tmp_path: Path) -> None:
    session = "72d76fde-8bb3-4e00-8c23-a032dfed738c"
    header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    (tmp_path / "2019-Oct.csv").write_text(
        header
        + f"2019-10-01 00:00:00 UTC,view,44600062,2103807459,,shiseido,35.79,541312140,{session}\n"
        + f"2019-10-01 00:00:01 UTC,cart,3900821,2053,appliances.water_heater,aqua,33.20,541312140,{session}\n"
        + f"2019-10-01 00:00:02 UTC,remove_from_cart,3900821,2053,,aqua,30.20,541312140,{session}\n"
        + "2019-10-01 00:00:03 UTC,view,3900821,2053,,aqua,33.20,541312140,\n"
        + f"2019-10-01 00:00:04 UTC,purchase,3900821,2053,,aqua,33.20,541312140,{session}\n"
    )
    report, rows = events_of("rees46", tmp_path)
    assert rows == [
        (session, "541312140", 44600062, 1569888000000, 0),
        (session, "541312140", 3900821, 1569888001000, 1),
        (session, "541312140", 3900821, 1569888004000, 2),
    ]
    assert report == ReadReport(1, 3, 1, ("line 5: session is missing",))
    rows = events_of("rees46", tmp_path, sessions={"by": "user"})[1]
    assert [row[0] for row in rows] == ["541312140"] * 3
    items = items_of("rees46", tmp_path)
    assert items[3900821] == {
        "category": ["appliances", "water_heater"],
        "brand": "aqua",
        "price": pytest.approx(33.2),
    }
    assert items[44600062]["category"] is None


@pytest.mark.parametrize(("unit", "said"), [(1, "seconds"), (1000, "milliseconds")])
@pytest.mark.parametrize("names", [["clicks", "carts", "orders"], [0, 1, 2]])
def test_otto_as_parquet(tmp_path: Path, unit: int, said: str, names: list[Any]) -> None:
    times = [1659304800 * unit, 1659304904 * unit, 1659367439 * unit]
    frame = pl.DataFrame({"session": [0, 0, 1], "aid": [1517085, 1563459, 1309446], "ts": times, "type": names})
    frame.write_parquet(tmp_path / "train.parquet")
    report, rows = events_of("otto_parquet", tmp_path)
    assert rows == [(0, 1517085, 1659304800000, 0), (0, 1563459, 1659304904000, 1), (1, 1309446, 1659367439000, 2)]
    read = sorted(zip(map(str, names), ("clicks", "carts", "orders"), strict=True))
    kinds = ", ".join(f"{name} as {ours}" for name, ours in read)
    assert report.notes == (f"times are read as {said}", f"types are read: {kinds}")
    frame.with_columns(pl.lit("looks").alias("type")).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"train.parquet:1: 'looks' is no type.*data.types"):
        events_of("otto_parquet", tmp_path)
