import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import rehearse
from events.errors import InputError
from events.passes import EARLIER
from events.shop.settings import FULL_TRAIN_SESSIONS
from scripts.all_stages import STAGES

SMALL = ["--sessions", "4000", "--set", "rankers.lambdarank.max_trees=10", "--set", "models.defaults=false"]


def test_a_small_rehearsal_goes_from_jsonl_to_csv_and_is_resumed(tmp_path: Path, capsys) -> None:
    command = [*SMALL, "--folder", str(tmp_path)]
    assert rehearse.main(command) == 0
    first = json.loads((tmp_path / "rehearsal.json").read_text())
    assert {(one["stage"], one["pass"]) for one in first["stages"]} == {
        (stage.name, name) for stage in STAGES for name in stage.passes or (None,) if name not in EARLIER
    }
    assert set(first["stages"][0]) == {"stage", "pass", "wall_s", "cpu_s", "peak_gib", "rows", "bytes"}
    assert all(one["rows"] > 0 for one in first["stages"])
    assert first["machine"]
    assert {path.name for path in (tmp_path / "rehearsal_jsonl").iterdir()} == {
        "train.jsonl",
        "test.jsonl",
        rehearse.DRAWN,
    }
    capsys.readouterr()
    assert rehearse.main(command) == 0
    said = capsys.readouterr().out
    assert said.count("up to date") == len(first["stages"])
    assert "drawing" not in said
    assert json.loads((tmp_path / "rehearsal.json").read_text()) == first


def test_the_disk_is_looked_at_before_anything_is_written(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(34e9)))
    with pytest.raises(InputError, match=r"34\.0 GB are free, 35\.0 GB are needed"):
        rehearse.need_disk(tmp_path, FULL_TRAIN_SESSIONS)
    rehearse.need_disk(tmp_path, 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert rehearse.main([*SMALL, "--folder", str(tmp_path)]) == 2
    assert "make room" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
