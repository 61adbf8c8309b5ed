"""A finished run on a tiny shop, some of whose items have names, among them such as a page must not believe."""

import random
from pathlib import Path

import polars as pl
import pytest

from scripts.demo.desk import Desk
from scripts.demo.shop import Shop
from tests.scripts.small_run import make_run

EVIL = "<img src=x onerror=\"document.title='owned'\"> {{value}} ${document.title='owned'}"
"""A name that is harmless only where it is escaped, for HTML and for both kinds of templates."""
NAMED = 10
"""Every item but each tenth has a name; popular ones, too."""


def name_items(run: Path) -> None:
    """Give the items of a run what other shops know of theirs."""
    path = run / "prepared" / "items.parquet"
    ids = pl.read_parquet(path)["id"]
    there = [place % NAMED != 0 for place in range(len(ids))]
    pl.DataFrame(
        {
            "id": ids,
            "text": [f"{EVIL if one % 3 == 0 else 'fine thing'} {one}" if x else None for one, x in zip(ids, there)],
            "brand": [f"maker & {one % 5}" if x else None for one, x in zip(ids, there)],
            "category": [["all", f"sort {one % 7}"] if x else None for one, x in zip(ids, there)],
            "price": pl.Series([one / 4 if x else None for one, x in zip(ids, there)], dtype=pl.Float32),
        }
    ).write_parquet(path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("tiny"))
    name_items(made)
    return made


@pytest.fixture(scope="session")
def shop(folder: Path) -> Shop:
    return Shop.open(folder)


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop, random.Random(5))
