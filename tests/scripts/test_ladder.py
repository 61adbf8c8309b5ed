"""The ladder by names, further metrics, slices, reranking and several weeks, on a shop of a few hundred sessions."""

import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from events.columns import DAY
from events.errors import InputError
from events.passes import PassData
from scripts import all_stages as stages
from scripts import evaluate, rolling, submit
from scripts.settings import load_settings

N_ITEMS = 60
NAMES = ("popularity", "item_cf_pearson", "user_cf", "svd", "als", "neumf", "near_clicks", "rules", "ranker")
CONFIG = f"""
threads = 1
ladder = {json.dumps(NAMES)}
[data]
kind = "table"
root = "."
train = "train.csv"
test = "test.csv"
columns = {{ session = "session", aid = "aid", ts = "ts" }}
time_unit = "s"
[models]
defaults = false
retrievers = {{ svd = {{ kind = "svd", dim = 8 }} }}
[candidates]
defaults = false
[candidates.recipes]
clicks = {{ top_k = 10, window_seconds = 86400 }}
carts_orders = {{ top_k = 5 }}
[candidates.sources]
history = {{ kind = "history" }}
near_clicks = {{ kind = "neighbours", matrix = "clicks", k = 15 }}
[rankers]
folds = 2
min_sessions = 10
lambdarank = {{ max_trees = 5, min_data_in_leaf = 5 }}
[evaluation]
metrics = ["recall", "ndcg", "coverage"]
k = [5, 20]
neumf = {{ training = {{ epochs = 1, threads = 1 }} }}
[rerank]
mmr = 0.3
"""


def write_log(path: Path, n: int, first: int, days: int, seed: int) -> None:
    """Sessions about items that lie side by side."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(first, first + n):
        start, centre = int(rng.integers(0, days * DAY)), int(rng.integers(0, N_ITEMS))
        steps = rng.integers(-3, 4, rng.integers(2, 9))
        rows += [(s, int((centre + step) % N_ITEMS), start + 60 * i) for i, step in enumerate(steps)]
    pl.DataFrame(rows, ["session", "aid", "ts"], orient="row").write_csv(path)


def call(main: Any, config: Path, *words: str) -> tuple[int, str]:
    """Exit code, and what was printed."""
    text = StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        code = main(["--config", str(config), *words])
    return code, text.getvalue()


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, Path, str]:
    """Config, folder of the run, and what it printed."""
    folder = tmp_path_factory.mktemp("ladder")
    write_log(folder / "train.csv", 500, 0, 28, seed=1)
    write_log(folder / "test.csv", 30, 1_000, 28, seed=2)
    config = folder / "tiny.toml"
    config.write_text(CONFIG.replace('root = "."', f'root = "{folder}"'))
    code, text = call(stages.run_all, config, "--set", f"runs={folder / 'runs'}")
    assert code == 0, text
    return config, folder / "runs" / "tiny", text


@pytest.fixture
def again(done, tmp_path) -> tuple[Path, Path, tuple[str, str]]:
    """A copy of the run, to be changed: its config, its folder, and the words that choose it."""
    shutil.copytree(done[1].parent, tmp_path / "runs")
    return done[0], tmp_path / "runs" / "tiny", ("--set", f"runs={tmp_path / 'runs'}")


def scores_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "validation" / "scores.json").read_text())
    return found


def test_every_named_rung_has_its_line_in_order(done):
    scores = scores_of(done[1])
    assert tuple(scores["ladder"]) == (*NAMES, "reranked")
    for name in NAMES:
        low, high = scores["ladder"][name]["interval"]
        assert low <= scores["ladder"][name]["total"] <= high
        assert f"\n{name} " in done[2]
    total = {name: scores["ladder"][name]["total"] for name in NAMES}
    assert min(total[name] for name in ("item_cf_pearson", "user_cf", "svd", "near_clicks")) > total["popularity"]
    assert "als alone …" in done[2]
    assert "neumf: fitted" in done[2]


def test_metrics_stand_beside_the_official_one(done):
    scores = scores_of(done[1])
    for name in (*NAMES, "reranked"):
        found = scores["metrics"][name]
        wanted = {f"{metric}@{k}" for metric in ("recall", "ndcg", "coverage", "diversity") for k in (5, 20)}
        assert set(found) == wanted  # diversity is added, as the lists are reranked
        assert found["recall@20"]["total"] == scores["ladder"][name]["total"]
    for words in ("NDCG@5", "coverage@20", "diversity@20"):
        assert words in done[2]


def test_reranking_shows_its_gain_and_its_cost(done):
    scores = scores_of(done[1])
    before, after = (scores["metrics"][name] for name in ("ranker", "reranked"))
    assert after["diversity@20"]["total"] > before["diversity@20"]["total"] + 0.01
    assert after["recall@5"]["total"] < before["recall@5"]["total"]
    assert len(scores["reranked_minus_ranker"]) == 2
    assert "reranked minus ranker" in done[2]


def test_slices_add_up_to_the_labels(done):
    scores = scores_of(done[1])
    assert set(scores["slices"]) == {"session length", "true item", "item popularity", "item age"}
    data = PassData.load(done[1] / "prepared" / "validation")
    assert data.labels is not None
    for kind in ("true item", "item popularity", "item age"):
        assert sum(one["labels"] for one in scores["slices"][kind].values()) == data.labels["clicks"].aids.size
    assert sum(one["sessions"] for one in scores["slices"]["session length"].values()) == scores["sessions"]
    assert "item popularity: " in done[2]


def test_a_retriever_that_is_off_is_fitted_once(again):
    config, folder, runs = again
    for metric, how in (("map", "als: fitted"), ("mrr", "als: up to date")):  # the copy's inputs are other files
        code, text = call(evaluate.main, config, *runs, "--set", f"evaluation.metrics=['{metric}']")
        assert code == 0, text
        assert how in text
    assert set(scores_of(folder)["metrics"]["als"]) == {"mrr@5", "mrr@20", "diversity@5", "diversity@20"}


def test_baselines_leave_out_what_the_session_has(again):
    config, folder, runs = again
    words = (
        "--set",
        'ladder=["history", "near_clicks"]',
        "--set",
        "rerank={}",
        "--set",
        "evaluation.exclude_seen=true",
    )
    code, text = call(evaluate.main, config, *runs, *words)
    assert code == 0, text
    ladder = scores_of(folder)["ladder"]
    assert ladder["history"]["total"] == 0.0
    assert 0 < ladder["near_clicks"]["total"] < 1
    assert scores_of(folder)["sliced"] == "near_clicks"


def test_what_is_submitted_is_reranked(again):
    config, folder, runs = again
    path = folder / "submission" / "submission.csv"
    reranked = pl.read_csv(path).sort("session_type")
    code, text = call(stages.run_all, config, *runs, "--set", "rerank={}", "--from", "rank")
    assert code == 0, text
    plain = pl.read_csv(path).sort("session_type")
    assert plain["session_type"].equals(reranked["session_type"])
    assert not plain["labels"].equals(reranked["labels"])
    sizes = [frame["labels"].str.split(" ").list.len() for frame in (plain, reranked)]
    assert sizes[0].equals(sizes[1])


def test_a_cap_needs_categories_and_keeps_to_it(again):
    config, folder, runs = again
    cap = ("--set", "rerank={category_cap=2}", "--set", "ladder=['ranker']")
    code, text = call(evaluate.main, config, *runs, *cap)
    assert code == 2
    assert "no column category" in text
    items = folder / "prepared" / "items.parquet"
    table = pl.read_parquet(items)
    paths = [["all", f"shelf{i % 30}"] for i in range(table.height)]
    table.with_columns(pl.Series("category", paths)).write_parquet(items)
    code, text = call(evaluate.main, config, *runs, *cap)
    assert code == 0, text
    assert tuple(scores_of(folder)["ladder"]) == ("ranker", "reranked")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--set", "rerank={mmr=0.5, vectors='gru4rec'}"), "no retriever 'gru4rec', but svd"),
        (("--set", "evaluation.vectors=als", "--set", "evaluation.metrics=['diversity']"), "no retriever 'als'"),
    ],
)
def test_vectors_that_the_run_lacks_are_refused(again, words, problem):
    config, _, runs = again
    for main in (evaluate.main, submit.main)[: 1 if "evaluation" in words[1] else 2]:
        code, text = call(main, config, *runs, *words)
        assert code == 2
        assert problem in text


def test_a_pass_that_sees_the_future_is_not_evaluated(again):
    config, folder, runs = again
    path = folder / "prepared" / "validation" / "meta.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"fit_until_ms": meta["fit_until_ms"] - 2 * DAY * 1000}))
    code, text = call(evaluate.main, config, *runs)
    assert code == 2
    assert "the pass validation sees the future" in text


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("ladder=['popularity', 'luck']", "no rung 'luck'; there are popularity"),
        ("ladder=[]", "at least one rung"),
        ("ladder=['als', 'als']", "none twice"),
        ("evaluation.k=30", "evaluation.k must not be above submissions.k"),
        ("evaluation.metrics=['beauty']", "evaluation.metrics.0"),
    ],
)
def test_names_that_nothing_answers_to_are_refused(done, assignment, problem):
    with pytest.raises(InputError, match=problem):
        load_settings(done[0], [assignment])


def test_several_weeks_in_folders_of_their_own(again):
    config, folder, runs = again
    words = (
        "--set",
        "ladder=['popularity', 'rules', 'ranker']",
        "--set",
        "rerank={}",
        "--weeks",
        "2",
        "--set",
        "split.earlier_weeks=1",
    )
    code, text = call(rolling.main, config, *runs, *words)
    assert code == 0, text
    found = json.loads((folder / "rolling" / "rolling.json").read_text())
    assert set(found["rungs"]) == {"popularity", "rules", "ranker"}
    last, before = (PassData.load(folder / "rolling" / f"week_{w}" / "prepared" / "validation") for w in (0, 1))
    whole = PassData.load(folder / "prepared" / "validation")
    assert last.fit_until_ms == whole.fit_until_ms
    assert before.fit_until_ms == last.fit_until_ms - 7 * DAY * 1000
    assert int(before.log.ts.max()) * 1000 < last.fit_until_ms
    for rung, one in found["rungs"].items():
        totals = [scores_of(folder / "rolling" / f"week_{w}")["ladder"][rung]["total"] for w in (0, 1)]
        assert one["weeks"] == totals
        assert (one["mean"], one["deviation"]) == pytest.approx((np.mean(totals), np.std(totals, ddof=1)))
    assert "deviation" in text
    code, text = call(rolling.main, config, *runs, "--set", "split.validation=users")
    assert (code, "holds out no period" in text) == (2, True)
    code, text = call(rolling.main, config, *runs, "--weeks", "0")
    assert (code, "give a number from 1" in text) == (2, True)
