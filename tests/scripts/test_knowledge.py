"""Knowledge from the tables of ``prepare`` to the ranker: what is made, what is made anew, what is said."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from events.files import read_json
from events.knowledge.fitted import Knowledge
from events.log import SessionLog
from scripts import candidates, covisit, evaluate, features, prepare, rank, retrievers
from scripts.pipeline import MANIFEST

SORTS, EACH, DAY_MS = 12, 12, 86_400_000
CONFIG = """
threads = 1
runs = "{folder}/runs"
[data]
kind = "table"
root = "{folder}"
train = "log.parquet"
[data.columns]
ts = "ts"
[split]
days = 3
[models]
defaults = false
[models.retrievers.towers]
kind = "two_tower"
k = 10
dim = 16
hidden = 16
length = 6
training = {{ epochs = 1, batch_tokens = 512, threads = 1 }}
negatives = {{ uniform = 64, in_batch = 64 }}
[candidates]
defaults = false
[candidates.sources]
popularity = {{ kind = "popularity", k = 10 }}
{source}
[knowledge]
cold = true
text_dim = 8
[rankers]
folds = 2
[rankers.lambdarank]
max_trees = 5
"""
MODULES = (covisit, retrievers, candidates, features)


def shop(folder: Path) -> None:
    """Sessions within a category; the last two items of each occur in the last days alone."""
    rng = np.random.default_rng(3)
    n, length = 900, 4
    day = np.sort(rng.integers(0, 12, n))
    sort = rng.integers(0, SORTS, n)
    place = rng.integers(0, EACH - 2, (n, length))
    fresh = (day[:, None] >= 9) & (rng.random((n, length)) < 0.3)
    place = np.where(fresh, EACH - 2 + rng.integers(0, 2, (n, length)), place)
    aid = (sort[:, None] * EACH + place).ravel()
    stamps = (day[:, None] * DAY_MS + rng.integers(0, DAY_MS // 2, (n, 1)) + np.arange(length) * 60_000).ravel()
    sessions = np.repeat(np.arange(n), length)
    pl.DataFrame({"session": sessions, "aid": aid, "ts": stamps + 1_600_000_000_000}).write_parquet(
        folder / "log.parquet"
    )


def add_tables(prepared: Path) -> None:
    ids = pl.read_parquet(prepared / "items.parquet", columns=["id"])
    sort = ids["id"].to_numpy() // EACH
    table = ids.with_columns(
        category=pl.Series([["all", f"sort {one}"] for one in sort]),
        brand=pl.Series([f"brand {one % 5}" for one in sort]),
        price=pl.Series(np.linspace(1, 30, len(sort)), dtype=pl.Float32),
        text=pl.Series([f"a fine thing of kind{one}" for one in sort]),
        published=pl.Series([1_590_000_000_000] * len(sort)),
    )
    table.write_parquet(prepared / "items.parquet")
    rows = len(SessionLog.load(prepared / "validation"))
    age = pl.Series(np.arange(rows) % 70, dtype=pl.Float32)
    users = pl.DataFrame({"age": age, "club": pl.Series(["x", "y", None] * rows)[:rows]})
    users.write_parquet(prepared / "validation" / "users.parquet")


def run(folder: Path, name: str, source: str = "", tables: bool = True, *more: str) -> Path:
    config = folder / f"{name}.toml"
    config.write_text(CONFIG.format(folder=folder, source=source))
    words = ["--config", str(config), *more]
    made = folder / "runs" / name
    if not (made / "prepared").exists():
        assert prepare.main(words) == 0
        if tables:
            add_tables(made / "prepared")
    for module in MODULES:
        assert module.main([*words, "--pass", "validation"]) == 0
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("knowledge")
    shop(folder)
    return folder, run(folder, "known", 'like = { kind = "knowledge", k = 20 }')


def names_of(made: Path) -> list[str]:
    return pl.read_parquet_schema(made / "validation" / "features" / "matrix.parquet").names()


def test_every_part_reads_it(made: tuple[Path, Path]) -> None:
    folder = made[1]
    names = names_of(folder)
    for name in (
        "knowledge_leaf_last",
        "knowledge_price_rank",
        "knowledge_age",
        "knowledge_text_max",
        "user_age",
        "user_club",
    ):
        assert name in names
    matrix = pl.read_parquet(folder / "validation" / "features" / "matrix.parquet")
    assert matrix["user_age"].max() == 69
    assert matrix["knowledge_age"].min() > 100
    known = Knowledge.load(folder / "validation" / "knowledge")
    assert int(known.cold.sum()) == 2 * SORTS
    # Items without an event are proposed, by the source and by the towers.
    cold = np.flatnonzero(known.cold)
    for column in ("rank_like", "rank_towers"):
        assert np.isin(matrix.filter(pl.col(column).is_not_nan())["aid"].to_numpy(), cold).any()
    towers = np.load(folder / "validation" / "retrievers" / "towers" / "retriever" / "known.npy")
    assert towers.all()


def test_the_rest_of_the_stages_take_it(made: tuple[Path, Path]) -> None:
    folder, run_folder = made
    for module in (rank, evaluate):
        assert module.main(["--config", str(folder / "known.toml"), "--pass", "validation"]) == 0
    ladder = json.loads((run_folder / "validation" / "scores.json").read_text())["ladder"]
    assert ladder["ranker"]["clicks"] > ladder["popularity"]["clicks"] + 0.2


def test_towers_that_are_fitted_for_the_ladder_alone_read_it_too(made: tuple[Path, Path]) -> None:
    folder, run_folder = made
    rungs = ["--set", 'ladder=["popularity", "two_tower", "ranker"]', "--pass", "validation"]
    assert evaluate.main(["--config", str(folder / "known.toml"), *rungs]) == 0
    ladder = json.loads((run_folder / "validation" / "scores.json").read_text())["ladder"]
    assert ladder["two_tower"]["clicks"] > ladder["popularity"]["clicks"] + 0.2


def test_a_change_of_the_tables_is_noticed(made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, run_folder = made
    capsys.readouterr()
    run(folder, "known", 'like = { kind = "knowledge", k = 20 }')
    assert capsys.readouterr().out.count("up to date") == len(MODULES)
    path = run_folder / "prepared" / "items.parquet"
    table = pl.read_parquet(path)
    table.drop("brand").write_parquet(path)
    run(folder, "known", 'like = { kind = "knowledge", k = 20 }')
    said = capsys.readouterr().out
    assert said.count("up to date") == 1  # covisit
    assert said.count("knowledge (validation) …") == 1
    assert "without knowledge of brand" in said
    assert not any("brand" in name for name in names_of(run_folder))
    table.write_parquet(path)
    wrong = table.with_columns(price=-pl.col("price"))
    wrong.write_parquet(path)
    assert retrievers.main(["--config", str(folder / "known.toml"), "--pass", "validation"]) == 2
    assert "the price of item row 0 is -1.0" in capsys.readouterr().err
    assert not list((run_folder / "validation").glob("*.partial"))
    table.write_parquet(path)


def test_a_shop_that_knows_nothing_says_so(made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = made[0]
    run_folder = run(folder, "plain", 'like = { kind = "knowledge" }', False)
    said = capsys.readouterr().out
    assert "without source like: the shop knows no category, brand or text of its items" in said
    assert "without knowledge: the shop has no table of what its items or sessions are" in said
    assert not (run_folder / "validation" / "knowledge").exists()
    assert not any(name.startswith(("knowledge", "user_")) for name in names_of(run_folder))
    assert read_json(run_folder / "validation" / "features" / MANIFEST)["features"] > 0
