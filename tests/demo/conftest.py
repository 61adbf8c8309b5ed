"""A finished run on a tiny shop, some of whose items have names, among them such as a page must not believe."""

import random
from pathlib import Path

import polars as pl
import pytest

from events.compiled import ROOT
from scripts.demo.desk import Desk
from scripts.demo.export import CHECK, ask_alone, export
from scripts.demo.shop import Shop
from tests.demo.alone import WATCH, Alone, seed_kernels
from tests.scripts.small_run import make_run

EVIL = "<img src=x onerror=\"document.title='!'\">{{value}}${1}"
"""A name that is harmless only where it is escaped, for HTML and for both kinds of templates."""
NAMED = 10
"""Every item but each tenth has a name; popular ones, too."""


def name_items(run: Path) -> None:
    """Give the items of a run what other shops know of theirs."""
    path = run / "prepared" / "items.parquet"
    ids = pl.read_parquet(path)["id"].to_list()
    rows = [
        {
            "id": one,
            "text": f"{EVIL if one % 3 == 0 else 'fine thing'} {one}",
            "brand": f"maker & {one % 5}",
            "category": ["all", f"sort {one % 7}"],
            "price": one / 4,
        }
        if place % NAMED
        else {"id": one}
        for place, one in enumerate(ids)
    ]
    pl.DataFrame(rows, schema_overrides={"price": pl.Float32}).write_parquet(path)


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


@pytest.fixture(scope="session")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """The exported folder, and what a process said that opened it."""
    space = tmp_path_factory.mktemp("export") / "space"
    kernels = tmp_path_factory.mktemp("kernels")
    for path in (space, space.with_name("space.partial")):
        seed_kernels(kernels, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(kernels))
        patch.setenv("PYTHONPATH", str(ROOT))
        sizes = export(folder, space)
        patch.setattr("scripts.demo.export.CHECK", WATCH + CHECK)
        said = ask_alone(space)
    opened = (space.parent / "opened").read_text().splitlines()
    return Alone(space, kernels, sizes, said, frozenset(opened))
