"""The ranking benchmark: the files between it and a peer, scores, cache, and what is left out."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import ranking, retrievers
from benchmarks.peers.exchange import NOTHING, TOP, Answer, Rows, distances, own_items_first
from events.compiled import ROOT
from events.errors import InputError
from events.files import write_json
from events.labels import LabelSet
from events.log import SessionLog
from events.passes import PassData
from scripts.cli import open_run

FAKE = "tests.benchmarks.fake_peer"
CONFIG = ROOT / "configs" / "yoochoose.toml"


def rows_of(train: list[list[int]], asked: list[list[int]], n_items: int) -> Rows:
    both = [SessionLog.of(part, n_items=n_items) for part in (train, asked)]
    return Rows(both[0].offsets, both[0].aids, both[1].offsets, both[1].aids, n_items)


ROWS = rows_of([[0, 1, 2], [2, 1]], [[3, 4, 3], [0], [5, 1]], 6)
LABELS = LabelSet.of([[4], [5], [2]])


def test_files_keep_what_is_in_them(tmp_path: Path):
    ROWS.save(tmp_path / "rows.npz")
    found = Rows.load(tmp_path / "rows.npz")
    assert found.n_items == 6
    assert (found.n_train, found.n_test) == (2, 3)
    for name in ("offsets", "items", "test_offsets", "test_items"):
        assert np.array_equal(getattr(found, name), getattr(ROWS, name))
        assert getattr(found, name).dtype == getattr(ROWS, name).dtype
    answer = Answer(np.full((3, TOP), 1, np.int32), 1.5, 2.5, 3.5)
    answer.save(tmp_path / "lists.npz")
    kept = Answer.load(tmp_path / "lists.npz", 3)
    assert np.array_equal(kept.lists, answer.lists)
    assert (kept.fit_cpu_s, kept.fit_wall_s, kept.score_wall_s) == (1.5, 2.5, 3.5)
    with pytest.raises(ValueError, match=r"wanted int32\[4, 20\]"):
        Answer.load(tmp_path / "lists.npz", 4)


def test_own_items_first_latest_first_each_once():
    others = np.array([[4, 2, 0], [1, NOTHING, NOTHING], [3, 5, 2]], np.int32)
    found = [[item for item in row if item != NOTHING] for row in own_items_first(ROWS, others).tolist()]
    assert found == [[3, 4, 2, 0], [0, 1], [1, 5, 3, 2]]
    long = rows_of([[0]], [list(range(30))], 30)
    assert own_items_first(long, np.zeros((1, 0), np.int32)).tolist() == [list(range(29, 9, -1))]
    assert distances(ROWS.test_offsets).tolist() == [2, 1, 0, 0, 1, 0]


def test_a_peers_lists_are_scored(tmp_path: Path):
    answer = ranking.ask(Path(sys.executable), FAKE, {"kind": "good"}, ROWS, tmp_path)
    # Popular are 2 and 1 twice each, then 0, 5, 4, 3: ranks of the labels are 2, 4 and 3.
    assert answer.lists[:, :4].tolist() == [[3, 4, 2, 1], [0, 2, 1, 5], [1, 5, 2, 0]]
    assert answer.lists[0, 6] == NOTHING
    cell = ranking.score(answer, LABELS)
    assert (cell["recall@20"], cell["mrr@20"], cell["rows"]) == (1, round((1 / 2 + 1 / 4 + 1 / 3) / 3, 4), 3)
    missed = Answer(np.full((3, TOP), NOTHING, np.int32), 0, 0, 0)
    assert ranking.score(missed, LABELS)["recall@20"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "message"), [("bad", "exit code 3"), ("short", r"wanted int32\[3, 20\]")])
def test_a_peer_that_fails_is_named(kind: str, message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        ranking.ask(Path(sys.executable), FAKE, {"kind": kind}, ROWS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_figures_are_kept_until_settings_or_rows_change(tmp_path: Path, monkeypatch):
    asked = []

    def ask(python, module, settings, rows, folder):
        asked.append(settings)
        return Answer(np.full((rows.n_test, TOP), 4, np.int32), 1, 2, 3)

    monkeypatch.setattr(ranking, "ask", ask)
    first = ranking.peer_cell("implicit_bm25", {"K": 5}, ROWS, LABELS, tmp_path)
    assert first["recall@20"] == round(1 / 3, 4)
    assert ranking.peer_cell("implicit_bm25", {"K": 5}, ROWS, LABELS, tmp_path) == first
    assert len(asked) == 1
    ranking.peer_cell("implicit_bm25", {"K": 6}, ROWS, LABELS, tmp_path)
    ranking.peer_cell("implicit_bm25", {"K": 6}, rows_of([[0, 1]], [[3], [0], [5]], 6), LABELS, tmp_path)
    assert len(asked) == 3


def test_rows_are_prefixes_and_train_is_train():
    log = SessionLog.of([[0, 1], [2, 3, 4], [5], [5, 6], [5, 6, 7]], n_items=9)
    labels = {"clicks": LabelSet.of([[6], [7], [8]])}
    data = PassData("submission", log, 2, labels, pl.Series([0, 1, 2]), None, False, True, ("clicks",))
    rows, found = ranking.rows_of(data)
    assert (rows.items.tolist(), rows.offsets.tolist(), rows.n_items) == ([0, 1, 2, 3, 4], [0, 2, 5], 9)
    assert [rows.prefix(row).tolist() for row in range(3)] == [[5], [5, 6], [5, 6, 7]]
    assert found.aids.tolist() == [6, 7, 8]
    thin, found = ranking.rows_of(data, 2)
    assert [thin.prefix(row).tolist() for row in range(2)] == [[5], [5, 6, 7]]
    assert found.aids.tolist() == [6, 8]


def test_the_product_is_read_from_its_run(tmp_path: Path, monkeypatch):
    run = open_run(CONFIG, [f"runs={json.dumps(str(tmp_path))}"])
    (run.prepared / "validation").mkdir(parents=True)
    (run.prepared / "submission").mkdir()
    ran = []

    def run_stage(stage, run, pass_name):
        ran.append((stage.name, pass_name))
        return {"cpu_s": 10.0, "wall_s": 6.0}

    monkeypatch.setattr(ranking, "run_stage", run_stage)
    rung = {"clicks": 0.71234, "mrr": {"clicks": 0.38}}
    write_json(run.folder / "submission" / "scores.json", {"sessions": 7, "ladder": {"ranker": rung, "rules": rung}})
    cells = ranking.product(run, ["ranker", "rules"])
    assert ran[0] == ("prepare", "")
    assert {("rank", "validation"), ("covisit", "submission"), ("submit", "submission")} <= set(ran)
    assert cells["ranker"]["recall@20"] == 0.7123
    assert (cells["ranker"]["mrr@20"], cells["ranker"]["rows"]) == (0.38, 7)
    assert cells["rules"]["fit_cpu_s"] == 20  # co-visitation in both passes
    assert cells["ranker"]["fit_cpu_s"] > cells["rules"]["fit_cpu_s"]


def test_peers_without_their_environment_are_left_out(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(ranking, "PYTHON", tmp_path / "python")
    assert ranking.main(["--data", "yoochoose", "--models", "implicit_bm25", "rectools_sasrec"]) == 0
    said = capsys.readouterr().out
    assert "left out" in said
    assert "implicit_bm25, rectools_sasrec" in said
    assert json.loads(said.splitlines()[-1]) == {"data": "yoochoose", "models": {}}


def test_peers_are_shown_with_the_last_line_json(tmp_path: Path, monkeypatch, capsys):
    log = SessionLog.of([[0, 1, 2], [2, 1], [3, 4, 3], [0], [5, 1]], n_items=6)
    data = PassData("submission", log, 2, {"clicks": LABELS}, pl.Series([0, 1, 2]), None, False, True, ("clicks",))
    monkeypatch.setattr(ranking, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(ranking, "CACHE", tmp_path)
    monkeypatch.setattr(ranking, "ask", lambda *_: Answer(np.full((3, TOP), 4, np.int32), 1, 2, 3))
    monkeypatch.setattr(retrievers, "open_data", lambda run: data)
    assert ranking.main(["--data", "yoochoose", "--models", "implicit_bm25"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["data"] == "yoochoose"
    assert {"recall@20", "mrr@20", "fit_cpu_s"} <= set(last["models"]["implicit_bm25"])


def test_an_unknown_name_is_refused(capsys):
    assert ranking.main(["--data", "yoochoose", "--models", "implicit_bm52"]) == 2
    assert "no such model: implicit_bm52" in capsys.readouterr().err
    assert ranking.choose(["sasrec", "ranker", "implicit_als"], ["sasrec"], False) == [
        "ranker",
        "sasrec",
        "implicit_als",
    ]
    with pytest.raises(InputError, match="no such model: ranker"):
        ranking.choose(["ranker"], [], True)


@pytest.mark.parametrize("name", ["implicit_bm25", "implicit_als", "implicit_bpr", "rectools_two_stage"])
def test_real_peers_learn_what_follows_what(name: str, tmp_path: Path):
    if not ranking.PYTHON.exists():
        pytest.skip("the peers' environment is not built (make peers)")
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 60, 400)
    train = [[(start + step) % 60 for step in range(4)] for start in starts]
    train += [[60 + lone, lone] for lone in range(40)]  # without its last event it is no sequence for SASRec
    asked = [[start, (start + 1) % 60] for start in range(60)]
    small = {
        "implicit_bm25": {},
        "implicit_als": {"factors": 16, "iterations": 5},
        "implicit_bpr": {"factors": 15, "iterations": 50},
        "rectools_two_stage": {
            "sessions": 200, "negatives": 10, "sasrec": {"n_factors": 16, "session_max_len": 5, "epochs": 1},
        },
    }  # fmt: skip
    peer = ranking.PEERS[name]
    settings = peer.settings_for("", 1, 0) | small[name]
    rows = rows_of(train, asked, 100)
    answer = ranking.ask(ranking.PYTHON, f"benchmarks.peers.{peer.module}", settings, rows, tmp_path)
    for row, best in enumerate(answer.lists.tolist()):
        there = [item for item in best if item != NOTHING]
        assert len(set(there)) == len(there)
        assert (row + 2) % 60 in there
        if name != "rectools_two_stage":
            assert there[:2] == [(row + 1) % 60, row]
