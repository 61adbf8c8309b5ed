"""The stage runner: what is current is skipped, what changed is run again, what fails leaves nothing behind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from events.errors import InputError
from scripts.pipeline import MANIFEST, Run, Stage, read_manifest, run_stage


class Counting:
    """A stage that copies its input upwards and counts how often it worked."""

    def __init__(self, source: Path, publish: tuple[str, ...] = ()) -> None:
        self.calls = 0
        self.fail = False
        self.stage = Stage(
            name="prepare",
            passes=("validation",),
            settings=lambda settings: {"seed": settings.seed},
            inputs=lambda run, name: [source],
            work=self.work,
            floors=("submissions",),
            publish=publish,
        )
        self.source = source

    def work(self, run: Run, name: str, folder: Path) -> dict[str, Any]:
        self.calls += 1
        (folder / "out.txt").write_text(self.source.read_text().upper())
        if self.fail:
            raise InputError(self.source, 3, "bad row", "mend it")
        return {"rows": 1}


@pytest.fixture
def counting(tmp_path) -> Counting:
    source = tmp_path / "in.txt"
    source.write_text("abc")
    return Counting(source, publish=("out.txt",))


def run_of(tmp_path: Path, seed: int = 1) -> Run:
    return Run(SimpleNamespace(seed=seed), tmp_path / "runs" / "x")


def quiet(_: str) -> None:
    return None


def test_a_current_stage_is_skipped(counting, tmp_path):
    first = run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    again = run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    assert counting.calls == 1
    assert first == again
    assert first["rows"] == 1
    assert first["peak_gib"] > 0


def test_changed_settings_inputs_code_or_outputs_run_it_again(counting, tmp_path, monkeypatch):
    folder = run_of(tmp_path).stage_folder("validation", "prepare")
    run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    run_stage(counting.stage, run_of(tmp_path, seed=2), "validation", quiet)
    assert counting.calls == 2
    counting.source.write_text("abd")
    run_stage(counting.stage, run_of(tmp_path, seed=2), "validation", quiet)
    assert counting.calls == 3
    (folder / "out.txt").write_text("tampered")
    run_stage(counting.stage, run_of(tmp_path, seed=2), "validation", quiet)
    assert counting.calls == 4
    assert (folder / "out.txt").read_text() == "ABD"
    monkeypatch.setattr("scripts.pipeline.source_digest", lambda packages: "edited")
    run_stage(counting.stage, run_of(tmp_path, seed=2), "validation", quiet)
    assert counting.calls == 5


def test_a_failing_stage_leaves_the_old_result_and_nothing_half_written(counting, tmp_path):
    run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    counting.source.write_text("new")
    counting.fail = True
    with pytest.raises(InputError, match=r"in\.txt:3: bad row"):
        run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    folder = run_of(tmp_path).stage_folder("validation", "prepare")
    assert (folder / "out.txt").read_text() == "ABC"
    assert [p.name for p in folder.parent.iterdir() if p.is_dir()] == ["prepare"]


def test_published_files_stand_in_the_pass_folder_and_come_back(counting, tmp_path):
    run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    shown = tmp_path / "runs" / "x" / "validation" / "out.txt"
    assert shown.read_text() == "ABC"
    shown.unlink()
    run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    assert counting.calls == 1
    assert shown.read_text() == "ABC"


def test_a_half_written_manifest_counts_as_none(counting, tmp_path):
    run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    manifest = run_of(tmp_path).stage_folder("validation", "prepare") / MANIFEST
    manifest.write_text(manifest.read_text()[:20])
    assert read_manifest(manifest.parent) is None
    run_stage(counting.stage, run_of(tmp_path), "validation", quiet)
    assert counting.calls == 2


def test_a_stage_that_has_not_run_is_asked_for_by_name(tmp_path):
    with pytest.raises(InputError, match=r"stage covisit has not run.*python -m scripts\.covisit"):
        run_of(tmp_path).need("validation", "covisit")
