"""Made-up files of other shops, through all stages."""

import json
from pathlib import Path

import polars as pl
import pytest

from benchmarks.formats import SHOPS, draw, main
from events.index import IdIndex
from events.readers import read, read_items, read_users
from scripts.settings import load_settings
from submissions.validator import validate_submission
from tests.scripts.commands import ROOT, run

CONFIGS = ROOT / "configs"


@pytest.mark.parametrize("shop", sorted(SHOPS))
def test_what_is_written_is_read(shop: str, tmp_path: Path) -> None:
    assert main(["--shop", shop, "--users", "60", "--items", "80", "--folder", str(tmp_path)]) == 0
    drawn = draw(60, 80)
    settings = load_settings(CONFIGS / f"{shop}.toml", [f"data.root={tmp_path}"])
    report = read(settings.data, settings.events, "train", tmp_path / "log.parquet")
    events = drawn.events.unique(["user", "aid"]) if shop == "amazon" else drawn.events
    assert report.events + report.skipped == events.height
    assert report.skipped == (1 if shop == "rees46" else 0)
    log = pl.read_parquet(tmp_path / "log.parquet")
    assert log["aid"].n_unique() == events["aid"].n_unique()
    visits = drawn.events["visit" if shop in ("diginetica", "rees46", "retailrocket") else "user"].n_unique()
    assert report.sessions == visits
    items = read_items(settings.data, skip=False)
    assert items is not None
    assert items["category"].drop_nulls().list.len().max() == {"amazon": 4, "diginetica": 1}.get(shop, 3)
    if settings.data.users is not None:
        assert read_users(settings.data, skip=False).height == 60  # type: ignore[union-attr]


def test_hm_from_its_files_to_the_submission(tmp_path: Path) -> None:
    assert main(["--shop", "hm", "--users", "300", "--items", "150", "--folder", str(tmp_path)]) == 0
    with (tmp_path / "customers.csv").open("a") as customers:
        customers.write("00ff,,,ACTIVE,NONE,30,x\n")  # never bought anything
    more = ["models.defaults=false", "rankers.folds=2", "rankers.lambdarank.max_trees=10", f"data.root={tmp_path}"]
    done = run("run", CONFIGS / "hm.toml", tmp_path / "runs", *(word for one in more for word in ("--set", one)))
    assert done.returncode == 0, done.stderr
    assert "1 users without an event" in done.stdout
    folder = tmp_path / "runs" / "hm"
    written = pl.read_csv(folder / "submission" / "submission.csv", infer_schema=False)
    assert written.columns == ["customer_id", "prediction"]
    assert written.height == 301
    lists = written["prediction"].str.split(" ")
    assert lists.list.len().unique().to_list() == [12]
    assert lists.explode().str.starts_with("0").all()
    items = IdIndex.load(folder / "prepared" / "items.parquet")
    path = folder / "submission" / "submission.csv"
    assert validate_submission(path, written["customer_id"], ("orders",), items, 12, "customer_id,prediction") == []
    ladder = json.loads((folder / "validation" / "scores.json").read_text())["ladder"]
    assert ladder["popularity"]["total"] < ladder["ranker"]["total"]
