"""The notebook for Kaggle, executed top to bottom."""

import json
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from events.compiled import ROOT
from submissions.validator import require_valid

NOTEBOOK = ROOT / "scripts" / "kaggle.ipynb"
SMALL = "shop.train_sessions=1500 models.defaults=false rankers.folds=2 rankers.lambdarank.max_trees=10 threads=2"


def execute(folder: Path, monkeypatch: pytest.MonkeyPatch, until: str | None = None) -> str:
    """Run the notebook with its folders here, up to the cell that holds some words; everything that it showed."""
    for name in ("INPUT", "WORKING", "SCRATCH"):
        monkeypatch.setenv(f"CARTOGRAPH_{name}", str(folder / name.lower()))
    monkeypatch.setenv("CARTOGRAPH_SET", SMALL)
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "jupyter"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if until is not None:
        last = next(n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code" and until in cell.source)
        notebook.cells = notebook.cells[: last + 1]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs: list[Any] = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    return "".join(out.get("text") or out["data"].get("text/html", "") for out in outputs)


def test_it_runs_top_to_bottom_on_the_default_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = execute(tmp_path, monkeypatch)
    made = tmp_path / "working"
    assert {path.name for path in made.iterdir()} == {"submission.csv", "report.html"}
    lines = (made / "submission.csv").read_text().splitlines()
    sessions = pl.Series(sorted({int(line.split("_")[0]) for line in lines[1:]}))
    assert len(lines) == 1 + 3 * len(sessions)
    assert require_valid(made / "submission.csv", sessions) == []
    ladder = json.loads((tmp_path / "scratch/runs/shop/validation/scores.json").read_text())["ladder"]
    assert f"{ladder['ranker']['total']:.4f}" in shown.split("total\n")[-1]
    assert "<iframe srcdoc=" in shown


def test_it_finds_the_files_that_are_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "input" / "otto").mkdir(parents=True)
    (tmp_path / "input" / "otto" / "otto-recsys-train.jsonl").touch()
    shown = execute(tmp_path, monkeypatch, until="FULL =")
    assert "configs/otto_dataset.toml" in shown
    assert f'data.root="{tmp_path / "input" / "otto"}"' in shown
    assert "pinned packages are there" in shown


def test_it_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
