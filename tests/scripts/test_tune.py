"""The command that searches settings: what it leaves, that it goes on, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from events.index import IdIndex
from events.labels import Labels
from events.log import SessionLog
from events.passes import PassData
from rankers.tuning import SPACE, values_of
from scripts.pipeline import MANIFEST
from scripts.settings import load_settings
from scripts.tune import main
from tests.rankers.world import N_ITEMS, World, log_of, write_world

N_TRAIN, N = 200, 300
CONFIG = """
threads = 1
runs = "{runs}"
[models.retrievers]
als = {{dim = 8}}
gru4rec = {{dim = 16, hidden = 16, training = {{epochs = 1, threads = 1}}}}
[rankers]
min_sessions = 20
[rankers.lambdarank]
max_trees = 8
learning_rate = 0.2
min_data_in_leaf = 20
num_leaves = 7
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A run whose stage features has left its matrix; train sessions run along the items."""
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG.format(runs=tmp_path / "runs"))
    run = tmp_path / "runs" / "tiny"
    world, targets = World.plain(), ("clicks", "carts")
    planted = {target: world.planted(N_TRAIN + N, target) for target in targets}
    labels: Labels = {target: one.slice(N_TRAIN, N_TRAIN + N) for target, one in planted.items()}
    train = SessionLog.of([[(s + step) % 20 for step in range(4)] for s in range(N_TRAIN)], n_items=N_ITEMS)
    events = log_of(N)
    log = SessionLog(
        np.arange(N_TRAIN + N),
        np.arange(N_TRAIN + N),
        np.concatenate([train.offsets, events.offsets[1:] + train.n_events]),
        np.concatenate([train.aids, events.aids]),
        None,
        None,
        N_ITEMS,
    )
    ids = pl.Series("id", np.arange(N))
    data = PassData("validation", log, N_TRAIN, labels, ids, None, False, False, targets)
    data.save(run / "prepared" / "validation")
    IdIndex.of(pl.Series(range(N_ITEMS))).save(run / "prepared" / "items.parquet")
    (run / "prepared" / MANIFEST).write_text("{}")
    features = run / "validation" / "features"
    features.mkdir(parents=True)
    write_world(features / "matrix.parquet", world, data.target_log, labels)
    (features / MANIFEST).write_text("{}")
    return path


def tuned(config: Path, capsys: pytest.CaptureFixture[str], *more: object) -> dict[str, Any]:
    assert main(["--config", str(config), *map(str, more)]) == 0
    line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return line


def said(config: Path, capsys: pytest.CaptureFixture[str], *more: object) -> str:
    assert main(["--config", str(config), *map(str, more)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_the_fragments_load_as_settings_and_a_study_goes_on(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent / "runs" / "tiny" / "tuning"
    first = tuned(config, capsys, "--trials", 1)
    assert first["found"]["clicks"]["num_leaves"] == 7
    assert first["unseen"]["clicks"]["before"] == first["unseen"]["clicks"]["found"]
    assert first["unseen"]["clicks"]["interval"] == [0.0, 0.0]
    line = tuned(config, capsys, "--trials", 3)
    assert len((folder / "clicks.jsonl").read_text().splitlines()) == 3
    assert set(line["unseen"]) == {"clicks", "carts", "total"}
    fragments = "\n".join((folder / f"{target}.toml").read_text() for target in ("clicks", "carts"))
    config.write_text(config.read_text() + fragments)
    settings = load_settings(config).rankers
    for target in ("clicks", "carts"):
        assert tuple(line["found"][target]) == tuple(SPACE)
        assert values_of(settings, target) == line["found"][target]
    assert settings.of("orders") == settings


def test_a_retrievers_fragment_loads_as_settings(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = tuned(config, capsys, "--trials", 2, "--model", "als")
    assert line["unseen"]["als"]["before"] > 0
    fragment = config.parent / "runs" / "tiny" / "tuning" / "als.toml"
    alone = config.parent / "alone.toml"
    alone.write_text(fragment.read_text())
    als = load_settings(alone).models.retrievers["als"].model_dump()
    assert {key: als[key] for key in line["found"]["als"]} == line["found"]["als"]


def test_test_rows_and_target_sessions_do_not_choose_a_retriever(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = config.parent / "runs" / "tiny"
    before = tuned(config, capsys, "--trials", 2, "--model", "als")
    data = PassData.load(folder / "prepared" / "validation")
    aids = np.array(data.log.aids)
    aids[data.log.offsets[N_TRAIN] :] = 150
    log = SessionLog(data.log.sessions, data.log.groups, np.array(data.log.offsets), aids, None, None, N_ITEMS)
    PassData("validation", log, N_TRAIN, None, data.target_ids, None, False, False, data.targets).save(
        folder / "prepared" / "validation"
    )
    assert tuned(config, capsys, "--trials", 2, "--model", "als") == before


def test_a_target_with_too_little_is_left_out_unless_asked_for(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carts = ["--set", "rankers.min_sessions=100"]  # every third session has one
    assert main(["--config", str(config), "--trials", "1", *carts]) == 0
    shown = capsys.readouterr().out
    assert "without tuning carts: " in shown
    assert list(json.loads(shown.splitlines()[-1])["unseen"]) == ["clicks"]
    assert "sessions to train on have a positive for carts" in said(
        config, capsys, "--trials", 1, *carts, "--targets", "carts", "clicks"
    )
    nothing = said(config, capsys, "--trials", 1, "--set", "rankers.min_sessions=1000")
    assert "sessions to train on have a positive for clicks, 1000 are needed" in nothing


def test_mistakes_are_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--trials: 0 trials find nothing" in said(config, capsys, "--trials", 0)
    assert "--model nothing: no such retriever" in said(config, capsys, "--trials", 1, "--model", "nothing")
    assert "retrievers of kind svd are not tuned" in said(config, capsys, "--trials", 1, "--model", "svd")
    assert "the shop has no orders" in said(config, capsys, "--trials", 1, "--targets", "orders")
    both = said(config, capsys, "--trials", 1, "--targets", "clicks", "--model", "als")
    assert "a retriever has no settings by target" in both
    (config.parent / "runs" / "tiny" / "validation" / "features" / MANIFEST).unlink()
    assert "stage features has not run" in said(config, capsys, "--trials", 1)
    other = config.parent / "other.toml"
    other.write_text(config.read_text())
    assert "stage prepare has not run" in said(other, capsys, "--trials", 1)
