"""Nothing reads the hidden: without the hidden tails, or with other labels, every candidate and feature is the same."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from events.shop.generate import generate
from events.shop.settings import ShopSettings
from scripts import candidates, covisit, features, prepare, retrievers

SOURCES = """[candidates.sources]
items = {kind = "item_knn"}
sessions = {kind = "session_knn"}
far = {kind = "walks", matrix = "next"}
[models.retrievers]
svd = {on = true, dim = 16}
typed = {kind = "custom", retriever = "tests.models.typed:TypedSvd"}
"""
"""Beside the default ones."""

CUT_MS = (1_659_304_800 + 21 * 86_400) * 1000


def write_jsonl(log: pl.DataFrame, path: Path) -> None:
    names = pl.col("type").replace_strict({0: "clicks", 1: "carts", 2: "orders"}, return_dtype=pl.String)
    rows = log.with_columns(names).group_by("session", maintain_order=True).agg(pl.struct("aid", "ts", "type"))
    with path.open("w") as file:
        for session, events in rows.iter_rows():
            file.write(json.dumps({"session": session, "events": events}) + "\n")


@pytest.fixture(scope="module")
def passes(tmp_path_factory) -> dict[str, Path]:
    """The same shop three times: whole, without hidden tails, and with hidden events of other items and types."""
    folder = tmp_path_factory.mktemp("hidden")
    generate(ShopSettings(train_sessions=3_000), folder, progress=False)
    log = pl.read_parquet(folder / "train.parquet")
    first = log.group_by("session").agg(pl.col("ts").min().alias("start"), pl.len().alias("n"))
    late = first.filter(pl.col("start") > CUT_MS).sort("session")
    known = log.filter(pl.col("ts") < CUT_MS)["aid"].unique()
    log = log.filter(pl.col("aid").is_in(known.to_list()))
    log = log.with_columns(pl.int_range(pl.len()).over("session").alias("event"))
    sizes = log.group_by("session").len()
    late = late.join(sizes, on="session").filter(pl.col("len") >= 2)
    draw = np.random.default_rng(5).integers(1, late["len"].to_numpy())
    cuts = late.select("session").with_columns(pl.Series("cut", draw))
    cuts.write_parquet(folder / "cuts.parquet")
    marked = log.join(cuts, on="session", how="left")
    is_target = pl.col("session").is_in(late["session"].to_list())
    early = pl.col("session").is_in(first.filter(pl.col("start") <= CUT_MS)["session"].to_list())
    marked = marked.filter(early | is_target)
    hidden = pl.col("cut").is_not_null() & (pl.col("event") >= pl.col("cut"))
    other = pl.Series("other", np.random.default_rng(6).choice(known.to_numpy(), marked.height))
    changed = pl.when(hidden).then(other).otherwise(pl.col("aid")).alias("aid")
    versions = {
        "whole": marked,
        "without": marked.filter(~hidden),
        "moved": marked.with_columns(changed, pl.when(hidden).then(2 - pl.col("type")).otherwise("type").alias("type")),
    }
    found = {}
    for name, version in versions.items():
        write_jsonl(version, folder / f"{name}.jsonl")
        config = folder / f"{name}.toml"
        config.write_text(
            f'threads = 2\nruns = "{folder}/runs"\n[data]\nkind = "otto"\nroot = "{folder}"\ntrain = "{name}.jsonl"\n'
            f'[split]\ntransductive = true\ncut_ms = {CUT_MS}\ncuts = "{folder}/cuts.parquet"\n{SOURCES}'
        )
        for stage in (prepare, covisit, retrievers, candidates, features):
            assert stage.main(["--config", str(config)]) == 0
        found[name] = folder / "runs" / name
    return found


def matrix(run: Path) -> pl.DataFrame:
    """Candidates and features with the source's ids, without the labels."""
    table = pl.read_parquet(run / "validation" / "features" / "matrix.parquet")
    items = pl.read_parquet(run / "prepared" / "items.parquet")["id"]
    ids = pl.read_parquet(run / "prepared" / "validation" / "target_ids.parquet")["id"]
    n_train = json.loads((run / "prepared" / "validation" / "meta.json").read_text())["n_train"]
    source_ids = [items.gather(table["aid"]).alias("aid"), ids.gather(table["session"] - n_train).alias("session")]
    return table.drop(pl.selectors.starts_with("label_")).with_columns(source_ids)


def positives(run: Path) -> int:
    table = pl.read_parquet(run / "validation" / "features" / "matrix.parquet")
    return int(table.select(pl.selectors.starts_with("label_")).sum().sum_horizontal()[0])


@pytest.mark.parametrize("version", ["without", "moved"])
def test_candidates_and_features_do_not_change_with_the_hidden(passes, version):
    whole, other = matrix(passes["whole"]), matrix(passes[version])
    assert whole.height > 10_000
    assert {"rank_items", "rank_sessions", "rank_far", "rank_svd", "rank_typed_orders"} <= set(whole.columns)
    assert whole.select("session", "aid").equals(other.select("session", "aid"))
    for name in whole.columns:
        left, right = whole[name].to_numpy(), other[name].to_numpy()
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name


def test_the_labels_did_change(passes):
    assert positives(passes["without"]) == 0
    assert 0 < positives(passes["moved"]) != positives(passes["whole"])
