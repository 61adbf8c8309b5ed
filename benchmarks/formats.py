"""Other shops' files, made up: ``python -m benchmarks.formats --shop hm --users 10000 --folder data/hm``.

Writes files of H&M, Amazon Reviews 2023, Diginetica, REES46 or RetailRocket, in their formats and under their names,
from visits to the synthetic shop: events, categories, popularity and times are its own, so that a recommender has
something to learn; prices, brands, names and customers are drawn to fit. For H&M and Amazon every event is a sale or a
review.
The configs of the same names read them (``--set data.root=FOLDER``).
"""

import argparse
import gzip
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.files import atomic_file
from events.randomness import uniforms
from events.shop.settings import LOG_START, ShopSettings
from events.shop.walk import Shop

DAY_MS = 86_400_000
CATEGORY_ITEMS = 40
ROOT_CATEGORIES, MIDDLE_CATEGORIES = 4, 3
"""Categories below the root and below each of those; the shop's own are the leaves."""
VISIT_MINUTES = 30
PRODUCTS, COLOURS = ("dress", "shirt", "trouser", "jacket", "lamp", "kettle", "phone", "shoe"), ("black", "blue", "red")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shop's events and what is known of its items and users.

    events : ``user``, ``aid``, ``ts`` (unix ms), ``type`` (0, 1, 2), ``visit`` (number, ascending in time for a user)
    items  : one row an aid, ascending: ``aid``, ``leaf``, ``middle``, ``root`` and ``brand`` (numbers), ``price``,
             ``published`` (unix ms), ``name``
    users  : one row a user: ``user``, ``draw`` (uniform in 0 to 1), ``taste`` (the root category of most events)
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame


def draw(users: int, n_items: int | None = None, seed: int = 42) -> Drawn:
    """Let ``users`` visitors walk through a shop of ``n_items`` (default: by the events)."""
    settings = ShopSettings(
        seed=seed, train_sessions=users, test_sessions=0, n_items=n_items, category_items=CATEGORY_ITEMS
    )
    shop = Shop.of(settings)
    chunk = shop.walk(0, users)
    events = pl.DataFrame(
        {
            "user": np.repeat(np.arange(users), np.diff(chunk.offsets)),
            "aid": chunk.aids,
            "ts": chunk.ts,
            "type": chunk.types,
        }
    )
    opens = (pl.col("user") != pl.col("user").shift(1)) | (pl.col("ts").diff() > VISIT_MINUTES * 60_000)
    events = events.with_columns(opens.fill_null(True).cum_sum().cast(pl.Int64).alias("visit"))

    size = shop.world.aids.size
    place = np.argsort(shop.world.aids)
    aids = np.arange(size)
    leaf, appears = shop.world.category[place].astype(np.int64), shop.world.appears[place]
    middle = leaf % (ROOT_CATEGORIES * MIDDLE_CATEGORIES)
    draws = [uniforms(seed + i, aids) for i in range(4)]
    # Prices and brands go by category; what was there from the start came out in the three years before.
    price = np.exp(2.5 + middle % 5 * 0.4 + 0.4 * (draws[0] - 0.5))
    born = np.where(appears < 0, -draws[1] * 1_095, appears) * DAY_MS + LOG_START * 1_000
    words = pl.DataFrame({"kind": leaf, "colour": (draws[2] * len(COLOURS)).astype(np.int64)})
    name = words.select(
        pl.concat_str(
            pl.col("colour").replace_strict(dict(enumerate(COLOURS))).str.to_titlecase(),
            (pl.col("kind") % len(PRODUCTS)).replace_strict(dict(enumerate(PRODUCTS))),
            pl.lit("model ") + pl.col("kind").cast(pl.String),
            separator=" ",
        ).alias("name")
    )
    items = pl.DataFrame(
        {
            "aid": aids,
            "leaf": leaf + 100,
            "middle": middle + 20,
            "root": middle % ROOT_CATEGORIES + 1,
            "brand": leaf * 3 + (draws[3] * 3).astype(np.int64),
            "price": np.round(price, 2),
            "published": born.astype(np.int64),
            "name": name["name"],
        }
    )
    roots = events.select("user", items["root"].gather(events["aid"]))
    taste = roots.group_by("user").agg(pl.col("root").mode().min()).sort("user")["root"]
    known = pl.DataFrame({"user": np.arange(users), "draw": uniforms(seed + 9, np.arange(users)), "taste": taste})
    return Drawn(events, items, known)


def write_hm(drawn: Drawn, folder: Path) -> None:
    """``transactions_train.csv``, ``customers.csv``, ``articles.csv``."""
    events, items, users = drawn.events.sort("ts", maintain_order=True), drawn.items, drawn.users
    article = ("0" + (108_775_015 + items["aid"]).cast(pl.String)).alias("article_id")
    customer = pl.Series("customer_id", hexadecimal(users.height, 4))
    transactions = pl.DataFrame(
        {
            "t_dat": events["ts"].cast(pl.Datetime("ms")).dt.date(),
            "customer_id": customer.gather(events["user"]),
            "article_id": article.gather(events["aid"]),
            "price": (items["price"] / 1_000).gather(events["aid"]),
            "sales_channel_id": events["type"].cast(pl.Int64).clip(1, 2),
        }
    )
    write(transactions, folder / "transactions_train.csv")
    share = users["draw"]
    customers = users.select(
        customer,
        FN=pl.when(share < 0.35).then(1.0),
        Active=pl.when(share < 0.33).then(1.0),
        club_member_status=pl.when(share < 0.92).then(pl.lit("ACTIVE")).when(share < 0.99).then(pl.lit("PRE-CREATE")),
        fashion_news_frequency=pl.when(share < 0.35).then(pl.lit("Regularly")).otherwise(pl.lit("NONE")),
        age=pl.when(share < 0.98).then((17 + pl.col("taste") * 11 + share * 10).floor().cast(pl.Int64)),
        postal_code=pl.Series(hexadecimal(users.height, 4, 7)),
    )
    write(customers, folder / "customers.csv")
    number = {name: pl.col(name).cast(pl.String) for name in ("leaf", "middle", "root", "brand")}
    colour = pl.col("name").str.extract(r"^(\w+)")
    articles = items.select(
        article,
        product_code=article.str.slice(1, 6),
        prod_name="name",
        product_type_no="leaf",
        product_type_name="Type " + number["leaf"],
        product_group_name="Garment group " + number["middle"],
        graphical_appearance_no=pl.lit(1010016),
        graphical_appearance_name=pl.lit("Solid"),
        colour_group_code=pl.lit(9),
        colour_group_name=colour,
        perceived_colour_value_id=pl.lit(4),
        perceived_colour_value_name=pl.lit("Dark"),
        perceived_colour_master_id=pl.lit(5),
        perceived_colour_master_name=colour,
        department_no="brand",
        department_name="Department " + number["brand"],
        index_code=pl.lit("A"),
        index_name=pl.lit("Ladieswear"),
        index_group_no="root",
        index_group_name="Group " + number["root"],
        section_no="middle",
        section_name="Section " + number["middle"],
        garment_group_no="middle",
        garment_group_name="Garments " + number["middle"],
        detail_desc=pl.lit("A ") + pl.col("name").str.to_lowercase() + ', with a "soft" lining, lined.',
    )
    write(articles, folder / "articles.csv")


def write_amazon(drawn: Drawn, folder: Path) -> None:
    """``Video_Games.jsonl.gz`` (reviews; of a user and item the first) and ``meta_Video_Games.jsonl.gz``."""
    events = drawn.events.unique(["user", "aid"], keep="first", maintain_order=True)
    asin = "B0" + pl.col("aid").cast(pl.String).str.zfill(8)
    user = "A" + pl.Series(hexadecimal(drawn.users.height, 2)).str.to_uppercase().str.head(27)
    reviews = events.select(
        rating=(pl.col("type") + 3.0),
        title=pl.lit('Just "fine"'),
        text=pl.lit("It does what it should.\nNo more, no less."),
        images=pl.lit([], pl.List(pl.String)),
        asin=asin,
        parent_asin=asin,
        user_id=user.gather(events["user"]),
        timestamp="ts",
        helpful_vote=pl.lit(0),
        verified_purchase=pl.lit(True),
    )
    write_json_lines(reviews, folder / "Video_Games.jsonl.gz")
    category = [
        pl.lit("Video Games"),
        *("Level " + pl.col(name).cast(pl.String) for name in ("root", "middle", "leaf")),
    ]
    date = pl.col("published").cast(pl.Datetime("ms")).dt.strftime("%B %-d, %Y")
    meta = drawn.items.select(
        main_category=pl.lit("Video Games"),
        title="name",
        average_rating=pl.lit(4.1),
        rating_number=pl.lit(12),
        features=pl.concat_list("name"),
        description=pl.lit([], pl.List(pl.String)),
        price=pl.when(pl.col("aid") % 5 > 0).then("price"),
        images=pl.lit([], pl.List(pl.String)),
        videos=pl.lit([], pl.List(pl.String)),
        store="Brand " + pl.col("brand").cast(pl.String),
        categories=pl.concat_list(category),
        details=pl.struct(date.alias("Date First Available"), pl.lit("1 pound").alias("Item Weight")),
        parent_asin=asin,
        bought_together=pl.lit(None, pl.String),
    )
    write_json_lines(meta, folder / "meta_Video_Games.jsonl.gz")


def write_diginetica(drawn: Drawn, folder: Path) -> None:
    """``train-item-views.csv``, ``train-purchases.csv``, ``product-categories.csv``, ``products.csv``."""
    events = drawn.events.select(
        pl.col("visit").alias("sessionId"),
        pl.lit("NA").alias("userId"),
        pl.col("aid").alias("itemId"),
        (pl.col("ts") % DAY_MS).alias("timeframe"),
        pl.col("ts").cast(pl.Datetime("ms")).dt.date().alias("eventdate"),
        "type",
    )
    write(events.filter(pl.col("type") < 2).drop("type"), folder / "train-item-views.csv", ";")
    buys = events.filter(pl.col("type") == 2).with_row_index("ordernumber", offset=1)
    buys = buys.select("sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId")
    write(buys, folder / "train-purchases.csv", ";")
    items = drawn.items.with_columns(pl.col("aid").alias("itemId"))
    write(items.select("itemId", categoryId="leaf"), folder / "product-categories.csv", ";")
    words = [pl.col(name).cast(pl.String) for name in ("leaf", "middle", "brand")]
    products = items.select(
        "itemId",
        pricelog2=pl.col("price").log(2).round(0).cast(pl.Int64),
        tokens=pl.concat_str(words, separator=","),
    )
    write(products.rename({"tokens": "product.name.tokens"}), folder / "products.csv", ";")


def write_rees46(drawn: Drawn, folder: Path) -> None:
    """``2019-Oct.csv``, the shop's month moved to October 2019."""
    events = drawn.events.sort("ts", maintain_order=True)
    item = drawn.items[events["aid"].to_numpy()]
    moved = events["ts"] - LOG_START * 1_000 + 1_569_888_000_000
    visits = int(drawn.events["visit"].max() or 0)
    kinds = {0: "view", 1: "cart", 2: "purchase"}
    levels = [("c" + pl.col(name).cast(pl.String)) for name in ("root", "middle", "leaf")]
    code = item.select(pl.concat_str(levels, separator=".")).to_series()
    session = pl.Series(hexadecimal(visits + 1, 2)).str.replace(r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", "$1-$2-$3-$4-$5")
    table = pl.DataFrame(
        {
            "event_time": moved.cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "event_type": events["type"].replace_strict(kinds, return_dtype=pl.String),
            "product_id": events["aid"].cast(pl.Int64) + 1_000_000,
            "category_id": item["leaf"] + 2_053_013_552_326_770_905,
            "category_code": code,
            "brand": "brand" + item["brand"].cast(pl.String),
            "price": item["price"],
            "user_id": events["user"] + 500_000_000,
            "user_session": session.gather(events["visit"]),
        }
    )
    # Some carts are emptied again, some codes and brands are missing, and now and then a session's id is.
    row = pl.int_range(pl.len())
    removed = table.filter(pl.col("event_type") == "cart").gather_every(7)
    removed = removed.with_columns(pl.lit("remove_from_cart").alias("event_type"))
    table = pl.concat([table, removed]).sort("event_time", maintain_order=True)
    table = table.with_columns(
        pl.when(pl.col("product_id") % 4 > 0).then("category_code"),
        pl.when(pl.col("product_id") % 6 > 0).then("brand"),
        pl.when(row % 5_003 != 11).then("user_session"),
    )
    write(table, folder / "2019-Oct.csv")


def write_retailrocket(drawn: Drawn, folder: Path) -> None:
    """``events.csv``, ``item_properties_part1.csv``, ``item_properties_part2.csv``, ``category_tree.csv``."""
    events = drawn.events.sort("ts", maintain_order=True)
    kinds = {0: "view", 1: "addtocart", 2: "transaction"}
    log = events.select(
        pl.col("ts").alias("timestamp"),
        pl.col("user").alias("visitorid"),
        pl.col("type").replace_strict(kinds, return_dtype=pl.String).alias("event"),
        pl.col("aid").alias("itemid"),
        pl.when(pl.col("type") == 2).then(pl.col("visit")).alias("transactionid"),
    )
    write(log, folder / "events.csv")
    start = LOG_START * 1_000
    values = {
        "categoryid": pl.col("leaf").cast(pl.String),
        "790": "n" + (pl.col("price") * 100).round(0).cast(pl.Int64).cast(pl.String) + ".000",
        "available": pl.lit("1"),
        "888": (pl.col("brand") + 400_000).cast(pl.String) + " n" + pl.col("root").cast(pl.String) + ".000",
    }
    snapshots = [
        drawn.items.select(
            pl.lit(start + week * 7 * DAY_MS).alias("timestamp"),
            pl.col("aid").alias("itemid"),
            pl.lit(name).alias("property"),
            value.alias("value"),
        )
        for week in (0, 2)
        for name, value in values.items()
    ]
    whole = pl.concat(snapshots).sort("itemid", "property", "timestamp", descending=[False, False, True])
    half = whole.height // 2
    write(whole[:half], folder / "item_properties_part1.csv")
    write(whole[half:], folder / "item_properties_part2.csv")
    edges = [
        drawn.items.select(categoryid="leaf", parentid="middle"),
        drawn.items.select(categoryid="middle", parentid="root"),
        drawn.items.select(categoryid="root", parentid=pl.lit(None, pl.Int64)),
    ]
    write(pl.concat(edges).unique().sort("categoryid"), folder / "category_tree.csv")


def hexadecimal(n: int, words: int, seed: int = 1) -> list[str]:
    """n texts of 16 hexadecimal digits a word, all different."""
    draws = np.stack([uniforms(seed + i, np.arange(n)) for i in range(words)], axis=1)
    bits: npt.NDArray[np.uint64] = (draws * 2.0**53).astype(">u8") << np.uint64(11)
    digits = np.frombuffer(bits.astype(">u8").tobytes().hex().encode(), f"S{16 * words}")
    return [text.decode() for text in digits.tolist()]


def write(frame: pl.DataFrame, path: Path, separator: str = ",") -> None:
    """A CSV file, whole or not at all."""
    with atomic_file(path) as beside:
        frame.write_csv(beside, separator=separator)


def write_json_lines(frame: pl.DataFrame, path: Path) -> None:
    """A compressed JSONL file, whole or not at all."""
    with atomic_file(path) as beside, gzip.GzipFile(beside, "wb", compresslevel=1, mtime=0) as packed:
        frame.write_ndjson(packed)


SHOPS: dict[str, Callable[[Drawn, Path], None]] = {
    "hm": write_hm,
    "amazon": write_amazon,
    "diginetica": write_diginetica,
    "rees46": write_rees46,
    "retailrocket": write_retailrocket,
}


def main(argv: list[str] | None = None) -> int:
    """Draw a shop and write its files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shop", choices=sorted(SHOPS), required=True)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=None, help="items of the catalogue (default: by the events)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args(argv)
    drawn = draw(arguments.users, arguments.items, arguments.seed)
    SHOPS[arguments.shop](drawn, arguments.folder)
    figures = f"{arguments.users:,} users, {drawn.events.height:,} events, {drawn.items.height:,} items"
    print(f"{arguments.shop}: {figures}; in {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
